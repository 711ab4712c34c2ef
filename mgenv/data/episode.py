"""An episode: the walk of one camera, as sources record it and datasets store it.

Tick t holds the picture, its depth and labels, the camera pose, and the action that leads to tick
t + 1.

Legend: T ticks, H×W pixels, A numbers an action.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import MOTION_NAMES, MOTION_SIZE, Intrinsics
from mgenv.data.motions import motions_of
from mgenv.errors import InvalidOptionError

RIGID = 1e-3
"""Tolerance of rotation matrices."""


@dataclass(frozen=True)
class Captions:
    """Four levels of description.

    Attributes:
        scene: which place. style: its materials and light. objects: what is in it.
        motion: what the camera does.
    """

    scene: str = ""
    style: str = ""
    objects: str = ""
    motion: str = ""

    def __str__(self) -> str:
        """All of them as sentences: what datasets call the task."""
        parts = (self.scene, self.style, self.objects, self.motion)
        return " ".join(part.rstrip(".") + "." for part in parts if part)


@dataclass
class Episode:
    """One recording.

    Attributes:
        rgb: uint8 (T, H, W, 3).
        pose: float32 (T, 4, 4), camera-to-world.
        motion: float32 (T, 5), what happened from tick t to t + 1, along the heading
            (:mod:`mgenv.camera`); the last is 0.
        action: float32 (T, A), what was asked for at tick t; ``motion`` where nobody asked.
        action_names: A names.
        bumped: bool (T,), whether something shortened the motion from t to t + 1.
        depth: float32 (T, H, W) along the optical axis [m], 0 where unknown; or None.
        segmentation: uint8 (T, H, W), indices into ``labels``; or None.
        labels: names of what segmentation tells apart.
        intrinsics: of the lens, normalised by image size.
        fps: ticks a second.
        captions: what it shows.
        source: the name of what recorded it.
        name: of the recording within its source.
    """

    rgb: NDArray[np.uint8]
    pose: NDArray[np.float32]
    motion: NDArray[np.float32]
    action: NDArray[np.float32]
    action_names: tuple[str, ...]
    bumped: NDArray[np.bool_]
    intrinsics: Intrinsics
    source: str
    name: str
    depth: NDArray[np.float32] | None = None
    segmentation: NDArray[np.uint8] | None = None
    labels: tuple[str, ...] = ()
    fps: int = 10
    captions: Captions = field(default_factory=Captions)

    @classmethod
    def from_poses(
        cls, rgb: NDArray[np.uint8], pose: NDArray[np.float32], **others: Any
    ) -> Episode:
        """An episode without recorded actions: its motions stand for them.

        Args:
            rgb, pose: as the attributes. others: the attributes that follow from nothing else.
        """
        motion = motions_of(pose)
        return cls(
            rgb=rgb,
            pose=pose,
            motion=motion,
            action=motion.copy(),
            action_names=MOTION_NAMES,
            bumped=np.zeros(len(pose), bool),
            **others,
        ).check()

    def __len__(self) -> int:
        return len(self.rgb)

    def check(self) -> Episode:
        """This episode, if its arrays fit together and its poses are rigid.

        Raises:
            InvalidOptionError: says which array is wrong and what was expected.
        """
        ticks, height, width = self.rgb.shape[:3]
        shapes = {
            "rgb": (ticks, height, width, 3),
            "pose": (ticks, 4, 4),
            "motion": (ticks, MOTION_SIZE),
            "action": (ticks, len(self.action_names)),
            "bumped": (ticks,),
            "depth": (ticks, height, width),
            "segmentation": (ticks, height, width),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InvalidOptionError(
                    f"{self.source} {self.name}: expected {name} {shape}, got {array.shape}"
                )
        where = f"{self.source} {self.name}"
        for name, kind in (("rgb", np.uint8), ("segmentation", np.uint8), ("bumped", np.bool_)):
            array = getattr(self, name)
            if array is not None and array.dtype != kind:
                raise InvalidOptionError(f"{where}: expected {name} {kind}, got {array.dtype}")
        if ticks < 1 or not (np.isfinite(self.motion).all() and np.isfinite(self.action).all()):
            raise InvalidOptionError(f"{where}: expected ticks of finite motion and action")
        check_rigid(self.pose, where)
        return self


def check_rigid(pose: NDArray[np.float32], where: str) -> None:
    """Prove that poses (T, 4, 4) are rotations and translations.

    Raises:
        InvalidOptionError: names ``where`` and the first tick that is not rigid.
    """
    rotation = pose[:, :3, :3].astype(np.float64)
    turned = rotation.transpose(0, 2, 1) @ rotation
    wrong = np.abs(turned - np.eye(3)).max((1, 2)) > RIGID
    wrong |= np.linalg.det(rotation) < 0
    wrong |= np.abs(pose[:, 3] - np.array([0, 0, 0, 1])).max(1) > 1e-6
    wrong |= ~np.isfinite(pose).all((1, 2))
    if wrong.any():
        raise InvalidOptionError(
            f"{where}: expected rigid poses (4, 4); the pose of tick {int(wrong.argmax())} is not"
        )
