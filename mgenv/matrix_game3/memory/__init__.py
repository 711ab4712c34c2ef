"""Retrieval of the latents that condition a clip."""
