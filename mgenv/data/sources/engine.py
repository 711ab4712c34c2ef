"""Recordings of the procedural homes: endless, and everything about them is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mgenv.camera import DEFAULT_INTRINSICS, MOTION_NAMES
from mgenv.data.captions import describe
from mgenv.data.episode import Episode
from mgenv.data.motions import motions_of
from mgenv.data.sources.base import SourceOptions
from mgenv.engine.estates.banks import estate_bank
from mgenv.engine.homes.furniture import FIRST_CHARACTER, LABELS
from mgenv.engine.motion import navigation
from mgenv.engine.people.crowd import Crowd, empty, place, stroll
from mgenv.engine.render.renderer import render_surfaces
from mgenv.engine.render.segmentation import classes, pieces
from mgenv.engine.scene.batch import SceneBatch
from mgenv.engine.scene.scenes import make_scenes
from mgenv.engine.scene.world_ids import ESTATES, FREEDOOM_ESTATES, HELD_OUT
from mgenv.errors import ClosedError, InvalidOptionError, UnknownNameError

VARIANTS = {
    "": 0,
    "training": 0,
    "held_out": HELD_OUT,
    "estates": ESTATES,
    "estates_held_out": ESTATES + HELD_OUT,
    "freedoom": FREEDOOM_ESTATES,
    "freedoom_held_out": FREEDOOM_ESTATES + HELD_OUT,
}
"""The first world id of each; every variant has ``HELD_OUT`` worlds."""
MOST_CHARACTERS = 4
"""Who walks about an estate at most."""
_CHARACTERS = 7
_STRIDE = 618_033
"""Shares no factor with the number of worlds, so none comes twice before all came once."""


class EngineSource:
    """Exploring walks through worlds that the seed and the episode's number choose.

    Depth and segmentation are those of each pixel's centre. Actions are what the exploring agent
    asked for, motions what walls and furniture let happen.

    Args:
        options: ``variant`` is "" or "training" for homes that trainings may see, "estates" for
            estates in which characters walk about, "freedoom" for those with the textures of
            Freedoom too (extra ``games``); "held_out", "estates_held_out" and "freedoom_held_out"
            for worlds that no training ever sees.

    Raises:
        MissingExtraError: Freedoom's textures without the extra ``games``.
        UnknownNameError: another variant.
        InvalidOptionError: sizes below 1, or a negative seed.

    Example:
        >>> source = EngineSource(SourceOptions(image_size=8, episode_frames=4))
        >>> source.record(3).rgb.shape
        (4, 8, 8, 3)
    """

    name = "engine"
    count = None

    def __init__(self, options: SourceOptions) -> None:
        if options.variant not in VARIANTS:
            raise UnknownNameError("engine variant", options.variant, filter(None, VARIANTS))
        for name, least in (("image_size", 1), ("episode_frames", 1), ("seed", 0)):
            value = getattr(options, name)
            if value < least:
                raise InvalidOptionError(f"{name}: expected at least {least}, got {value!r}")
        if options.variant.startswith("freedoom"):
            estate_bank(with_freedoom=True)
        self._options = options
        self._closed = False

    def world_of(self, number: int) -> tuple[int, int]:
        """The world id of an episode, and the seed of its walk."""
        if number < 0:
            raise InvalidOptionError(f"number: expected at least 0, got {number!r}")
        seed = self._options.seed
        first = int(np.random.SeedSequence(seed).generate_state(1)[0])
        world = (first + number * _STRIDE) % HELD_OUT + VARIANTS[self._options.variant]
        walk = np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0]
        return world, int(walk >> np.uint64(2))

    def record(self, number: int) -> Episode:
        """Episode ``number``; see :class:`mgenv.data.sources.base.Source`.

        Raises:
            InvalidOptionError: the number is negative.
            ClosedError: after close.
        """
        if self._closed:
            raise ClosedError("Expected an open source; this one has been closed.")
        world_id, seed = self.world_of(number)
        batch = make_scenes([world_id], workers=1)
        many = navigation.explore_many(batch, self._options.episode_frames, [seed], workers=1)
        walk = navigation.Walk(*(array[0] for array in many))
        crowd = self._crowd(batch, walk, number)
        return self._record_walk(batch, walk, crowd, f"world_{world_id}_walk_{number}").check()

    def _crowd(self, batch: SceneBatch, walk: navigation.Walk, number: int) -> Crowd:
        """Who walks about the world during a walk: nobody in homes."""
        if batch.world_ids[0] < ESTATES:
            return empty(len(walk.pose))
        drawn = np.random.SeedSequence((self._options.seed, number, _CHARACTERS))
        count, *seeds = drawn.generate_state(1 + MOST_CHARACTERS, np.uint64).tolist()
        seeds = seeds[: count % (MOST_CHARACTERS + 1)]
        scene = batch[0]
        paths = stroll(scene.free, scene.ground, walk.pose[:, :3, 3], seeds)
        return place(paths, seeds, scene.ground)

    def _record_walk(
        self, batch: SceneBatch, walk: navigation.Walk, crowd: Crowd, name: str
    ) -> Episode:
        scene = np.zeros(len(walk.pose), np.int64)
        rgb, depth, surface = render_surfaces(
            batch, scene, walk.pose, self._options.image_size, crowd=crowd
        )
        episode = Episode(
            rgb=rgb.numpy(),
            pose=walk.pose,
            motion=motions_of(walk.pose),
            action=_from_here_on(walk.motion),
            action_names=MOTION_NAMES,
            bumped=_from_here_on(walk.bumped),
            intrinsics=DEFAULT_INTRINSICS,
            source=self.name,
            name=name,
            depth=depth.numpy(),
            segmentation=classes(batch, scene, surface, crowd).numpy(),
            labels=LABELS,
        )
        shown = pieces(batch, scene, surface, crowd).numpy()
        who = [LABELS[FIRST_CHARACTER + kind] for kind in crowd.kinds[0]]
        episode.captions = describe(episode, batch[0], shown, who)
        return episode

    def close(self) -> None:
        """Later recording raises :class:`ClosedError`."""
        self._closed = True


def _from_here_on(led: NDArray) -> NDArray:
    """What led from the tick before (T, …) to each, as what leads on from each; the last is 0."""
    leads = np.zeros_like(led)
    leads[:-1] = led[1:]
    return leads
