"""Depth as it is observed."""

import numpy as np

from mgenv.envs.observer import MAX_DEPTH, visible_depth


def test_depth_that_is_not_known_is_the_bound():
    depth = np.array([[[0.0, np.nan, -1.0], [np.inf, 25.0, 3.5]]], np.float32)  # (1, 2, 3)
    seen = visible_depth(depth)
    assert seen.dtype == np.float32 and seen.shape == (1, 2, 3, 1)
    assert seen.ravel().tolist() == [MAX_DEPTH] * 5 + [3.5]
