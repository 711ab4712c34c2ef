"""Training of the world model: data on the device, losses, and the loops that use them."""
