"""Compiling works whatever can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgenv import jit as compiling


def double(x):
    return x + x


@pytest.fixture
def nothing_writable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """All cache folders lie under a file, so that even root cannot make them."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setattr(compiling, "_candidates", lambda: iter([blocked / "a", blocked / "b"]))
    return blocked


def test_without_a_writable_folder_nothing_is_cached_and_functions_still_run(
    nothing_writable, monkeypatch
):
    assert compiling.cache_folder() is None
    monkeypatch.setattr(compiling, "CACHE_FOLDER", None)
    assert compiling.compiled(double)(4) == 8


def test_the_next_folder_is_taken_where_the_first_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setattr(compiling, "_candidates", lambda: iter([blocked, tmp_path / "good"]))
    folder = compiling.cache_folder()
    assert folder is not None and folder.parent == tmp_path / "good"


def test_a_full_disk_costs_the_cache_only(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "CACHE_FOLDER", tmp_path)
    function = compiling.compiled(double)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(function._cache._impl), "reduce", full)
    assert function(3) == 6


def test_other_packages_caches_stay_where_they_are():
    from numba.core import config

    assert vars(config)["CACHE_DIR"] == os.environ.get("NUMBA_CACHE_DIR", "")


def test_the_engine_imports_and_runs_without_any_cache(tmp_path):
    """In a fresh process whose every cache folder is in the way of a file."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    code = (
        "import tempfile, mgenv.jit as c\n"
        "assert c.CACHE_FOLDER is None, c.CACHE_FOLDER\n"
        "from mgenv.engine.render.random_stream import new_stream, uniform\n"
        "assert 0 <= uniform(new_stream(1, 2)) < 1\n"
    )
    patch = (
        "import tempfile\n"
        "def refuse(*a, **k): raise OSError(30, 'Read-only file system')\n"
        "tempfile.TemporaryFile = refuse\n"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(blocked)}
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", patch + code], env=environment, cwd=root, check=True)
