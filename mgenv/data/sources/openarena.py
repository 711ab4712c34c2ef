"""OpenArena, an arena shooter without any interface for programs, with exact pose and depth.

The game as Debian ships it runs in lock-step: a small library between it, its renderer and its
clock reads every view's definition and buffers and hands in commands
(:mod:`mgenv.data.sources.openarena_process`). There are no opponents, and nothing hurts but
bottomless pits, which end a walk. It is opt-in: ``apt install openarena gcc libc6-dev``.

A player's eye is 50 units above the floor, which is taken for a metre. Angles and axes are
already this project's: z up, forward +x at yaw 0, left positive.

Source: https://openarena.fandom.com; https://ioquake3.org.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgenv.camera import DEFAULT_INTRINSICS
from mgenv.data.sources.base import SourceOptions
from mgenv.data.sources.game import GameSource
from mgenv.data.sources.game_interface import Action, Observation
from mgenv.data.sources.openarena_process import Process, View, check_installed, compile_hook
from mgenv.errors import UnknownNameError

FOLDER = "/usr/lib/openarena"
MAPS = (
    "oa_dm3 oa_dm4 oa_dm5 oa_dm6 oa_dm7 oa_spirit3 oa_rpg3dm2 kaos2 aggressor czest1dm dm4ish "
    "dm6ish am_galmevish sleekgrinder"
).split()
"""Maps that are built of rooms and lit well enough to see them."""
UNITS = 50.0
"""The game's units a metre."""
SUPERSAMPLING = 3
"""Pixels drawn along a pixel; odd, so that one of them has its centre."""
FULL_TURN = 10.0
"""Degrees a tick."""
LOCK_STEP = "timescale 1.001; god; +left 1 1"
"""At any other scale than 1 the game's time is not nudged between frames. Turning is always asked
for, at a speed that may be 0 or negative."""
WAKING_TICKS, SETTLING_TICKS = 4, 24
"""Ticks before a player listens, and before it stands and the glow of its arrival is gone."""
CLOCKS = 100_000
"""Milliseconds among which a seed chooses when the game begins."""
ARGUMENTS = {
    "com_basegame": "baseoa",
    "com_homepath": ".openarena",
    "com_legacyprotocol": 71,
    "com_protocol": 71,
    "com_introplayed": 1,
    "ttycon": 0,
}
"""Console variables that the game reads before its files."""
SETTINGS = {
    **dict.fromkeys(  # a level gaze, and nothing on the screen but the world
        "cg_draw2D cg_drawGun cg_drawCrosshair cg_thirdPerson cg_bobup cg_bobpitch cg_bobroll "
        "cg_runpitch cg_runroll con_notifytime".split(),
        0,
    ),
    **dict.fromkeys("s_initsound in_mouse in_joystick net_enabled cl_motd sv_pure".split(), 0),
    **dict.fromkeys("bot_enable bot_minplayers g_doWarmup timelimit fraglimit".split(), 0),
    "cl_run": 0,
    "in_nograb": 1,
    "g_gametype": 0,
    "sv_fps": 20,
    "com_maxfps": 125,
    "com_maxfpsUnfocused": 0,
    "com_maxfpsMinimized": 0,
    "com_hunkmegs": 256,
    "cl_renderer": "opengl1",
    "r_fullscreen": 0,
    "r_mode": -1,
    "r_swapInterval": 0,
    "r_depthbits": 24,
    "r_picmip": 0,
    "r_textureMode": "GL_LINEAR_MIPMAP_LINEAR",
    "r_lodbias": -2,
    "r_subdivisions": 1,
    "r_ignorehwgamma": 1,
    "r_gamma": 1.5,
}


class OpenArenaSource(GameSource):
    """OpenArena, played by the wandering agent; ``variant`` is one map's name ("" for all).

    Raises:
        DataError: the game or a C compiler is missing; names the package.
        UnknownNameError: there is no such map.
    """

    def __init__(self, options: SourceOptions) -> None:
        super().__init__("openarena", OpenArenaGame(options), options)


class OpenArenaGame:
    """A :class:`mgenv.data.sources.game.Game`: a process a walk, so that all begin alike.

    It walks at 3.2 m/s. Keys are pressed or not: walking is rounded to -1, 0 or 1. Doors open by
    themselves, there is nothing to use.
    """

    fps = 20
    labels: tuple[str, ...] = ()
    intrinsics = DEFAULT_INTRINSICS

    def __init__(self, options: SourceOptions) -> None:
        if options.variant and options.variant not in MAPS:
            raise UnknownNameError("variant of openarena", options.variant, MAPS)
        self._folder = Path(options.path or FOLDER).absolute()
        check_installed(self._folder)
        self._hook = compile_hook()
        self._maps = [options.variant] if options.variant else MAPS
        self._size = options.image_size
        self._process: Process | None = None
        self._held: set[str] = set()
        self.levels: int | None = len(self._maps)

    def start(self, level: int, seed: int) -> Observation:
        """See :class:`mgenv.data.sources.game.Game`."""
        self.close()
        self._process = self._launch(self._maps[level], seed % CLOCKS)
        self._process.first()
        for _ in range(WAKING_TICKS):
            self._tick("")
        self._tick(LOCK_STEP)
        self._tick(_turn(float(np.random.default_rng(seed).uniform(-180, 180))))
        for _ in range(SETTLING_TICKS):
            view = self._tick(_turn(0.0))
        return _observe(view, self._size)

    def act(self, action: Action) -> Observation:
        """See :class:`mgenv.data.sources.game.Game`."""
        keys = self._press(action)
        return _observe(self._tick(f"{_turn(FULL_TURN * action.turn)}; {keys}"), self._size)

    def describe(self, level: int) -> str:
        """See :class:`mgenv.data.sources.game.Game`."""
        return f"OpenArena map {self._maps[level]}"

    def close(self) -> None:
        """See :class:`mgenv.data.sources.game.Game`."""
        if self._process is not None:
            self._process.close()
        self._process = None
        self._held.clear()

    def _launch(self, name: str, clock: int) -> Process:
        drawn = self._size * SUPERSAMPLING
        screen = {"r_customwidth": drawn, "r_customheight": drawn}
        early = ARGUMENTS | {"fs_basepath": self._folder}
        arguments = [word for key, value in early.items() for word in ("+set", key, str(value))]
        return Process(self._hook, [*arguments, "+devmap", name], SETTINGS | screen, clock)

    def _tick(self, commands: str) -> View:
        assert self._process is not None
        return self._process.step(commands, 1000 // self.fps)

    def _press(self, action: Action) -> str:
        """Commands after which the right keys are held, each for whole ticks."""
        wanted = {
            key
            for key, value in (
                ("forward", action.forward),
                ("back", -action.forward),
                ("moveleft", action.left),
                ("moveright", -action.left),
            )
            if round(value) > 0
        }
        # The numbers are a key, and a time so long ago that no part of a tick is counted
        changes = [f"-{key} 1 1" for key in sorted(self._held - wanted)]
        changes += [f"+{key} 1 1" for key in sorted(wanted - self._held)]
        self._held = wanted
        return "; ".join(changes)


def _turn(degrees: float) -> str:
    """The command to turn so far to the left in every tick."""
    return f"set cl_yawspeed {degrees * OpenArenaGame.fps:.4f}"


def _observe(view: View, size: int) -> Observation:
    picture = Image.fromarray(view.rgb).resize((size, size), Image.Resampling.BOX)
    middle = slice(SUPERSAMPLING // 2, None, SUPERSAMPLING)
    return Observation(
        rgb=np.asarray(picture),
        pose=camera_to_world(view.origin, view.axis),
        depth=metres(view.depth[middle, middle], view.projection),
        over=not view.own,
    )


def camera_to_world(origin: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pose (4, 4) of a view at ``origin`` (3,) [units] with rows forward, left, up (3, 3).

    Example:
        >>> camera_to_world(np.array([50.0, 0.0, 0.0]), np.eye(3))[:3, 2:].T.tolist()
        [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    forward, left, up = axis
    pose = np.eye(4)
    pose[:3, :3] = np.stack([-left, -up, forward], -1)
    pose[:3, 3] = origin / UNITS
    return pose


def metres(buffer: NDArray[np.float32], projection: NDArray[np.float64]) -> NDArray[np.float32]:
    """Depth along the optical axis (H, W) [m] from a depth buffer; 0 for the sky.

    ``projection`` is OpenGL's matrix (4, 4) by columns.
    """
    device = 2.0 * buffer.astype(np.float64) - 1.0  # (H, W)
    depth = projection[3, 2] / (device + projection[2, 2]) / UNITS
    return np.where(buffer >= 1.0, 0.0, depth).astype(np.float32)
