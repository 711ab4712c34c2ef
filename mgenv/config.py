"""Dataclasses of settings: an option is declared once, with its default and its help.

The docstring, ``--help`` and the command line of a class of settings are all made from its fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import PurePath
from textwrap import fill, indent
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from mgenv.errors import UnknownNameError

Settings = TypeVar("Settings")


def option(default: Any, text: str) -> Any:
    """A field of a settings class.

    Args:
        default: its value where none is given.
        text: its help: what it is, its choices, its unit.
    """
    return field(default=default, metadata={"help": text})


def group(kind: type, text: str) -> Any:
    """A field that holds settings of its own, by default ``kind()``."""
    return field(default_factory=kind, metadata={"help": text})


@dataclass_transform(kw_only_default=True)
def settings(cls: type[Settings]) -> type[Settings]:
    """A dataclass with keyword arguments only, whose docstring lists its options.

    Fields of a base class that its ``HIDDEN`` names keep their defaults and are no options.
    """
    made = dataclass(kw_only=True)(cls)
    made.is_settings = True  # type: ignore[attr-defined]
    lines = [f"{one.name}: {help_of(one)}" for one in ordered_fields(made)]
    text = "\n".join(_wrapped(line, 92, after="    ") for line in lines)
    made.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\nAttributes:\n{indent(text, '    ')}"
    return made


def ordered_fields(kind: type) -> list[Field]:
    """Options of a settings class: its own first, then those of its bases."""
    by_name = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    names = dict.fromkeys(n for base in kind.__mro__ for n in vars(base).get("__annotations__", ()))
    found = [by_name[name] for name in names if name in by_name]
    return [one for one in found if one.name not in getattr(kind, "HIDDEN", ())]


def help_of(one: Field) -> str:
    """The help of a field; "" where it has none."""
    return one.metadata.get("help", "")


def make_settings(kind: type[Settings], given: dict[str, Any]) -> Settings:
    """An object of a settings class.

    Raises:
        UnknownNameError: no option of that name.
    """
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise UnknownNameError("option", name, known)
    return kind(**given)


def option_names(kind: type, prefix: str = "") -> list[str]:
    """Names of all options of a settings class; those of groups with dots.

    Example:
        >>> from mgenv.models.refiner import RefinerConfig
        >>> option_names(RefinerConfig, "refiner.")
        ['refiner.widths']
    """
    names: list[str] = []
    for one in ordered_fields(kind):
        name, inner = f"{prefix}{one.name}", one.default_factory
        names += option_names(inner, f"{name}.") if isinstance(inner, type) else [name]
    return names


def part(values: Any, kind: type[Settings]) -> Settings:
    """The options of ``values`` that its base class ``kind`` declares."""
    return kind(**{one.name: getattr(values, one.name) for one in fields(kind)})  # type: ignore[arg-type]


def plain(values: Any) -> Any:
    """Settings as dicts, lists and plain values.

    An object that is not plain is named by its class, ``package.module:Class``.
    """
    if hasattr(type(values), "is_settings"):
        return {one.name: plain(getattr(values, one.name)) for one in ordered_fields(type(values))}
    if isinstance(values, Mapping):
        return {str(name): plain(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [plain(value) for value in values]
    if isinstance(values, (str, int, float, type(None))):
        return values
    if isinstance(values, np.generic):
        return values.item()
    if isinstance(values, PurePath):
        return str(values)
    kind = values if isinstance(values, type) else type(values)
    return f"{kind.__module__}:{kind.__qualname__}"


def describe(kind: type) -> str:
    """All options of a settings class with defaults and help, as YAML.

    Example:
        >>> @settings
        ... class Optimizer:
        ...     lr: float = option(0.1, "learning rate")
        >>> print(describe(Optimizer), end="")
        lr: 0.1                         # learning rate
    """
    return "".join(f"{line}\n" for line in _lines(kind(), ""))


def _lines(values: Any, margin: str) -> Iterator[str]:
    """One or more lines for each option of ``values``."""
    for one in ordered_fields(type(values)):
        value = getattr(values, one.name)
        if hasattr(type(value), "is_settings"):
            yield from _commented(f"{margin}{one.name}:", help_of(one))
            yield from _lines(value, margin + "  ")
        else:
            yield from _commented(f"{margin}{one.name}: {_yaml(value)}", help_of(one))


def _commented(text: str, comment: str, column: int = 32, width: int = 100) -> Iterator[str]:
    """``text`` with a comment at ``column``, which goes on below where it is long."""
    if not comment:
        yield text
        return
    first, *more = _wrapped(comment, width - column - 2).split("\n")
    yield f"{text:<{column - 1}} # {first}"
    yield from (f"{'':<{column}}# {line}" for line in more)


def _wrapped(text: str, width: int, after: str = "") -> str:
    """``text`` in lines of at most ``width``; words such as ``matrix-game-3`` stay whole."""
    return fill(text, width, subsequent_indent=after, break_on_hyphens=False)


def _yaml(value: Any) -> str:
    """A plain value as YAML writes it on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    return '""' if value == "" else f"{value:g}" if isinstance(value, float) else str(value)


__all__ = [
    "describe", "group", "make_settings", "option", "option_names", "part", "plain",
    "settings",
]  # fmt: skip
