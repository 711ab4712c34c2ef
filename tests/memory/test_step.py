"""Training rollouts and running worlds take the same memory step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mgenv.camera import Pose
from mgenv.images import to_float, to_uint8
from mgenv.memory.reprojection import reproject
from mgenv.memory.step import KEYFRAME_COVERAGE, most_redundant
from mgenv.models.vae import channel_to_depth, depth_to_channel
from mgenv.models.world_model import WorldModel
from mgenv.training.data import make_walks
from mgenv.training.rollouts import RolloutConfig, Rollouts
from mgenv.worlds.generated import GeneratedWorld
from tests.memory.scenes import looking
from tests.models.tiny_architecture import MeanConfig, MeanModel
from tests.training.test_fit import MODEL

SIDE, KNOWN, STEPS = 32, 6, 8


@pytest.fixture
def pair(monkeypatch):
    """A world and a rollout of one slot that remember the same frames of one walk."""
    from mgenv.models.architecture import ARCHITECTURES

    known = {**ARCHITECTURES._known, "running-mean": "tests.models.tiny_architecture:ENTRY"}
    monkeypatch.setattr(ARCHITECTURES, "_known", known)
    torch.manual_seed(0)
    walks, model = make_walks(range(1), 40, SIDE, "cpu"), WorldModel(MODEL).requires_grad_(False)
    config = RolloutConfig(slots=1, wander=0.0, observed=KNOWN, generated=4, retrieved=3)
    rollout = Rollouts(model, walks, config, torch.Generator().manual_seed(0))
    rollout.begin(model)
    world = GeneratedWorld(MeanModel(MeanConfig(SIDE)), 1, memory_slots=3, memory_frames=KNOWN + 4)
    world.enter([0], [0])
    rgb, pose = walks.rgb[0, :KNOWN], walks.pose[0, :KNOWN]
    depth = walks.depth[0, :KNOWN].half().float()
    world.remember([0], rgb[None].numpy(), pose[None].numpy(), depth[None].numpy())
    for name, value in (("rgb", to_float(rgb)), ("depth", depth), ("pose", pose)):
        getattr(rollout, name)[0, :KNOWN] = value
    rollout.points[0, :KNOWN] = walks.points[0, :KNOWN]
    rollout.valid[0] = torch.arange(rollout.valid.shape[1]) < KNOWN
    rollout.stored[:] = 0
    rollout.has_last[:] = False
    return world, rollout, model, walks


def test_they_draw_the_same_canvases_and_keep_the_same_keyframes(pair, monkeypatch):
    world, rollout, model, walks = pair
    drawn = []
    draw = world._reproject
    monkeypatch.setattr(world, "_reproject", lambda *rest: drawn.append(draw(*rest)) or drawn[-1])
    world.begin([0], [0], pose=walks.pose[0, KNOWN : KNOWN + 1].numpy())
    rollout.last_pose[:] = world._pose
    turn = torch.tensor([[0.15, 0.0, 0.0, 0.5, 0.0]])
    pose = walks.pose[0, KNOWN : KNOWN + 1]
    for step in range(STEPS):
        if step:
            pose = Pose(pose).move(turn).matrix
            world.step(np.zeros((1, 5), np.float32), pose=pose.numpy())
        canvas = reproject(rollout._retrieve(pose), pose)
        for one, other in zip(vars(canvas).values(), vars(drawn[-1]).values(), strict=True):
            close = torch.isclose(one, other, atol=0.02, rtol=0.01)
            assert close.float().mean() > 0.98, step  # memory rounds to bytes and half precision
        rollout.record(model, world._last.clone(), canvas, pose)
        own = rollout.valid[0, KNOWN:]
        kept = rollout.pose[0, KNOWN:][own][rollout.age[0, KNOWN:][own].argsort()]
        remembered = world.memory.frames(0)
        generated = torch.from_numpy(remembered.pose[~remembered.observed])
        torch.testing.assert_close(kept, generated)
    assert rollout.stored[0] > 4, "more keyframes than places: some were dropped in both"


def test_the_keyframe_rule_is_that_of_configurations():
    assert RolloutConfig().keyframe_coverage == KEYFRAME_COVERAGE


@pytest.mark.parametrize("batch", [(), (2,)])
def test_the_frame_closest_to_another_goes_first(batch):
    views = [looking(0.0), looking(2.0), looking(2.05), looking(4.0)]
    pose = torch.stack(views).expand(*batch, -1, -1, -1)
    droppable = torch.tensor([True, False, True, True]).expand(*batch, -1)
    assert (most_redundant(pose, droppable) == 2).all()
    valid = torch.tensor([True, False, True, True]).expand(*batch, -1)
    assert (most_redundant(pose, torch.ones_like(valid), valid) != 1).all()


def test_pictures_and_depth_survive_the_way_into_memory():
    depth = torch.tensor([0.3, 2.0, 9.0])
    torch.testing.assert_close(channel_to_depth(depth_to_channel(depth)), depth)
    rgb = torch.arange(0, 256, 5, dtype=torch.uint8).view(1, 1, -1, 1).expand(1, 1, -1, 3)
    assert torch.equal(to_uint8(to_float(rgb)), rgb)
