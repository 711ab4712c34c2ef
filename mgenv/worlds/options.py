"""Options that every world takes."""

from __future__ import annotations

from typing import Any

from mgenv.config import option, settings


@settings
class WorldOptions:
    """What any world may be asked for. A world ignores those that it has no use for."""

    image_size: Any = option(
        None, "side of the frames, or height and width [pixels]; null: the world's own"
    )
    memory_frames: int | None = option(512, "frames that are remembered of a place at most")
    memory_slots: int | None = option(
        None, "frames retrieved from memory for a step; null: the world's own number"
    )
    sampling_steps: int | None = option(
        None, "denoising steps of a generated frame; null: the world's own number"
    )
    share_memory: bool = option(False, "slots in one world share what they remember")
    reproducible: bool = option(
        False,
        "of generated worlds: a slot's bits do not depend on num_envs on any one CPU, AMX or not; "
        "costs a quarter to a third of the steps a second on two cores",
    )
    device: str = option("cpu", "where frames are made: cpu, cuda, cuda:1, …")
