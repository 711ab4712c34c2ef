"""`mgenv bench control`: does motion in a world match the requested motion and the walls?

*Pushes* go straight until an obstacle stops them. *Doorways* must let a robot pass. *Motions* are
recovered from frames and compared with the robot's poses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mgenv.benchmark.doorways import STEPS as DOORWAY_STEPS
from mgenv.benchmark.doorways import Passages, doorway_row, passages
from mgenv.benchmark.odometry import recover_motion
from mgenv.benchmark.push_picture import save_push
from mgenv.benchmark.pushes import AT, judge, push_rows, true_ways, unhindered
from mgenv.benchmark.replay import held_out, make_world
from mgenv.benchmark.report import Report
from mgenv.benchmark.robots import (
    HOLES,
    NOISE,
    STEP,
    Robots,
    Walk,
    at_known_places,
    settle,
    straight,
    walk,
)
from mgenv.camera import planar, planar_from
from mgenv.engine.motion.navigation import Recording, scan
from mgenv.models.world_model import WorldModel
from mgenv.training.data import HELD_OUT
from mgenv.worlds.engine import EngineWorld
from mgenv.worlds.generated import GeneratedWorld

Row = dict[str, Any]
Tell = Callable[[str], None]
SEED, DOOR_SEED, NOISE_SEED, DRIVE_SEED = 1, 2, 3, 4

ASIDE = math.radians(20.0)
"""Largest angle between a robot's start and a known frame's view, in imagined places [rad]."""

SLOWEST, TURN = 0.1, math.radians(15.0)
"""Of the motions that are recovered: least way ahead [m] and largest turn [rad]."""

GEOMETRY, NOISY = "by geometry", f"by geometry, {NOISE:.0%} noise and {HOLES:.0%} holes in depth"
NONE = "none (walks through everything)"
SHIFT = 0.01
CHAOS = "the engine's, begun 1 cm aside"
"""Agreement of the engine with itself: paths of sliding robots diverge at corners."""


@dataclass
class Place:
    """Robots in places known from the same number of frames.

    Attributes:
        name: "scan", or from how many frames all else is imagined.
        imagined: pushes are judged only as far as the known frames show.
    """

    name: str
    robots: Robots
    imagined: bool


def run(
    model: WorldModel,
    worlds: int = 64,
    first_world: int = HELD_OUT,
    known_frames: int = 128,
    pushes: int = 4,
    steps: int = 40,
    drive_steps: int = 16,
    sampling_steps: int = 2,
    device: str = "cpu",
    pictures: str | Path | None = None,
    report: Tell = lambda text: None,
) -> Report:
    """All three protocols on held-out worlds; a table of each."""
    ids, size = held_out(worlds, first_world), model.config.image_size
    scans = {world_id: scan(world_id, known_frames, size) for world_id in ids}
    places = make_places(scans, pushes)

    def make(robots: int, **options: Any) -> GeneratedWorld:
        return make_world(model, robots, device, sampling_steps=sampling_steps, **options)

    at = [k for k in AT if k < steps] + [steps]
    rows = []
    for place in places:
        rows += pushed(make, place, at, pictures, report)
    asked = passages(scans, pushes, DOOR_SEED)
    rows += [] if asked is None else passed(make, asked, report)
    rows += motion_rows(make, places, drive_steps, device, report)
    return Report(
        title="Control",
        protocol=_protocol(worlds, ids[0], known_frames, steps, drive_steps),
        rows=rows,
        seeds=[SEED, DOOR_SEED, NOISE_SEED, DRIVE_SEED],
        notes=[f"{sampling_steps} sampling steps."],
        failed=["No doorway is known well enough."] if asked is None else [],
    )


def make_places(scans: dict[int, Recording], each: int) -> list[Place]:
    """Robots in scanned places, and in ones imagined from eight frames and from the first."""
    places = [Place("scan", at_known_places(scans, each, math.pi, SEED), False)]
    for name, frames in (("imagined from 8 frames", 8), ("imagined from 1 frame", 1)):
        places.append(Place(name, at_known_places(scans, each, ASIDE, SEED, frames), True))
    return places


# -- pushes ---------------------------------------------------------------------------------------


def pushed(
    make: Callable[..., GeneratedWorld], place: Place, at: Sequence[int], pictures: Any, tell: Tell
) -> list[Row]:
    """Straight pushes: this world's, with noise in depth, and without walls."""
    robots, scenes, steps = place.robots, place.robots.scenes(), at[-1]
    rows: list[Row] = []
    for walls, noise_seed in ((GEOMETRY, None), (NOISY, NOISE_SEED)):
        world = make(len(robots))
        first = settle(world, robots, noise_seed)
        found = walk(world, first, straight(len(robots), steps), _prefixed(tell, place.name))
        judged = judge(scenes, robots, found.pose[:, :, :3, 3], place.imagined)
        rows += push_rows(place.name, walls, judged, at if noise_seed is None else at[-1:])
        if not place.imagined and noise_seed is None:
            in_view = judge(scenes, robots, found.pose[:, :, :3, 3], True)
            rows += push_rows(f"{place.name}, while in view", walls, in_view, at[-1:])
            if pictures is not None:
                save_push(Path(pictures) / "push.png", scenes, robots, found, judged)
    free = judge(scenes, robots, unhindered(robots.pose, steps), place.imagined)
    aside = judge(scenes, robots, true_ways(scenes, shifted(robots.pose), steps), place.imagined)
    rows += push_rows(place.name, CHAOS, aside, at)
    return rows + push_rows(place.name, NONE, free, at[-1:])


def shifted(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """Poses (N, 4, 4) moved to the right by SHIFT."""
    moved = pose.copy()
    moved[:, :3, 3] += SHIFT * pose[:, :3, 0]
    return moved


def passed(make: Callable[..., GeneratedWorld], asked: Passages, tell: Tell) -> list[Row]:
    """Doorways, with true and with noisy depth in memory."""
    rows = []
    for walls, noise_seed in ((GEOMETRY, None), (NOISY, NOISE_SEED)):
        world = make(len(asked.robots))
        first = settle(world, asked.robots, noise_seed)
        found = walk(world, first, straight(len(asked.robots), DOORWAY_STEPS))
        rows.append(doorway_row("scan", walls, asked, found.pose[:, :, :3, 3]))
        tell(f"doorways, {walls}: {rows[-1]['passed']:.2f} passed")
    return rows


# -- motions --------------------------------------------------------------------------------------


def motion_rows(
    make: Callable[..., GeneratedWorld],
    places: Sequence[Place],
    steps: int,
    device: str,
    tell: Tell,
) -> list[Row]:
    """Motions recovered from frames of the engine and of this world, known and unknown."""
    scanned = places[0].robots
    motions = drive_motions(len(scanned), steps)
    rows = []
    for name, robots, world in [
        ("engine (error of the method)", scanned, EngineWorld(len(scanned))),
        *[(place.name, place.robots, None) for place in places],
        ("scan, without memory", scanned, make(len(scanned), memory_slots=0)),
    ]:
        if world is None:
            world = make(len(robots))
            first = settle(world, robots)
        else:
            first = world.begin(range(len(robots)), robots.world_ids, robots.pose, "clear")
        rows += seen_rows(name, walk(world, first, motions), motions, device)
        tell(f"motion, {name}: {rows[-1]}")
    return rows


def drive_motions(robots: int, steps: int) -> NDArray[np.float32]:
    """Random motions ahead and around: (T, N, 5)."""
    rng = np.random.default_rng(DRIVE_SEED)
    motion = np.zeros((steps, robots, 5), np.float32)
    motion[..., 0] = rng.uniform(SLOWEST, STEP, (steps, robots))
    motion[..., 3] = rng.uniform(-TURN, TURN, (steps, robots))
    return motion


def seen_rows(name: str, found: Walk, motions: NDArray[np.float32], device: str) -> list[Row]:
    """Motion that frames show, against where robots stand, of steps that nothing stopped and of
    those that something did."""
    rgb, depth = (torch.from_numpy(part).to(device) for part in (found.rgb, found.depth))
    pairs = [part.flatten(0, 1) for part in (rgb[:, :-1], depth[:, :-1], rgb[:, 1:], depth[:, 1:])]
    seen = recover_motion(*pairs).cpu().numpy().reshape(*found.bumped.shape, 3)
    stands = stood(found.pose)
    asked = motions.transpose(1, 0, 2)[..., [0, 1, 3]]
    rows = []
    for robot, chosen in (("free", ~found.bumped), ("blocked", found.bumped)):
        row: Row = {"frames of": name, "robot": robot, "steps": int(chosen.sum())}
        yaw = np.degrees(np.abs(_wrapped(seen - stands)[chosen][:, 2]))
        rows.append(
            row
            | _spread("yaw off [degrees]", yaw)
            | _spread("way off [cm]", _centimetres(seen[chosen], stands[chosen]))
            | _spread("way off what was asked [cm]", _centimetres(seen[chosen], asked[chosen]))
        )
    return rows


def stood(pose: NDArray) -> NDArray[np.float64]:
    """Motions between poses (N, T + 1, 4, 4): forward, left [m], yaw [rad], (N, T, 3)."""
    place = planar(pose)  # (N, T + 1, 3)
    way = planar_from(place[:, :-1], place[:, 1:])
    turn = _wrapped(np.diff(place, axis=1))[..., 2:]
    return np.concatenate([way, turn], -1)


def _wrapped(motion: NDArray) -> NDArray:
    """Motions (..., 3) with yaw in [-pi, pi)."""
    yaw = (motion[..., 2:] + np.pi) % (2 * np.pi) - np.pi
    return np.concatenate([motion[..., :2], yaw], -1)


def _centimetres(a: NDArray, b: NDArray) -> NDArray:
    return 100 * np.linalg.norm(a[:, :2] - b[:, :2], axis=-1)


def _spread(name: str, errors: NDArray) -> Row:
    """The median and what 90 % of errors are below."""
    middle, most = np.percentile(errors, [50, 90]) if len(errors) else (None, None)
    return {
        name: middle if middle is None else float(middle),
        f"{name}, 90 %": most if most is None else float(most),
    }


def _prefixed(tell: Tell, name: str) -> Tell:
    return lambda text: tell(f"{name}: {text}")


def _protocol(worlds: int, first: int, known: int, steps: int, drive: int) -> str:
    return (
        f"{worlds} held-out worlds from id {first}. Scan: {known} true frames of a survey in "
        "memory. Imagined: only the survey's first frame, or its first eight (all seen from one "
        f"place). **Pushes**: {steps} steps of {STEP} m straight ahead, from where known frames "
        "were seen from, in a random direction (imagined: within 20° of where such a frame looks), "
        "without a turn. The engine judges: *walked through*: the robot's disc (0.2 m) was deeper "
        "than 0.15 m inside something true, tried five times a step; *stopped for nothing*: three "
        "times in a row, or at the last step, it made less than half of the engine's step from the "
        "same place, and the engine goes on from there for a whole step's way or more; *stopped "
        "early*: the same where the engine makes at least half a step. Ways are distances "
        "from the start. An imagined world only owes what its known frames showed: such a push "
        "(and a scan's 'while in view') is judged up to the last step at which the engine's robot "
        "and this one stood where every part of their outlines (nine upright lines, three heights) "
        "was seen free or seen as a surface; what lies under the view within a metre of a known "
        "camera counts as shown unless something low stands there. *Steps judged* is the mean. "
        "**Doorways**: the narrowest ones, which the scan shows and the engine's robot passes: "
        "from 1 m before, up to 0.05 m aside and 5° askew. "
        f"**Motions**: {drive} random steps of a differential robot; forward, left and yaw are "
        "recovered from colour and depth of consecutive frames alone, by direct alignment, and "
        "compared with the change of the robot's pose, and (blocked: something shortened the "
        "step) with what was asked for."
    )
