"""Sums of what episodes hold, which shards can add up, and ``stats.json`` from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mgenv.data import lerobot


def add_statistics(sums: dict[str, dict[str, Any]], columns: dict[str, np.ndarray]) -> None:
    """Add least, most, sum, sum of squares and count of each feature; pictures in [0, 1]."""
    for name, values in columns.items():
        if name in ("episode_index", "index", "task_index"):
            continue
        new = _sums_of_pictures(values) if name == lerobot.IMAGE else _sums(values)
        sums[name] = merged(sums.get(name), {k: np.asarray(v).tolist() for k, v in new.items()})


def _sums(values: np.ndarray) -> dict[str, Any]:
    flat = values.reshape(len(values), -1).astype(np.float64)
    new = {"min": flat.min(0), "max": flat.max(0), "sum": flat.sum(0)}
    return new | {"squares": np.square(flat).sum(0), "count": float(len(flat))}


def _sums_of_pictures(pictures: np.ndarray) -> dict[str, Any]:
    """Of some eight pictures (T, H, W, 3), by counting how often each level occurs."""
    some = pictures[:: max(1, len(pictures) // 8)].reshape(-1, 3)
    counts = np.stack([np.bincount(channel, minlength=256) for channel in some.T])  # (3, 256)
    levels, there = np.arange(256) / 255.0, counts > 0
    return {
        "min": levels[there.argmax(1)],
        "max": levels[255 - there[:, ::-1].argmax(1)],
        "sum": counts @ levels,
        "squares": counts @ levels**2,
        "count": float(len(some)),
    }


def merged(sums: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Sums of two parts together."""
    if sums is None:
        return more
    together = {"min": np.minimum, "max": np.maximum, "sum": np.add, "squares": np.add}
    joined = {k: f(np.array(sums[k]), np.array(more[k])).tolist() for k, f in together.items()}
    return joined | {"count": sums["count"] + more["count"]}


def statistics(sums: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What ``stats.json`` says: pictures by channel, (3, 1, 1)."""
    stats = {}
    for name, part in sums.items():
        mean = np.array(part["sum"]) / part["count"]
        variance = np.maximum(np.array(part["squares"]) / part["count"] - mean**2, 0.0)
        values = {"min": part["min"], "max": part["max"], "mean": mean, "std": np.sqrt(variance)}
        shape = (3, 1, 1) if name == lerobot.IMAGE else (-1,)
        stats[name] = {k: np.reshape(v, shape).tolist() for k, v in values.items()}
        stats[name]["count"] = [int(part["count"])]
    return stats
