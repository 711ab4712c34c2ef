from collections import deque

import numpy as np
import pytest

from mgenv.envs import episode_starts
from mgenv.errors import CheckpointError, InvalidOptionError
from tests.fake_world import FakeRecording, FakeWorld
from tests.same import assert_same

TURN = np.array([[0.2, 1.0], [0.2, 1.0]])


def same_world(envs, **options):
    return envs.reset(options={"world_id": 0, **options})[1]


def test_a_scan_is_remembered_before_the_first_step(make_tiny):
    infos = same_world(make_tiny(2, memory="scan"))
    assert (infos["memory_frames"] >= 24).all()
    assert (infos["coverage"] > 0).all()


def test_a_fresh_world_remembers_its_first_frame_only(make_tiny):
    infos = same_world(make_tiny(2, memory="fresh"))
    assert infos["memory_frames"].tolist() == [1, 1] and not infos["coverage"].any()


def test_memory_outlives_episodes(make_tiny):
    envs = make_tiny(2, memory="fresh")
    same_world(envs)
    for _ in range(5):
        *_, infos = envs.step(TURN)
    assert (same_world(envs)["memory_frames"] >= infos["memory_frames"]).all()


def test_memory_of_another_world_is_another_memory(make_tiny):
    envs = make_tiny(2, memory="fresh")
    same_world(envs)
    envs.step(TURN)
    assert envs.reset(options={"world_id": [0, 1]})[1]["memory_frames"].tolist() == [2, 1]


def test_clear_forgets_the_place_and_its_scan(make_tiny):
    envs = make_tiny(2, memory="scan")
    same_world(envs)
    assert same_world(envs, memory="clear")["memory_frames"].tolist() == [1, 1]
    assert (same_world(envs)["memory_frames"] < 24).all()


def test_a_cleared_place_is_entered_where_its_source_begins(make_tiny):
    envs = make_tiny(3, memory="scan")
    same_world(envs)
    mask = np.array([False, True, False])
    cleared = same_world(envs, memory="clear", reset_mask=mask)["pose"]
    np.testing.assert_allclose(cleared[1, :3, 3], [0, 0, 1])
    again = same_world(envs)
    np.testing.assert_allclose(again["pose"][1, :3, 3], [0, 0, 1])
    away = np.linalg.norm(again["pose"][[0, 2], :2, 3], axis=-1)
    assert (away > 0.4).all(), "the others start at scanned positions, each in its row"


def test_clear_forgets_for_masked_slots_only(make_tiny):
    envs = make_tiny(2, memory="scan")
    same_world(envs)
    mask = np.array([True, False])
    same_world(envs, memory="clear", reset_mask=mask)
    *_, infos = envs.step(TURN)
    assert infos["memory_frames"][0] < 24 <= infos["memory_frames"][1]


def test_a_seeded_reset_may_keep_what_is_remembered(make_tiny):
    envs = make_tiny(2, memory="fresh")
    same_world(envs)
    envs.step(TURN)
    kept = envs.reset(seed=0, options={"memory": "keep", "world_id": 0})[1]
    assert (kept["memory_frames"] == 2).all()
    over = envs.reset(seed=0, options={"world_id": 0})[1]
    assert (over["memory_frames"] == 1).all()


def test_episodes_start_at_scanned_positions_with_any_heading(make_tiny):
    envs = make_tiny(4, memory="scan")
    scanned = FakeRecording(0, 24, 16).pose[:, :3, 3]
    yaws = []
    for _ in range(10):
        pose = same_world(envs)["pose"]
        gap = np.linalg.norm(pose[:, None, :3, 3] - scanned, axis=-1).min(1)
        assert gap.max() < 1e-5
        yaws.extend(np.arctan2(pose[:, 1, 2], pose[:, 0, 2]))
    assert np.std(yaws) > 1.0 and len(np.unique(yaws)) == 40


def test_episodes_do_not_depend_on_what_was_seen_since(make_tiny):
    still, moving = make_tiny(2, task="imagenav"), make_tiny(2, task="imagenav")
    for envs, steps in ((still, 0), (moving, 8)):
        envs.reset(seed=3)
        for _ in range(steps):
            envs.step(TURN)
    one, other = still.reset()[0], moving.reset()[0]
    np.testing.assert_array_equal(one["goal_pixels"], other["goal_pixels"])
    np.testing.assert_array_equal(one["pixels"], other["pixels"])


def test_imagenav_goals_of_a_fresh_world_come_from_earlier_episodes(make_tiny):
    envs = make_tiny(1, task="imagenav", memory="fresh", max_episode_steps=None)
    observation, _ = envs.reset(seed=0, options={"world_id": 0})
    np.testing.assert_array_equal(observation["goal_pixels"], observation["pixels"])
    for _ in range(8):
        envs.step(np.array([[1.0, 0.1]]))
    observation, infos = envs.reset(options={"world_id": 0})
    assert infos["distance_to_goal"][0] >= 1.0
    remembered = envs.world.memory.frames(0).rgb
    assert (remembered == observation["goal_pixels"]).all((1, 2, 3)).any()


@pytest.fixture
def memory_file(make_tiny, tmp_path):
    envs = make_tiny(2, memory="scan")
    envs.reset(seed=0, options={"world_id": 7})
    path = tmp_path / "home.safetensors"
    envs.world.memory.save(path)
    return str(path)


def test_a_memory_file_brings_its_worlds_and_starts(make_tiny, memory_file):
    envs = make_tiny(2, memory=memory_file)
    _, infos = envs.reset(seed=0)
    assert infos["world_id"].tolist() == [7, 7] and (infos["memory_frames"] >= 24).all()


def test_every_world_of_a_memory_file_starts_where_it_was_seen(make_tiny, tmp_path):
    source = make_tiny(2, memory="scan")
    source.reset(seed=0, options={"world_id": [7, 8]})
    path = str(tmp_path / "homes.safetensors")
    source.world.memory.save(path)
    envs = make_tiny(1, memory=path)
    seen = set()
    for _ in range(12):
        _, infos = envs.reset()
        seen.add(int(infos["world_id"][0]))
        assert np.linalg.norm(infos["pose"][0, :2, 3]) > 0.4, "not the source's first frame"
    assert seen == {7, 8}


def test_a_memory_file_can_be_loaded_at_a_reset(make_tiny, memory_file):
    envs = make_tiny(2, memory="fresh")
    envs.reset(seed=0, options={"world_id": 7})
    mask = np.array([False, True])
    _, infos = envs.reset(options={"memory": memory_file, "reset_mask": mask})
    assert infos["world_id"][1] == 7 and infos["memory_frames"][1] >= 24
    *_, infos = envs.step(TURN)
    assert infos["memory_frames"][0] <= 2, "the other slot was not loaded into"


def test_a_damaged_memory_file_changes_nothing(make_tiny, memory_file, tmp_path):
    envs = make_tiny(2)
    envs.reset(seed=0)
    before = envs.get_state()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(open(memory_file, "rb").read()[:1000])
    with pytest.raises(CheckpointError):
        envs.reset(options={"memory": str(broken)})
    with pytest.raises(InvalidOptionError, match=r"expected one of \[7\]"):
        envs.reset(seed=1, options={"memory": memory_file, "world_id": 3})
    for part in ("episodes", "goals", "observation", "places"):
        assert_same(envs.get_state()[part], before[part])


def test_a_memory_file_without_the_worlds_asked_for_is_refused(make_tiny, memory_file):
    with pytest.raises(InvalidOptionError, match=r"expected some of \[7\]"):
        make_tiny(2, memory=memory_file, world_ids=[1, 2])


def test_places_that_are_no_longer_in_use_are_let_go(monkeypatch):
    made = []

    def recording(*size):
        made.append(size[0])
        return FakeRecording(*size)

    monkeypatch.setattr(episode_starts, "scan", recording)
    held = episode_starts.EpisodeStarts(FakeWorld(1), "scan", range(9), 4)
    held._recent = deque(maxlen=3)
    used = held._scanned(0)
    for world_id in range(9):
        held._scanned(world_id)
    assert held._scanned(0) is used and held._scanned(8) is held._scanned(8)
    assert sorted(held._alike) == [0, 6, 7, 8] and made == list(range(9))
