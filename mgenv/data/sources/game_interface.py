"""Actions and observations of an agent that plays a game."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Action:
    """What a player's hands ask for.

    Attributes:
        forward, left: of full walking speed, in [-1, 1].
        turn: of the game's full turning speed, in [-1, 1], left positive.
        use: press what opens doors.
    """

    forward: float = 0.0
    left: float = 0.0
    turn: float = 0.0
    use: bool = False


@dataclass(frozen=True)
class Observation:
    """What a game shows at one tick.

    Attributes:
        rgb: uint8 (H, W, 3).
        pose: float (4, 4), camera-to-world (:mod:`mgenv.camera`); see
            :func:`mgenv.engine.motion.explorer.pose_of`.
        depth: float32 (H, W) along the optical axis [m], 0 where unknown; None if not shown.
        segmentation: uint8 (H, W), indices into the game's ``labels``; None if not shown.
        bumped: whether something shortened the motion that led here; None if not known.
        over: the level has ended, this shows nothing, and nothing can be done any more.
    """

    rgb: NDArray[np.uint8]
    pose: NDArray[np.floating]
    depth: NDArray[np.float32] | None = None
    segmentation: NDArray[np.uint8] | None = None
    bumped: bool | None = None
    over: bool = False
