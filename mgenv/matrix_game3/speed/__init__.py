"""Compiled, INT8 and multi-GPU forms of the network."""
