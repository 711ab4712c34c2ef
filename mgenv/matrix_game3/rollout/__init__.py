"""Autoregressive sampling of clips."""
