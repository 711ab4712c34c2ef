"""Doom through ViZDoom: the 68 Freedoom maps, and generated rooms, with exact pose and depth.

One tick is one of Doom's 35 a second, in which a player walks up to 0.2 m; players keep most of
their velocity from tick to tick. There are no monsters and nothing hurts.

Source: Kempka et al., ViZDoom, https://arxiv.org/abs/1605.02097; https://freedoom.github.io.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgenv.data.sources import udmf
from mgenv.data.sources.base import SourceOptions
from mgenv.data.sources.game import GameSource
from mgenv.data.sources.game_interface import Action, Observation
from mgenv.data.sources.vizdoom_screen import FIELD_OF_VIEW, Screen
from mgenv.data.sources.wad import Wad
from mgenv.errors import DataError, UnknownNameError

VARIANTS = ("freedoom", "rooms")
WADS = ("freedoom2", "freedoom1")
FULL_WALK, FULL_TURN = 25.0, 10.0
"""What the walking buttons take for walking, not running; degrees a tick."""
THRUST = 0.78125
"""Map units a tick that full walking adds to the velocity."""
SLACK = 0.04
"""Map units a tick that a motion may lack without anything being in the way."""
WAKING_TICKS, SETTLING_TICKS = 8, 8
"""Ticks before a player listens, and before the view comes to rest."""
BATCH = 32
"""Generated levels a file."""
ARGUMENTS = "-nomonsters +movebob 0 +sv_cheats 1 +cl_showsecretmessage 0"
"""No messages across the picture, and a camera that does not bob."""


class VizdoomSource(GameSource):
    """Doom, played by the wandering agent; ``variant`` is ``freedoom`` (usual) or ``rooms``.

    Raises:
        ModuleNotFoundError: ViZDoom is not installed.
        UnknownNameError: there is no such variant.
        DataError: ``path`` (or ViZDoom itself) lacks the game's files, or they are damaged.
    """

    def __init__(self, options: SourceOptions) -> None:
        super().__init__("vizdoom", VizdoomGame(options), options)


class VizdoomGame:
    """A :class:`mgenv.data.sources.game.Game`: a process a WAD, each started when needed."""

    fps = 35
    labels: tuple[str, ...] = Screen.labels
    intrinsics = Screen.intrinsics

    def __init__(self, options: SourceOptions) -> None:
        import vizdoom

        variant = options.variant or VARIANTS[0]
        if variant not in VARIANTS:
            raise UnknownNameError("variant of vizdoom", variant, VARIANTS)
        self._rooms = variant == "rooms"
        self._folder = Path(options.path or vizdoom.__path__[0]).absolute()
        self._seed = options.seed
        self._wads = {name: Wad(self._folder / f"{name}.wad") for name in WADS}
        self._maps = [(name, level) for name in WADS for level in self._wads[name].maps]
        self._screen = Screen(options.image_size)
        self._processes: dict[str | int, Any] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="mgenv-vizdoom-")
        self._game: Any = None
        self._last: Observation | None = None
        self.levels: int | None = None if self._rooms else len(self._maps)

    def start(self, level: int, seed: int) -> Observation:
        """See :class:`mgenv.data.sources.game.Game`."""
        rng = np.random.default_rng(seed)
        self._game, name = self._generated(level) if self._rooms else self._shipped(level)
        self._game.set_seed(seed)
        self._game.set_doom_map(name)  # loads it anew
        if self._game.is_episode_finished():
            self._game.new_episode()
        self._wait(WAKING_TICKS)
        self._game.send_game_command("god")
        self._game.send_game_command(f"fov {FIELD_OF_VIEW}")
        if not self._rooms:
            places = self._wads[self._maps[level][0]].places[name]
            x, y = places[int(rng.integers(len(places)))]
            self._game.send_game_command(f"warp {x} {y}")
            self._game.make_action([0, 0, float(rng.uniform(-180, 180)), 0])
        self._wait(SETTLING_TICKS)
        self._last = self._screen.read(self._game.get_state())
        return self._last

    def act(self, action: Action) -> Observation:
        """See :class:`mgenv.data.sources.game.Game`."""
        before = self._game.get_state().game_variables
        walk = np.array([action.forward, action.left])
        forward, left = FULL_WALK * walk
        # Doom counts what goes right
        self._game.make_action([forward, -left, -FULL_TURN * action.turn, float(action.use)])
        if self._game.is_episode_finished():
            assert self._last is not None
            return replace(self._last, over=True)
        state = self._game.get_state()
        bumped = _shortened(before, state.game_variables, walk)
        self._last = replace(self._screen.read(state), bumped=bumped)
        return self._last

    def describe(self, level: int) -> str:
        """See :class:`mgenv.data.sources.game.Game`."""
        if self._rooms:
            return f"Generated Doom rooms {level}"
        wad, name = self._maps[level]
        return f"{wad.capitalize()} map {name}"

    def close(self) -> None:
        """See :class:`mgenv.data.sources.game.Game`."""
        self._end_processes()
        self._scratch.cleanup()

    def _end_processes(self) -> None:
        """Kill the games first: they have nothing to save, and some crash when they are told."""
        for process in _children(self._scratch.name):
            os.kill(process, signal.SIGKILL)
        for game in self._processes.values():
            game.close()
        self._processes.clear()

    def _wait(self, ticks: int) -> None:
        self._game.make_action([0, 0, 0, 0], ticks)

    def _shipped(self, level: int) -> tuple[Any, str]:
        """The process that has the map, and its name there."""
        wad, name = self._maps[level]
        if wad not in self._processes:
            self._processes[wad] = self._launch(wad)
        return self._processes[wad], name

    def _generated(self, level: int) -> tuple[Any, str]:
        batch, index = divmod(level, BATCH)
        if batch not in self._processes:
            self._end_processes()
            first = batch * BATCH + (self._seed << 40)
            levels = [udmf.make_level(first + n) for n in range(BATCH)]
            path = Path(self._scratch.name) / f"rooms{batch}.wad"
            path.write_bytes(udmf.pack(levels))
            self._processes[batch] = self._launch(WADS[0], path)
        return self._processes[batch], f"MAP{index + 1:02d}"

    def _launch(self, wad: str, scenario: Path | None = None) -> Any:
        """A running game.

        Raises:
            DataError: it does not start.
        """
        import vizdoom

        game = vizdoom.DoomGame()
        game.set_doom_game_path(str(self._folder / f"{wad}.wad"))
        if scenario is not None:
            game.set_doom_scenario_path(str(scenario))
        game.set_doom_map("MAP01" if scenario else self._wads[wad].maps[0])
        self._screen.configure(game)
        buttons = "MOVE_FORWARD_BACKWARD_DELTA MOVE_LEFT_RIGHT_DELTA TURN_LEFT_RIGHT_DELTA USE"
        game.set_available_buttons([vizdoom.Button.__members__[b] for b in buttons.split()])
        game.add_game_args(ARGUMENTS)
        game.set_doom_config_path(str(Path(self._scratch.name) / "vizdoom.ini"))
        game.set_episode_timeout(0)
        try:
            with contextlib.chdir(self._scratch.name):  # where the game leaves files
                game.init()
        except (
            vizdoom.FileDoesNotExistException,
            vizdoom.ViZDoomErrorException,
            vizdoom.ViZDoomUnexpectedExitException,
        ) as error:
            raise DataError(f"{wad}.wad: expected ViZDoom to start, got: {error}") from error
        return game


def _children(argument: str) -> Iterator[int]:
    """Processes that this one began with ``argument`` in their command line, where /proc tells."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and argument in (folder / "cmdline").read_text():
                yield int(folder.name)


def _shortened(
    before: NDArray[np.float64], after: NDArray[np.float64], walk: NDArray[np.float64]
) -> bool:
    """Whether a tick moved the player less than momentum and ``walk`` (forward, left) would."""
    heading = math.radians(after[3])
    cos, sin = math.cos(heading), math.sin(heading)
    free = before[4:6].copy()
    if before[6] == 0:  # on the floor
        free += THRUST * np.array([walk[0] * cos - walk[1] * sin, walk[0] * sin + walk[1] * cos])
    moved = np.linalg.norm(after[:2] - before[:2])
    return bool(np.linalg.norm(free) - moved > SLACK)
