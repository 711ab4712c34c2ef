"""Motion of bodies: collision, paths, exploration, recorded walks."""
