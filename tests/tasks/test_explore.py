import numpy as np
import pytest

from mgenv.tasks import Explore, Place, Setting
from mgenv.tasks.explore import CELL, REWARD_AREA
from mgenv.worlds.base import Frame
from tests.fake_world import FakeRecording, FakeWorld

SLOTS = np.array([0])


def look(world: FakeWorld, turns: int) -> Frame:
    return world.step([[0, 0, 0, np.pi / 2 * turns, 0]])


def start() -> tuple[FakeWorld, Explore]:
    world, task = FakeWorld(1, image_size=32), Explore(1, 32)
    task.begin(SLOTS, world.begin([0], [0]), [Setting(None, 0)])
    return world, task


def test_reward_is_area_seen_for_the_first_time():
    world, task = start()
    before = task.info(SLOTS)["explored_area"][0]
    gained = task.step(SLOTS, look(world, 1)).rewards["reward_area"][0]
    after = task.info(SLOTS)["explored_area"][0]
    assert gained == pytest.approx(REWARD_AREA * (after - before)) and gained > 0
    assert task.step(SLOTS, look(world, 0)).rewards["reward_area"][0] == 0.0


def test_a_turn_around_sees_the_floor_and_the_walls_of_the_room():
    world, task = start()
    for _ in range(4):
        task.step(SLOTS, look(world, 1))
    area = task.info(SLOTS)["explored_area"][0]
    walls = 7.0**2  # points on a wall may fall into the cell behind it
    assert 0.5 * 36.0 < area <= walls


def test_far_surfaces_do_not_count():
    task = Explore(1, 32)
    frame = FakeWorld(1, image_size=32).begin([0], [0])
    frame.depth[:] = 30.0
    task.begin(SLOTS, frame, [Setting(None, 0)])
    assert task.info(SLOTS)["explored_area"][0] == 0.0


def test_slots_do_not_share_what_they_saw():
    world, task = FakeWorld(2, image_size=32), Explore(2, 32)
    first = world.begin([0, 1], [0, 0])
    task.begin(np.arange(2), first, [Setting(None, 0)] * 2)
    task.step(np.array([1]), world.step([[0, 0, 0, 1.5, 0]], slots=[1]))
    area = task.info(np.arange(2))["explored_area"]
    assert area[1] > area[0] and area[0] % CELL**2 == 0


def test_the_share_is_of_the_floor_that_can_be_reached():
    seen = FakeRecording(0, 24, 32)
    room = Place(seen.rgb, seen.pose, seen.depth)
    world, task = FakeWorld(1, image_size=32), Explore(1, 32)
    task.begin(SLOTS, world.begin([0], [0], seen.pose[:1]), [Setting(room, 0)])
    shares = [task.info(SLOTS)["explored_share"][0]]
    for _ in range(4):
        task.step(SLOTS, look(world, 1))
        shares.append(task.info(SLOTS)["explored_share"][0])
    assert 0.05 < shares[0] < 0.3 and shares[-1] > 0.6
    assert shares == sorted(shares) and shares[-1] <= 1.0


def test_the_path_is_what_was_walked_and_shares_are_given_per_metre():
    seen = FakeRecording(0, 24, 32)
    world, task = FakeWorld(1, image_size=32), Explore(1, 32)
    task.begin(SLOTS, world.begin([0], [0]), [Setting(Place(seen.rgb, seen.pose, seen.depth), 0)])
    for _ in range(8):
        task.step(SLOTS, world.step([[0.25, 0, 0, 0, 0]]))
    info = task.info(SLOTS)
    assert info["path_length"][0] == pytest.approx(2.0, abs=1e-5)
    assert info["explored_share_per_metre"][0] == pytest.approx(info["explored_share"][0] / 2.0)


def test_no_share_is_known_of_an_unknown_place():
    _, task = start()
    assert task.info(SLOTS)["explored_share"][0] == 0.0
