"""Networks that encode and decode; they know no loss. `training`, `analysis`, `tracking` and the stages import them."""
