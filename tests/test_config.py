"""An option is declared once: constructor, docstring, help and command line agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mgenv.cli.config import load_config, print_help
from mgenv.config import group, make_settings, option, option_names, part, plain, settings
from mgenv.errors import InvalidOptionError, UnknownNameError


@settings
class Inner:
    """Inside."""

    width: int = option(8, "channels")


@settings
class Base:
    """What is shared."""

    speed: float = option(0.5, "metres a second " + "and a long remark " * 8)
    secret: int = option(3, "not for everybody")


@settings
class Outer(Base):
    """A class of settings."""

    name: str = option("", "what it is called")
    sizes: tuple[int, ...] = option((1, 2), "of layers")
    anything: Any = option(None, "an object")
    HIDDEN: ClassVar = ("secret",)
    inner: Inner = group(Inner, "inside")


def test_the_docstring_lists_own_options_first():
    lines = (Outer.__doc__ or "").splitlines()
    assert lines[:4] == ["A class of settings.", "", "Attributes:", "    name: what it is called"]
    assert "secret" not in (Outer.__doc__ or "") and max(map(len, lines)) <= 100


def test_help_is_what_the_command_line_takes(capsys):
    assert print_help("try", Outer, "Example.") == 0
    printed = capsys.readouterr().out
    assert printed.startswith('usage: mgenv try [key=value …]\n\nExample.\n\nname: "" ')
    assert "sizes: [1, 2]                   # of layers\n" in printed
    assert "  width: 8                      # channels\n" in printed
    assert "secret" not in printed and max(map(len, printed.splitlines())) <= 100
    given = load_config(Outer, ["name=a", "sizes=[3]", "inner.width=9", "speed=1"])
    assert plain(given) == plain(Outer(name="a", sizes=(3,), inner=Inner(width=9), speed=1.0))


@pytest.mark.parametrize("override", ["secret=1", "inner.widht=3", "nane=a", "inner=3"])
def test_what_is_no_option_is_refused(override):
    with pytest.raises(UnknownNameError, match=override.split("=")[0]):
        load_config(Outer, [override])


@pytest.mark.parametrize("override", ["inner.width=wide", "sizes=[a]", "speed", "name='"])
def test_values_of_the_wrong_type_are_refused(override):
    with pytest.raises(InvalidOptionError, match="key=value"):
        load_config(Outer, [override])


def test_keywords_are_checked_and_parts_taken():
    with pytest.raises(UnknownNameError, match="Did you mean 'speed'"):
        make_settings(Outer, {"sped": 1})
    assert part(make_settings(Outer, {"speed": 2.0}), Base) == Base(speed=2.0, secret=3)
    assert option_names(Outer) == ["name", "sizes", "anything", "inner.width", "speed"]


def test_plain_values_name_objects_by_their_class():
    made = Outer(anything=[Inner, Path("a"), np.int64(3), object()], sizes=(1,))
    assert plain(made) == {
        "name": "",
        "sizes": [1],
        "anything": ["tests.test_config:Inner", "a", 3, "builtins:object"],
        "inner": {"width": 8},
        "speed": 0.5,
    }
