"""How bodies move: collision, paths, exploration, recorded walks."""
