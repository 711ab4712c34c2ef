"""Conversion of ViZDoom's buffers: pictures, depth and labels in this project's conventions.

A player's eye is 41 map units above the floor, which is taken for a metre. Pixels of Doom's
320×200 screen are 1.2 times as high as wide, so a square of the view is 200/320 of the width of a
4:3 screen and all its height; at a field of view of 116° across the screen that square sees 90°.
Cameras stay level.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from mgenv.camera import Intrinsics
from mgenv.data.sources.game_interface import Observation
from mgenv.engine.motion.explorer import pose_of

UNITS = 41.0
"""Map units a metre."""
FIELD_OF_VIEW = 116
"""Degrees across the 4:3 screen."""
SLOPE = math.tan(math.radians(FIELD_OF_VIEW / 2))
CROP = 200 / 320
"""Share of the screen's width that is recorded."""
HEIGHTS = {240: "RES_320X240", 480: "RES_640X480", 960: "RES_1280X960"}
STEP_UNITS = 1 / 0.14
"""Map units a step of the depth buffer, measured against maps of known geometry."""
FLAT_OFFSET, UPRIGHT_OFFSET = 2.0, 1.25
"""Steps that floors and ceilings, and walls and things, are further than the buffer says. Of the
latter the buffer tells depth as it would be seen at 90°."""
FARTHEST = 127
"""The step at which depth stops: the sky, and walls beyond 15 m."""
WALL, FLAT = 0, 1
"""Values of the labels buffer that are no things."""
STRUCTURE = ("wall", "floor", "ceiling", "far")
THINGS = (
    "ammo armor decoration gore hazard health key lightsource monster player powerup projectile "
    "vegetation weapon other"
).split()
VARIABLES = (
    "CAMERA_POSITION_X CAMERA_POSITION_Y CAMERA_POSITION_Z CAMERA_ANGLE "
    "VELOCITY_X VELOCITY_Y VELOCITY_Z"
).split()


class Screen:
    """Reads square pictures of ``size`` pixels a side off a game's screen.

    Attributes:
        labels: names of what segmentation tells apart.
        intrinsics: of the pictures.
    """

    labels: tuple[str, ...] = (*STRUCTURE, *THINGS)
    intrinsics = Intrinsics(fx=0.5 / SLOPE / CROP, fy=0.5 / SLOPE / CROP)

    def __init__(self, size: int) -> None:
        self._size = size
        self._height = next((h for h in HEIGHTS if h / 1.2 >= size), max(HEIGHTS))
        self._width = self._height * 4 // 3
        self._left = round(self._width * (1 - CROP) / 2)
        nearest = (np.arange(size) + 0.5) / size
        rows = (nearest * self._height).astype(int)
        columns = self._left + (nearest * self._width * CROP).astype(int)
        self._pixels = rows[:, None] * self._width + columns  # (H, W)
        below = np.where(rows >= self._height // 2, *map(STRUCTURE.index, ("floor", "ceiling")))
        self._flats = below[:, None].astype(np.uint8)  # (H, 1)
        self._depths = np.stack([_metres(UPRIGHT_OFFSET, SLOPE), _metres(FLAT_OFFSET)])
        self._index = {name: len(STRUCTURE) + n for n, name in enumerate(THINGS)}

    def configure(self, game: Any) -> None:
        """Ask a game that is not yet running for what is read."""
        import vizdoom

        resolution = HEIGHTS[self._height]
        game.set_screen_resolution(vizdoom.ScreenResolution.__members__[resolution])
        game.set_screen_format(vizdoom.ScreenFormat.RGB24)
        game.set_depth_buffer_enabled(True)
        game.set_labels_buffer_enabled(True)
        variables = vizdoom.GameVariable.__members__
        game.set_available_game_variables([variables[name] for name in VARIABLES])
        for part in ("hud", "weapon", "crosshair", "messages", "screen_flashes"):
            getattr(game, f"set_render_{part}")(False)
        game.set_automap_render_textures(False)  # they would get every map new nodes
        game.set_window_visible(False)

    def read(self, state: Any) -> Observation:
        """What a ``vizdoom.GameState`` shows."""
        steps = state.depth_buffer.take(self._pixels, mode="clip")  # (H, W)
        values = state.labels_buffer.take(self._pixels, mode="clip")  # (H, W)
        depths = self._depths.take(steps + np.uint16(256) * (values == FLAT), mode="clip")
        x, y, z, angle = state.game_variables[:4]
        return Observation(
            rgb=self._picture(state.screen_buffer),
            pose=pose_of((x / UNITS, y / UNITS, z / UNITS), math.radians(angle)),
            depth=depths,
            segmentation=self._segmentation(state.labels, values, steps),
        )

    def _picture(self, screen: np.ndarray) -> np.ndarray:
        """The square of the screen (H, W, 3), each pixel an average of what it covers."""
        box = (self._left, 0, self._width - self._left, self._height)
        image = Image.fromarray(screen)
        return np.asarray(image.resize((self._size, self._size), Image.Resampling.BOX, box))

    def _segmentation(self, things: Any, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
        names = np.full(256, self._index["other"], np.uint8)
        names[WALL] = STRUCTURE.index("wall")
        for thing in things:
            kind = thing.object_category.lower()
            names[thing.value] = self._index.get(kind, self._index["other"])
        shown = names.take(values, mode="clip")  # (H, W)
        np.copyto(shown, self._flats, where=values == FLAT)
        shown[(values == WALL) & (steps >= FARTHEST)] = STRUCTURE.index("far")
        return shown


def _metres(offset: float, slope: float = 1.0) -> np.ndarray:
    """Depth (256,) [m] of each step of the depth buffer; 0 from the farthest on."""
    steps = np.arange(256, dtype=np.uint8)
    depth = (steps + np.float32(offset)) * np.float32(STEP_UNITS / UNITS / slope)
    return np.where(steps >= FARTHEST, np.float32(0.0), depth)
