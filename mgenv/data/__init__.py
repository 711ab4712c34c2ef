"""Recorded video with poses, actions and captions: made, written, read."""
