"""Training on the model's own rollouts: its own frames as history, memory and canvas sources.

Many slots run in parallel on frames of the few-step sampler, each to a random age, with the same
retrieval and keyframe rule as at run time. Only the newest frame gets a gradient. Some slots follow
a recorded walk: the true frame is the target where observed memory explains the view. Others wander
for longer in what they generate: there a discriminator judges the frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgenv.camera import Pose
from mgenv.config import option, settings
from mgenv.images import to_float
from mgenv.memory.geometry import POINT_SIZE, surface_points
from mgenv.memory.reprojection import Canvas, Sources, reproject
from mgenv.memory.retrieval import Candidates, visible
from mgenv.memory.step import (
    KEYFRAME_COVERAGE,
    Found,
    Last,
    is_keyframe,
    most_redundant,
    sources_of,
)
from mgenv.models.history import History
from mgenv.models.vae import channel_to_depth, depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.training.data import Walks
from mgenv.training.walkers import Walkers

FEW = 8
"""Upper bound of the true frames up to the start that a rollout remembers."""

ALONE = 0.2
"""Share of explored rollouts that begin without a last frame, from memory alone."""

MEMORY = ("rgb", "depth", "pose", "points")

RESTARTS = 16
"""Slots that can restart in one step; fixed, so that steps can be recorded."""


@settings
class RolloutConfig:
    """How rollouts are made."""

    slots: int = option(128, "rollouts in parallel")
    max_age: int = option(24, "a rollout along a recorded walk ends after 1 to max_age frames")
    wander: float = option(0.4, "share of rollouts that move freely in the generated world")
    wander_age: int = option(200, "they end after wander_age / 2 to wander_age frames")
    observed: int = option(48, "recorded frames in memory")
    generated: int = option(48, "generated keyframes in memory")
    retrieved: int = option(6, "sources of a canvas, beside the last frame")
    explored: float = option(0.4, "share of rollouts in worlds remembered from the start")
    keyframe_coverage: float = option(
        KEYFRAME_COVERAGE, "a generated frame is remembered where memory covers less of it"
    )
    steps: int = option(2, "denoising steps")


class Rollouts:
    """Rollouts in n slots; all state changes in place.

    Attributes:
        rgb, depth, pose, points, valid, age: memory, true frames first: (n, M, …).
        stored: generated keyframes so far: (n,).
        walk, time, stride: the recorded walk, the frame reached, and frames per step: (n,).
        left: frames until the rollout ends: (n,).
        explored: the place is remembered from the start: bool (n,).
        young: the rollout has just begun: bool (n,).
        wanders: the slot moves freely instead of along a walk: bool (n,).
        last, last_pose, has_last: the newest frame.
    """

    def __init__(
        self, model: WorldModel, walks: Walks, config: RolloutConfig, generator: torch.Generator
    ) -> None:
        self.config, self.walks, self.generator = config, walks, generator
        n, device, size = config.slots, walks.rgb.device, walks.rgb.shape[2]
        total = config.observed + config.generated
        self.rgb = torch.zeros(n, total, 3, size, size, device=device)
        self.depth = torch.ones(n, total, size, size, device=device)
        self.pose = torch.eye(4, device=device).repeat(n, total, 1, 1)
        self.points = torch.zeros(n, total, 256, POINT_SIZE, device=device)
        self.stored, self.walk, self.time, self.stride, self.left = (
            torch.zeros(n, dtype=torch.int64, device=device) for _ in range(5)
        )
        self.explored, self.young, self.wanders, self.has_last = (
            torch.zeros(n, dtype=torch.bool, device=device) for _ in range(4)
        )
        self.valid = torch.zeros(n, total, dtype=torch.bool, device=device)
        self.age = (torch.arange(total, device=device) - config.observed).repeat(n, 1)
        self.last = torch.zeros(n, 4, size, size, device=device)
        self.last_pose = torch.eye(4, device=device).repeat(n, 1, 1)
        self.history = History.empty(model.config.transformer, n, device)
        self.walkers = Walkers(n, generator)

    def begin(self, model: WorldModel) -> None:
        """Start every slot."""
        for _ in range(0, self.config.slots, RESTARTS):
            self.restart(model)

    @property
    def has_truth(self) -> Tensor:
        """Slots in which true frames explain the next view: bool (n,)."""
        return self.explored | self.young

    # -- starting --------------------------------------------------------------------------------

    @torch.no_grad()
    def restart(self, model: WorldModel) -> None:
        """Restart slots whose rollout has ended, with a new walk and a true first frame."""
        ended = self.left <= 0
        rows = ended.float().topk(min(RESTARTS, len(ended))).indices  # (R,)
        fresh = self._draw_starts(len(rows))
        fresh |= self._observe(fresh)
        history = self._begin_history(model, fresh)
        chosen = ended[rows]
        for name, value in fresh.items():
            own = getattr(self, name)
            own[rows] = _where(chosen, value, own[rows])
        self._assign_history(rows, history, chosen)
        self.walkers.restart(rows, chosen)

    def _draw_starts(self, count: int) -> dict[str, Tensor]:
        """Draw walk, start, stride, length and kind of new rollouts: (R,) each."""
        config, (walks, length) = self.config, self.walks.count
        wanders = self._rand(count) < config.wander
        stride = 1 + (self._rand(count) < 0.3).long()
        age = 1 + (self._rand(count) * config.max_age).long()
        longer = (config.wander_age * (1 + self._rand(count)) / 2).long()
        room = length - 2 - torch.where(wanders, 0, age * stride)
        explored = (self._rand(count) < config.explored) & ~wanders
        return {
            "walk": (self._rand(count) * walks).long(),
            "time": (self._rand(count) * room.clamp_min(1)).long(),
            "stride": stride,
            "left": torch.where(wanders, longer, age),
            "wanders": wanders,
            "explored": explored,
            "young": ~wanders,
            "has_last": ~explored | (self._rand(count) >= ALONE),
            "stored": torch.zeros_like(stride),
        }

    def _observe(self, fresh: dict[str, Tensor]) -> dict[str, Tensor]:
        """Memory of true frames of the walk, without those that the rollout will pass: (R, M, …).

        The last observed entries are the frames up to the start, of which 1 … FEW are valid.
        """
        walk, start, explored = fresh["walk"], fresh["time"], fresh["explored"]
        count, observed, device = len(walk), self.config.observed, walk.device
        few, total = min(FEW, observed), self.valid.shape[1]
        index = (self._rand(count * observed).view(count, observed) * self.walks.count[1]).long()
        before = start[:, None] - torch.arange(few - 1, -1, -1, device=device)  # (R, few)
        index = torch.cat([index[:, : observed - few], before.clamp_min(0)], 1)
        ahead = torch.where(fresh["wanders"], 0, fresh["left"] * fresh["stride"])
        outside = (index < start[:, None]) | (index > (start + ahead)[:, None])
        known = 1 + (self._rand(count) * few).long()
        recent = (before >= 0) & (before > (start - known)[:, None])
        valid = (outside & explored[:, None])[:, : observed - few]
        valid = torch.cat([valid, recent, recent.new_zeros(count, total - observed)], 1)
        memory = {name: getattr(self, name)[:count].clone() for name in MEMORY}
        for name in MEMORY:
            seen = getattr(self.walks, name)[walk[:, None], index]
            memory[name][:, :observed] = to_float(seen) if name == "rgb" else seen.float()
        first = observed - 1
        channel = depth_to_channel(memory["depth"][:, first]).unsqueeze(1)
        last = torch.cat([memory["rgb"][:, first], channel], 1)
        last_pose = memory["pose"][:, first].clone()
        return memory | {"valid": valid, "last": last, "last_pose": last_pose}

    def _begin_history(self, model: WorldModel, fresh: dict[str, Tensor]) -> History:
        """History of the first frame; empty where a rollout begins from memory alone."""
        frame, pose = fresh["last"], fresh["last_pose"]
        empty = History.empty(model.config.transformer, len(frame), frame.device)
        latents = model.vae.encode(frame[:, :3], channel_to_depth(frame[:, 3:]))
        history = empty.append(model.network, latents, pose)
        history.present &= fresh["has_last"][:, None]
        history.time *= fresh["has_last"]
        return history

    def _assign_history(self, rows: Tensor, other: History, chosen: Tensor) -> None:
        """Replace the histories of ``chosen`` (R,) rows."""
        before = self.history.select(rows)
        shape = (1, 1, -1, *[1] * (other.cache.dim() - 3))
        cache = torch.where(chosen.view(shape), other.cache.to(before.cache.dtype), before.cache)
        parts = [
            _where(chosen, getattr(other, name), getattr(before, name))
            for name in ("present", "pose", "time")
        ]
        self.history.assign(rows, History(cache, *parts))

    def _rand(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.walks.rgb.device)

    # -- stepping --------------------------------------------------------------------------------

    @torch.no_grad()
    def look(self) -> tuple[Canvas, Tensor, Tensor]:
        """Move every slot by one frame: canvas, pose (B, 4, 4) and a true frame (B, 4, H, W).

        Where a slot wanders, the true frame is of another place.
        """
        self.time += self.stride * ~self.wanders
        self.left -= 1
        motion = self.walkers.act(channel_to_depth(self.last[:, 3]))
        moved = Pose(self.last_pose).move(motion).matrix
        own = self.walks.pose[self.walk, self._within(self.time)]
        pose = torch.where(self.wanders[:, None, None], moved, own)
        return reproject(self._retrieve(pose), pose), pose, self._true_frame()

    def _within(self, time: Tensor) -> Tensor:
        """Clamp to the walk's end, where slots wait to be restarted."""
        return time.clamp(max=self.walks.count[1] - 1)

    def _retrieve(self, pose: Tensor) -> Sources:
        """Sources of the canvases: retrieved frames, and the last frame for the rest."""
        observed = torch.arange(self.valid.shape[1], device=pose.device) < self.config.observed
        observed = observed.expand_as(self.valid)
        candidates = Candidates(self.points, self.pose, observed, self.valid)
        picks = visible(candidates, pose, self.config.retrieved).indices
        at, rows = picks.clamp_min(0), torch.arange(len(picks), device=picks.device)[:, None]
        found = Found(
            self.rgb[rows, at], self.depth[rows, at], self.pose[rows, at],
            observed.gather(1, at), picks >= 0, self.age.gather(1, at),
        )  # fmt: skip
        rgb, depth = self.last[:, :3], channel_to_depth(self.last[:, 3])
        return sources_of(found, Last(rgb, depth, self.last_pose, self.has_last))

    def _true_frame(self) -> Tensor:
        """Frames (B, 4, H, W) of the walks at the slots' time; random ones where slots wander."""
        count, (walks, length) = len(self.walk), self.walks.count
        walk, time = (
            torch.where(self.wanders, (self._rand(count) * limit).long(), own)
            for limit, own in ((walks, self.walk), (length, self._within(self.time)))
        )
        depth = self.walks.depth[walk, time].float().unsqueeze(1)
        return torch.cat([to_float(self.walks.rgb[walk, time]), depth_to_channel(depth)], 1)

    @torch.no_grad()
    def record(self, model: WorldModel, frame: Tensor, canvas: Canvas, pose: Tensor) -> None:
        """Add the generated frame (B, 4, H, W) to history and memory; it becomes the last frame."""
        frame = frame.detach().float().clamp(-1, 1)
        rgb, depth = frame[:, :3], channel_to_depth(frame[:, 3:])
        grown = self.history.append(model.network, model.vae.encode(rgb, depth), pose)
        self.history.copy_(grown)
        self._leave_walls(depth)
        self.last.copy_(frame)
        self.last_pose.copy_(pose)
        self.has_last.fill_(True)
        self.young.fill_(False)
        new = is_keyframe(canvas.coverage, self.config.keyframe_coverage)
        self._remember(rgb, depth[:, 0], pose, new)

    def _remember(self, rgb: Tensor, depth: Tensor, pose: Tensor, chosen: Tensor) -> None:
        """Store keyframes of the ``chosen`` (n,) slots; a full memory evicts the most redundant."""
        rows, first = torch.arange(len(chosen), device=chosen.device), self.config.observed
        own = torch.arange(self.valid.shape[1], device=chosen.device) >= first
        free = self.valid[:, first:].int().argmin(1) + first
        full = self.valid[:, first:].all(1)
        redundant = most_redundant(self.pose, own.expand_as(self.valid), self.valid)
        place = torch.where(full, redundant, free)
        values = {"rgb": rgb, "depth": depth, "pose": pose, "points": surface_points(depth, pose)}
        values |= {"valid": torch.ones_like(chosen), "age": self.stored}
        for name, value in values.items():
            kept = getattr(self, name)
            kept[rows, place] = _where(chosen, value, kept[rows, place])
        self.stored += chosen

    def _leave_walls(self, depth: Tensor) -> None:
        """End rollouts whose recorded walk leads into a generated wall."""
        true = self.walks.depth[self.walk, self._within(self.time)].float().flatten(1)
        inside = (depth.flatten(1).median(1).values < 0.4) & (true.median(1).values > 0.6)
        self.left.masked_fill_(inside & ~self.wanders, 0)


def _where(chosen: Tensor, value: Tensor, other: Tensor) -> Tensor:
    """``value`` (R, …) in the chosen (R,) rows, ``other`` elsewhere."""
    return torch.where(chosen.view(-1, *[1] * (value.dim() - 1)), value, other)
