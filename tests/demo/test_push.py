from __future__ import annotations

import pytest

from mgenv.demo.push import Push, push_in_both
from mgenv.worlds.engine import EngineWorld
from tests.fake_world import FakeWorld

WORLD_ID, STEPS = 1_000_000, 24


class Ghost(FakeWorld):
    """Nothing stops a robot here."""

    def step(self, motion, pose=None, slots=None):
        self._pose[:, :3, 3] += 0.25 * self._pose[:, :3, 2]
        return super().step(motion, self._pose.copy(), slots)


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    picture = tmp_path_factory.mktemp("push") / "push.png"
    found = push_in_both(EngineWorld(1, 16), WORLD_ID, STEPS, 16, picture)
    assert picture.is_file()
    return found


def test_the_engine_is_its_own_twin(same):
    assert same["engine"].way == pytest.approx(same["generated"].way, abs=1e-3)
    assert same["engine"].touched == same["generated"].touched is not None
    assert same["engine"].thing is not None
    assert not same["engine"].inside and not same["generated"].inside


def test_a_world_without_walls_is_found_out(same, tmp_path):
    found = push_in_both(Ghost(1), WORLD_ID, STEPS, 16, tmp_path / "push.png")
    assert found["engine"] == same["engine"], "the same pose is pushed"
    ghost = found["generated"]
    assert ghost.way == pytest.approx(STEPS * 0.25, abs=1e-3)
    assert ghost.inside
    assert "through" in str(ghost)


def test_a_push_says_what_stopped_it():
    assert str(Push(1.0, 4, "wall", False)) == "wall, step 4"
    assert str(Push(1.0, None, None, False)) == "nothing: it still goes"
    assert "does not have" in str(Push(1.0, 4, None, False))
