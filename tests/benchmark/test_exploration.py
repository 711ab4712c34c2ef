"""What the table of exploring agents counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mgenv.benchmark import exploration
from mgenv.benchmark.exploration import KINDS, motion_shares, revisits, seen_share
from mgenv.cli.main import main
from mgenv.engine.scene.scenes import HELD_OUT
from tests.engine.rooms import box_room, level_pose


def standing(*places: tuple[float, float]) -> np.ndarray:
    return np.concatenate([level_pose(x, y, 0.0) for x, y in places])


def test_an_empty_room_is_seen_by_turning_around():
    batch = box_room()
    pose = np.concatenate([level_pose(4.5, 4.5, yaw) for yaw in (np.pi, np.pi / 4, np.pi)])
    seen = seen_share(batch, 0, pose)
    assert seen[0] < 0.05 and seen[1] > 0.7 and seen[2] == seen[1]


def test_what_a_wall_hides_is_not_seen():
    hidden = box_room((5.5, 6.0, 1.3, 0.05, 2.0, 1.3))
    pose = level_pose(4.75, 6.0, 0.0)
    assert seen_share(hidden, 0, pose)[0] < 0.3 < seen_share(box_room(), 0, pose)[0]


def test_only_coming_back_is_a_revisit():
    there = [(4.0 + 0.1 * t, 6.0) for t in range(40)]
    assert not revisits(standing(*there)).any()
    assert not revisits(standing(*[(4.0, 6.0)] * 80)).any(), "standing still is no return"
    back = revisits(standing(*there, *there[::-1]))
    assert not back[:50].any() and back[-20:].all()


@pytest.mark.parametrize(
    ("motion", "kind"),
    [
        ((0.2, 0, 0, 0, 0), "ahead"), ((0.2, 0, 0, 0.2, 0), "ahead, turning"),
        ((-0.2, 0, 0, 0, 0), "backwards"), ((0.1, -0.2, 0, 0.2, 0), "sideways"),
        ((0, 0, 0, -0.2, 0), "turning"), ((0, 0, 0.2, 0, 0.1), "still"),
    ],
)  # fmt: skip
def test_every_motion_is_of_one_kind(motion, kind):
    shares = motion_shares(np.float32([[motion]]))
    assert tuple(shares) == KINDS and shares[kind] == 1.0 and sum(shares.values()) == 1.0


def test_the_exploring_agent_sees_more_than_a_random_walk():
    report = exploration.run(worlds=6, frames=96, first_world=HELD_OUT + 100)
    rows = {row["agent"]: row for row in report.rows}
    ours, random = rows["exploring, differential"], rows["random, differential"]
    assert ours["seen"] > 1.5 * random["seen"] and ours["path m"] > 0
    for row in report.rows:
        assert sum(row[kind] for kind in KINDS) == pytest.approx(1.0)
        assert 0 < row["seen at 1/4"] <= row["seen"] <= 1
    assert report.rows == exploration.run(6, 96, HELD_OUT + 100).rows


def test_the_command_prints_and_writes_the_table(tmp_path, capsys):
    file = tmp_path / "exploration.json"
    options = ["--worlds", "2", "--frames", "8", "--json", str(file)]
    assert main(["bench", "exploration", *options]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == 3 and rows[0]["agent"] in capsys.readouterr().out
