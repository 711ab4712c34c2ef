"""Smaller decoders of the public VAE: pruning and training."""
