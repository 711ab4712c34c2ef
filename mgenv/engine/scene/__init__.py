"""Scenes: objects, world ids, baked light."""
