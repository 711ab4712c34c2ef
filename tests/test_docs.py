"""What the how-to of the public network says is so: its code runs, its figures are worked out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from mgenv.matrix_game3 import PUBLIC_5B, build
from mgenv.matrix_game3.checkpoint.experts import Expert
from mgenv.matrix_game3.checkpoint.loader import Weights
from mgenv.matrix_game3.speed.footprint import GIB, Load, footprint
from mgenv.matrix_game3.vae.vae import VideoVAE
from tests.matrix_game3.light_vae import PUBLIC_LIGHT_50, PUBLIC_LIGHT_75, PUBLIC_VAE

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "fixtures" / "matrix_game3"
TEXT = (ROOT / "docs" / "public_network.md").read_text()


def test_its_code_runs_from_top_to_bottom_on_the_golden_weights(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    code = code.replace('"Matrix-Game-3.0"', repr(str(GOLDEN))).replace('"cuda"', '"cpu"')
    assert str(GOLDEN) in code and "cuda" not in code
    exec(compile(code, "public_network.md", "exec"), {"__name__": "public_network"})
    said = capsys.readouterr().out.splitlines()
    assert said == ["(1, 64, 96, 3)", "(57, 64, 96, 3)", "(1, 64, 96, 3) (40, 64, 96, 3)"]
    assert (tmp_path / "runs" / "my_place.safetensors").is_file()


def test_files_that_it_names_are_there():
    named = re.findall(r"`((?:mgenv|tests)/[\w./]+)`", TEXT)
    assert named and all((ROOT / name).exists() for name in named)


@pytest.mark.parametrize(
    "vae, name",
    [(PUBLIC_VAE, "whole"), (PUBLIC_LIGHT_50, "light"), (PUBLIC_LIGHT_75, "light_v2")],
)
def test_its_table_says_what_is_compared_with_the_gpu(vae, name):
    def shapes_of(module):
        shapes = {name: value.shape for name, value in module.state_dict().items()}
        return Weights(Path("weights"), shapes, {})

    with torch.device("meta"):
        autoencoder = shapes_of(VideoVAE(vae))
    network = Expert(PUBLIC_5B, shapes_of(build(PUBLIC_5B)))
    sizes = [Load(image_size=size) for size in ((704, 1280), (352, 640))]
    large, small = (footprint([network], autoencoder, vae, load) for load in sizes)
    (row,) = re.findall(rf'^\| `vae="{name}"` \| (.*) \|$', TEXT, re.MULTILINE)
    told = [float(cell.split(" GiB")[0]) for cell in row.split(" | ")]
    expected = [large.total / GIB, small.total / GIB, large.streams / GIB]
    assert told == pytest.approx(expected, abs=0.06)
