"""Images: where they come from, and how they lie in memory and on disk. Every other room may import it."""
