"""Settings classes from ``key=value`` arguments, in the grammar of Hydra."""

from __future__ import annotations

from typing import TypeVar

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mgenv.config import describe, option_names
from mgenv.errors import InvalidOptionError, UnknownNameError

Config = TypeVar("Config")


def load_config(kind: type[Config], overrides: list[str]) -> Config:
    """An object of a settings class, with overrides of any type that its fields take.

    Args:
        kind: see :func:`mgenv.config.settings`.
        overrides: for example ``ppo.learning_rate=3e-4``.

    Raises:
        UnknownNameError: an override of an option that does not exist.
        InvalidOptionError: an override that cannot be read or is of the wrong type.
    """
    known = option_names(kind)
    for override in overrides:
        name, given, _ = override.partition("=")
        if given and name not in known:
            raise UnknownNameError("setting", name, known)
    ConfigStore.instance().store(kind.__name__, kind)
    try:
        with initialize(None, version_base=None):
            return OmegaConf.to_object(compose(kind.__name__, overrides))  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InvalidOptionError(
            f"Expected settings as key=value; got {overrides}: {reason}"
        ) from error


def print_help(command: str, kind: type, *examples: str) -> int:
    """Print usage, examples and every option of a command; returns its exit status."""
    print(f"usage: mgenv {command} [key=value …]\n")
    for example in examples:
        print(f"{example}\n")
    print(describe(kind), end="")
    return 0
