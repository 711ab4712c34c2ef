"""Environment steps per second and peak memory against num_envs and sampling steps.

A step is all of it: robot, retrieval, generation, decoding, reward and observation. Each row is
measured in a process of its own, because peak memory never falls within one.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from mgenv.benchmark.report import Report

PROTOCOL = (
    "Environment steps a second (all slots together) of mgenv/PointNav-v0 with random actions, "
    "resets within the steps included, the scan and the first reset not. Each row runs in a "
    "process of its own. `age` compares the time of the last tenth of the steps with the first."
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row to measure.

    Attributes:
        steps: vector steps that are timed, after ``warmup`` others.
        threads: of torch; None leaves its default.
        reproducible: of generated worlds, see :class:`mgenv.envs.vector_env.VectorEnv`.
    """

    world: str = "nano"
    num_envs: int = 16
    sampling_steps: int = 2
    device: str = "cpu"
    steps: int = 100
    warmup: int = 10
    num_worlds: int = 4
    seed: int = 0
    threads: int | None = None
    reproducible: bool = False


def measure(setting: Setting) -> dict[str, Any]:
    """Time one setting in this process.

    Returns:
        The row: steps a second, the median time of a vector step [ms], the last tenth's time
        over the first's, and peak memory [MiB].
    """
    import mgenv  # noqa: F401 - registers the environments

    if setting.threads is not None:
        torch.set_num_threads(setting.threads)
    envs = gym.make_vec(
        "mgenv/PointNav-v0",
        num_envs=setting.num_envs,
        world=setting.world,
        num_worlds=setting.num_worlds,
        sampling_steps=setting.sampling_steps,
        device=setting.device,
        reproducible=setting.reproducible,
        autoreset_mode="same_step",
    )
    envs.reset(seed=setting.seed)
    envs.action_space.seed(setting.seed)
    _time_steps(envs, setting.warmup, setting.device)
    times = _time_steps(envs, setting.steps, setting.device)
    envs.close()
    tenth = max(len(times) // 10, 1)
    return {
        "world": setting.world,
        "num_envs": setting.num_envs,
        "sampling_steps": setting.sampling_steps,
        "steps/s": setting.num_envs * len(times) / float(times.sum()),
        "ms a step": 1000 * float(np.median(times)),
        "age": float(np.median(times[-tenth:]) / np.median(times[:tenth])),
        "peak MiB": _peak(setting.device),
    }


def run(
    settings: Sequence[Setting], on_row: Callable[[dict[str, Any]], None] | None = None
) -> Report:
    """Measure every setting in a fresh process; one that fails is reported, not hidden."""
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for setting in settings:
        try:
            row = _in_process(setting)
        except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
            failed.append(f"{asdict(setting)}: {type(error).__name__}: {error}")
            continue
        rows.append(row)
        if on_row is not None:
            on_row(row)
    seeds = sorted({setting.seed for setting in settings})
    return Report(title="Speed", protocol=PROTOCOL, rows=rows, seeds=seeds, failed=failed)


def _in_process(setting: Setting) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, setting).result()


def _time_steps(envs: gym.vector.VectorEnv, steps: int, device: str) -> np.ndarray:
    """Seconds of each of so many vector steps."""
    times = np.zeros(steps)
    for number in range(steps):
        actions = envs.action_space.sample()
        begin = time.perf_counter()
        envs.step(actions)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times[number] = time.perf_counter() - begin
    return times


def _peak(device: str) -> float:
    """Peak memory of the process [MiB], or of the GPU where it runs on one."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
