"""Outdoor places: plots, terrain, houses and gardens on them."""
