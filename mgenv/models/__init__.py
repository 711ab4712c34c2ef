"""Networks of the world model, their sampler and their checkpoints."""
