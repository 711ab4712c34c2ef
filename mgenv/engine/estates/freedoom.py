"""Freedoom's wall and floor pictures as a bank of textures, from the files that ViZDoom brings.

A picture of a wall is put together from patches, which are lists of columns; a picture of a floor
is a square. Both are numbers of a palette.

Source: https://freedoom.github.io (BSD-3-Clause); the formats: https://doomwiki.org/wiki/WAD.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgenv.engine.estates.wad import read_lumps
from mgenv.engine.textures.bank import SIDE, TEXELS, Bank, fill_chain, ranges
from mgenv.errors import DataError

WADS = ("freedoom2", "freedoom1")
UNIT = 1 / 32
"""Metres a pixel."""
DARKEST, BRIGHTEST, BUSIEST = 50.0, 220.0, 24.0
"""What a picture's mean may be, and the mean difference of its neighbours, of 255."""
ALIKE = 4.0
"""How far apart two textures are at least, of 255: root mean square over 16 × 16 texels."""
SEAM = 1.6
"""How much worse than its worst inside a picture's border may be, lest it is mirrored."""
NO_WALL = (
    "AAS SKY P-SKY SW1 SW2 BFALL SFALL WFALL FIRE SLADRIP BLOD DBRAIN ROCKRED GSTFONT DOOR BIGDOOR "
    "EXIT STEP LITE MID SKIN SK_ SKSN SKSP SKUL SP_ MARBFAC MARBLOD GSTGARG GSTLION GSTSATYR "
    "SLADSKUL SPCDOOR TEK_ M_ DR WEB BRNBIG NUKE PLANET ZZ ZDOOR ZELDOOR CRLWDT EG COMP BRICKLIT "
    "BSTONE3 CEMENT2 CEMENT4 CEMPOIS STONPOIS CRATELIT GRAYTAL GRAY9 ICKWALL5 PANBLACK PANBLUE "
    "PANRED PANCASE PANEL5 PLAT1 SHAWN1 SILVER3 GRAYTAN TEKLITE TEKGREN5 CRBWLBP CARL DOKGRIR "
    "TNTDOOR A-CAMO A-ASKIN A-VINE SLIME DLEVSIGN AQDOOR AQLITE AQPANL ESPIGR2 PIPE6 PIPE8 GSTONE2"
).split()
NO_FLOOR = (
    "BLOOD LAVA NUKAGE FWATER SWATER SLIME GATE TLITE CEIL F_SKY DUMMY COMP01 DEM RROCK05 RROCK06 "
    "RROCK07 RROCK08 CONS GRNLITE FLAT22 FLAT5_6 AQF037 AQF038 SFLR FCGRATE"
).split()
"""Beginnings of the names of what moves, shines, opens, has holes, or shows no surface."""

Lumps = dict[str, bytes]
Picture = NDArray[np.uint8]


@functools.cache
def freedoom() -> Bank:
    """Freedoom's pictures of ``walls`` and ``floors``.

    Raises:
        ModuleNotFoundError: ViZDoom is not installed.
        DataError: its files are missing or damaged.
    """
    import vizdoom

    walls, floors = dict[bytes, Picture](), dict[bytes, Picture]()
    for name in WADS:
        path = Path(vizdoom.__path__[0]) / f"{name}.wad"
        lumps = read_lumps(path)
        try:
            walls |= {picture.tobytes(): picture for picture in wall_pictures(dict(lumps))}
            floors |= {picture.tobytes(): picture for picture in floor_pictures(lumps)}
        except (KeyError, struct.error, ValueError, IndexError) as error:
            raise DataError(f"{path}: expected Doom's pictures, got {error!r}") from error
    kinds = {"walls": _bank_part(walls.values()), "floors": _bank_part(floors.values())}
    texels = np.concatenate([texels for texels, _ in kinds.values()])
    size = np.concatenate([size for _, size in kinds.values()])
    return Bank(texels, size, ranges({name: len(size) for name, (_, size) in kinds.items()}))


def _bank_part(pictures: Iterable[Picture]) -> tuple[Picture, NDArray[np.float32]]:
    """Texels and sizes of the pictures that show a surface, each unlike those before it."""
    units = [unit for unit in map(unit_of, pictures) if is_sane(unit)]
    texels = np.empty((len(units), TEXELS, 3), np.uint8)
    for unit, chain in zip(units, texels, strict=True):
        step = len(unit) // SIDE
        light = (unit[::-1] / 255.0) ** 2  # (S, S, 3), the lowest row first
        fill_chain(np.sqrt(light.reshape(SIDE, step, SIDE, step, 3).mean((1, 3))), chain)
    size = np.array([len(unit) * UNIT for unit in units], np.float32)
    kept = distinct(texels)
    return texels[kept], size[kept]


def distinct(texels: Picture) -> list[int]:
    """The numbers of the textures that are unlike every kept one before them."""
    coarse = texels[:, -341:-85].reshape(len(texels), -1).astype(np.float64)  # 16 × 16 texels
    square = (coarse**2).mean(1)
    apart = square[:, None] + square - 2.0 * coarse @ coarse.T / coarse.shape[1]
    kept: list[int] = []
    for number, row in enumerate(apart):
        if not (row[kept] < ALIKE**2).any():
            kept.append(number)
    return kept


def is_sane(picture: Picture) -> bool:
    """Whether a picture is a surface: seen, but not glaring, gaudy, shining, empty or noise."""
    red, green, blue = np.moveaxis(picture.astype(np.float32), 2, 0)
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    shown = (red + green + blue) / 3.0
    busy = max(np.abs(np.diff(shown, axis=axis)).mean() for axis in (0, 1))
    gaudy = ((most - least > 0.85 * most) & (most > 90)).mean()
    shining = (shown > max(235.0, shown.mean() + 70.0)).mean()
    calm = DARKEST < shown.mean() < BRIGHTEST and 3.0 < shown.std() and busy < BUSIEST
    return bool(calm and gaudy < 0.03 and shining < 0.02)


def floor_pictures(lumps: list[tuple[str, bytes]]) -> Iterator[Picture]:
    """The squares (64, 64, 3) between the marks of the floors."""
    names = [name for name, _ in lumps]
    palette = _palette(dict(lumps))
    for name, data in lumps[names.index("F_START") + 1 : names.index("F_END")]:
        if len(data) == SIDE * SIDE and not name.startswith(tuple(NO_FLOOR)):
            yield palette[np.frombuffer(data, np.uint8).reshape(SIDE, SIDE)]


def wall_pictures(lumps: Lumps) -> Iterator[Picture]:
    """The whole pictures (H, W, 3) of the textures without holes."""
    palette, patch_names = _palette(lumps), _patch_names(lumps["PNAMES"])
    upper = {name.upper(): data for name, data in lumps.items()}
    patches: dict[str, NDArray[np.int16]] = {}
    for width, height, parts in _textures(lumps):
        canvas = np.full((height, width), -1, np.int16)
        for x, y, number in parts:
            name = patch_names[number]
            if name not in patches:
                patches[name] = read_patch(upper[name])
            _paste(canvas, patches[name], x, y)
        if (canvas >= 0).all():
            yield palette[canvas]


def _textures(lumps: Lumps) -> Iterator[tuple[int, int, list[tuple[int, int, int]]]]:
    """Width, height and patches (x, y, number) of the textures that can cover a wall."""
    for table in (lumps["TEXTURE1"], lumps.get("TEXTURE2", b"")):
        if not table:
            continue
        count = struct.unpack_from("<i", table)[0]
        for start in struct.unpack_from(f"<{count}i", table, 4):
            name, _, width, height, _, num_parts = struct.unpack_from("<8sihhih", table, start)
            if _covers_walls(name.decode("ascii", "replace"), width, height):
                parts = struct.iter_unpack(
                    "<hhhhh", table[start + 22 : start + 22 + 10 * num_parts]
                )
                yield width, height, [(x, y, number) for x, y, number, _, _ in parts]


def _covers_walls(name: str, width: int, height: int) -> bool:
    return width in (64, 128, 256) and height in (64, 128) and not name.startswith(tuple(NO_WALL))


def _palette(lumps: Lumps) -> Picture:
    return np.frombuffer(lumps["PLAYPAL"], np.uint8)[:768].reshape(256, 3)


def _patch_names(data: bytes) -> list[str]:
    names = struct.unpack_from("8s" * struct.unpack_from("<i", data)[0], data, 4)
    return [name.split(b"\0")[0].decode("ascii", "replace").upper() for name in names]


def read_patch(data: bytes) -> NDArray[np.int16]:
    """A patch's palette numbers (height, width), -1 where it is open."""
    width, height = struct.unpack_from("<hh", data)
    patch = np.full((height, width), -1, np.int16)
    for x, at in enumerate(struct.unpack_from(f"<{width}i", data, 8)):
        while data[at] != 255:
            top, length = data[at], data[at + 1]
            column = np.frombuffer(data, np.uint8, length, at + 3)[: height - top]
            patch[top : top + len(column), x] = column
            at += length + 4
    return patch


def _paste(canvas: NDArray[np.int16], patch: NDArray[np.int16], x: int, y: int) -> None:
    """Lay a patch at (x, y) on a canvas; what sticks out is lost."""
    patch = patch[max(-y, 0) :, max(-x, 0) :]
    there = canvas[max(y, 0) :, max(x, 0) :][: len(patch), : patch.shape[1]]
    patch = patch[: there.shape[0], : there.shape[1]]
    there[patch >= 0] = patch[patch >= 0]


def unit_of(picture: Picture) -> Picture:
    """A square that repeats: the picture, twice beside itself, or half of it and its mirror."""
    height, width = picture.shape[:2]
    side = min(max(width, height), 128)
    if width > side:
        picture = picture[:, :side]
    picture = np.tile(picture, (side // height, side // picture.shape[1], 1))
    for axis in (0, 1):
        if seam(picture, axis) > SEAM:
            half = np.take(picture, range(side // 2), axis)
            picture = np.concatenate([half, np.flip(half, axis)], axis)
    return picture


def seam(picture: Picture, axis: int) -> float:
    """How different the borders are that meet when a picture repeats, of its worst neighbours."""
    shown = picture[..., 0] + picture[..., 1].astype(np.float32) + picture[..., 2]
    lines = np.moveaxis(shown / 3.0, axis, 0)
    inside = np.abs(np.diff(lines, axis=0)).mean(1).max()
    return float(np.abs(lines[0] - lines[-1]).mean() / (inside + 1.0))
