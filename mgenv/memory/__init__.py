"""Memory that outlives episodes: the bank, retrieval and reprojection."""

from mgenv.memory.bank import Memories, MemoryBank
from mgenv.memory.reprojection import Canvas, Sources, reproject
from mgenv.memory.retrieval import Candidates, Retrieved, retrieve

__all__ = [
    "Candidates",
    "Canvas",
    "Memories",
    "MemoryBank",
    "Retrieved",
    "Sources",
    "reproject",
    "retrieve",
]
