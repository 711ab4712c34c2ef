"""The ground truth: procedural homes, their pictures, and how a robot moves through them."""
