"""Benchmarks of quality and speed; each writes a results file."""
