"""Colour and depth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mgenv.camera import DEFAULT_INTRINSICS, Intrinsics, Pose
from mgenv.engine.homes.layout import CELL, DOOR_HEIGHT, DOORWAY, WALL, WALL_HEIGHT
from mgenv.engine.motion import navigation
from mgenv.engine.render import renderer
from mgenv.engine.render.raytrace import trace
from mgenv.engine.render.renderer import render, render_surfaces
from mgenv.engine.scene.scenes import make_scenes
from mgenv.engine.scene.shapes import BOX, CYLINDER, ELLIPSOID, hit_object
from tests.engine.rooms import HIGH, box_room, level_pose

SIZE, SIDE = 32, 10
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module")
def homes():
    return make_scenes([11, 12, 1_000_003], workers=1)


@pytest.fixture(scope="module")
def views(homes):
    walk = navigation.explore_many(homes, 12, [5, 6, 7], workers=1)
    return np.repeat(np.arange(3), 12), walk.pose.reshape(36, 4, 4)


def test_depth_is_measured_along_the_optical_axis():
    """A wall straight ahead has the same depth in every pixel that shows it."""
    _, depth = render(box_room(), [0], level_pose(5.0, 6.0, 0.0), SIZE)
    middle = depth[0, SIZE // 2 - 2 : SIZE // 2 + 2, 8:24]
    torch.testing.assert_close(middle, torch.full_like(middle, HIGH - 5.0), rtol=1e-4, atol=1e-4)


def test_floor_and_ceiling_lie_where_geometry_puts_them():
    _, depth = render(box_room(), [0], level_pose(4.5, 6.0, 0.0), SIZE)
    slope = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    floor, ceiling = 1.0 / slope[-4:], (1.0 - WALL_HEIGHT) / slope[:4]
    np.testing.assert_allclose(depth[0, -4:, SIZE // 2], floor, rtol=1e-4)
    np.testing.assert_allclose(depth[0, :4, SIZE // 2], ceiling, rtol=1e-4)


@pytest.mark.parametrize("shape", [BOX, CYLINDER, ELLIPSOID])
def test_what_stands_on_the_left_is_seen_on_the_left(shape):
    batch = box_room((6.0, 6.5, 1.0, 0.2, 0.2, 0.3), shape=shape)
    rgb, depth = render(batch, [0], level_pose(5.0, 6.0, 0.0), SIZE, supersample=1)
    near = depth[0, SIZE // 2] < 1.5
    assert near[: SIZE // 2].any() and not near[SIZE // 2 :].any()
    red = rgb[0, SIZE // 2, :, 0].int() - rgb[0, SIZE // 2, :, 2].int()
    assert (red[near] > 50).all() and (red[~near].abs() < 50).all()


def test_an_object_is_as_far_as_its_front():
    front = {BOX: 0.8, CYLINDER: 0.8, ELLIPSOID: 0.8}
    for shape, expected in front.items():
        batch = box_room((6.0, 6.0, 1.0, 0.2, 0.2, 0.3), shape=shape)
        _, depth = render(batch, [0], level_pose(5.0, 6.0, 0.0), 33)
        assert depth[0, 16, 16].item() == pytest.approx(expected, abs=1e-3)


def test_cell_by_cell_tracing_finds_what_trying_everything_finds(homes):
    """The fast path against its slow twin: every object and every wall cell, one by one."""
    rng = np.random.default_rng(3)
    a = homes.arrays
    for s in range(3):
        spots = np.argwhere(a.free[s])
        for _ in range(40):
            y, x = (spots[rng.integers(len(spots))] + 0.5) * CELL
            origin = np.array([x, y, 1.0], np.float32)
            direction = rng.normal(size=3).astype(np.float32)
            direction[2] *= 0.4
            t, _, _, _ = trace(
                a.cells, a.levels, a.objects, a.starts, a.items, s, *origin, *direction
            )
            assert t == pytest.approx(_try_everything(homes[s], origin, direction), abs=2e-3)


def _try_everything(scene, origin: np.ndarray, direction: np.ndarray) -> float:
    inverse = np.reciprocal(direction)
    nearest = (WALL_HEIGHT if direction[2] > 0 else 0.0) / direction[2] - origin[2] * inverse[2]
    objects = scene.objects[None]
    for i in range(scene.counts[1]):
        nearest = min(nearest, hit_object(objects, 0, i, *origin, *direction, *inverse)[0])
    y, x = np.nonzero(scene.cells == WALL)
    nearest = min(nearest, _nearest_box(x, y, 0.0, origin, inverse))
    y, x = np.nonzero((scene.cells != WALL) & (scene.cells & DOORWAY > 0))
    return min(nearest, _nearest_box(x, y, DOOR_HEIGHT, origin, inverse))


def _nearest_box(x, y, bottom, origin, inverse) -> float:
    low = np.stack([x * CELL, y * CELL, np.full(len(x), bottom)], -1)
    high = np.stack([(x + 1) * CELL, (y + 1) * CELL, np.full(len(x), WALL_HEIGHT)], -1)
    a, b = (low - origin) * inverse, (high - origin) * inverse
    near, far = np.minimum(a, b).max(1), np.maximum(a, b).min(1)
    hit = (near <= far) & (near > 1e-3)
    return float(near[hit].min()) if hit.any() else np.inf


def test_depth_and_pose_carry_one_frame_onto_the_next(homes, views):
    """Warping frame t to t + 1 by its depth explains it far better than leaving it as it is."""
    index, poses = views
    rgb, depth = render(homes, index, poses, 64)
    image, poses = rgb.float(), torch.from_numpy(poses)
    still, warped = [], []
    for t in range(len(index) - 1):
        moved = (poses[t] - poses[t + 1]).abs().max() > 0.1
        if index[t] == index[t + 1] and moved:
            error, shown = _warp(
                image[t + 1], depth[t + 1], poses[t + 1], image[t], depth[t], poses[t]
            )
            warped.append(error)
            still.append((image[t + 1] - image[t]).abs()[shown].mean().item())
    assert len(warped) > 15
    assert np.mean(warped) < 0.35 * np.mean(still)


def _warp(image, depth, pose, source, source_depth, source_pose) -> tuple[float, torch.Tensor]:
    """Mean error of looking up each pixel in ``source``, where that shows the same surface."""
    points = Pose(pose).do(DEFAULT_INTRINSICS.unproject(depth).reshape(-1, 3))
    uv, z = DEFAULT_INTRINSICS.project(Pose(source_pose).inv_do(points))
    size = image.shape[0]
    column, row = (uv * size).long().unbind(-1)
    inside = (uv >= 0).all(-1) & (uv < 1).all(-1) & (z > 0)
    column, row = column.clamp(0, size - 1), row.clamp(0, size - 1)
    same = inside & ((source_depth[row, column] - z).abs() < 0.03 * z + 0.02)
    error = (source[row, column] - image.reshape(-1, 3)).abs()[same].mean().item()
    return error, same.reshape(size, size)


def test_a_frame_does_not_depend_on_batch_or_workers(homes, views):
    index, poses = views
    rgb, depth = render(homes, index, poses, SIZE, workers=1)
    again, far = render(homes, index, poses, SIZE, workers=3)
    one, near = render(homes, index[7:8], poses[7:8], SIZE)
    assert torch.equal(rgb, again) and torch.equal(depth, far)
    assert torch.equal(rgb[7], one[0]) and torch.equal(depth[7], near[0])


def test_supersampling_smooths_edges_and_leaves_depth_sharp(homes, views):
    index, poses = views
    plain, depth = render(homes, index, poses, SIZE, supersample=1)
    smooth, same = render(homes, index, poses, SIZE, supersample=2)
    changed = (plain != smooth).any(-1).float().mean().item()
    assert torch.equal(depth, same) and 0.02 < changed < 0.5


def test_a_picture_of_a_home_is_neither_dark_nor_flat(homes):
    poses = np.stack([navigation.first_pose(homes[s]) for s in range(3)])
    rgb, depth = render(homes, np.arange(3), poses, 64)
    image = rgb.float()
    assert (image.mean((1, 2, 3)) > 50).all() and (image.mean((1, 2, 3)) < 220).all()
    assert (image.std((1, 2)).mean(-1) > 15).all()
    assert (depth > 0.05).all() and (depth < 25).all() and (depth.amax((1, 2)) > 2).all()


def test_small_images_show_what_large_ones_show(homes, views):
    """Materials are filtered: a 64 px image is close to a 256 px image scaled down."""
    index, poses = views
    small = render(homes, index[::4], poses[::4], 64)[0].float()
    large = render(homes, index[::4], poses[::4], 256)[0].float()
    scaled = large.reshape(-1, 64, 4, 64, 4, 3).mean((2, 4))
    assert ((small - scaled) ** 2).mean().sqrt() < 7.0


def test_a_narrower_lens_shows_the_middle(homes, views):
    index, poses = views
    wide = render(homes, index[:4], poses[:4], 64)[1]
    narrow = Intrinsics(fx=1.0, fy=1.0)
    near = render(homes, index[:4], poses[:4], 32, intrinsics=narrow)[1]
    torch.testing.assert_close(near, wide[:, 16:48, 16:48], rtol=1e-3, atol=1e-3)


def test_a_camera_inside_a_wall_does_no_harm():
    rgb, depth = render(
        box_room(), [0, 0], np.concatenate([level_pose(2, 2, 0), level_pose(-9, 99, 1)]), 8
    )
    assert torch.isfinite(depth).all() and rgb.shape == (2, 8, 8, 3)


_CHILD = """
import sys
import numpy as np
import torch
from mgenv.engine.render.cuda_kernels import draw_pixel_centres, edges_of, supersample_edges
from mgenv.engine.render.raytrace import View
data = dict(np.load(sys.argv[1]))
view = View(**{name: data[name] for name in View._fields})
frames = [data[name] for name in "index pose lens rgb depth surface".split()]
size = data["depth"].shape[1]
draw_pixel_centres[(-(-size // 16)) * (-(-size // 8)), 128](view, *frames)
edges = edges_of(torch.from_numpy(data["surface"])).numpy()
colours = np.zeros((len(edges), 4, 3), np.float32)
supersample_edges[-(-len(edges) // 32), 128](view, *frames[:3], size, edges, 2, colours)
data["rgb"].reshape(-1, 3)[edges] = colours.mean(1) + 0.5
np.savez(sys.argv[2], rgb=data["rgb"], depth=data["depth"], surface=data["surface"])
"""


def test_the_cuda_kernel_draws_what_the_cpu_draws(homes, tmp_path: Path):
    """The kernels' own logic, in Numba's simulator, where a block hangs over the picture."""
    pose = navigation.first_pose(homes[0])[None]
    rgb, depth, surface = render_surfaces(homes, [0], pose, SIDE)
    scene = renderer.view_of(homes, None, 1)._asdict()
    shape = (1, SIDE, SIDE)
    blank = {"rgb": np.zeros((*shape, 3), np.uint8), "depth": np.zeros(shape, np.float32)}
    blank |= {"surface": np.zeros(shape, np.int32), "index": np.zeros(1, np.int64)}
    np.savez(tmp_path / "in.npz", pose=pose, lens=np.full(4, 0.5, np.float32), **scene, **blank)
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    files = [str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", _CHILD, *files], env=simulated, cwd=root, check=True)
    out = np.load(files[1])
    np.testing.assert_allclose(out["depth"], depth, rtol=1e-4)
    assert np.abs(out["rgb"].astype(int) - rgb.numpy()).max() <= 1
    assert (out["surface"] == surface.numpy()).mean() > 0.95


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_renders_the_same(homes, views, device):
    index, poses = views
    rgb, depth = render(homes, index, poses, SIZE, workers=1)
    other, far = render(homes, index, poses, SIZE, device=device)
    assert ((depth - far.cpu()).abs() < 1e-2).float().mean() > 0.999
    assert (rgb.int() - other.cpu().int()).abs().float().mean() < 0.5
