"""What the table of tasks holds, and that the planner on the true map is a ceiling."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mgenv.agents import evaluate_policy, make_envs, make_policy
from mgenv.agents.train import EnvConfig
from mgenv.benchmark import tasks
from mgenv.benchmark.tasks import CASES, TasksConfig, episodes_of, fits
from mgenv.cli.main import main
from mgenv.engine.scene.world_ids import HELD_OUT
from mgenv.errors import EpisodeFileError, InvalidOptionError, UnknownNameError
from tests.fake_world import FakeRecording, FakeWorld

ENGINE = EnvConfig(world="engine", num_envs=4, world_ids=(HELD_OUT, HELD_OUT + 1))


def play(policy, episodes=6, config=ENGINE, **options):
    envs = make_envs(config, autoreset_mode="disabled", **options)
    result = evaluate_policy(make_policy(policy, envs), envs, episodes)
    envs.close()
    return result


@pytest.mark.parametrize("task", ["pointnav", "imagenav", "recall"])
def test_the_planner_reaches_goals_by_the_shortest_way(task):
    found = play("planner", config=replace(ENGINE, task=task))
    assert found.success.all()
    assert found.measures["spl"].mean() > 0.9
    assert found.measures["collisions"].mean() < 2


def test_the_planner_stops_at_the_goal_where_stopping_is_asked_for():
    found = play("planner", stop=True)
    assert found.success.all() and found.measures["distance_to_goal"].max() < 0.5
    assert found.measures["steps"].max() < 200


def test_the_planner_explores_more_than_a_robot_that_turns_on_the_spot():
    explore = replace(ENGINE, task="explore", max_episode_steps=100)
    planner, spin = (play(policy, 3, explore) for policy in ("planner", "spin"))
    share = planner.minus(spin)["explored_share"]
    assert share.low > 0.1
    assert planner.measures["explored_share"].min() > 0.6


def test_memory_leads_back_where_a_blind_robot_does_not_find():
    recall = replace(ENGINE, task="recall", max_episode_steps=100)
    with_memory = play("recall", 8, recall)
    without = play("recall", 8, recall, recall_memory=False)
    assert with_memory.success.mean() > without.success.mean() + 0.4


@pytest.fixture
def tiny_worlds(monkeypatch):
    from mgenv.envs import episode_starts, vector_env

    monkeypatch.setattr(vector_env, "load_world", lambda name, num_envs, **_: FakeWorld(num_envs))
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)


def config(**changes):
    small = {
        "policies": ("spin", "blind", "recall"), "cases": ("pointnav-easy", "recall"),
        "worlds": ("tiny", "engine"), "episodes": 3, "world_count": 2, "num_envs": 2,
        "max_episode_steps": 5,
    }  # fmt: skip
    return TasksConfig(**small | changes)


def test_every_policy_plays_every_task_that_it_is_for(tiny_worlds, tmp_path):
    saved = []
    report = tasks.run(config(), save=lambda result: saved.append(len(result.rows)))
    assert saved == [4, 10], "after each task"
    rows = [(row["task"], row["world"], row["policy"]) for row in report.rows]
    expected = [("pointnav-easy", w, p) for w in ("tiny", "engine") for p in ("spin", "blind")]
    expected += [("recall", w, p) for w in ("tiny", "engine") for p in ("spin", "blind", "recall")]
    assert rows == expected
    assert not report.failed
    assert any("blind: success in tiny - engine" in note for note in report.notes)
    measures = report.details["recall"]["measures"]["spin in tiny"]
    assert measures["steps"] == [5.0] * 3
    assert json.loads(report.write_json(tmp_path / "a.json").read_text())["details"]
    assert "| recall | tiny | spin | 3 |" in report.markdown()


def test_the_twin_that_draws_alike_gives_the_same_figures(tiny_worlds):
    found = tasks.run(config(policies=("blind",), cases=("pointnav-easy",))).details
    pair = found["pointnav-easy"]["differences"][0]
    assert pair["minus_world"] == "engine" and pair["success"]["mean"] == 0
    one, other = found["pointnav-easy"]["measures"].values()
    assert one == other


def test_lists_are_drawn_once_and_read_again(tiny_worlds, tmp_path):
    asked = config(lists=str(tmp_path))
    drawn = episodes_of(asked, "pointnav-easy")
    assert episodes_of(replace(asked, seed=9), "pointnav-easy") == drawn
    with pytest.raises(EpisodeFileError, match="world ids"):
        episodes_of(replace(asked, first_world=5), "pointnav-easy")
    with pytest.raises(InvalidOptionError, match="list of 2 episodes"):
        episodes_of(replace(asked, episodes=2), "pointnav-easy")


def test_a_policy_that_fails_is_a_line_and_not_the_end(tiny_worlds, monkeypatch):
    from mgenv.agents.scripted import SpinPolicy

    def broken(self, observations):
        raise InvalidOptionError("expected a policy that acts")

    monkeypatch.setattr(SpinPolicy, "act", broken)
    report = tasks.run(config(cases=("pointnav-easy",)))
    assert len(report.failed) == 2 and "spin in tiny" in report.failed[0]
    assert [row["policy"] for row in report.rows] == ["blind", "blind"]


def test_what_does_not_exist_is_told_before_any_work(tiny_worlds, capsys):
    with pytest.raises(UnknownNameError, match="Did you mean 'pointnav-hard'"):
        tasks.run(config(cases=("pointnav-hart",)))
    assert main(["bench", "tasks", "blnd", "--tasks", "imagenav"]) == 2
    assert "Did you mean 'blind'" in capsys.readouterr().err


def test_the_command_writes_what_it_measured(tiny_worlds, tmp_path):
    small = ["--episodes", "2", "--worlds", "1", "--max-episode-steps", "3", "--num-envs", "2"]
    chosen = ["--tasks", "imagenav", "--world", "tiny", "--baselines", "spin", "random"]
    files = ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md")]
    assert main(["bench", "tasks", *chosen, *small, *files]) == 0
    assert len(json.loads((tmp_path / "a.json").read_text())["rows"]) == 2
    assert "| imagenav | tiny | random |" in (tmp_path / "a.md").read_text()


def test_policies_are_judged_in_their_own_task():
    assert all(fits("blind", task) for task, _ in CASES.values())
    assert fits("recall", "recall") and not fits("recall", "imagenav")
    assert np.unique(list(CASES)).size == len(CASES)
