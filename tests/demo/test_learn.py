from __future__ import annotations

import pytest

from mgenv.agents.statistics import Interval
from mgenv.demo.learn import LearnConfig, verdict


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.3, "better"), (-0.3, -0.01, "worse"), (0.0, 0.3, "not told apart"), (0, 0, "not")],
)
def test_a_verdict_needs_an_interval_that_leaves_zero_out(low, high, said):
    assert verdict(Interval((low + high) / 2, low, high)).startswith(said)


def test_the_engine_is_judged_once(tmp_path):
    config = LearnConfig(
        world="engine", train_ids=(1,), judge_ids=(2,), output_dir=tmp_path,
        shipped="pointnav-nano", steps=1, episodes=3, twin_episodes=5,
    )  # fmt: skip
    assert config.places == {"engine": 5}
    assert config.shipped_name == "pointnav-nano"
