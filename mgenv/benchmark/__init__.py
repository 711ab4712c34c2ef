"""How quality is measured; every benchmark writes a results file."""
