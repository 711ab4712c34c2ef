"""Checkpoints of the public network: reading, converting, verifying."""
