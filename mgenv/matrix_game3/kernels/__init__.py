"""INT8 products and attention on GPUs."""
