"""The canvas shows what is remembered from where the camera stands, and marks what is not.

Both the compiled loops and the plain tensors must, so every test runs with each.
"""

from __future__ import annotations

import pytest
import torch

from mgenv.camera import Pose
from mgenv.images import to_float
from mgenv.memory.reprojection import (
    LAST_WEIGHT,
    Sources,
    push_pull,
    reproject,
    reproject_plain,
    source_weights,
    splat_depth,
)
from mgenv.memory.retrieval import DEFAULT_INTRINSICS
from mgenv.training.data import make_walks
from tests.memory.scenes import draw, looking

WALL, BEHIND = (2.0, 0.9), (6.0, 0.2)


@pytest.fixture(params=[reproject, reproject_plain], ids=["compiled", "plain"])
def warp(request):
    return request.param


def sources_of(*frames, weights=None) -> Sources:
    """One view's sources from (rgb uint8, depth, pose) triples."""
    rgb, depth, pose = (torch.stack(part) for part in zip(*frames, strict=True))
    weight = torch.ones(len(frames)) if weights is None else torch.tensor(weights)
    return Sources(to_float(rgb)[None], depth[None], pose[None], weight[None])


def seen(pose, *walls):
    return (*draw(pose, list(walls)), pose)


def error(canvas, rgb) -> float:
    """Mean absolute error of colour in [-1, 1] on remembered pixels."""
    mask = canvas.mask[0, 0] > 0
    return float((canvas.rgb[0] - to_float(rgb))[:, mask].abs().mean())


def test_the_same_pose_gives_the_source_back(warp):
    frame = seen(looking(0.0), WALL)
    canvas = warp(sources_of(frame), frame[2][None])
    assert canvas.coverage[0] == 1
    assert error(canvas, frame[0]) < 0.02
    torch.testing.assert_close(canvas.depth[0, 0], frame[1], rtol=1e-3, atol=1e-3)


def test_a_pose_far_from_the_origin_changes_nothing(warp):
    away = Pose.create(torch.tensor([40.0, -25.0, 1.3]), torch.tensor(0.0)).matrix
    frame = (*draw(away, [(42.0, 0.9)]), away)
    canvas = warp(sources_of(frame), away[None])
    assert canvas.coverage[0] == 1 and error(canvas, frame[0]) < 0.03


@pytest.mark.parametrize("forward", [0.3, 0.8, 1.2])
def test_near_surfaces_have_no_holes(warp, forward):
    """Walking up to a wall spreads its pixels; what is behind must not show through."""
    near, far = seen(looking(0.0), WALL), seen(looking(2.5), BEHIND)
    target = seen(looking(forward), WALL)
    canvas = warp(sources_of(near, far), target[2][None])
    assert canvas.coverage[0] == 1
    torch.testing.assert_close(canvas.depth[0, 0], target[1], rtol=0.02, atol=0.02)
    assert error(canvas, target[0]) < 0.03


def test_back_sides_hide_but_are_not_shown(warp):
    """A wall remembered from behind tells nothing of this side, nor lets the room beyond show."""
    back = seen(looking(4.0, yaw=torch.pi), WALL)
    beyond = seen(looking(2.5), BEHIND)
    canvas = warp(sources_of(back, beyond), looking(0.0)[None])
    inner = canvas.mask[0, 0, 8:-8, 8:-8]
    assert inner.mean() < 0.05


def test_observed_come_before_generated(warp):
    truth = seen(looking(0.0), WALL)
    red = torch.zeros_like(truth[0])
    dream = (red, truth[1] * 0.7, truth[2])  # a generated wall in front of the true one
    weights = source_weights(
        torch.tensor([[False, True]]), torch.tensor([[True, True]]), torch.tensor([[0, 1]])
    )[0].tolist()
    canvas = warp(sources_of(dream, truth, weights=weights), truth[2][None])
    assert error(canvas, truth[0]) < 0.05
    torch.testing.assert_close(canvas.depth[0, 0], truth[1], rtol=0.01, atol=0.01)


def test_weights_rank_observed_then_old_then_new_then_last():
    observed = torch.tensor([[False, False, True, False]])
    valid = torch.tensor([[True, True, True, False]])
    weights = source_weights(observed, valid, torch.tensor([[5, 2, 9, 1]]))[0]
    assert weights[2] > weights[1] > weights[0] > LAST_WEIGHT > 0
    assert weights[3] == 0


def test_generated_fill_what_was_not_observed(warp):
    truth, dream = seen(looking(0.0, 2.0), WALL), seen(looking(0.0, -2.0), WALL)
    canvas = warp(sources_of(truth, dream, weights=[1.0, 0.05]), looking(0.0)[None])
    assert canvas.coverage[0] > 0.95
    assert warp(sources_of(truth), looking(0.0)[None]).coverage[0] < 0.6


def test_sources_of_no_weight_are_left_out(warp):
    frame = seen(looking(0.0), WALL)
    canvas = warp(sources_of(frame, weights=[0.0]), frame[2][None])
    assert canvas.coverage[0] == 0
    assert torch.isfinite(canvas.rgb).all() and torch.isfinite(canvas.depth).all()


def test_views_do_not_disturb_each_other(warp):
    one, two = seen(looking(0.0), WALL), seen(looking(0.5, 1.0, 0.3), WALL, BEHIND)
    pair = Sources(
        *[
            torch.cat([getattr(sources_of(f), name) for f in (one, two)])
            for name in ("rgb", "depth", "pose", "weight")
        ]
    )
    views = torch.stack([looking(0.4, 0.1), looking(0.2, 0.8, 0.1)])
    both = warp(pair, views)
    for index, frame in enumerate((one, two)):
        alone = warp(sources_of(frame), views[index : index + 1])
        torch.testing.assert_close(both.rgb[index], alone.rgb[0], rtol=0, atol=1e-5)
        assert torch.equal(both.mask[index], alone.mask[0])


def test_the_nearest_surface_wins():
    near, far = seen(looking(0.0), WALL), seen(looking(0.0), BEHIND)
    depth, _ = splat_depth(sources_of(near, far), looking(0.0)[None], DEFAULT_INTRINSICS)
    torch.testing.assert_close(depth[0], near[1], rtol=1e-3, atol=1e-3)


def test_warping_the_last_true_frame_beats_repeating_it(warp):
    walks = make_walks(range(2), 40, 32, "cpu")
    moved = (walks.motion[..., :2].norm(dim=-1) > 0.1) & ~walks.bumped
    world, time = moved[:, 1:].nonzero().T
    now, before = (world, time + 1), (world, time)
    rgb, depth = to_float(walks.rgb[before]), walks.depth[before].float()
    sources = Sources(
        rgb[:, None], depth[:, None], walks.pose[before][:, None], torch.ones(len(world), 1)
    )
    canvas = warp(sources, walks.pose[now])
    truth = to_float(walks.rgb[now])
    mask = canvas.mask
    warped = ((canvas.rgb - truth).square() * mask).sum() / mask.sum()
    still = ((rgb - truth).square() * mask).sum() / mask.sum()
    assert canvas.coverage.mean() > 0.7
    assert warped < 0.4 * still
    shown = (canvas.depth[:, 0] - walks.depth[now].float()).abs() / walks.depth[now].float()
    assert (shown[mask[:, 0] > 0] < 0.05).float().mean() > 0.9


def test_holes_are_filled_and_known_pixels_kept():
    values = torch.rand(2, 3, 16, 16)
    mask = (torch.rand(2, 1, 16, 16) > 0.6).float()
    filled = push_pull(values, mask)
    assert torch.equal(filled * mask, values * mask)
    known = values.masked_fill(mask.expand_as(values) == 0, torch.nan).flatten(2)
    low = known.nan_to_num(torch.inf).amin(-1)[..., None, None]
    high = known.nan_to_num(-torch.inf).amax(-1)[..., None, None]
    assert (filled >= low - 1e-5).all() and (filled <= high + 1e-5).all()


def test_nothing_known_is_filled_with_numbers():
    assert torch.isfinite(push_pull(torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))).all()


def test_evidence_tells_what_a_surface_rests_on(warp):
    """Trust falls with weight, resolution as the view comes nearer, and holes have neither."""
    pose = looking(0.0)
    frame = seen(pose, WALL)
    trusted = warp(sources_of(frame), pose[None]).evidence
    assert torch.allclose(trusted[:, :2], torch.ones(1, 2, 32, 32), atol=1e-3)
    assert not trusted[:, 2].any(), "nobody sees through it"
    guessed = warp(sources_of(frame, weights=[1e-2]), pose[None]).evidence
    assert torch.allclose(guessed[:, 0], torch.full((1, 32, 32), 0.5), atol=1e-3)
    near = warp(sources_of(frame), looking(1.0)[None])
    assert near.evidence[0, 1, 16, 16] == pytest.approx(0.5, abs=0.02)
    turned = warp(sources_of(frame), looking(0.0, yaw=0.8)[None])
    assert 0 < turned.coverage[0] < 1
    assert not (turned.evidence * (1 - turned.mask)).any()


def test_a_source_that_sees_through_a_surface_casts_doubt(warp):
    """An imagined wall before what was observed: it is hidden; before imagined space, doubted."""
    here, there = looking(0.0), looking(0.0, 0.3)
    wall, open_space = seen(here, WALL), seen(there, BEHIND)
    canvas = warp(sources_of(wall, open_space, weights=[0.05, 0.0125]), here[None])
    middle = canvas.evidence[0, :, 16, 16]
    assert canvas.depth[0, 0, 16, 16] == pytest.approx(2.0, abs=0.05), "the nearer surface shows"
    assert middle[0] == pytest.approx(1 - 0.25 * 1.30103, abs=1e-2)
    assert middle[2] == pytest.approx(1 - 0.25 * 1.90309, abs=1e-2)
