"""Which remembered latents condition a clip."""
