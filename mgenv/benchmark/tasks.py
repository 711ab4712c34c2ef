"""`mgenv bench tasks`: baselines that ignore images, and the planner, on every task.

A task that a blind policy solves does not need images. A task that the planner on the true map
cannot solve is not solvable. All policies play the same episodes, in every world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgenv.agents.evaluate import Evaluation
from mgenv.agents.registry import POLICIES, policy_file
from mgenv.agents.train import EnvConfig, make_envs
from mgenv.benchmark.policy_comparison import (
    Setting,
    differences,
    display_names,
    provenance,
    read_card,
)
from mgenv.benchmark.report import Report
from mgenv.engine.scene.world_ids import HELD_OUT
from mgenv.envs.episode_list import EpisodeList, draw_episodes, origin_of
from mgenv.errors import InvalidOptionError, MgenvError, UnknownNameError
from mgenv.output import prepare_folder

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pointnav-easy": ("pointnav", {"difficulty": "easy"}),
    "pointnav-medium": ("pointnav", {"difficulty": "medium"}),
    "pointnav-hard": ("pointnav", {"difficulty": "hard"}),
    "imagenav": ("imagenav", {}),
    "explore": ("explore", {}),
    "recall": ("recall", {}),
    "recall-without-memory": ("recall", {"recall_memory": False}),
}
"""Names of the rows' first column: a task and keyword arguments of the environments."""

COLUMNS = {
    "SPL": "spl",
    "soft SPL": "soft_spl",
    "steps": "steps",
    "collisions": "collisions",
    "m to goal": "distance_to_goal",
    "share": "explored_share",
    "share / m": "explored_share_per_metre",
}
"""Of the table, beside success: means of these measures."""

PROTOCOL = (
    "Fixed episodes of each task in {worlds} held-out worlds from id {first}, drawn once and "
    "played by every policy in every world, at most {steps} steps each. Every episode starts over: "
    "the place is remembered by a scan of {scan} frames and nothing else. Success is a mean with "
    "its 95 % bootstrap interval. `blind` turns to the goal and goes ahead, `blind+odometry` turns "
    "away where it is stuck, neither looks; without a goal vector the first wanders and the second "
    "goes straight until it is stuck. `recall` goes where memory says that it saw the goal. "
    "`planner` knows the true map, pose and goal."
)


@dataclass(frozen=True, kw_only=True)
class TasksConfig:
    """What is measured.

    Attributes:
        policies: names or policy files; a file is judged in the task that it was trained on.
        cases: names in ``CASES``.
        worlds: names or checkpoints.
        episodes: of each case.
        world_count: held-out worlds, from ``first_world`` on.
        lists: folder of the episode lists, a file a case: read where there is one, else written.
    """

    policies: Sequence[str] = tuple(POLICIES)
    cases: Sequence[str] = tuple(CASES)
    worlds: Sequence[str] = ("nano", "engine")
    episodes: int = 256
    world_count: int = 64
    first_world: int = HELD_OUT
    seed: int = 0
    num_envs: int = 16
    max_episode_steps: int = 200
    lists: str | None = None
    device: str = "cpu"

    def check(self) -> None:
        """Prove that names and files exist, before any work.

        Raises:
            MgenvError: one does not.
        """
        for case in self.cases:
            if case not in CASES:
                raise UnknownNameError("task", case, CASES)
        for policy in self.policies:
            if policy_file(policy) is not None:
                read_card(policy)
        if self.lists is not None:
            prepare_folder(self.lists)

    def env(self, task: str) -> EnvConfig:
        """The environments of a task."""
        return EnvConfig(
            task=task,
            memory="scan",
            num_envs=self.num_envs,
            world_ids=tuple(range(self.first_world, self.first_world + self.world_count)),
            max_episode_steps=self.max_episode_steps,
            device=self.device,
        )


def run(
    config: TasksConfig,
    report: Callable[[str], None] = lambda text: None,
    save: Callable[[Report], None] = lambda result: None,
) -> Report:
    """Judge all policies in all tasks and worlds.

    Args:
        report: told of every row.
        save: given what there is after every task, so that a run which is cut off is not lost.
    """
    config.check()
    names = display_names(list(dict.fromkeys(config.policies)))
    result = Report(title="Tasks", protocol=_protocol(config), rows=[], seeds=[config.seed])
    for case in config.cases:
        _run_case(config, case, names, result, report)
        save(result)
    return result


def _run_case(
    config: TasksConfig,
    case: str,
    names: dict[str, str],
    result: Report,
    report: Callable[[str], None],
) -> None:
    task, options = CASES[case]
    setting = Setting(
        env=config.env(task), options=options, episodes=episodes_of(config, case), seed=config.seed
    )
    judged = []
    for world in config.worlds:
        for policy, short in names.items():
            if not fits(policy, task):
                continue
            try:
                found = setting.judge(world, policy, short)
            except MgenvError as error:
                result.failed.append(f"{case}, {short} in {world}: {error}")
                continue
            judged.append((world, found))
            result.rows.append(row_of(case, world, found))
            report(f"{case}, {world}, {short}: success {found.summary()['success']}")
    pairs = differences(judged)
    result.notes += [note for pair in pairs if (note := _between_worlds(case, pair))]
    result.details[case] = {
        **provenance(setting, names, config.worlds),
        "differences": pairs,
        "measures": {
            f"{one.policy} in {world}": {
                name: values.round(3).tolist() for name, values in one.measures.items()
            }
            for world, one in judged
        },
    }


def episodes_of(config: TasksConfig, case: str) -> EpisodeList:
    """The case's episodes: from its file, if there is one; else drawn, and written there."""
    task, options = CASES[case]
    file = None if config.lists is None else Path(config.lists) / f"{case}.json"
    if file is not None and file.is_file():
        known = EpisodeList.load(file)
        env = config.env(task)
        known.check(task, options.get("difficulty"), env.world_ids, env.memory)
        if len(known.episodes) != config.episodes:
            raise InvalidOptionError(
                f"Expected a list of {config.episodes} episodes in {file}; "
                f"got {len(known.episodes)}."
            )
        return known
    env = config.env(task)
    envs = make_envs(env, world="engine", autoreset_mode="disabled", **options)
    try:
        episodes = draw_episodes(envs, config.episodes, config.seed)
        size = list(envs.single_observation_space["pixels"].shape[:2])  # type: ignore[index]
    finally:
        envs.close()
    origin = origin_of(env.memory, scan_frames=env.scan_frames, image_size=size)
    drawn = EpisodeList(task=task, options=options, origin=origin, episodes=episodes)
    if file is not None:
        drawn.save(file)
    return drawn


def fits(policy: str, task: str) -> bool:
    """Whether a policy is for a task."""
    if policy_file(policy) is not None:
        return read_card(policy).task == task
    return policy != "recall" or task == "recall"


def row_of(case: str, world: str, found: Evaluation) -> dict[str, Any]:
    """One row of the table; None where the task has no such measure."""
    summary = found.summary()
    row: dict[str, Any] = {"task": case, "world": world, "policy": found.policy}
    row |= {"episodes": len(found), "success": str(summary["success"])}
    means = {label: summary[name].mean for label, name in COLUMNS.items() if name in summary}
    return row | {label: means.get(label) for label in COLUMNS}


def _between_worlds(case: str, pair: dict[str, Any]) -> str | None:
    """The difference of one policy between two worlds, in words."""
    if pair["policy"] != pair["minus_policy"]:
        return None
    value = pair["success"]
    return (
        f"{case}, {pair['policy']}: success in {pair['world']} - {pair['minus_world']} "
        f"{value['mean']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}], paired by episode"
    )


def _protocol(config: TasksConfig) -> str:
    return PROTOCOL.format(
        worlds=config.world_count,
        first=config.first_world,
        steps=config.max_episode_steps,
        scan=EnvConfig().scan_frames,
    )
