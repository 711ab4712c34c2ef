"""Several processes compute what one does. The processes run ``parallel_checks``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mgenv.envs.process_share import process_share
from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.rollout.clips import REUSE
from mgenv.matrix_game3.speed.parallel import Shard, torchrun_group
from mgenv.worlds import load_world
from tests.torchrun import torchrun

HERE = Path(__file__).parent
FIXTURES = HERE.parents[1] / "fixtures" / "matrix_game3"


def checked(folder: Path, count: int, *names: str) -> list[dict]:
    """Results of every process, by check."""
    torchrun(count, HERE / "parallel_checks.py", str(folder / "results.json"), *names)
    results = json.loads((folder / "results.json").read_text())
    assert len(results) == count
    return results


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict]:
    names = ("golden", "eight_bits", "traced", "decoder", "rollout", "environment", "refused")
    return checked(tmp_path_factory.mktemp("two"), 2, *names)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> list[dict]:
    return checked(tmp_path_factory.mktemp("three"), 3, "small", "decoder", "refused")


def test_two_processes_compute_the_golden_velocities(two):
    for result in two:
        for name in ("first clip", "second clip", "new latents"):
            assert result[f"golden {name}"] < 1e-5


def test_three_processes_compute_what_one_does_whatever_is_reused(three):
    for result in three:
        errors = {name: value for name, value in result.items() if "remembered" in name}
        assert len(errors) == 2 * 2 * (2 + len(REUSE))
        assert all(error < 1e-5 for error in errors.values()), errors


def test_eight_bit_layers_are_the_same_ones(two):
    for result in two:
        assert result["int8"] < 1e-5 < 1e-3 < result["int8 against float32"]


def test_a_block_is_one_program_with_its_exchanges(two):
    assert all(result["traced"] < 1e-5 for result in two)


@pytest.mark.parametrize("count", ["two", "three"])
def test_a_video_is_decoded_as_by_one(count, request):
    results = request.getfixturevalue(count)
    for result in results:
        assert result["decoder, grey levels"] <= 1 and result["decoder, share moved"] < 1e-3
        assert result["layouts of the past"] == 1, "a compiled step would be compiled again"
    assert [result["past lies here"] for result in results] == [True] + [False] * (len(results) - 1)


@pytest.mark.parametrize("reuse", REUSE)
def test_a_rollout_of_three_clips_is_the_same(two, reuse):
    for result in two:
        assert all(result[f"clip {n}, reuse {reuse}"] < 1e-5 for n in range(3))
        assert result[f"frames, reuse {reuse}"] <= 1


def test_an_environment_is_the_same_by_all_processes_and_spread_over_them(two):
    for result in two:
        assert result["sequence parallel, grey levels"] <= 1
        assert result["data parallel, grey levels"] == 0
    assert [result["slots"] for result in two] == [2, 1]


def test_what_cannot_be_shared_is_refused_with_a_name(two, three):
    for result in two:
        assert "divides the 1 tokens of a frame, got 2" in result["places"]
        assert "divides the 3 heads, got 2" in result["heads"]
    assert all("divides the 2 heads, got 3" in result["places"] for result in three)


def test_processes_that_were_given_other_things_say_so(two, three):
    for result in (*two, *three):
        assert "expected the same seeds in all" in result["other inputs"]
    assert all("expected the same seeds in all 2" in result["other seeds"] for result in two)


def test_without_torchrun_there_are_no_other_processes(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidOptionError, match="torchrun.*got no RANK, WORLD_SIZE, LOCAL_RANK"):
        torchrun_group("cpu")
    with pytest.raises(InvalidOptionError, match="torchrun"):
        load_world("matrix-game-3", 1, weights=FIXTURES, vae="light_v2", sequence_parallel=True)


def test_the_gpu_of_another_process_is_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InvalidOptionError, match="or cuda:1 in this one, got cuda:0"):
        torchrun_group("cuda:0")


def test_alone_nothing_is_exchanged():
    alone, x = Shard(), torch.arange(24.0).reshape(1, 4, 3, 2)
    assert torch.equal(alone.take(x), x) and torch.equal(alone.gather(x), x)
    assert alone.to_heads(x, x)[1] is x and alone.to_tokens(x) is x and alone.from_one(x) is x
    alone.check(7)
    alone.agree(anything=x)


def test_slots_are_spread_evenly_and_in_order():
    shares = [process_share(7, {"RANK": str(r), "WORLD_SIZE": "3"}) for r in range(3)]
    assert [(share.first, share.num_envs) for share in shares] == [(0, 3), (3, 2), (5, 2)]
    assert [share.seed(10) for share in shares] == [10, 13, 15]
    assert list(range(7))[shares[1].slots] == [3, 4]
    alone = process_share(7, {})
    assert (alone.num_envs, alone.seed(3), alone.device("cuda")) == (7, 3, "cuda")
    with pytest.raises(InvalidOptionError, match="at least one for each of 3 processes, got 2"):
        process_share(2, {"RANK": "0", "WORLD_SIZE": "3"})
