"""A trained model at work: codes of other pictures, odd ones among them, pictures of codes. Only `cli` imports it."""
