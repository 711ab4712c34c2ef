"""The kernels on CUDA draw what the plain tensors draw."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mgenv.camera import Pose
from mgenv.memory import reprojection
from mgenv.memory.reprojection import Sources, push_pull, reproject, reproject_plain
from tests.memory.scenes import draw, looking

WALL, BEHIND = (2.0, 0.9), (6.0, 0.2)

_CHILD = """
import sys
import numpy as np
from mgenv.memory.reprojection_cuda import draw_views, splat_sources
data = dict(np.load(sys.argv[1]))
far, farthest, covered, observed, enough = data["limits"]
rgb, depth, weight, into, frame, x, y, lens, shown, pyramids, out, mask, evidence = (
    data[n] for n in
    "rgb depth weight into frame x y lens shown pyramids out mask evidence".split()
)
levels = int(data["levels"])
splat_sources[-(-depth.size // 64), 64](
    rgb, depth, weight, into, frame, x, y, lens, far, covered, observed, levels, shown, pyramids
)
draw_views[-(-mask.size // 64), 64](
    pyramids, shown, into, weight, x, y, lens, levels, far / 2, farthest, enough, out, mask,
    evidence
)
np.savez(sys.argv[2], out=out, mask=mask, evidence=evidence)
"""


def some_sources() -> tuple[Sources, torch.Tensor]:
    """Two views of an observed and a generated frame."""
    poses = [looking(0.0, 0.4), looking(2.5), looking(0.3, -0.2)]
    frames = [(*draw(pose, [WALL, BEHIND]), pose) for pose in poses[:2]]
    rgb, depth, pose = (torch.stack(part)[None, :, ::4, ::4] for part in zip(*frames, strict=True))
    pose = torch.stack(poses[:2])[None]
    weight = torch.tensor([[1.0, 0.05], [0.05, 1.0]])
    rgb = (rgb.movedim(-1, 2).float() / 127.5 - 1).contiguous()
    two = Sources(
        rgb.repeat(2, 1, 1, 1, 1), depth.repeat(2, 1, 1, 1), pose.repeat(2, 1, 1, 1), weight
    )
    return two, torch.stack([poses[2], poses[0]])


def test_the_kernels_draw_what_the_plain_tensors_draw(tmp_path: Path):
    """The kernels' own logic, in Numba's simulator."""
    sources, view = some_sources()
    count, side = 2, sources.depth.shape[-1]
    rays = reprojection.DEFAULT_INTRINSICS.rays(side, side)
    eyes = Pose(view[:, None].expand(-1, count, -1, -1))
    blank = {"out": np.zeros((2, 4, side, side)), "mask": np.zeros((2, 1, side, side))}
    blank["evidence"] = np.zeros((2, 3, side, side))
    blank["shown"] = np.zeros((2, count, side, side, 5))
    blank["pyramids"] = np.full((2, 2, 2 * side * side), reprojection.FAR)
    data = {
        "rgb": sources.rgb,
        "depth": sources.depth,
        "weight": sources.weight,
        "into": Pose(sources.pose).inverse().compose(eyes).matrix[..., :3, :],
        "frame": eyes.inverse().compose(Pose(sources.pose)).matrix[..., :3, :],
        "x": rays[0, :, 0],
        "y": rays[:, 0, 1],
        "lens": np.full(4, 0.5),
        "limits": [reprojection.FAR, reprojection.MAX_DEPTH, reprojection.COVERED, 1.0, 0.1],
    }
    arrays = {name: np.asarray(value, np.float32) for name, value in (data | blank).items()}
    np.savez(tmp_path / "in.npz", levels=reprojection.LEVELS, **arrays)
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    files = [str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", _CHILD, *files], env=simulated, cwd=root, check=True)
    result = np.load(files[1])
    known, mask, evidence = (torch.from_numpy(result[name]) for name in ("out", "mask", "evidence"))
    plain = reproject_plain(sources, view)
    assert 0.2 < plain.coverage.mean() < 1
    assert (mask == plain.mask).float().mean() > 0.99
    both = (mask * plain.mask) > 0
    colour = (push_pull(known, mask)[:, :3] - plain.rgb).abs().amax(1, keepdim=True)[both]
    assert (colour < 1e-3).float().mean() > 0.99
    off = (evidence - plain.evidence).abs().amax(1, keepdim=True)[both]
    assert (off < 1e-3).float().mean() > 0.99


@pytest.mark.gpu
def test_a_gpu_draws_what_the_plain_tensors_draw():
    sources, view = some_sources()
    there = Sources(*(t.cuda() for t in vars(sources).values()))
    canvas, plain = reproject(there, view.cuda()), reproject_plain(sources, view)
    assert (canvas.mask.cpu() == plain.mask).float().mean() > 0.99
    assert (canvas.rgb.cpu() - plain.rgb).abs().median() < 1e-3
    both = (canvas.mask.cpu() * plain.mask) > 0
    off = (canvas.evidence.cpu() - plain.evidence).abs().amax(1, keepdim=True)[both]
    assert (off < 1e-3).float().mean() > 0.99
