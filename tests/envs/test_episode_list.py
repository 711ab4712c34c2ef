"""Fixed episodes in files: drawn once, read back, refused where they are of something else."""

from __future__ import annotations

import json

import pytest

from mgenv.envs.episode_list import EpisodeList, draw_episodes, origin_of
from mgenv.envs.vector_env import VectorEnv
from mgenv.errors import EpisodeFileError, InvalidOptionError
from mgenv.tasks.base import DEFAULT_DIFFICULTY
from mgenv.tasks.episode import Episode
from tests.fake_world import FakeRecording, FakeWorld


def episode(world_id=3, seed=5, **changes):
    values = {
        "world_id": world_id, "start": (0.0, 1.0, 1.0, 0.5), "goal": (2.0, 1.0, 0.0),
        "difficulty": "easy", "geodesic": 2.1, "straight": 2.0, "seed": seed,
    }  # fmt: skip
    return Episode(**values | changes)


def a_list(**changes):
    values = {
        "task": "pointnav", "options": {"difficulty": "easy"},
        "origin": origin_of("scan", scan_frames=128), "episodes": (episode(3), episode(4, seed=6)),
    }  # fmt: skip
    return EpisodeList(**values | changes)


def test_a_list_read_back_is_the_same(tmp_path):
    file = a_list().save(tmp_path / "list.json")
    assert EpisodeList.load(file) == a_list()
    assert a_list().world_ids == [3, 4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 0}, "expected version 1, got 0"),
        ({"format": "else"}, "expected format 'mgenv-episodes', got 'else'"),
        ({"episodes": []}, "at least one episode"),
        ({"episodes": [{"world_id": 3}]}, "list of episodes"),
        ({"task": None, "episodes": None}, "list of episodes"),
        ({"task": ["pointnav"]}, "expected a str"),
        ({"options": ["easy"]}, "options: expected a dict"),
        ({"options": {"difficutly": "easy"}}, r"got \['difficutly'\]"),
        ({"origin": "scan"}, "origin: expected a dict"),
        ({"origin": {"scan_frames": 128}}, "expected memory a str"),
        ({"origin": {"memory": "scan"}}, "scan_frames: expected an integer"),
        ({"origin": {"memory": "a", "memory_sha256": 1, "scan_frames": 1}}, "memory_sha256 a str"),
        ({"episodes": [episode(seed=2**63).as_dict()]}, "expected seed"),
        ({"episodes": [episode(world_id=2**63).as_dict()]}, "expected world_id"),
        ({"episodes": [episode(geodesic=10**400).as_dict()]}, "finite numbers"),
    ],
)
def test_a_file_of_another_version_or_a_damaged_one_is_refused(change, words, tmp_path):
    file = a_list().save(tmp_path / "list.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(EpisodeFileError, match=words):
        EpisodeList.load(file)


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path):
    (tmp_path / "half.json").write_text('{"format": "mgenv-ep')
    for name in ("half.json", "none.json"):
        with pytest.raises(EpisodeFileError, match="a file of episodes"):
            EpisodeList.load(tmp_path / name)


def test_episodes_of_other_worlds_or_tasks_are_refused(tmp_path):
    known = a_list()
    known.check(task="pointnav", difficulty="easy", world_ids=[3, 4, 5], memory="scan")
    known.check()
    (tmp_path / "place.safetensors").write_bytes(b"a place")
    for asked, words in (
        ({"world_ids": [3]}, r"expected world ids \[3\], got \[4\] too"),
        ({"task": "imagenav"}, "expected task 'imagenav', got 'pointnav'"),
        ({"difficulty": "hard"}, "expected difficulty 'hard', got 'easy'"),
        ({"memory": str(tmp_path / "place.safetensors")}, "expected memory .*, got 'scan'"),
    ):
        with pytest.raises(EpisodeFileError, match=words):
            known.check(**asked)


def test_episodes_of_a_memory_file_are_not_those_of_another(tmp_path):
    for name in ("one", "copy", "other"):
        (tmp_path / name).write_bytes(b"other" if name == "other" else b"one")
    known = a_list(origin=origin_of(str(tmp_path / "one")))
    known.check(memory=str(tmp_path / "copy"))
    for other in (str(tmp_path / "other"), "scan"):
        with pytest.raises(EpisodeFileError, match="expected memory"):
            known.check(memory=other)
    known.check()
    (tmp_path / "one").write_bytes(b"changed since")
    with pytest.raises(EpisodeFileError, match="expected memory"):
        known.check()


def test_a_list_that_names_no_difficulty_is_of_the_default():
    known = a_list(options={})
    known.check(difficulty=DEFAULT_DIFFICULTY)
    with pytest.raises(EpisodeFileError, match="expected difficulty 'easy', got 'hard'"):
        known.check(difficulty="easy")


def make_envs(monkeypatch, num_envs, **options):
    from mgenv.envs import episode_starts

    monkeypatch.setattr(episode_starts, "scan", FakeRecording)
    world = FakeWorld(num_envs)
    return VectorEnv(num_envs, world=world, num_worlds=4, scan_frames=24, **options)


def test_drawn_episodes_are_those_that_the_seeds_give(monkeypatch):
    many = draw_episodes(make_envs(monkeypatch, 5), 7, seed=10)
    one_by_one = draw_episodes(make_envs(monkeypatch, 1), 7, seed=10)
    assert len(many) == 7 and many == one_by_one
    assert len({one.seed for one in many}) == 7
    assert draw_episodes(make_envs(monkeypatch, 2), 2, seed=12) == many[2:4]


@pytest.mark.parametrize("task", ["imagenav", "recall"])
def test_goals_that_only_fresh_memory_holds_make_no_list(monkeypatch, task):
    fresh = make_envs(monkeypatch, 1, task=task, memory="fresh")
    with pytest.raises(InvalidOptionError, match="expected 'scan' or a file .* got 'fresh'"):
        draw_episodes(fresh, 1, seed=0)
    pointnav = make_envs(monkeypatch, 1, memory="fresh")
    assert len(draw_episodes(pointnav, 1, seed=0)) == 1
