"""Indoor places: floor plans and furniture."""
