"""Policies: scripted, planning and PPO; how they are trained, kept and judged.

Names are imported when first asked for, so that Stable-Baselines3 stays optional.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgenv.agents.evaluate import Evaluation, evaluate_policy
    from mgenv.agents.learned import LearnedPolicy
    from mgenv.agents.policy import Policy, PolicyCard
    from mgenv.agents.random import RandomPolicy
    from mgenv.agents.recall import RecallPolicy
    from mgenv.agents.registry import POLICIES, make_policy
    from mgenv.agents.sb3 import PPOConfig, build_ppo
    from mgenv.agents.statistics import Interval, bootstrap, paired_difference
    from mgenv.agents.train import EnvConfig, TrainConfig, make_envs, train_policy

__all__ = [
    "EnvConfig",
    "Evaluation",
    "Interval",
    "LearnedPolicy",
    "POLICIES",
    "PPOConfig",
    "Policy",
    "PolicyCard",
    "RandomPolicy",
    "RecallPolicy",
    "TrainConfig",
    "bootstrap",
    "build_ppo",
    "evaluate_policy",
    "make_envs",
    "make_policy",
    "paired_difference",
    "train_policy",
]

_FILES = {
    "evaluate": ("Evaluation", "evaluate_policy"),
    "learned": ("LearnedPolicy",),
    "policy": ("Policy", "PolicyCard"),
    "random": ("RandomPolicy",),
    "recall": ("RecallPolicy",),
    "registry": ("POLICIES", "make_policy"),
    "sb3": ("PPOConfig", "build_ppo"),
    "statistics": ("Interval", "bootstrap", "paired_difference"),
    "train": ("EnvConfig", "TrainConfig", "make_envs", "train_policy"),
}
_HOMES = {name: file for file, names in _FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
