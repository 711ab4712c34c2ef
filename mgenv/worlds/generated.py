"""A world that a neural network imagines and remembers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mgenv.camera import MOTION_SIZE, Intrinsics, Pose
from mgenv.engine.scene.world_ids import ESTATES
from mgenv.errors import InvalidOptionError, UnknownNameError, check_integer
from mgenv.images import to_float, to_uint8
from mgenv.memory.bank import MemoryBank
from mgenv.memory.obstacles import allowed_motion
from mgenv.memory.reprojection import Canvas, Sources, reproject
from mgenv.memory.step import Found, Last, is_keyframe, sources_of
from mgenv.memory.threads import one_thread_on_cpu
from mgenv.models.architecture import ARCHITECTURES
from mgenv.models.checkpoint import fingerprint, load_checkpoint
from mgenv.models.vae import channel_to_depth, depth_to_channel
from mgenv.worlds.base import Frame
from mgenv.worlds.checks import check_retrieval, checked_motion, checked_poses
from mgenv.worlds.slot_parts import Share, SlotParts
from mgenv.worlds.slots import SlotWorld
from mgenv.worlds.sources import engine_view

_FLAT = (
    f"Worlds from {ESTATES} have floors of several heights; a generated world keeps a robot at the "
    "height at which it began."
)


class GeneratedWorld(SlotWorld):
    """N slots of a learned world.

    A slot's pixels, depth and memory do not depend on the number of threads or on what other slots
    do, to the bit. They do not depend on N either on CPUs without AMX, or with ``reproducible``.

    Args:
        model: trained weights, of any architecture (:mod:`mgenv.models.architecture`).
        num_envs: slots.
        device: where everything lies.
        memory_frames: bound of each place's memory.
        memory_slots: remembered frames that are retrieved a step; 0 leaves only recent history.
        sampling_steps: network evaluations a frame; more are sharper and slower.
        share_memory: slots in one world share what they remember.
        retrieval: ``"visible"`` or ``"frustum"``, see :mod:`mgenv.memory.retrieval`.
        canvas_only: leave the network out and show the canvas: the baseline of every table.
        reproducible: make a slot's bits the same in any number of slots on any one CPU; costs
            a quarter to a third of the steps a second on two cores.

    Raises:
        InvalidOptionError: a number too small or not whole, or no such rule of retrieval.
    """

    kind = "generated"

    def __init__(
        self,
        model: Any,
        num_envs: int = 8,
        device: str = "cpu",
        memory_frames: int = 512,
        memory_slots: int = 6,
        sampling_steps: int = 2,
        share_memory: bool = False,
        retrieval: str = "visible",
        canvas_only: bool = False,
        reproducible: bool = False,
    ) -> None:
        super().__init__(num_envs, model.config.image_size, device)
        self.intrinsics = Intrinsics.from_fov(90.0)
        self.memory_slots = check_integer("memory_slots", memory_slots, low=0)
        self.retrieval, self.canvas_only = check_retrieval(retrieval), canvas_only
        self._parts = SlotParts(self.num_envs, self.device, reproducible)
        kind = ARCHITECTURES[model.architecture]
        steps = check_integer("sampling_steps", sampling_steps, low=1)
        self.model = kind.run(model, self.device, steps)
        self._network = fingerprint(model)
        self.memory = MemoryBank(
            num_envs, self.image_size, memory_frames, share_memory, device, self.intrinsics
        )
        size = self.image_size
        self._pose = torch.eye(4, device=self.device).repeat(num_envs, 1, 1)
        self._last = torch.zeros(num_envs, 4, size, size, device=self.device)
        self._has_last = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        self._state: Any = self.model.begin_state(self.num_envs)
        self._generators = [torch.Generator().manual_seed(slot) for slot in range(num_envs)]

    @classmethod
    def load(
        cls, path: str | Path, device: str = "cpu", image_size: int | None = None, **options: Any
    ) -> GeneratedWorld:
        """From a checkpoint file; options as in the constructor.

        Args:
            image_size: that of the checkpoint, or None.

        Raises:
            CheckpointError: not an mgenv checkpoint, damaged, or of another version.
            UnknownNameError: no such option.
            InvalidOptionError: the checkpoint has another image size.
        """
        known = list(inspect.signature(cls).parameters)
        for name in options.keys() - known:
            raise UnknownNameError(f"option of world {path}", name, known)
        world = cls(load_checkpoint(path), device=device, **options)
        if image_size not in (None, world.image_size):
            raise InvalidOptionError(
                f"image_size: expected {world.image_size}, that of {path}, got {image_size}"
            )
        return world

    # -- the spine -------------------------------------------------------------------------------

    @one_thread_on_cpu
    @torch.no_grad()
    def step(
        self, motion: ArrayLike, pose: ArrayLike | None = None, slots: Sequence[int] | None = None
    ) -> Frame:
        """Move and look; see :class:`mgenv.worlds.base.World`."""
        rows = self._rows(slots, begun=True)
        asked = checked_motion(motion, len(rows)).to(self.device, torch.float32)
        forced = None if pose is None else checked_poses(pose, len(rows)).to(self.device)
        if not rows:
            return self._nothing()
        return self._advance(self._parts.share(rows), asked, forced)

    def _advance(self, at: Share, motion: Tensor, forced: Tensor | None) -> Frame:
        """One step of some slots: from motions (n, 5), or poses (n, 4, 4), to a frame."""
        motion, bumped = self._bump(at, motion, forced)
        pose = self._move(at, motion, forced)
        sources = self._retrieve(at, pose)
        canvas = self._reproject(at, sources, pose)
        latents = self._imagine(at, canvas, pose)
        frame = self._decode(at, latents, canvas)
        return self._remember(at, frame, pose, canvas, bumped)

    def _bump(self, at: Share, motion: Tensor, forced: Tensor | None) -> tuple[Tensor, Tensor]:
        """What walls allow: motions (W, 5), and whether they shortened them (W,)."""
        asked = motion.new_zeros(len(at.slots), MOTION_SIZE)
        if forced is not None:
            return asked, torch.zeros(len(at.slots), dtype=torch.bool, device=self.device)
        asked[at.own] = motion

        def allow(part: slice) -> tuple[Tensor, Tensor]:
            slots = at.of(part)
            newest = channel_to_depth(self._last[slots, 3]), self._has_last[slots]
            return allowed_motion(
                self.memory, at.slots[part], self._pose[slots], asked[part], newest
            )

        return at.run(allow)  # type: ignore[return-value]

    def _move(self, at: Share, motion: Tensor, forced: Tensor | None) -> Tensor:
        """Poses (W, 4, 4)."""
        before = self._pose[at.all]
        if forced is None:
            return Pose(before).move(motion).matrix
        pose = before.clone()
        pose[at.own] = forced
        return pose

    def _retrieve(self, at: Share, pose: Tensor) -> Sources:
        """Remembered frames that explain the views, and the last frame for the rest."""

        def find(part: slice) -> tuple[Tensor, ...]:
            slots, memory = at.of(part), self.memory
            rule, count = self.retrieval, self.memory_slots
            rows = memory.retrieve(at.slots[part], pose[part], count, rule).indices
            rgb, depth, seen_from, observed = memory.gather(rows)
            found = Found(to_float(rgb), depth, seen_from, observed, rows >= 0, memory.age(rows))
            last = self._last[slots]
            near = channel_to_depth(last[:, 3])
            before = Last(last[:, :3], near, self._pose[slots], self._has_last[slots])
            return tuple(vars(sources_of(found, before)).values())

        return Sources(*at.run(find))

    def _reproject(self, at: Share, sources: Sources, pose: Tensor) -> Canvas:
        """What is remembered of the views."""

        def draw(part: slice) -> tuple[Tensor, ...]:
            own = Sources(*(tensor[part] for tensor in vars(sources).values()))
            return tuple(vars(reproject(own, pose[part], self.intrinsics)).values())

        return Canvas(*at.run(draw))

    def _imagine(self, at: Share, canvas: Canvas, pose: Tensor) -> Tensor:
        """Latents (W, C, h, w)."""
        noise = self._noise(at)  # (steps, W, C, h, w)
        if self.canvas_only:
            return noise[0]

        def imagine(part: slice) -> tuple[Tensor]:
            own, state = canvas.select(part), self._state.view(at.of(part))
            return (self.model.imagine(own, pose[part], state, noise[:, part]),)

        return at.run(imagine)[0]

    def _decode(self, at: Share, latents: Tensor, canvas: Canvas) -> Tensor:
        """Colour and log depth (W, 4, H, W)."""
        if self.canvas_only:
            return torch.cat([canvas.rgb, depth_to_channel(canvas.depth)], 1)

        def decode(part: slice) -> tuple[Tensor]:
            return (self.model.decode(latents[part], canvas.select(part)),)

        return at.run(decode)[0]

    def _remember(
        self, at: Share, frame: Tensor, pose: Tensor, canvas: Canvas, bumped: Tensor
    ) -> Frame:
        """The frame becomes history, and memory where memory did not know its view."""
        coverage = canvas.coverage
        chosen = is_keyframe(coverage).tolist()
        new = [n for n in at.own if chosen[n]]
        rgb, depth = to_uint8(frame[new, :3]), channel_to_depth(frame[new, 3])
        self.memory.add([at.slots[n] for n in new], rgb, depth, pose[new], observed=False)
        self._append(at, frame, pose)
        return self._frame([at.slots[n] for n in at.own], bumped[at.own], coverage[at.own])

    def _append(self, at: Share, frame: Tensor, pose: Tensor) -> None:
        """Take frames (W, 4, H, W) as what slots saw last, at ``pose`` (W, 4, 4)."""

        def read(part: slice) -> tuple[()]:
            own, slots = at.own_within(part), at.of(part)
            state = self._state.view(slots)
            grown = self.model.observe(state, frame[part], pose[part])
            if isinstance(slots, slice) and len(own) == part.stop - part.start:
                state.copy_(grown)
            else:
                index = torch.tensor([at.slots[part][n] for n in own], device=self.device)
                self._state.assign(index, grown.select(torch.tensor(own, device=self.device)))
            return ()

        if not self.canvas_only:
            at.run(read)
        rows = [at.slots[n] for n in at.own]
        self._last[rows], self._pose[rows] = frame[at.own], pose[at.own]
        self._has_last[rows] = True

    # -- entering worlds -------------------------------------------------------------------------

    def seed(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Give each slot its own generator."""
        for slot, seed in self._seeds(slots, seeds):
            self._generators[slot] = torch.Generator().manual_seed(seed)

    def _prepare(self, world_ids: list[int]) -> None:
        """Warn of estates, whose steps lift a robot in the engine but not here."""
        if any(world_id >= ESTATES for world_id in world_ids):
            warnings.warn(_FLAT, stacklevel=3)

    def _arrive(self, rows: list[int], ready: None) -> None:
        self._state.forget(torch.tensor(rows, device=self.device))
        self._has_last[rows] = False

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
        rows = self._rows(slots)
        given = None if pose is None else checked_poses(pose, len(rows)).to(self.device)
        self.enter(rows, world_ids, memory)
        known = [row for row in rows if self.memory.count([row])[0] > 0]
        blank = [row for row in rows if row not in known]
        bumped = torch.zeros(len(rows), dtype=torch.bool, device=self.device)
        coverage = torch.zeros(len(rows), device=self.device)
        if blank:
            at = [rows.index(row) for row in blank]
            wanted = [None if given is None else given[n] for n in at]
            self._show_source(blank, [world_ids[n] for n in at], wanted)
        if known:
            first = {row: torch.as_tensor(self.memory.frames(row, 1).pose[0]) for row in known}
            if given is not None:
                first |= {row: given[n] for n, row in enumerate(rows)}
            seen_from = torch.stack([first[row].to(self.device) for row in known])
            still = torch.zeros(len(known), MOTION_SIZE, device=self.device)
            seen = self._advance(self._parts.share(known, few=True), still, seen_from)
            at = [rows.index(row) for row in known]
            coverage[at] = torch.from_numpy(seen.coverage).to(self.device)
        self._begun[rows] = True
        return self._frame(rows, bumped, coverage)

    def _show_source(
        self, rows: list[int], world_ids: list[int], poses: list[Tensor | None]
    ) -> None:
        """The source's own frame, where nothing is remembered yet; it is an observation."""
        at = self._parts.share(rows)
        frame, pose = self._last[at.all].clone(), self._pose[at.all].clone()
        for n, row, world_id, wanted in zip(at.own, rows, world_ids, poses, strict=True):
            given = None if wanted is None else wanted.cpu().numpy()
            rgb, depth, seen_from = engine_view(world_id, self.image_size, given)
            shown = torch.as_tensor(depth, device=self.device)
            colour = to_float(torch.as_tensor(rgb, device=self.device))
            frame[n] = torch.cat([colour, depth_to_channel(shown)[None]])
            pose[n] = torch.as_tensor(seen_from, device=self.device)
            self.memory.add([row], rgb[None], depth[None], seen_from[None], observed=True)
        self._append(at, frame, pose)

    @torch.no_grad()
    def remember(
        self, slots: Sequence[int], rgb: ArrayLike, pose: ArrayLike, depth: ArrayLike | None = None
    ) -> None:
        """Put observed frames into memory; depth is estimated where None."""
        seen = self._observations(slots, rgb, pose, depth)
        for n, row in enumerate(seen.rows):
            colours = torch.from_numpy(seen.rgb[n]).to(self.device)
            if seen.depth is None:
                near = self.model.estimate_depth(to_float(colours))
            else:
                near = torch.from_numpy(seen.depth[n]).to(self.device)
            self.memory.add([row] * len(colours), colours, near, seen.pose[n], observed=True)

    # -- state -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        self._rows(None)
        return self._own() | {
            "memory": self.memory.get_state(),
            "pose": self._pose.clone(),
            "last": self._last.clone(),
            "has_last": self._has_last.clone(),
            "begun": self._begun.copy(),
            "history": [tensor.clone() for tensor in self._state.tensors()],
            "generators": [generator.get_state() for generator in self._generators],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Resume exactly; InvalidOptionError where the state is of another world."""
        self._check_state(state)
        self.memory.set_state(state["memory"])
        self._pose, self._last = state["pose"].clone(), state["last"].clone()
        self._has_last, self._begun = state["has_last"].clone(), state["begun"].copy()
        self._state = type(self._state)(*[tensor.clone() for tensor in state["history"]])
        for generator, value in zip(self._generators, state["generators"], strict=True):
            generator.set_state(value)

    def _own(self) -> dict[str, Any]:
        """What a state must be of."""
        return super()._own() | {"network": self._network}

    def fork(self, from_slot: int, to_slots: Sequence[int]) -> None:
        """Make ``to_slots`` exact, independent copies of ``from_slot``."""
        rows, from_slot = self._rows(to_slots), self._rows([from_slot])[0]
        self.memory.fork(from_slot, rows)
        one = self._state.select(torch.tensor([from_slot], device=self.device))
        for row in rows:
            self._state.assign(torch.tensor([row], device=self.device), one)
            self._pose[row], self._last[row] = self._pose[from_slot], self._last[from_slot]
            self._has_last[row] = self._has_last[from_slot]
            self._begun[row] = self._begun[from_slot]
            self._generators[row].set_state(self._generators[from_slot].get_state())

    # -- helpers ---------------------------------------------------------------------------------

    def _frame(self, rows: list[int], bumped: Tensor, coverage: Tensor) -> Frame:
        """What slots ``rows`` see now."""
        last = self._last[rows]
        return Frame(
            rgb=to_uint8(last[:, :3]).cpu().numpy(),
            depth=channel_to_depth(last[:, 3]).cpu().numpy(),
            pose=self._pose[rows].cpu().numpy(),
            bumped=bumped.cpu().numpy(),
            coverage=coverage.float().cpu().numpy(),
        )

    def _noise(self, at: Share) -> Tensor:
        """Standard normal latents (steps, W, C, h, w); zeros for slots at rest."""
        steps, *shape = self.model.noise_shape
        noise = torch.zeros(steps, len(at.slots), *shape)
        for draw in noise:
            for n in at.own:
                draw[n].normal_(generator=self._generators[at.slots[n]])
        return noise.to(self.device)
