"""The diffusion transformer and its mixture of experts."""
