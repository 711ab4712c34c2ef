from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.memory.camera import camera_to_world, poses_of_actions
from mgenv.matrix_game3.memory.retrieval import (
    bounded,
    overlaps,
    retrieve,
    view_points,
)
from tests.matrix_game3.public_frames import memory_frames, query_frames

GOLDEN = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "dit_golden.safetensors")


def wander(seed: int, frames: int) -> torch.Tensor:
    """A path of held keys and turns, with rests and ways back."""
    rng = np.random.default_rng(seed)
    keyboard, mouse = torch.zeros(frames, 6), torch.zeros(frames, 2)
    at = 0
    while at < frames:
        until = at + int(rng.integers(4, 20))
        key = int(rng.integers(0, 5))
        if key < 4:
            keyboard[at:until, key] = 1
        mouse[at:until] = torch.tensor(rng.choice([0, 0, 0.1, -0.1], 2), dtype=torch.float32)
        at = until
    return camera_to_world(poses_of_actions(keyboard, mouse))


def plain(c2w: torch.Tensor, query: int, candidate: int) -> float:
    """Share of one query's view that one candidate sees."""
    world = c2w[query, :3, :3] @ view_points() + c2w[query, :3, 3:]
    turned = c2w[candidate, :3, :3].T @ world - c2w[candidate, :3, :3].T @ c2w[candidate, :3, 3:]
    x, y, z = turned
    u, v = x * 640 / z.clamp(min=1e-6) + 640, y * 360 / z.clamp(min=1e-6) + 360
    inside = (z > 0.1) & (z < 30) & (u >= 0) & (u <= 1280) & (v >= 0) & (v <= 720)
    return float(inside.float().mean())


def test_picks_are_the_public_ones(golden):
    frames, share = retrieve(
        golden["c2w"], golden["retrieval.reference_frames"], torch.arange(1, 41)
    )
    assert torch.equal(frames, golden["retrieval.selected_frames"])
    torch.testing.assert_close(share, golden["retrieval.overlap"])


def test_the_last_slot_is_the_sink(golden):
    frames, queries = memory_frames(golden["c2w"], 41, 97)
    assert queries == golden["retrieval.reference_frames"].tolist()
    assert frames.tolist() == [*golden["retrieval.selected_frames"].tolist()[:-1], 4]


@pytest.mark.parametrize("seed", range(4))
def test_one_product_scores_as_pairs_do(seed):
    c2w = wander(seed, 97)
    queries, candidates = query_frames(97), range(1, 41)
    scores = overlaps(c2w[queries], c2w[1:41])
    for row, query in zip(scores, queries, strict=True):
        pairs = torch.tensor([plain(c2w, query, candidate) for candidate in candidates])
        torch.testing.assert_close(row, pairs, atol=0.021, rtol=0)  # points on the very edge


def test_the_edges_of_a_view_belong_to_it_and_its_end_planes_do_not():
    still = torch.eye(4)[None]
    assert overlaps(still, still).item() == pytest.approx(0.8)


def test_slots_of_a_batch_pick_alone():
    c2w = torch.stack([wander(5, 137), wander(6, 137)])
    queries, candidates = torch.tensor(query_frames(137)), torch.arange(1, 81)
    frames, share = retrieve(c2w, queries, candidates)
    assert frames.shape == share.shape == (2, 5)
    for slot in range(2):
        alone, _ = retrieve(c2w[slot], queries, candidates)
        assert torch.equal(frames[slot], alone)


def test_the_earliest_of_equals_is_picked():
    c2w = camera_to_world(torch.zeros(30, 5))
    frames, _ = retrieve(c2w, torch.tensor([29]), torch.arange(3, 20))
    assert frames.tolist() == [3]


def test_a_bound_keeps_the_ends():
    chosen = bounded(torch.arange(1, 1001), 64)
    assert len(chosen) == 64 and chosen[0] == 1 and chosen[-1] == 1000
    assert chosen.unique().numel() == 64
    assert torch.equal(bounded(torch.arange(9), 64), torch.arange(9))


def test_a_bound_costs_little_overlap():
    c2w = wander(7, 457)
    queries, candidates = torch.tensor(query_frames(457)), torch.arange(1, 401)
    _, whole = retrieve(c2w, queries, candidates)
    frames, share = retrieve(c2w, queries, candidates, limit=100)
    assert (share >= whole - 0.15).all() and (frames < 401).all()


def test_nothing_to_choose_from_is_told():
    with pytest.raises(InvalidOptionError, match="at least one candidate"):
        retrieve(torch.eye(4).expand(3, 4, 4), torch.tensor([2]), torch.arange(0))
    with pytest.raises(InvalidOptionError, match="at least 2"):
        bounded(torch.arange(5), 1)
