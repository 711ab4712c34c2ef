"""Comparison of policies in several worlds on the same episodes, and its JSON document.

Each policy acts in its own environments in each world, so the order of policies and worlds changes
no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import gymnasium as gym

from mgenv._version import __version__
from mgenv.agents.evaluate import Evaluation, evaluate_policy
from mgenv.agents.policy import PolicyCard, load_policy
from mgenv.agents.registry import POLICIES, make_policy, policy_file, shipped
from mgenv.agents.train import EnvConfig, make_envs
from mgenv.benchmark.report import command_line, commit, hardware, versions
from mgenv.envs.episode_list import EpisodeList, sha256
from mgenv.worlds import checkpoint_path, checkpoints

FORMAT, VERSION = "mgenv-evaluation", 1

Judged = tuple[str, Evaluation]
"""A world's name and what a policy came to there."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What policies are judged on.

    Attributes:
        env: the environments; its world is set for each.
        options: more of their keyword arguments, those of the task.
        episodes: how many, or which.
        list_file: where these were read from.
        seed: of the first episode where they are drawn, and of the policies' draws.
        deterministic: learned policies take the likeliest action.
    """

    env: EnvConfig
    options: dict[str, Any] = field(default_factory=dict)
    episodes: int | EpisodeList = 64
    list_file: str | None = None
    seed: int = 0
    deterministic: bool = False

    @property
    def count(self) -> int:
        """How many episodes."""
        return self.episodes if isinstance(self.episodes, int) else len(self.episodes.episodes)

    def make_envs(self, world: str, policy: str) -> gym.vector.VectorEnv:
        """Environments of a world that show what a policy looks at, reset by hand."""
        env = replace(self.env, world=world, num_envs=min(self.env.num_envs, self.count))
        looks = policy_file(policy) is not None
        seen = {"obs_type": obs_type_of(read_card(policy))} if looks else {}
        return make_envs(env, autoreset_mode="disabled", **self.options, **seen)

    def check(self, world: str, policy: str) -> None:
        """Prove that a policy can be judged in a world.

        Raises:
            MgenvError: it cannot.
        """
        envs = self.make_envs(world, policy)
        try:
            make_policy(policy, envs, self.seed, self.deterministic)
        finally:
            envs.close()

    def judge(
        self,
        world: str,
        policy: str,
        short: str | None = None,
        on_episode: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """Let a policy, called ``short`` in the figures, play the episodes in a world."""
        episodes = self.episodes if isinstance(self.episodes, int) else self.episodes.episodes
        envs = self.make_envs(world, policy)
        try:
            made = make_policy(policy, envs, self.seed, self.deterministic)
            made.name = short or made.name
            return evaluate_policy(made, envs, episodes, self.seed, on_episode)
        finally:
            envs.close()


def read_card(policy: str) -> PolicyCard:
    """What a trained policy, named or in a file, was trained on.

    Raises:
        CheckpointError: the file is missing, damaged or not a policy.
    """
    file = policy_file(policy)
    assert file is not None, policy
    return load_policy(file)[0]


def obs_type_of(card: PolicyCard) -> str:
    """The observations that a policy was trained on.

    Example:
        >>> parts = {"pixels": {}, "agent_pos": {}, "goal": {}}
        >>> obs_type_of(PolicyCard(task="", robot="", world="", steps=0, action_space={},
        ...     observation_space={"dict": parts}, network={}))
        'pixels_agent_pos'
    """
    parts = card.observation_space.get("dict", {"pixels": {}})
    return "_".join(name for name in ("pixels", "depth", "agent_pos") if name in parts)


def display_names(policies: Sequence[str]) -> dict[str, str]:
    """Short names by policy: a file's stem, or as much more of its path as tells it from others.

    Example:
        >>> display_names(["blind", "a/policy.safetensors", "b/policy.safetensors"])
        {'blind': 'blind', 'a/policy.safetensors': 'a/policy', 'b/policy.safetensors': 'b/policy'}
    """
    named = {*POLICIES, *shipped()}
    stems = [name if name in named else Path(name).stem for name in policies]
    alone = [stems.count(stem) == 1 for stem in stems]
    return {
        name: stem if short else str(Path(name).with_suffix(""))
        for name, stem, short in zip(policies, stems, alone, strict=True)
    }


def as_json(world: str, evaluation: Evaluation) -> dict[str, Any]:
    """Means and intervals of one policy in one world, as plain values."""
    summary = {name: asdict(interval) for name, interval in evaluation.summary().items()}
    return {
        "world": world,
        "policy": evaluation.policy,
        "episodes": len(evaluation),
        "world_ids": sorted(set(evaluation.world_ids.tolist())),
        **summary,
    }


def differences(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Paired differences between policies in a world, and between worlds for a policy."""
    rows = []
    for (world, one), (other_world, other) in combinations(judged, 2):
        if (world == other_world) == (one.policy == other.policy):
            continue
        head = {"world": world, "policy": one.policy}
        head |= {"minus_world": other_world, "minus_policy": other.policy}
        rows.append(head | {name: asdict(value) for name, value in one.minus(other).items()})
    return rows


def document(setting: Setting, policies: dict[str, str], judged: Sequence[Judged]) -> dict:
    """All that is known of an evaluation, as plain values: rows, differences and episodes.

    Args:
        policies: short names by name or file.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        **provenance(setting, policies, [world for world, _ in judged]),
        "rows": [as_json(*one) for one in judged],
        "differences": differences(judged),
        "episodes": [
            {"world": world, "policy": one.policy} | row for world, one in judged
            for row in one.rows()
        ],
    }  # fmt: skip


def provenance(setting: Setting, policies: dict[str, str], worlds: Sequence[str]) -> dict[str, Any]:
    """Where figures come from: task, options, seeds, files with their hashes, versions."""
    return {
        "task": setting.env.task,
        "env": asdict(setting.env) | setting.options,
        "episode_list": describe_file(setting.list_file) if setting.list_file else None,
        "seed": setting.seed,
        "deterministic": setting.deterministic,
        "policies": {
            short: None if (file := policy_file(name)) is None else describe_file(file)
            for name, short in policies.items()
        },
        "worlds": {
            world: describe_file(checkpoint_path(world))
            if world in checkpoints() or Path(world).is_file() else None
            for world in dict.fromkeys(worlds)
        },
        "mgenv": __version__,
        "commit": commit(),
        "command": command_line(),
        "hardware": hardware(),
        "versions": versions(),
    }  # fmt: skip


def describe_file(path: str | Path) -> dict[str, str]:
    """A file's path and the hash of its content."""
    return {"file": str(path), "sha256": sha256(path)}
