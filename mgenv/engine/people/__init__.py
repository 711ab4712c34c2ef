"""Walking characters: bodies, clothes, paths, avoidance."""
