"""Captions of footage, which cannot tell its own facts: from a file, or from a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.data.episode import Captions
from mgenv.data.sources.parsing import read_json
from mgenv.errors import DataError

Captioner = Callable[[str, NDArray[np.uint8]], Captions]
"""From a recording's name and an episode's pictures (T, H, W, 3)."""


def make_captioner(captions: str) -> Captioner:
    """What ``captions`` of :class:`mgenv.data.sources.SourceOptions` asks for.

    Args:
        captions: a JSON file of captions by recording name: texts, or objects of scene, style,
            objects and motion. Or ``package.module:function``, which is called with a recording's
            name and an episode's pictures, and gives the same. Or nothing.

    Raises:
        DataError: the file or the function is missing or says something else.
    """
    module, colon, function = captions.partition(":")
    if colon and not Path(captions).exists():
        asked = _import(module, function, captions)
        return lambda name, rgb: _checked(asked(name, rgb), f"{captions}: expected {name!r}")
    told = {
        name: _checked(caption, f"{captions}: expected {name!r}")
        for name, caption in _read(captions).items()
    }
    return lambda name, rgb: told.get(name, Captions())


def _read(file: str) -> dict[str, object]:
    return dict(read_json(Path(file), "a JSON file of captions")) if file else {}


def _import(module: str, function: str, captions: str) -> Callable[..., object]:
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise DataError(f"{captions}: expected a function; got: {error}") from error


def _checked(caption: object, where: str) -> Captions:
    """Captions of what a file or a function says."""
    if isinstance(caption, Captions):
        return caption
    known = {field.name for field in fields(Captions)}
    levels = {"scene": caption} if isinstance(caption, str) else caption
    texts: dict[str, Any] = levels if isinstance(levels, dict) else {"": None}
    if not texts.keys() <= known or not all(isinstance(text, str) for text in texts.values()):
        raise DataError(
            f"{where} to be a text, or texts by {', '.join(sorted(known))}; got {caption!r}"
        )
    return Captions(**texts)
