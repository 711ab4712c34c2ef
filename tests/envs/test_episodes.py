"""Episodes that are written down and played again, in any environment that knows the place."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mgenv.errors import InvalidOptionError, NoFloorError, UnknownNameError
from mgenv.tasks import Episode
from tests.fake_world import FakeRecording
from tests.same import assert_same

TASKS = ["explore", "pointnav", "imagenav", "recall"]


def rollout(envs, steps: int = 8) -> list:
    rng = np.random.default_rng(0)
    return [envs.step(rng.uniform(-1, 1, (envs.num_envs, 2))) for _ in range(steps)]


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_can_be_played_again(make_tiny, task):
    options = {"task": task, "odometry": "noisy", "goal_sensor": "noisy"}
    envs, other = make_tiny(3, **options), make_tiny(3, **options)
    first = envs.reset(seed=0)
    episodes = envs.episodes()
    first = [first, *rollout(envs)]
    listed = [json.loads(json.dumps(episode.as_dict())) for episode in episodes]
    other.reset(seed=99)
    again = [other.reset(options={"episodes": listed}), *rollout(other)]
    for one, two in zip(first, again, strict=True):
        assert_same(one[0], two[0])
    assert other.episodes() == episodes
    assert_same(first[-1][1:4], again[-1][1:4])


def test_episodes_say_where_and_how_hard_they_are(make_tiny):
    envs = make_tiny(2, task="imagenav")
    _, infos = envs.reset(seed=0)
    for slot, episode in enumerate(envs.episodes()):
        assert episode.world_id == infos["world_id"][slot]
        np.testing.assert_allclose(episode.start[:3], infos["pose"][slot, :3, 3], atol=1e-6)
        assert episode.geodesic == infos["geodesic_distance"][slot]
        assert episode.straight == infos["straight_distance"][slot]
        scanned = FakeRecording(episode.world_id, 24, 16).rgb[episode.goal_frame]
        np.testing.assert_array_equal(envs.observation["goal_pixels"][slot], scanned)


def test_masked_slots_alone_play_given_episodes(make_tiny):
    envs = make_tiny(3)
    envs.reset(seed=0)
    episodes, before = envs.episodes(), envs.get_state()
    moved = [replace(episode, seed=7) for episode in episodes]
    mask = np.array([False, True, False])
    envs.reset(options={"episodes": moved, "reset_mask": mask})
    assert [episode.seed == 7 for episode in envs.episodes()] == mask.tolist()
    assert_same(envs.get_state()["goals"]["goal"], before["goals"]["goal"])


def test_after_given_episodes_others_are_drawn(make_tiny):
    envs = make_tiny(2, max_episode_steps=1)
    envs.reset(seed=0)
    given = envs.episodes()
    envs.reset(options={"episodes": given})
    rollout(envs, 2)
    assert envs.episodes() != given


GOOD = Episode(0, (0.5, 0.0, 1.0, 0.0), (2.0, 0.0, 0.0), "easy", 1.5, 1.5, 3)


@pytest.mark.parametrize(
    ("episodes", "says"),
    [
        ([GOOD], "expected 2, one a slot, got 1"),
        (GOOD, "one a slot"),
        ([GOOD, {"world_id": 1}], "expected .*'geodesic'"),
        ([GOOD, {**GOOD.as_dict(), "start": [1, 2]}], "4 finite numbers"),
        ([GOOD, {**GOOD.as_dict(), "goal": [np.nan, 0.0, 0.0]}], "3 finite numbers"),
        ([GOOD, {**GOOD.as_dict(), "seed": -1}], "seed"),
        ([GOOD, {**GOOD.as_dict(), "difficulty": "harsh"}], "difficulty"),
        ([GOOD, replace(GOOD, start=(2.95, 0.0, 1.0, 0.0))], "start on the free floor"),
        ([GOOD, replace(GOOD, goal=(5.0, 0.0, 0.0))], "goal that can be reached"),
    ],
)
def test_episodes_that_cannot_be_played_change_nothing(make_tiny, episodes, says):
    envs = make_tiny(2)
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(InvalidOptionError, match=says):
        envs.reset(seed=4, options={"episodes": episodes})
    assert_same(envs.get_state(), before)


def test_episodes_say_where_so_that_a_world_id_beside_them_is_refused(make_tiny):
    envs = make_tiny(2)
    envs.reset(seed=0)
    with pytest.raises(InvalidOptionError, match="world_id"):
        envs.reset(options={"episodes": [GOOD, GOOD], "world_id": 0})
    with pytest.raises(UnknownNameError, match="Did you mean 'episodes'"):
        envs.reset(options={"episode": [GOOD, GOOD]})


def test_episodes_of_worlds_that_a_file_does_not_hold_are_refused(make_tiny, tmp_path):
    source = make_tiny(2)
    source.reset(seed=0, options={"world_id": 7})
    path = tmp_path / "home.safetensors"
    source.world.memory.save(path)
    envs = make_tiny(2, memory=str(path))
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(InvalidOptionError, match=r"one of \[7\]"):
        envs.reset(seed=1, options={"episodes": [GOOD, GOOD]})
    assert_same(envs.get_state(), before)


class Blocked(FakeRecording):
    """A walk with the camera against a wall: no floor, and no room."""

    def __init__(self, world_id: int, num_frames: int, image_size: int) -> None:
        super().__init__(world_id, num_frames, image_size)
        self.depth = np.full_like(self.depth, 0.1)


def test_a_place_without_floor_is_named_and_nothing_changes(make_tiny, monkeypatch):
    from mgenv.envs import episode_starts

    envs = make_tiny(2)
    envs.reset(seed=0, options={"world_id": 0})
    before = envs.get_state()
    monkeypatch.setattr(episode_starts, "scan", Blocked)
    with pytest.raises(NoFloorError, match="world 5: expected frames that show a floor"):
        envs.reset(seed=1, options={"world_id": 5})
    assert_same(envs.get_state(), before)
