"""Pictures of a dataset: a contact sheet, and where the cameras went."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from mgenv.data import lerobot
from mgenv.data.dataset import Dataset

COLUMNS, CAPTION, MARGIN = 8, 14, 4
PLOT = 240
"""Pixels along a side of one episode's plot."""


def chosen(dataset: Dataset, count: int) -> list[int]:
    """Episodes spread over all of them."""
    return (
        np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round())
        .astype(int)
        .tolist()
    )


def contact_sheet(dataset: Dataset, episodes: int = 8) -> Image.Image:
    """A row of frames an episode, with its caption; below it, depth where there is one."""
    strips = [_strip(dataset, episode) for episode in chosen(dataset, episodes)]
    sheet = Image.new("RGB", (strips[0].width, sum(s.height for s in strips)), "white")
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


def _strip(dataset: Dataset, episode: int) -> Image.Image:
    ticks = np.linspace(0, dataset.length(episode) - 1, COLUMNS).round().astype(int).tolist()
    rows = [np.concatenate(list(dataset.pictures(episode, ticks)), 1)]
    depth = dataset.depth(episode, ticks)
    if depth is not None:
        near = (1.0 / (1.0 + depth) * 255).astype(np.uint8)  # nearer is brighter
        near[depth == 0] = 0
        rows.append(np.repeat(np.concatenate(list(near), 1)[..., None], 3, 2))
    picture = Image.fromarray(np.concatenate(rows, 0))
    strip = Image.new("RGB", (picture.width, picture.height + CAPTION + MARGIN), "white")
    row = dataset.rows[episode]
    text = f"{episode}: {row['recording']}: {row['tasks'][0]}"
    draw = ImageDraw.Draw(strip)
    while draw.textlength(text) > strip.width - 2 and len(text) > 4:
        text = text[:-2].rstrip("…") + "…"
    draw.text((1, 1), text, fill="black")
    strip.paste(picture, (0, CAPTION))
    return strip


def path_plot(dataset: Dataset, episodes: int = 8) -> Image.Image:
    """Paths from above, an episode a field, metres alike in all of them."""
    numbers = chosen(dataset, episodes)
    paths = [dataset.columns(n)[lerobot.POSE].reshape(-1, 4, 4) for n in numbers]
    reach = max(1.0, *(float(np.ptp(p[:, :2, 3], 0).max()) for p in paths)) * 1.1
    columns = min(4, len(numbers))
    rows = -(-len(numbers) // columns)
    sheet = Image.new("RGB", (columns * PLOT, rows * (PLOT + CAPTION)), "white")
    draw = ImageDraw.Draw(sheet)
    for field, (number, pose) in enumerate(zip(numbers, paths, strict=True)):
        left, top = field % columns * PLOT, field // columns * (PLOT + CAPTION)
        draw.text((left + 2, top + 1), f"{number}: field {reach:.1f} m wide", fill="black")
        _draw_path(draw, pose, reach, left, top + CAPTION)
    return sheet


def _draw_path(draw: ImageDraw.ImageDraw, pose: np.ndarray, reach: float, left: int, top: int):
    middle = (pose[:, :2, 3].max(0) + pose[:, :2, 3].min(0)) / 2
    scale = (PLOT - 2 * MARGIN) / reach
    at = (pose[:, :2, 3] - middle) * scale * (1, -1) + (left + PLOT / 2, top + PLOT / 2)
    draw.rectangle((left, top, left + PLOT - 1, top + PLOT - 1), outline="lightgrey")
    if len(at) > 1:
        draw.line([tuple(p) for p in at.tolist()], fill="steelblue", width=2)
    for tick in range(0, len(at), max(1, len(at) // 12)):
        x, y = at[tick]
        ahead = pose[tick, :2, 2] * (10, -10)
        draw.line((x, y, x + ahead[0], y + ahead[1]), fill="darkorange")
    x, y = at[0]
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="seagreen")
