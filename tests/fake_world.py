"""A box room with coloured walls, drawn analytically: a World that costs nothing.

It keeps a real memory bank, so that everything above a world is tested as it runs.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Pose
from mgenv.memory.bank import MemoryBank
from mgenv.worlds.base import Frame
from mgenv.worlds.checks import checked_motion, checked_poses
from mgenv.worlds.slots import SlotWorld

HALF = 3.0
"""Half the side of the room [m]."""

HEIGHT = 2.6
RADIUS = 0.2


class FakeWorld(SlotWorld):
    """N slots in square rooms; each world id paints its walls differently."""

    kind = "fake"

    def __init__(
        self, num_envs: int, image_size: int = 16, share_memory: bool = False, device: str = "cpu"
    ) -> None:
        super().__init__(num_envs, image_size, device)
        self.memory = MemoryBank(num_envs, image_size, shared=share_memory)
        self._pose = np.tile(np.eye(4, dtype=np.float32), (num_envs, 1, 1))
        self._ids = np.zeros(num_envs, np.int64)
        self._drawn = np.zeros(num_envs, np.int64)

    @property
    def closed(self) -> bool:
        return self._closed

    def seed(self, slots, seeds) -> None:
        for slot, seed in self._seeds(slots, seeds):
            self._drawn[slot] = seed

    def _arrive(self, rows, ready) -> None:
        self._ids[rows] = ready

    def begin(self, slots, world_ids, pose=None, memory="keep") -> Frame:
        rows = self._rows(slots)
        self.enter(rows, world_ids, memory)
        first = Pose.create(torch.tensor([0.0, 0.0, 1.0]), torch.tensor(0.0)).matrix.numpy()
        self._pose[rows] = first if pose is None else checked_poses(pose, len(rows)).numpy()
        self._begun[rows] = True
        return self._look(rows, np.zeros(len(rows), bool))

    def step(self, motion, pose=None, slots=None) -> Frame:
        rows = self._rows(slots, begun=True)
        motion = checked_motion(motion, len(rows)).numpy()
        if not rows:
            return self._nothing()
        wanted = np.stack(
            [
                Pose(torch.from_numpy(self._pose[row])).move(torch.tensor(one)).matrix.numpy()
                for row, one in zip(rows, np.asarray(motion, np.float32), strict=True)
            ]
        )
        limit = HALF - RADIUS
        bumped = (np.abs(wanted[:, :2, 3]) > limit).any(1)
        wanted[:, :2, 3] = wanted[:, :2, 3].clip(-limit, limit)
        self._pose[rows] = wanted if pose is None else pose
        return self._look(rows, bumped)

    def remember(self, slots, rgb, pose, depth=None) -> None:
        seen = self._observations(slots, rgb, pose, depth)
        for time in range(seen.rgb.shape[1]):
            frames = seen.rgb[:, time], seen.depth[:, time], seen.pose[:, time]
            self.memory.add(seen.rows, *frames, observed=True)

    def _look(self, rows: list[int], bumped: np.ndarray) -> Frame:
        pose = self._pose[rows].copy()
        rgb, depth = draw(pose, self._ids[rows], self.image_size)
        known = self.memory.count(rows)
        self.memory.add(rows, rgb, depth, pose, observed=True)
        return Frame(rgb, depth, pose, bumped, np.minimum(known / 100, 1).astype(np.float32))

    def get_state(self) -> dict[str, Any]:
        own = {"pose": self._pose, "ids": self._ids, "drawn": self._drawn, "begun": self._begun}
        return self._own() | copy.deepcopy(own) | {"memory": self.memory.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._check_state(state)
        self._pose, self._ids = state["pose"].copy(), state["ids"].copy()
        self._drawn, self._begun = state["drawn"].copy(), state["begun"].copy()
        self.memory.set_state(state["memory"])

    def fork(self, from_slot, to_slots) -> None:
        rows, source = self._rows(to_slots), self._rows([from_slot])[0]
        for value in (self._pose, self._ids, self._drawn, self._begun):
            value[rows] = value[source]
        self.memory.fork(source, rows)


def draw(pose: np.ndarray, world_ids: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour (n, H, W, 3) and depth (n, H, W) of the room from ``pose`` (n, 4, 4)."""
    rays = DEFAULT_INTRINSICS.rays(size, size).numpy()
    rgb, depth = [], []
    for one, world_id in zip(pose.astype(np.float64), world_ids, strict=True):
        direction = rays @ one[:3, :3].T  # (H, W, 3)
        low, high = np.array([-HALF, -HALF, 0.0]), np.array([HALF, HALF, HEIGHT])
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(direction > 0, high - one[:3, 3], low - one[:3, 3]) / direction
        axis = np.nanargmin(np.where(reach <= 0, np.inf, reach), -1)
        distance = np.take_along_axis(reach, axis[..., None], -1)
        point = one[:3, 3] + distance * direction  # (H, W, 3)
        side = 2 * axis[..., None] + (np.take_along_axis(direction, axis[..., None], -1) > 0)
        paint = (world_id * 37 + side * np.array([53, 91, 131])) % 200
        stripes = 25 * (np.floor(point * 2).sum(-1, keepdims=True) % 2)
        rgb.append((paint + stripes).astype(np.uint8))
        depth.append(distance[..., 0].clip(0.01).astype(np.float32))
    return np.stack(rgb), np.stack(depth)


class FakeRecording:
    """A walk round the room, turning: what a scan of it looks like."""

    def __init__(self, world_id: int, num_frames: int, image_size: int) -> None:
        angle = torch.linspace(0, 2 * np.pi, num_frames + 1)[:-1]
        radius = 0.5 + 1.5 * (torch.arange(num_frames) % 2)
        height = torch.ones(num_frames)
        place = torch.stack([radius * angle.cos(), radius * angle.sin(), height], -1)
        self.pose = Pose.create(place, angle * 3).matrix.numpy()
        ids = np.full(num_frames, world_id)
        self.rgb, self.depth = draw(self.pose, ids, image_size)
