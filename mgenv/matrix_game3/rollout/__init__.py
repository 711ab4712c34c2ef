"""Clips sampled one after another."""
