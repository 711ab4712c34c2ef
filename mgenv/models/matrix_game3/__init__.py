"""Matrix-Game 3.0 (Skywork AI) at any size: network, VAE, camera, memory, sampler and weights."""
