"""A world that a neural network imagines and remembers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.camera import MOTION_SIZE, Intrinsics, Pose
from mgenv.engine.scene.world_ids import ESTATES
from mgenv.errors import ClosedError, InvalidOptionError, NotResetError
from mgenv.images import to_float, to_uint8
from mgenv.memory.bank import MemoryBank
from mgenv.memory.obstacles import allowed_motion
from mgenv.memory.reprojection import LAST_WEIGHT, Canvas, Sources, reproject, source_weights
from mgenv.memory.threads import one_thread_on_cpu
from mgenv.models.checkpoint import load_checkpoint
from mgenv.models.history import History
from mgenv.models.inference import for_inference, inference_dtype, precision
from mgenv.models.sampler import noise_levels
from mgenv.models.vae import channel_to_depth, depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.worlds.base import KEYFRAME_COVERAGE, Frame
from mgenv.worlds.checks import check_sizes, checked_motion, checked_pictures, checked_poses
from mgenv.worlds.slot_parts import Part, SlotParts
from mgenv.worlds.states import check_state, own_state

_FLAT = (
    f"Worlds from {ESTATES} have floors of several heights; a generated world keeps a robot at the "
    "height at which it began."
)

class GeneratedWorld:
    """N slots of a learned world.

    Args:
        model: trained weights.
        num_envs: slots; on a CPU, best a multiple of its cores, which share them out evenly.
        device: where everything lies.
        memory_frames: bound of each place's memory.
        memory_slots: remembered frames that are retrieved a step; 0 leaves only recent history.
        sampling_steps: network evaluations a frame; more are sharper and slower.
        share_memory: slots in one world share what they remember.
        retrieval: ``"visible"`` or ``"frustum"``, see :mod:`mgenv.memory.retrieval`.
        canvas_only: leave the network out and show the canvas: the baseline of every table.
    """

    def __init__(
        self,
        model: WorldModel,
        num_envs: int = 8,
        device: str = "cpu",
        memory_frames: int = 512,
        memory_slots: int = 6,
        sampling_steps: int = 2,
        share_memory: bool = False,
        retrieval: str = "visible",
        canvas_only: bool = False,
    ) -> None:
        check_sizes(num_envs, memory_slots, sampling_steps, retrieval)
        self.num_envs, self.device = num_envs, torch.device(device)
        self.image_size = model.config.image_size
        self.intrinsics = Intrinsics.from_fov(90.0)
        self.memory_slots, self._sampling_steps = memory_slots, sampling_steps
        self.retrieval, self.canvas_only = retrieval, canvas_only
        self._dtype = inference_dtype(self.device)
        self._parts = SlotParts(num_envs, self.device)
        self.model = for_inference(model, self.device, self._dtype, noise_levels(sampling_steps))
        self.memory = MemoryBank(
            num_envs, self.image_size, memory_frames, share_memory, device, self.intrinsics
        )
        size = self.image_size
        self._pose = torch.eye(4, device=self.device).repeat(num_envs, 1, 1)
        self._last = torch.zeros(num_envs, 4, size, size, device=self.device)
        self._has_last = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        self._begun = np.zeros(num_envs, dtype=bool)
        self._history = History.empty(model.config.transformer, num_envs, self.device)
        self._history.cache = self._history.cache.to(self._dtype)
        self._generators = [torch.Generator().manual_seed(slot) for slot in range(num_envs)]
        self._closed = False

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", **options: Any) -> GeneratedWorld:
        """From a checkpoint file; options as in the constructor.

        Raises:
            CheckpointError: not an mgenv checkpoint, damaged, or of another version.
        """
        return cls(load_checkpoint(path), device=device, **options)

    # -- the spine -------------------------------------------------------------------------------

    @one_thread_on_cpu
    @torch.no_grad()
    def step(
        self, motion: ArrayLike, pose: ArrayLike | None = None, slots: Sequence[int] | None = None
    ) -> Frame:
        """Move and look; see :class:`mgenv.worlds.base.World`."""
        rows = self._rows(slots, begun=True)
        asked = self._motion(motion, rows)
        target = self._pose.clone()
        if pose is None:
            moved, bumped = self._parts.run(lambda part: self._bump(asked, part))
            target[rows] = Pose(self._pose[rows]).move(moved[rows]).matrix
        else:
            target[rows] = checked_poses(pose, len(rows)).to(self.device)
            bumped = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        return self._look(rows, target, bumped)

    def _look(
        self, rows: list[int], pose: Tensor, bumped: Tensor, few: list[int] | None = None
    ) -> Frame:
        """From memory to a frame, for all slots at once; only ``rows`` are changed.

        Parts are always whole, so that a slot's pixels do not depend on which others move.

        Args:
            few: on a GPU, work for these slots only.
        """
        noise = self._noise(rows)  # (steps, N, C, h, w)
        frame, coverage = self._parts.run(lambda part: self._see(part, rows, pose, noise), few)
        self._record(rows, frame, coverage, pose, few)
        return self._frame(rows, bumped, coverage)

    def _bump(self, motion: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        """What walls allow: the surfaces that memory and the last frame show around the robot."""
        newest = channel_to_depth(self._last[part, 3]), self._has_last[part]
        slots = range(self.num_envs)[part]
        return allowed_motion(self.memory, slots, self._pose[part], motion[part], newest)

    def _see(
        self, part: Part, rows: list[int], pose: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Colour and log depth (n, 4, H, W), and how much of them memory explains (n,)."""
        if not self._parts.within(part, rows):
            return self._last[part], torch.ones(len(self._last[part]), device=self.device)
        view, history = pose[part], self._history.view(part)
        canvas = reproject(self._retrieve(part, view), view, self.intrinsics)
        return self._imagine(canvas, view, history, noise[:, part]), canvas.coverage

    def _retrieve(self, part: Part, pose: Tensor) -> Sources:
        """Remembered frames that explain the views, and the last frame for the rest."""
        slots = self._parts.slots(part)
        found = self.memory.retrieve(slots, pose, self.memory_slots, self.retrieval).indices
        rgb, depth, source_pose, observed = self.memory.gather(found)
        weights = source_weights(observed, found >= 0, self.memory.age(found))
        last, last_weight = self._last[part, None], self._has_last[part, None].float() * LAST_WEIGHT
        return Sources(
            torch.cat([to_float(rgb), last[:, :, :3]], 1),
            torch.cat([depth, channel_to_depth(last[:, :, 3])], 1),
            torch.cat([source_pose, self._pose[part, None]], 1),
            torch.cat([weights, last_weight], 1),
        )

    def _imagine(self, canvas: Canvas, pose: Tensor, history: History, noise: Tensor) -> Tensor:
        """Colour and log depth (n, 4, H, W)."""
        if self.canvas_only:
            return torch.cat([canvas.rgb, depth_to_channel(canvas.depth)], 1)
        with precision(self.model, self._dtype):
            draws = iter(noise)
            latents = self.model.imagine(canvas, pose, history, lambda: next(draws), len(noise))
            return self.model.finish(latents, canvas).float().clamp(-1, 1)

    def _record(
        self,
        rows: list[int],
        frame: Tensor,
        coverage: Tensor,
        pose: Tensor,
        few: list[int] | None,
    ) -> None:
        """The frame becomes history, and memory where memory did not know its view."""
        explained = coverage.cpu().numpy()
        new = [row for row in rows if explained[row] < KEYFRAME_COVERAGE]
        rgb, depth = to_uint8(frame[new, :3]), channel_to_depth(frame[new, 3])
        self.memory.add(new, rgb, depth, pose[new], observed=False)
        self._append(rows, frame, pose, few)

    def _append(
        self, rows: list[int], frame: Tensor, pose: Tensor, few: list[int] | None = None
    ) -> None:
        """Take (N, 4, H, W) frames as what slots ``rows`` saw last, at ``pose`` (N, 4, 4)."""
        if not self.canvas_only:
            self._parts.run(lambda part: self._read(part, rows, frame, pose), few)
        self._last[rows], self._pose[rows] = frame[rows], pose[rows]
        self._has_last[rows] = True

    def _read(self, part: Part, rows: list[int], frame: Tensor, pose: Tensor) -> tuple[()]:
        """Put frames into the history of those of ``rows`` that are in ``part``."""
        own, history = self._parts.within(part, rows), self._history.view(part)
        if own:
            with precision(self.model, self._dtype):
                depth = channel_to_depth(frame[part, 3:])
                latents = self.model.vae.encode(frame[part, :3], depth)
                grown = history.append(self.model.network, latents, pose[part])
            if isinstance(part, Tensor):
                self._history.assign(part[own], grown.select(torch.tensor(own, device=part.device)))
            elif len(own) == len(grown.pose):
                history.copy_(grown)
            else:
                index = torch.tensor(own, device=self.device)
                history.assign(index, grown.select(index))
        return ()

    # -- entering worlds -------------------------------------------------------------------------

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Give each slot its own generator."""
        for slot, seed in zip(slots, seeds, strict=True):
            self._generators[slot] = torch.Generator().manual_seed(int(seed))

    def enter(
        self, slots: Sequence[int], world_ids: Sequence[int], memory: str | Path = "keep"
    ) -> None:
        """Move slots into worlds without looking; see :class:`mgenv.worlds.base.World`.

        Warns:
            UserWarning: of estates, whose steps lift a robot in the engine but not here.
        """
        rows = self._rows(slots, begun=False)
        if any(world_id >= ESTATES for world_id in world_ids):
            warnings.warn(_FLAT, stacklevel=2)
        if memory not in ("keep", "clear"):
            self.memory.load(memory, rows)
        self.memory.enter(rows, world_ids)
        if memory == "clear":
            self.memory.clear(rows)
        self._history.forget(torch.tensor(rows, device=self.device))
        self._has_last[rows] = False
        self._begun[rows] = False

    @one_thread_on_cpu
    @torch.no_grad()
    def begin(
        self,
        slots: Sequence[int],
        world_ids: Sequence[int],
        pose: ArrayLike | None = None,
        memory: str | Path = "keep",
    ) -> Frame:
        """Enter and look: from memory alone where there is any, else from the source's frame."""
        rows, target = self._rows(slots, begun=False), self._pose.clone()
        if pose is not None:
            target[rows] = checked_poses(pose, len(rows)).to(self.device)
        self.enter(rows, world_ids, memory)
        blank = [row for row in rows if self.memory.count([row])[0] == 0]
        known = [row for row in rows if row not in blank]
        for row in known if pose is None else []:
            target[row] = torch.as_tensor(self.memory.frames(row).pose[0], device=self.device)
        self._show_source(blank, world_ids, rows, None if pose is None else target)
        self._begun[rows] = True
        coverage = torch.zeros(self.num_envs, device=self.device)
        bumped = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        if known:
            self._look(known, target, bumped, few=known)
            coverage[known] = self._coverage[known]
        return self._frame(rows, bumped, coverage)

    def _show_source(
        self, blank: list[int], world_ids: Sequence[int], rows: list[int], pose: Tensor | None
    ) -> None:
        """The source's own frame, where nothing is remembered yet; it is an observation."""
        if not blank:
            return
        from mgenv.worlds.sources import engine_view

        frame = torch.zeros_like(self._last)
        target = self._pose.clone()
        for row in blank:
            wanted = None if pose is None else pose[row].cpu().numpy()
            rgb, depth, seen_from = engine_view(world_ids[rows.index(row)], self.image_size, wanted)
            shown = torch.as_tensor(depth, device=self.device)
            colour = to_float(torch.as_tensor(rgb, device=self.device))
            frame[row] = torch.cat([colour, depth_to_channel(shown)[None]])
            target[row] = torch.as_tensor(seen_from, device=self.device)
            self.memory.add([row], rgb[None], depth[None], seen_from[None], observed=True)
        self._append(blank, frame, target)

    @torch.no_grad()
    def remember(
        self, slots: Sequence[int], rgb: ArrayLike, pose: ArrayLike, depth: ArrayLike | None = None
    ) -> None:
        """Put observed frames into memory; depth is estimated where None."""
        rows = self._rows(slots, begun=False)
        size = self.image_size
        colours = torch.from_numpy(checked_pictures(rgb, (len(rows), size, size))).to(self.device)
        poses = torch.as_tensor(np.asarray(pose, dtype=np.float32), device=self.device)
        if poses.shape != (*colours.shape[:2], 4, 4):
            raise InvalidOptionError(
                f"pose: expected ({len(rows)}, {colours.shape[1]}, 4, 4), got {tuple(poses.shape)}"
            )
        for index, row in enumerate(rows):
            if depth is None:
                with precision(self.model, self._dtype):
                    near = self.model.estimate_depth(to_float(colours[index]))[:, 0].float()
            else:
                near = torch.as_tensor(np.asarray(depth)[index], device=self.device)
            slots = [row] * colours.shape[1]
            self.memory.add(slots, colours[index], near, poses[index], observed=True)

    # -- state -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        history = self._history
        return self._own() | {
            "memory": self.memory.get_state(),
            "pose": self._pose.clone(),
            "last": self._last.clone(),
            "has_last": self._has_last.clone(),
            "begun": self._begun.copy(),
            "history": [
                t.clone() for t in (history.cache, history.present, history.pose, history.time)
            ],
            "generators": [generator.get_state() for generator in self._generators],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly; InvalidOptionError where the state is of another world."""
        check_state(state, self._own())
        self.memory.set_state(state["memory"])
        self._pose, self._last = state["pose"].clone(), state["last"].clone()
        self._has_last, self._begun = state["has_last"].clone(), state["begun"].copy()
        self._history = History(*[tensor.clone() for tensor in state["history"]])
        for generator, value in zip(self._generators, state["generators"], strict=True):
            generator.set_state(value)

    def _own(self) -> dict[str, Any]:
        """What a state must be of."""
        return own_state("generated", self) | {"network": repr(self.model.config)}

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``."""
        rows = self._rows(to_slots, begun=False)
        self.memory.fork(from_slot, rows)
        one = self._history.select(torch.tensor([from_slot], device=self.device))
        for row in rows:
            self._history.assign(torch.tensor([row], device=self.device), one)
            self._pose[row], self._last[row] = self._pose[from_slot], self._last[from_slot]
            self._has_last[row] = self._has_last[from_slot]
            self._begun[row] = self._begun[from_slot]
            self._generators[row].set_state(self._generators[from_slot].get_state())

    def close(self) -> None:
        """Later use raises :class:`ClosedError`."""
        self._closed = True

    # -- helpers ---------------------------------------------------------------------------------

    def _frame(self, rows: list[int], bumped: Tensor, coverage: Tensor) -> Frame:
        self._coverage = coverage
        last = self._last[rows]
        return Frame(
            rgb=to_uint8(last[:, :3]).cpu().numpy(),
            depth=channel_to_depth(last[:, 3]).cpu().numpy(),
            pose=self._pose[rows].cpu().numpy(),
            bumped=bumped[rows].cpu().numpy(),
            coverage=coverage[rows].float().cpu().numpy(),
        )

    def _noise(self, rows: list[int]) -> Tensor:
        """Standard normal latents (steps, N, C, h, w); zeros for slots at rest."""
        channels, side = self.model.config.vae.latent_channels, self.model.config.transformer.side
        noise = torch.zeros(self._sampling_steps, self.num_envs, channels, side, side)
        for draw in noise:
            for row in rows:
                draw[row].normal_(generator=self._generators[row])
        return noise.to(self.device)

    def _rows(self, slots: Sequence[int] | None, begun: bool) -> list[int]:
        if self._closed:
            raise ClosedError("Expected an open world; this one has been closed.")
        rows = list(range(self.num_envs)) if slots is None else [int(slot) for slot in slots]
        wrong = [row for row in rows if not 0 <= row < self.num_envs]
        if wrong:
            raise InvalidOptionError(f"slots: expected 0 … {self.num_envs - 1}, got {wrong}")
        if begun and not self._begun[rows].all():
            waiting = [row for row in rows if not self._begun[row]]
            raise NotResetError(f"Slots {waiting} have not begun; call begin (or reset) first.")
        return rows

    def _motion(self, motion: ArrayLike, rows: list[int]) -> Tensor:
        whole = torch.zeros(self.num_envs, MOTION_SIZE, device=self.device)
        whole[rows] = checked_motion(motion, len(rows)).to(self.device, torch.float32)
        return whole
