"""What all places are made of: objects, scenes, world ids, baked light."""
