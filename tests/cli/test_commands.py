from __future__ import annotations

import json

import pytest

from mgenv.agents import LearnedPolicy
from mgenv.cli.main import main
from mgenv.envs.episode_list import sha256

SMALL = [
    "env.world=tiny",
    "env.num_envs=2",
    "env.num_worlds=2",
    "env.max_episode_steps=10",
    "env.scan_frames=24",
    "ppo.rollout_steps=16",
    "ppo.batch_size=16",
    "ppo.epochs=1",
    "total_steps=32",
]


def train(folder, *more: str) -> int:
    return main(["train", *SMALL, f"output_dir={folder}", *more])


def evaluate(*arguments: object) -> int:
    small = ("--num-envs", "2", "--episodes", "4", "--max-episode-steps", "10")
    return main(["evaluate", *map(str, arguments), *small])


def test_train_then_evaluate(tmp_path, capsys):
    assert train(tmp_path / "run") == 0
    file = tmp_path / "run" / "policy.safetensors"
    assert f"mgenv evaluate {file}" in capsys.readouterr().out
    assert LearnedPolicy.load(file).card.steps == 32
    results = tmp_path / "results.json"
    assert evaluate(file, "--world", "tiny", "engine", "--json", results) == 0
    out = capsys.readouterr().out
    assert "success" in out and "spl" in out and "pointnav, 4 episodes" in out
    found = json.loads(results.read_text())
    rows = found["rows"]
    assert [(row["world"], row["policy"]) for row in rows] == [
        ("tiny", "policy"), ("engine", "policy"),
    ]  # fmt: skip
    assert rows[0]["episodes"] == 4
    assert set(rows[0]["success"]) == {"mean", "low", "high"}
    assert found["policies"]["policy"]["sha256"] == sha256(file)
    assert found["task"] == "pointnav" and found["seed"] == 0
    assert found["commit"] and found["mgenv"]


def test_policies_are_judged_on_the_same_episodes_whatever_their_order(tmp_path, capsys):
    def judged(name, policies, worlds):
        assert evaluate(*policies, "--world", *worlds, "--json", tmp_path / name) == 0
        return json.loads((tmp_path / name).read_text())

    train(tmp_path / "run")
    file = str(tmp_path / "run" / "policy.safetensors")
    one = judged("one.json", [file, "blind", "random"], ["tiny", "engine"])
    other = judged("other.json", ["random", file, "blind"], ["engine", "tiny"])

    def by_policy(rows):
        return sorted(map(str, rows))

    assert by_policy(one["rows"]) == by_policy(other["rows"])
    assert by_policy(one["episodes"]) == by_policy(other["episodes"])
    assert len(one["episodes"]) == 2 * 3 * 4
    pairs = {(d["world"], d["policy"], d["minus_policy"]) for d in one["differences"]}
    assert ("tiny", "policy", "blind") in pairs
    assert "policy - blind" in capsys.readouterr().out


def test_a_policy_that_does_not_exist_is_told_with_the_nearest(capsys):
    assert evaluate("blnd", "--world", "tiny") == 2
    assert "Did you mean 'blind'?" in capsys.readouterr().err


def test_overrides_reach_the_run(tmp_path):
    train(tmp_path, "ppo.learning_rate=1e-5", "env.world_ids=[3, 4]", "ppo.hidden=[8]")
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["ppo"]["learning_rate"] == 1e-5
    assert config["env"]["world_ids"] == [3, 4]
    assert config["ppo"]["hidden"] == [8]


def test_the_random_policy_can_be_judged_alone(capsys):
    assert evaluate("random", "--world", "tiny", "--task", "imagenav") == 0
    assert "imagenav, 4 episodes" in capsys.readouterr().out


def test_the_same_line_goes_on(tmp_path, capsys):
    train(tmp_path)
    assert train(tmp_path, "resume=true") == 2
    assert "total_steps above the 32" in capsys.readouterr().err
    assert train(tmp_path, "resume=true", "total_steps=64") == 0
    assert LearnedPolicy.load(tmp_path / "policy.safetensors").card.steps == 64
    assert train(tmp_path, "resume=true", "total_steps=96", "ppo.gamma=0.5") == 2
    assert "ppo.gamma=0.95 (got 0.5)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("env.wrld=engine", "Did you mean 'env.world'?"),
        ("ppo.epochs=many", "Value 'many'"),
        ("ppo.hidden=[8", "key=value"),
        ("engine", "key=value"),
        ("env.task=pointnaf", "Did you mean 'pointnav'?"),
        ("env.robot=differntial", "Did you mean 'differential'?"),
        ("env.memory_slots=0", "at least 1"),
        ("total_steps=0", "at least 1"),
        ("output_dir=/proc/mgenv", "folder to write to"),
        ("start_from=/nowhere.safetensors", "policy file"),
        ("resume=true", "Expected a run to resume"),
        ("ppo.form=recurent", "Did you mean 'recurrent'?"),
        ("env.obs_type=pixels_dept", "Did you mean 'pixels_depth'?"),
    ],
)
def test_a_wrong_setting_is_one_line_and_leaves_nothing(
    override, words, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("mgenv.envs.vector_env.load_world", _load_checked)
    assert train(tmp_path / "run", override) == 2
    error = capsys.readouterr().err
    assert error.startswith("mgenv train: ") and words in error
    assert not list(tmp_path.glob("run/*.safetensors"))


def test_a_policy_is_not_judged_in_another_task(tmp_path, capsys):
    train(tmp_path)
    file = tmp_path / "policy.safetensors"
    assert evaluate(file, "--world", "tiny", "--task", "imagenav") == 2
    assert "space that the policy was trained on" in capsys.readouterr().err


def test_every_world_is_looked_up_before_any_episode(monkeypatch, capsys):
    from mgenv.worlds import load_world

    def never(*_args, **_kwargs):
        raise AssertionError("an episode was played")

    monkeypatch.setattr("mgenv.envs.vector_env.load_world", load_world)
    monkeypatch.setattr("mgenv.benchmark.policy_comparison.evaluate_policy", never)
    assert evaluate("random", "--world", "engine", "nanoo") == 2
    assert "Unknown world 'nanoo'" in capsys.readouterr().err


def test_results_that_cannot_be_written_are_told_before_judging(tmp_path, capsys, monkeypatch):
    def never(*_args, **_kwargs):
        raise AssertionError("environments were made")

    monkeypatch.setattr("mgenv.benchmark.policy_comparison.make_envs", never)
    assert evaluate("random", "--json", "/proc/mgenv/results.json") == 2
    assert "mgenv evaluate: Expected a folder to write to" in capsys.readouterr().err


def test_a_file_that_is_no_policy_is_one_line(tmp_path, capsys):
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    assert evaluate(tmp_path / "a.safetensors") == 2
    assert "policy file" in capsys.readouterr().err


def _load_checked(name, num_envs, **options):
    from mgenv.worlds import load_world

    if options["memory_slots"] < 1:
        return load_world(name, num_envs, **options)
    from tests.fake_world import FakeWorld

    return FakeWorld(num_envs)


def make_list(file, *more: str) -> int:
    worlds = ("--world-ids", "3-5", "--count", "4", "--scan-frames", "24")
    return main(["episodes", "make", "--out", str(file), *worlds, *more])


def test_episodes_are_made_shown_and_played(tmp_path, capsys):
    file, results = tmp_path / "list.json", tmp_path / "results.json"
    assert make_list(file, "--seed", "3", "--max-episode-steps", "10") == 0
    assert "4 episodes of pointnav" in capsys.readouterr().out
    assert main(["episodes", "show", str(file), "--rows", "2"]) == 0
    assert "and 2 more" in capsys.readouterr().out
    arguments = ["--world", "tiny", "--episodes", str(file), "--json", str(results)]
    assert main(["evaluate", "spin", "blind", *arguments]) == 0
    drawn = json.loads(file.read_text())["episodes"]
    found = json.loads(results.read_text())
    assert found["episode_list"] == {"file": str(file), "sha256": sha256(file)}
    played = found["episodes"]
    for number, row in enumerate(played):
        one = drawn[number % 4]
        assert {name: row[name] for name in one} == one
        assert row["steps"] <= 10
    assert [row["policy"] for row in played] == ["spin"] * 4 + ["blind"] * 4


def test_a_list_of_other_worlds_is_one_line(tmp_path, capsys):
    make_list(tmp_path / "list.json")
    arguments = ["--episodes", str(tmp_path / "list.json"), "--world-ids", "9"]
    assert main(["evaluate", "spin", "--world", "tiny", *arguments]) == 2
    assert "expected world ids [9]" in capsys.readouterr().err
