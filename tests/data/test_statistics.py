"""Statistics by counting levels are those of all values."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.data import lerobot
from mgenv.data.statistics import add_statistics, statistics


@pytest.mark.parametrize("shape", [(1, 5, 7, 3), (8, 6, 6, 3), (7, 4, 9, 3)])
@pytest.mark.parametrize("levels", [(0, 256), (17, 90), (255, 256)])
def test_pictures_counted_by_levels_are_pictures_summed(shape, levels):
    rng = np.random.default_rng(shape[0])
    fast, slow = {}, {}
    for _ in range(3):
        pictures = rng.integers(*levels, shape, np.uint8)
        add_statistics(fast, {lerobot.IMAGE: pictures})
        add_statistics(slow, {"values": pictures.reshape(-1, 3) / 255.0})
    for name, values in statistics(slow)["values"].items():
        found = np.ravel(statistics(fast)[lerobot.IMAGE][name])
        np.testing.assert_allclose(found, values, atol=1e-7, err_msg=name)


def test_of_many_pictures_some_eight_are_counted():
    pictures = np.zeros((64, 2, 2, 3), np.uint8)
    pictures[::8] = 51
    sums = {}
    add_statistics(sums, {lerobot.IMAGE: pictures})
    assert statistics(sums)[lerobot.IMAGE]["count"] == [8 * 4]
    np.testing.assert_allclose(np.ravel(sums[lerobot.IMAGE]["sum"]), 8 * 4 * 0.2)
