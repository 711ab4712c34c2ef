"""The demo's pictures: frame, path from above, retrieved memory and coverage, side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mgenv.demo.walk import Step

PANEL = 256
"""Side of a panel [px]."""

MARGIN = 12
CAPTION = 26
STRIP = 72
"""Height of the coverage curve [px]."""

INK, PAPER, GREY = (235, 235, 235), (18, 20, 24), (92, 98, 108)
PATH, ROBOT, SOURCE, CURVE = (90, 170, 255), (255, 210, 80), (120, 220, 140), (120, 220, 140)

WIDTH = 3 * PANEL + 4 * MARGIN
HEIGHT = CAPTION + PANEL + CAPTION + STRIP + 2 * MARGIN


def draw_walk(walk: list[Step], title: str) -> list[NDArray[np.uint8]]:
    """One picture uint8 (H, W, 3) a step, of even size."""
    scale, centre = _fit(np.stack([step.pose[:2, 3] for step in walk]))
    return [_draw_step(walk, number, title, scale, centre) for number in range(len(walk))]


def draw_comparison(pictures: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures uint8 (h, w, 3) beside each other, named, on a canvas as large as a step's."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, (name, picture) in enumerate(pictures.items()):
        left = MARGIN + column * (PANEL + MARGIN)
        _write(draw, (left, 6), name)
        canvas.paste(_enlarge(picture, PANEL), (left, CAPTION))
    return np.asarray(canvas)


def _draw_step(
    walk: list[Step], number: int, title: str, scale: float, centre: NDArray[np.float64]
) -> NDArray[np.uint8]:
    canvas = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(canvas)
    step = walk[number]
    lefts = [MARGIN + column * (PANEL + MARGIN) for column in range(3)]
    captions = (f"{title}, step {number}", "path from above", "retrieved memory")
    for left, caption in zip(lefts, captions, strict=True):
        _write(draw, (left, 6), caption)
    canvas.paste(_enlarge(step.rgb, PANEL), (lefts[0], CAPTION))
    canvas.paste(_draw_path(walk[: number + 1], scale, centre), (lefts[1], CAPTION))
    canvas.paste(_draw_retrieved(step), (lefts[2], CAPTION))
    _draw_coverage(draw, walk, number)
    return np.asarray(canvas)


def _draw_path(walk: list[Step], scale: float, centre: NDArray[np.float64]) -> Image.Image:
    panel = Image.new("RGB", (PANEL, PANEL), (28, 31, 37))
    draw = ImageDraw.Draw(panel)
    points = [_to_pixels(step.pose, scale, centre) for step in walk]
    if len(points) > 1:
        draw.line(points, PATH, 2)
    for pose in walk[-1].sources:
        x, y = _to_pixels(pose, scale, centre)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), SOURCE)
    _draw_robot(draw, walk[-1].pose, scale, centre)
    return panel


def _draw_robot(
    draw: ImageDraw.ImageDraw, pose: NDArray[np.float32], scale: float, centre: NDArray[np.float64]
) -> None:
    x, y = _to_pixels(pose, scale, centre)
    heading = np.arctan2(pose[1, 2], pose[0, 2])
    corners = [(12.0, 0.0), (7.0, 2.5), (7.0, -2.5)]
    turned = [(x + r * np.cos(heading + a), y - r * np.sin(heading + a)) for r, a in corners]
    draw.polygon(turned, ROBOT)


def _draw_retrieved(step: Step) -> Image.Image:
    panel = Image.new("RGB", (PANEL, PANEL), (28, 31, 37))
    half = PANEL // 2
    for number, picture in enumerate(step.retrieved[:4]):
        corner = (half * (number % 2), half * (number // 2))
        panel.paste(_enlarge(picture, half - 2), (corner[0] + 1, corner[1] + 1))
    if len(step.retrieved) == 0:
        _write(ImageDraw.Draw(panel), (14, half - 8), "nothing: this is imagined", GREY)
    return panel


def _draw_coverage(draw: ImageDraw.ImageDraw, walk: list[Step], number: int) -> None:
    top, left = CAPTION + PANEL + CAPTION, MARGIN
    width = WIDTH - 2 * MARGIN
    share = walk[number].coverage
    _write(draw, (left, top - 20), f"share of the view that memory knows: {share:.0%}")
    draw.rectangle((left, top, left + width, top + STRIP), outline=GREY)
    xs = left + width * np.arange(number + 1) / max(len(walk) - 1, 1)
    ys = top + STRIP * (1 - np.array([step.coverage for step in walk[: number + 1]]))
    curve = list(zip(xs.tolist(), ys.tolist(), strict=True))
    if len(curve) > 1:
        draw.line(curve, CURVE, 2)


def _fit(positions: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
    """Pixels a metre and the centre [m] with which all positions (T, 2) fit into a panel."""
    low, high = positions.min(0).astype(np.float64), positions.max(0).astype(np.float64)
    extent = max(float((high - low).max()), 2.0)
    return (PANEL - 60) / extent, (low + high) / 2


def _to_pixels(
    pose: NDArray[np.float32], scale: float, centre: NDArray[np.float64]
) -> tuple[float, float]:
    x, y = (pose[:2, 3] - centre) * scale
    return PANEL / 2 + float(x), PANEL / 2 - float(y)


def _enlarge(picture: NDArray[np.uint8], side: int) -> Image.Image:
    return Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    colour: tuple[int, int, int] = INK,
) -> None:
    draw.text(corner, text, colour, ImageFont.load_default(14))
