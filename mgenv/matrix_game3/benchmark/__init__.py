"""Speed and accuracy of the public network."""
