"""Settings from ``mgenv/configs`` with ``key=value`` overrides, as typed dataclasses."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mgenv.errors import InvalidOptionError, UnknownNameError

Config = TypeVar("Config")


def load_config(name: str, overrides: list[str], schema: type[Config]) -> Config:
    """Read ``mgenv/configs/<name>.yaml``, override it and check its types.

    Args:
        name: of the file, without its ending.
        overrides: in Hydra's grammar, ``ppo.learning_rate=3e-4``.
        schema: a dataclass whose fields are the settings.

    Raises:
        UnknownNameError: an override of a setting that does not exist.
        InvalidOptionError: an override that cannot be read or is of the wrong type.
    """
    base = _compose(name, [])
    _expect_known(_leaves(OmegaConf.to_container(base)), overrides)
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), _compose(name, overrides))
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise InvalidOptionError(
            f"Expected settings as key=value; got {overrides}: {reason}"
        ) from error


def config_text(name: str) -> str:
    """The file itself, for ``--help``."""
    return (files("mgenv") / "configs" / f"{name}.yaml").read_text()


def _compose(name: str, overrides: list[str]) -> DictConfig:
    with as_file(files("mgenv") / "configs") as folder:
        with initialize_config_dir(str(folder.absolute()), version_base=None):
            return compose(name, overrides)


def _expect_known(known: list[str], overrides: list[str]) -> None:
    for override in overrides:
        key = override.partition("=")[0]
        if "=" in override and key not in known:
            raise UnknownNameError("setting", key, known)


def _leaves(config: Any, prefix: str = "") -> list[str]:
    """Dotted names of all settings.

    Example:
        >>> _leaves({"env": {"task": "pointnav"}, "seed": 0})
        ['env.task', 'seed']
    """
    names: list[str] = []
    for key, value in config.items():
        inner = _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
        names += inner
    return names
