"""Training on the model's own rollouts: its own frames as history, memory and canvas sources.

Many walks are re-lived side by side by the few-step sampler, each to a random age, with the same
retrieval and keyframe rule as at run time; only the newest frame gets a gradient. Where observed
memory explains the view the truth is the target; where nothing does, a discriminator asks that it
look like a place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mgenv.memory.reprojection import LAST_WEIGHT, Canvas, Sources, reproject, source_weights
from mgenv.memory.retrieval import POINT_SIZE, Candidates, surface_points, visible
from mgenv.models.history import History
from mgenv.models.vae import channel_to_depth, depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.training.data import Walks, to_float


@dataclass(kw_only=True)
class RolloutConfig:
    """How walks are re-lived.

    Attributes:
        slots: rollouts side by side.
        max_age: a rollout ends after 1 … max_age frames.
        observed, generated: memory slots for true frames, and for own keyframes (a ring).
        explored: share of rollouts whose world is remembered from the start.
        keyframe_coverage: a generated frame is remembered where memory explains less than this.
        steps: evaluations of the sampler.
    """

    slots: int = 128
    max_age: int = 24
    observed: int = 24
    generated: int = 16
    retrieved: int = 4
    explored: float = 0.4
    keyframe_coverage: float = 0.85
    steps: int = 2


class Rollouts:
    """Slots that re-live walks with the model's own frames."""

    def __init__(
        self,
        model: WorldModel,
        walks: Walks,
        config: RolloutConfig,
        generator: torch.Generator,
    ) -> None:
        self.config, self.walks, self.generator = config, walks, generator
        n, device, size = config.slots, walks.rgb.device, walks.rgb.shape[2]
        total = config.observed + config.generated
        self.rgb = torch.zeros(n, total, 3, size, size, device=device)
        self.depth = torch.ones(n, total, size, size, device=device)
        self.pose = torch.eye(4, device=device).repeat(n, total, 1, 1)
        self.points = torch.zeros(n, total, 256, POINT_SIZE, device=device)
        self.valid = torch.zeros(n, total, dtype=torch.bool, device=device)
        self.stored = torch.zeros(n, dtype=torch.int64, device=device)
        self.walk = torch.zeros(n, dtype=torch.int64, device=device)
        self.time = torch.zeros_like(self.walk)
        self.stride = torch.ones_like(self.walk)
        self.left = torch.zeros_like(self.walk)
        self.explored = torch.zeros(n, dtype=torch.bool, device=device)
        self.young = torch.zeros(n, dtype=torch.bool, device=device)
        self.last = torch.zeros(n, 4, size, size, device=device)
        self.last_pose = torch.eye(4, device=device).repeat(n, 1, 1)
        self.has_last = torch.zeros(n, dtype=torch.bool, device=device)
        self.history = History.empty(model.config.transformer, n, device)

    @torch.no_grad()
    def restart(self, model: WorldModel) -> None:
        """Give slots whose rollout has ended a new walk, from a true first frame."""
        rows = (self.left <= 0).nonzero()[:, 0]
        if len(rows) == 0:
            return
        device, config, length = rows.device, self.config, self.walks.count[1]
        count = len(rows)
        walk = torch.randint(self.walks.count[0], (count,), generator=self.generator, device=device)
        self.walk[rows] = walk
        self.stride[rows] = 1 + (self._rand(count) < 0.3).long()
        age = 1 + (self._rand(count) * config.max_age).long()
        self.left[rows] = age
        room = length - 2 - age * self.stride[rows]
        start = (self._rand(count) * room.clamp_min(1)).long()
        self.time[rows] = start
        self.explored[rows] = self._rand(count) < config.explored
        self.young[rows] = True
        self.stored[rows] = 0
        self._observe(rows, walk, start, age * self.stride[rows])
        self._first_frame(model, rows, walk, start)

    def _rand(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.walks.rgb.device)

    def _observe(self, rows: Tensor, walk: Tensor, start: Tensor, ahead: Tensor) -> None:
        """Fill memory with true frames of the walk that the rollout will not re-live."""
        count, observed = len(rows), self.config.observed
        index = (self._rand(count * observed).view(count, observed) * self.walks.count[1]).long()
        at = walk[:, None]
        self.rgb[rows, :observed] = to_float(self.walks.rgb[at, index])
        self.depth[rows, :observed] = self.walks.depth[at, index].float()
        self.pose[rows, :observed] = self.walks.pose[at, index]
        self.points[rows, :observed] = self.walks.points[at, index]
        outside = (index < start[:, None]) | (index > (start + ahead)[:, None])
        valid = self.valid[rows]
        valid[:, :observed] = outside & self.explored[rows, None]
        valid[:, observed:] = False
        valid[:, observed - 1] = True  # the first frame itself
        self.valid[rows] = valid

    def _first_frame(self, model: WorldModel, rows: Tensor, walk: Tensor, start: Tensor) -> None:
        rgb = to_float(self.walks.rgb[walk, start])
        depth = self.walks.depth[walk, start].float()
        pose = self.walks.pose[walk, start]
        slot = self.config.observed - 1
        self.rgb[rows, slot], self.depth[rows, slot] = rgb, depth
        self.pose[rows, slot], self.points[rows, slot] = pose, self.walks.points[walk, start]
        self.last[rows] = torch.cat([rgb, depth_to_channel(depth).unsqueeze(1)], 1)
        self.last_pose[rows] = pose
        self.history.forget(rows)
        latents = model.vae.encode(rgb, depth.unsqueeze(1))
        grown = self.history.select(rows).append(model.network, latents, pose)
        alone = self.explored[rows] & (self._rand(len(rows)) < 0.2)
        self.history.assign(rows, grown)
        self.history.forget(rows[alone])
        self.has_last[rows] = ~alone

    @torch.no_grad()
    def look(self) -> tuple[Canvas, Tensor, Tensor]:
        """Move every slot one frame on: canvas, pose (B, 4, 4) and the true frame (B, 4, H, W)."""
        self.time += self.stride
        self.left -= 1
        pose = self.walks.pose[self.walk, self.time]
        rgb = to_float(self.walks.rgb[self.walk, self.time])
        depth = self.walks.depth[self.walk, self.time].float().unsqueeze(1)
        observed = torch.zeros_like(self.valid)
        observed[:, : self.config.observed] = True
        candidates = Candidates(self.points, self.pose, observed, self.valid)
        picks = visible(candidates, pose, self.config.retrieved).indices
        at, rows = picks.clamp_min(0), torch.arange(len(picks), device=picks.device)[:, None]
        weights = source_weights(observed.gather(1, at), picks >= 0, at)
        sources = Sources(
            torch.cat([self.rgb[rows, at], self.last[:, None, :3]], 1),
            torch.cat([self.depth[rows, at], channel_to_depth(self.last[:, 3:])], 1),
            torch.cat([self.pose[rows, at], self.last_pose[:, None]], 1),
            torch.cat([weights, LAST_WEIGHT * self.has_last[:, None].float()], 1),
        )
        return reproject(sources, pose), pose, torch.cat([rgb, depth_to_channel(depth)], 1)

    @torch.no_grad()
    def record(self, model: WorldModel, frame: Tensor, canvas: Canvas, pose: Tensor) -> None:
        """Take the imagined frame (B, 4, H, W) as history, as the last frame, and as memory."""
        frame = frame.detach().float().clamp(-1, 1)
        rgb, depth = frame[:, :3], channel_to_depth(frame[:, 3:])
        self.history = self.history.append(model.network, model.vae.encode(rgb, depth), pose)
        self._leave_walls(depth)
        self.last, self.last_pose = frame, pose
        self.has_last.fill_(True)
        self.young.fill_(False)
        rows = (canvas.coverage < self.config.keyframe_coverage).nonzero()[:, 0]
        slot = self.config.observed + self.stored[rows] % self.config.generated
        self.rgb[rows, slot], self.depth[rows, slot] = rgb[rows], depth[rows, 0]
        self.pose[rows, slot] = pose[rows]
        self.points[rows, slot] = surface_points(depth[rows, 0], pose[rows])
        self.valid[rows, slot] = True
        self.stored[rows] += 1

    def _leave_walls(self, depth: Tensor) -> None:
        """End rollouts whose camera the true walk leads into an imagined wall."""
        true = self.walks.depth[self.walk, self.time].float().flatten(1).median(1).values
        inside = (depth.flatten(1).median(1).values < 0.4) & (true > 0.6)
        self.left[inside] = 0
