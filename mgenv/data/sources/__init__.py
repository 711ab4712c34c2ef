"""Where recordings come from, by name; a source's file is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from mgenv.data.sources.base import Source, SourceOptions
from mgenv.errors import UnknownNameError

SOURCES = {
    "engine": "engine:EngineSource",
    "vizdoom": "vizdoom:VizdoomSource",
    "openarena": "openarena:OpenArenaSource",
    "panorama": "panorama:PanoramaSource",
    "frames": "frames:FramesSource",
    "realestate10k": "realestate10k:RealEstate10KSource",
    "nerfstudio": "nerfstudio:NerfstudioSource",
    "colmap": "colmap:ColmapSource",
    "tum": "tum:TumSource",
    "scannet": "scannet:ScannetSource",
}
"""Names, and the file and class of each."""


def make_source(name: str, options: SourceOptions) -> Source:
    """A source by name, or, as ``package.module:Class``, of anybody's own.

    Raises:
        UnknownNameError: there is none of that name.
        DataError: what it reads is missing or damaged.
    """
    check_source(name)
    own = ":" in name
    file, _, kind = (name if own else SOURCES[name]).partition(":")
    try:
        module = import_module(file if own else f"mgenv.data.sources.{file}")
        return getattr(module, kind)(options)
    except (ModuleNotFoundError, AttributeError) as error:
        if not own or (isinstance(error, ModuleNotFoundError) and error.name != file):
            raise
        raise UnknownNameError("source", name, SOURCES) from error


def check_source(name: str) -> None:
    """Refuse a name that cannot be a source's.

    Raises:
        UnknownNameError: says which there are.
    """
    if ":" not in name and name not in SOURCES:
        raise UnknownNameError("source", name, SOURCES)


__all__ = ["SOURCES", "Source", "SourceOptions", "check_source", "make_source"]
