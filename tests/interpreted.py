"""Triton kernels without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def interpret(script: str) -> None:
    """Run Python with kernels interpreted: in a process of its own, as this one may compile them.

    Skips the test where there is no Triton.
    """
    pytest.importorskip("triton", reason="a GPU's compiler is needed")
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
