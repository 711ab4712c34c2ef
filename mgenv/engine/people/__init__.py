"""Characters that walk: bodies, clothes, ways, avoidance."""
