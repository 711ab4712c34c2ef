import numpy as np

from mgenv.memory.visibility import shown_share
from tests.tasks.made_up import flat, pose

FLAT = flat()


def share_at(view: np.ndarray, x: float, y: float, yaw: float) -> float:
    shares = shown_share(FLAT.depth, FLAT.pose, view)
    gap = np.abs(FLAT.pose - pose(x, y, yaw)).max((1, 2))
    return float(shares[gap.argmin()])


def test_a_view_shows_what_it_looks_at_itself():
    assert share_at(pose(-1.2, 0.0, np.pi), -1.2, 0.0, np.pi) > 0.95


def test_it_shows_nothing_behind_it():
    assert share_at(pose(-1.2, 0.0, np.pi), -1.2, 0.0, 0.0) == 0.0


def test_it_shows_little_through_a_wall():
    east = share_at(pose(-1.2, -1.2, 0.0), 1.2, -1.2, 0.0)
    assert east < 0.2, "a strip through the gap"
    assert share_at(pose(0.3, -1.2, 0.0), 1.2, -1.2, 0.0) > 0.8, "from the wall's other side"


def test_frames_without_depth_show_nothing():
    depth = FLAT.depth.copy()
    depth[0] = 0.0
    assert shown_share(depth, FLAT.pose, FLAT.pose[0])[0] == 0.0
