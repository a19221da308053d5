"""Images: their sources, in memory, on disk. `models`, `training`, `analysis`, `report` and the stages import it."""
