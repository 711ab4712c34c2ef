"""Registry of recording sources; the module of a source is imported on first use."""

from __future__ import annotations

from mgenv.data.sources.base import Source, SourceOptions, UnfitError
from mgenv.registry import Registry

SOURCES = Registry(
    "source",
    "mgenv.sources",
    {
        "engine": "mgenv.data.sources.engine:EngineSource",
        "vizdoom": "mgenv.data.sources.vizdoom:VizdoomSource",
        "openarena": "mgenv.data.sources.openarena:OpenArenaSource",
        "panorama": "mgenv.data.sources.panorama:PanoramaSource",
        "frames": "mgenv.data.sources.frames:FramesSource",
        "realestate10k": "mgenv.data.sources.realestate10k:RealEstate10KSource",
        "nerfstudio": "mgenv.data.sources.nerfstudio:NerfstudioSource",
        "colmap": "mgenv.data.sources.colmap:ColmapSource",
        "tum": "mgenv.data.sources.tum:TumSource",
        "scannet": "mgenv.data.sources.scannet:ScannetSource",
    },
)
"""Sources by name; packages add theirs by entry points ``mgenv.sources``."""


def make_source(name: str, options: SourceOptions) -> Source:
    """A source by name, or, as ``package.module:Class``, of anybody's own.

    Raises:
        UnknownNameError: there is none of that name.
        DataError: what it reads is missing or damaged.
    """
    return SOURCES.resolve(name)(options)


__all__ = ["SOURCES", "Source", "SourceOptions", "UnfitError", "make_source"]
