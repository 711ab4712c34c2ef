"""The compiled canvas is the plain one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mgenv.camera import Intrinsics
from mgenv.engine.motion import navigation
from mgenv.engine.render.renderer import render
from mgenv.engine.scene.scenes import make_scenes
from mgenv.memory import reprojection
from mgenv.memory.reprojection import Sources, reproject, reproject_plain

HOMES, STEPS = 3, 24
WEIGHTS = torch.tensor([1.0, 0.05, 0.0, 1.0, 0.0125, 2e-4])
"""Two observed sources, two generated ones, the last frame, and one left out."""


@pytest.fixture(scope="module")
def homes():
    return make_scenes([11, 12, 1_000_003], workers=1)


@pytest.fixture(scope="module")
def walks(homes):
    pose = navigation.explore_many(homes, STEPS, [5, 6, 7], workers=1).pose
    return torch.as_tensor(np.asarray(pose), dtype=torch.float32).view(HOMES, STEPS, 4, 4)


def random_sources(homes, walks, batch, count, size, seed, closer=0.0):
    """Sources along walks, and views from elsewhere on them, ``closer`` [m] to what they show."""
    generator = torch.Generator().manual_seed(seed)
    home = torch.arange(batch) % HOMES
    steps = torch.stack(
        [torch.randperm(8, generator=generator)[: count + 1] for _ in range(batch)]
    ) + torch.randint(0, STEPS - 8, (batch, 1), generator=generator)
    pose = walks[home[:, None], steps]  # (B, K + 1, 4, 4)
    view, pose = pose[:, 0].clone(), pose[:, 1:].contiguous()
    view[:, :3, 3] += closer * view[:, :3, 2]
    index = home[:, None].expand(-1, count).flatten()
    rgb, depth = render(homes, index, pose.flatten(0, 1), size, workers=1)
    rgb = rgb.view(batch, count, size, size, 3).permute(0, 1, 4, 2, 3) / 127.5 - 1
    order = torch.stack([torch.randperm(6, generator=generator)[:count] for _ in range(batch)])
    weight = torch.ones(batch, 1) if count == 1 else WEIGHTS[order]
    return Sources(rgb.contiguous(), depth.view(batch, count, size, size), pose, weight), view


def share(condition):
    return condition.float().mean().item()


def assert_alike(fast, plain):
    """Holes count in views of equal masks: one pixel that rounding flips shifts a whole hole."""
    same = fast.mask == plain.mask  # (B, 1, H, W)
    assert share(same) >= 0.998
    whole = same.all(-1, keepdim=True).all(-2, keepdim=True)  # (B, 1, 1, 1)
    assert share(whole) >= 0.8
    judged = whole | ((fast.mask > 0) & (plain.mask > 0))
    assert share(((fast.rgb - plain.rgb).abs().amax(1, keepdim=True) < 1e-3)[judged]) >= 0.995
    assert share(((fast.depth / plain.depth - 1).abs() < 0.01)[judged]) >= 0.995
    off = (fast.evidence - plain.evidence).abs().amax(1, keepdim=True)
    assert share((off < 1e-3)[(fast.mask > 0) & (plain.mask > 0)]) >= 0.99


@pytest.mark.parametrize("closer", [0.0, 0.6, -0.5])
@pytest.mark.parametrize(("count", "size"), [(1, 64), (5, 64), (1, 32), (4, 32), (3, 48)])
def test_compiled_equals_plain(homes, walks, count, size, closer):
    sources, view = random_sources(homes, walks, 6, count, size, count + size, closer)
    plain = reproject_plain(sources, view)
    assert 0.2 < plain.coverage.mean() < 1.0
    assert count == 1 or (plain.evidence[:, 2] > 0).any(), "some source sees through a surface"
    assert_alike(reproject(sources, view), plain)


def test_equal_on_oblong_images_and_with_another_lens(homes, walks):
    sources, view = random_sources(homes, walks, 6, 4, 64, 0)
    rgb, depth = sources.rgb[..., 16:48, :].contiguous(), sources.depth[..., 16:48, :].contiguous()
    cut = Sources(rgb, depth, sources.pose, sources.weight)
    lens = Intrinsics(0.5, 1.0, 0.48, 0.53)
    assert_alike(reproject(cut, view, lens), reproject_plain(cut, view, lens))


def test_nothing_known_is_nothing_shown(homes, walks):
    sources, view = random_sources(homes, walks, 2, 3, 32, 1)
    sources.weight.zero_()
    fast, plain = reproject(sources, view), reproject_plain(sources, view)
    assert not fast.mask.any()
    torch.testing.assert_close(fast.rgb, plain.rgb)
    torch.testing.assert_close(fast.depth, plain.depth)


def test_a_view_does_not_depend_on_its_batch_or_threads(homes, walks):
    sources, view = random_sources(homes, walks, 5, 4, 32, 2)
    whole = reproject(sources, view)
    torch.set_num_threads(2)
    try:
        shared = reproject(sources, view)
    finally:
        torch.set_num_threads(1)
    for n in range(5):
        part = slice(n, n + 1)
        alone = reproject(Sources(*(t[part] for t in vars(sources).values())), view[part])
        for name in ("rgb", "depth", "mask", "evidence"):
            assert torch.equal(getattr(alone, name), getattr(whole, name)[part])
            assert torch.equal(getattr(shared, name), getattr(whole, name))


def test_strided_tensors_are_read_as_they_are(homes, walks):
    sources, view = random_sources(homes, walks, 3, 2, 32, 3)
    strided = Sources(
        sources.rgb.movedim(2, -1).contiguous().movedim(-1, 2),
        sources.depth.mT.contiguous().mT,
        sources.pose.mT.contiguous().mT,
        sources.weight,
    )
    assert torch.equal(reproject(strided, view).rgb, reproject(sources, view).rgb)


def test_broken_depth_is_survived(homes, walks):
    """A network may diverge; that must not write outside the buffers."""
    sources, view = random_sources(homes, walks, 2, 3, 32, 4)
    for number, value in enumerate((float("nan"), float("inf"), -1.0, 1e30)):
        sources.depth[:, :, number::8] = value
    view[0] = float("nan")
    canvas = reproject(sources, view)
    assert not canvas.mask[0].any()


def test_gradients_and_other_dtypes_take_the_plain_way(homes, walks, monkeypatch):
    sources, view = random_sources(homes, walks, 2, 2, 32, 5)
    calls = []
    plain = reproject_plain
    monkeypatch.setattr(
        reprojection, "reproject_plain", lambda *args: calls.append(1) or plain(*args)
    )
    reproject(sources, view)
    assert not calls
    sources.rgb.requires_grad_()
    reproject(sources, view).rgb.sum().backward()
    assert len(calls) == 1 and sources.rgb.grad is not None
    with torch.no_grad():
        reproject(sources, view)
    assert len(calls) == 1
    double = Sources(*(t.detach().double() for t in vars(sources).values()))
    assert reproject(double, view.double()).rgb.dtype == torch.float64
    assert len(calls) == 2
