"""Rays to pixels, on CPU and GPU."""
