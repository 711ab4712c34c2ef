"""Rollouts re-live walks or wander off, and remember as environments do."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
import torch

from mgenv.images import to_float
from mgenv.memory.reprojection import Canvas
from mgenv.models.vae import depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.training import adversarial
from mgenv.training.adversarial import rollout_loss, shown_mask
from mgenv.training.data import make_walks
from mgenv.training.discriminator import Discriminator
from mgenv.training.rollouts import RolloutConfig, Rollouts
from tests.training.test_fit import MODEL

CONFIG = RolloutConfig(
    slots=8, max_age=6, wander_age=8, observed=10, generated=3, retrieved=2, explored=1.0
)


@pytest.fixture(scope="module")
def walks():
    return make_walks(range(2), 40, 32, "cpu")


@pytest.fixture(scope="module")
def model() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(MODEL).requires_grad_(False)


@pytest.fixture
def start(walks, model):
    """Makes rollouts that have just begun."""

    def made(**changes) -> Rollouts:
        config = replace(CONFIG, **changes)
        rollouts = Rollouts(model, walks, config, torch.Generator().manual_seed(0))
        rollouts.begin(model)
        return rollouts

    return made


def step(rollouts: Rollouts, model: WorldModel) -> Canvas:
    """One frame on; what is imagined is grey and a metre away."""
    canvas, pose, _ = rollouts.look()
    frame = torch.zeros_like(rollouts.last)
    frame[:, 3:] = depth_to_channel(torch.ones(1))
    rollouts.record(model, frame, canvas, pose)
    return canvas


def test_rollouts_begin_with_true_frames(start, walks):
    rollouts = start(wander=0.5)
    assert (rollouts.left > 0).all()
    true = to_float(walks.rgb[rollouts.walk, rollouts.time])
    torch.testing.assert_close(rollouts.last[:, :3], true)
    first = CONFIG.observed - 1
    torch.testing.assert_close(rollouts.rgb[:, first], true)
    assert rollouts.valid[:, first].all() and not rollouts.valid[:, CONFIG.observed :].any()


def test_relived_frames_are_not_remembered(start, walks):
    rollouts = start(wander=0.0)
    end = rollouts.time + rollouts.left * rollouts.stride
    for slot in range(CONFIG.slots):
        between = range(int(rollouts.time[slot]) + 1, int(end[slot]) + 1)
        poses = walks.pose[rollouts.walk[slot], list(between)]
        known = rollouts.pose[slot][rollouts.valid[slot]]
        assert (torch.cdist(known.flatten(1), poses.flatten(1)) > 1e-4).all()


def test_relived_walks_are_followed_to_their_true_frames(start, walks, model):
    rollouts = start(wander=0.0)
    time, walk = rollouts.time + rollouts.stride, rollouts.walk
    _, pose, truth = rollouts.look()
    torch.testing.assert_close(pose, walks.pose[walk, time])
    torch.testing.assert_close(truth[:, :3], to_float(walks.rgb[walk, time]))
    assert rollouts.has_truth.all()


def test_wanderers_go_their_own_way_and_have_no_truth(start, walks):
    rollouts = start(wander=1.0)
    before = rollouts.last_pose.clone()
    _, pose, _ = rollouts.look()
    moved = (pose[:, :3, 3] - before[:, :3, 3]).norm(dim=-1)
    turned = (pose[:, :3, :3] - before[:, :3, :3]).abs().amax((1, 2))
    assert ((moved > 0.05) | (turned > 0.01)).all() and (moved < 0.3).all()
    assert not rollouts.has_truth.any()
    canvas = Canvas(*(torch.ones(8, channels, 32, 32) for channels in (3, 1, 1, 3)))
    assert not shown_mask(rollouts, canvas).any()


def test_only_ended_rollouts_start_anew(start, model):
    rollouts = start(wander=0.0)
    step(rollouts, model)
    rollouts.left[:] = 5
    rollouts.left[[1, 4]] = 0
    names = ("time", "rgb", "last", "last_pose", "valid", "stored")
    before = {name: getattr(rollouts, name).clone() for name in names}
    cache = rollouts.history.cache.clone()
    rollouts.restart(model)
    stay = [0, 2, 3, 5, 6, 7]
    for name in names:
        assert torch.equal(getattr(rollouts, name)[stay], before[name][stay])
    assert torch.equal(rollouts.history.cache[:, :, stay], cache[:, :, stay])
    assert not torch.equal(rollouts.last[[1, 4]], before["last"][[1, 4]])
    assert (rollouts.young == torch.tensor([n in (1, 4) for n in range(8)])).all()


def test_keyframes_are_kept_where_memory_knew_little(start, model):
    rollouts = start(wander=1.0, keyframe_coverage=2.0)
    for count in range(1, 5):
        step(rollouts, model)
        own = rollouts.valid[:, CONFIG.observed :].sum(1)
        assert (own == min(count, CONFIG.generated)).all()
    ages = rollouts.age[:, CONFIG.observed :].sort(1).values
    assert (ages[:, -1] == 3).all(), "the newest is kept, and one of the others went"
    assert (ages.diff(dim=1) > 0).all() and (ages[:, 0] <= 1).all()
    never = start(wander=1.0, keyframe_coverage=-1.0)
    step(never, model)
    assert not never.valid[:, CONFIG.observed :].any()


@pytest.mark.parametrize(("side", "counts"), [(4, True), (32, False)])
def test_truth_counts_in_gaps_and_the_discriminator_in_vast_holes(start, monkeypatch, side, counts):
    """A hole of ``side`` pixels: how much of the loss is the truth's."""
    rollouts = start(wander=0.0)
    monkeypatch.setattr(adversarial, "TRUE_JUDGED", 1.0)
    mask = torch.ones(8, 1, 32, 32)
    mask[..., :side, :side] = 0
    canvas = Canvas(
        torch.zeros(8, 3, 32, 32), torch.ones(8, 1, 32, 32), mask, torch.zeros(8, 3, 32, 32)
    )
    frame, truth = torch.rand(8, 4, 32, 32), torch.zeros(8, 4, 32, 32)
    frame = torch.where(mask > 0, truth, frame)
    critic = cast(Discriminator, lambda picture, mask: picture.new_zeros(8, 1, 4, 4))
    parts = rollout_loss(critic, rollouts, canvas, frame, truth, torch.ones(())).parts
    share = (1 - mask).mean()
    assert (parts["rollout_pixels"] / share > 0.3) == counts
    assert (parts["adversarial"] / share > 0.6) == (not counts)
    observed = Canvas(canvas.rgb, canvas.depth, torch.ones_like(mask), canvas.evidence)
    parts = rollout_loss(critic, rollouts, observed, frame, truth, torch.ones(())).parts
    assert parts["adversarial"] == 0, "the discriminator has no word on what was observed"
