"""The video VAE and its streaming decoder."""
