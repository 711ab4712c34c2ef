"""Registry of recording sources; the module of a source is imported on first use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

from mgenv.data.sources.base import Source, SourceOptions, UnfitError
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
    if ":" in name:
        return _import(name)(options)
    file, _, kind = SOURCES[name].partition(":")
    return getattr(import_module(f"mgenv.data.sources.{file}"), kind)(options)


def _import(name: str) -> Callable[[SourceOptions], Source]:
    """The class ``package.module:Class``; the folder that one is in is looked through too."""
    module, _, kind = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return getattr(import_module(module), kind)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise UnknownNameError("source", name, SOURCES) from error
        raise
    except (AttributeError, ValueError) as error:
        raise UnknownNameError("source", name, SOURCES) from error


def check_source(name: str) -> None:
    """Refuse a name that cannot be a source's.

    Raises:
        UnknownNameError: says which there are.
    """
    if ":" not in name and name not in SOURCES:
        raise UnknownNameError("source", name, SOURCES)


__all__ = ["SOURCES", "Source", "SourceOptions", "UnfitError", "check_source", "make_source"]
