"""The package as a whole: names, imports, examples in docstrings."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mgenv

ROOT = Path(mgenv.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages([str(ROOT)], "mgenv.")
    if not module.name.endswith("__main__")
)  # fmt: skip


def test_public_names_are_there():
    for name in mgenv.__all__:
        assert getattr(mgenv, name) is not None
    assert dir(mgenv) == sorted(mgenv.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mgenv.nothing  # noqa: B018


def test_importing_the_package_is_light():
    heavy = "{'torch', 'numba', 'stable_baselines3', 'pettingzoo', 'hydra'}"
    code = f"import sys, mgenv; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_wrappers_and_agents_are_parts_of_the_package():
    for name in ("mgenv.wrappers", "mgenv.agents"):
        assert name in MODULES
    assert (ROOT / "wrappers").resolve() == ROOT.parent / "wrappers"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    if name.endswith(("_triton", "_hopper")):
        pytest.importorskip("triton", reason="a GPU's compiler is needed")
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
