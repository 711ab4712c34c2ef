"""Recorded video with poses, actions and captions: made, written, read. On Unix only."""

from mgenv.data.dataset import Dataset, Window
from mgenv.data.episode import Captions, Episode
from mgenv.data.record import CollectConfig, collect

__all__ = ["Captions", "CollectConfig", "Dataset", "Episode", "Window", "collect"]
