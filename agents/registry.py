"""Policies by name, and from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

from mgenv.agents.planner import PlannerPolicy
from mgenv.agents.policy import Policy
from mgenv.agents.random import RandomPolicy
from mgenv.agents.recall import RecallPolicy
from mgenv.agents.scripted import BlindOdometryPolicy, BlindPolicy, SpinPolicy, StraightPolicy
from mgenv.errors import UnknownNameError
from mgenv.worlds import WEIGHTS

Maker = Callable[[gym.vector.VectorEnv, int], Policy]
"""A policy for some environments, from a seed."""


def _random(envs: gym.vector.VectorEnv, seed: int) -> Policy:
    return RandomPolicy(envs.single_action_space, envs.num_envs, seed)


POLICIES: dict[str, Maker] = {
    "random": _random,
    "spin": SpinPolicy,
    "straight": StraightPolicy,
    "blind": BlindPolicy,
    "blind+odometry": BlindOdometryPolicy,
    "recall": RecallPolicy,
    "planner": PlannerPolicy,
}
"""Policies without a file: baselines that ignore images, `recall` and `planner`."""


def shipped() -> dict[str, Path]:
    """Trained policies that come with the package, by name.

    Example:
        >>> "pointnav-nano" in shipped()
        True
    """
    files = sorted((WEIGHTS / "policies").glob("*.safetensors"))
    return {file.stem.replace("_", "-"): file for file in files}


def policy_file(name: str) -> Path | None:
    """The file of a trained policy, given by its path or the name of a shipped one; else None.

    Raises:
        UnknownNameError: not a known name, and neither an existing file nor a path.
    """
    if name in POLICIES:
        return None
    known, path = shipped(), Path(name)
    if name in known:
        return known[name]
    if path.name == name and not path.suffix and not path.is_file():
        raise UnknownNameError("policy", name, [*POLICIES, *known, "<a policy file>"])
    return path


def make_policy(
    name: str, envs: gym.vector.VectorEnv, seed: int = 0, deterministic: bool = False
) -> Policy:
    """Make the policy called ``name``, or load it from that file; its name is then the file's stem.

    Args:
        name: a key of ``POLICIES`` or of :func:`shipped`, or a policy file.
        envs: where it is to act.
        seed: of its draws.
        deterministic: a learned policy takes the most likely action.

    Raises:
        UnknownNameError: there is none of that name.
        CheckpointError: the file is missing, damaged or not a policy.
        InvalidOptionError: the policy does not fit the environments.
    """
    file = policy_file(name)
    if file is None:
        return POLICIES[name](envs, seed)
    policy: Any = _learned().load(file, deterministic, seed)
    policy.check(envs)
    return policy


def _learned() -> Any:
    from mgenv.agents.learned import LearnedPolicy  # needs Stable-Baselines3

    return LearnedPolicy
