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


def has_examples(module: pkgutil.ModuleInfo) -> bool:
    """Whether a docstring of the module holds an example."""
    spec = module.module_finder.find_spec(module.name, None)  # type: ignore[call-arg]
    return ">>> " in Path(str(spec and spec.origin)).read_text()


FOUND = list(pkgutil.walk_packages([str(ROOT)], "mgenv."))
MODULES = sorted(module.name for module in FOUND)
WITH_EXAMPLES = sorted(module.name for module in FOUND if has_examples(module))


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


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0 < result.attempted


def test_the_old_name_of_navigation_is_deprecated():
    with pytest.warns(DeprecationWarning, match="mgenv.engine.motion.navigation"):
        from mgenv.engine import navigation
    assert navigation.scan.__module__ == "mgenv.engine.motion.navigation"
    with pytest.raises(ImportError):
        from mgenv.engine import navigations  # type: ignore[attr-defined]  # noqa: F401
