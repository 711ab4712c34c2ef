"""Golden tensors pass, wrong ones fail, damaged ones are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mgenv.cli.main import main
from mgenv.errors import CheckpointError, InvalidOptionError
from mgenv.matrix_game3.checkpoint.network_references import rounding_error
from mgenv.matrix_game3.checkpoint.references import Result, relative_error
from mgenv.matrix_game3.checkpoint.verify import verify
from mgenv.matrix_game3.memory.camera import camera_to_world, plucker, poses_of_actions
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.network.transformer import build

GOLDEN = Path(__file__).parents[2] / "fixtures" / "matrix_game3"
NAMES = {"first.y", "second.y", "plucker.first_clip", "second.plucker", "c2w", "retrieval"}
NAMES |= {"unipc3.trajectory", "unipc8.trajectory"}
NAMES |= {f"vae_{width}.{part}" for width in ("00", "50", "75") for part in ("latent", "decoded")}


@pytest.fixture
def folder(tmp_path):
    for file in GOLDEN.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


def change(file, name, changed):
    tensors = load_file(file)
    tensors[name] = changed(tensors[name])
    save_file(tensors, file)


def test_everything_golden_is_computed_and_within_its_limit(tmp_path, capsys):
    assert main(["weights", "verify", str(GOLDEN), "--json", str(tmp_path / "errors.json")]) == 0
    errors = json.loads((tmp_path / "errors.json").read_text())["relative_error"]
    assert errors.keys() >= NAMES
    assert errors["retrieval"] == 0
    near = {name: error for name, error in errors.items() if not name.startswith("vae_")}
    assert max(near.values()) < 1e-5
    assert max(error for name, error in errors.items() if name.endswith("decoded")) < 1e-4
    assert "first.y" in capsys.readouterr().out


def test_a_wrong_reference_is_over_its_limit(folder, capsys):
    for file in ("vae_golden", "dit", "dit_config"):
        for found in folder.glob(f"{file}.*"):
            found.unlink()
    assert main(["weights", "verify", str(folder)]) == 0, "parts may be absent"
    change(folder / "dit_golden.safetensors", "retrieval.selected_frames", lambda t: t + 1)
    assert main(["weights", "verify", str(folder), "--json", str(folder / "o.json")]) == 1
    assert json.loads((folder / "o.json").read_text())["relative_error"]["retrieval"] == 1
    assert "over" in capsys.readouterr().out


def other_sizes(folder):
    """A folder of another network: two of a batch, no action modules, another grid and length."""
    config = {"in_dim": 48, "out_dim": 48, "dim": 36, "ffn_dim": 40, "freq_dim": 16, "text_dim": 8}
    config |= {"text_len": 6, "num_heads": 3, "num_layers": 1, "sigma_theta": 0.5}
    (folder / "dit_config.json").write_text(json.dumps(config))
    network = build(TransformerConfig.from_dict(config), "cpu")
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator) * 0.2

    for parameter in network.parameters():
        parameter.data = draw(*parameter.shape)
    save_file(network.state_dict(), folder / "dit.safetensors")
    keyboard, mouse = (draw(49, 6) > 0).float(), draw(49, 2)
    c2w = camera_to_world(poses_of_actions(keyboard, mouse))
    rays = plucker(c2w[::4], 32, 96, (2, 6)).expand(2, -1, -1, -1, -1)
    golden = {"first.x": draw(2, 48, 13, 2, 6), "first.t": torch.full((2, 39), 500.0)}
    golden |= {"plucker.first_clip": rays.contiguous(), "c2w": c2w, "text": draw(4, 8)}
    golden |= {"keyboard": keyboard, "mouse": mouse}
    golden["first.y"] = network(
        golden["first.x"], golden["first.t"], [golden["text"]] * 2, rays, predict_latent_idx=(0, 13)
    )
    save_file(golden, folder / "dit_golden.safetensors")


def test_sizes_are_read_from_the_files(tmp_path):
    other_sizes(tmp_path)
    results = verify(tmp_path)
    assert results.keys() == {"first.y", "plucker.first_clip", "c2w"}
    assert all(result.passes for result in results.values())


@pytest.mark.parametrize("value", [1.01, float("nan")])
def test_a_wrong_weight_is_over_its_limit(folder, value):
    (folder / "vae_golden.safetensors").unlink()
    change(folder / "dit.safetensors", "head.head.weight", lambda t: t * value)
    results = verify(folder)
    assert not results["first.y"].passes and not results["second.y"].passes
    assert results["c2w"].passes
    file = folder / "o.json"
    assert main(["weights", "verify", str(folder), "--json", str(file)]) == 1
    found = json.loads(file.read_text())["relative_error"]["first.y"]
    assert found is None if value != value else found > 1e-3


def test_a_wrong_autoencoder_is_over_its_limit(folder):
    (folder / "dit_golden.safetensors").unlink()
    change(folder / "vae_50.safetensors", "conv1.weight", lambda t: t * 1.01)
    results = verify(folder)
    assert not results["vae_50.latent"].passes and results["vae_00.latent"].passes


def test_weights_of_another_network_are_told_by_name(folder, capsys):
    tensors = load_file(folder / "dit.safetensors")
    tensors["blocks.0.ffn.0.bias"] = torch.zeros(3)
    del tensors["head.modulation"]
    save_file(tensors, folder / "dit.safetensors")
    assert main(["weights", "verify", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "missing: head.modulation" in told and "blocks.0.ffn.0.bias (3,)" in told


@pytest.mark.parametrize(
    "name", ["dit.safetensors", "dit_golden.safetensors", "vae_75.safetensors"]
)
def test_a_damaged_file_is_named(folder, name, capsys):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert main(["weights", "verify", str(folder)]) == 2
    assert name in capsys.readouterr().err


def test_tensors_that_do_not_fit_together_are_told_with_their_file(folder):
    change(folder / "dit_golden.safetensors", "second.x", lambda t: t[:, :, :3].contiguous())
    with pytest.raises(CheckpointError, match="dit_golden.safetensors"):
        verify(folder)


def test_nothing_to_verify_is_told(tmp_path):
    with pytest.raises(CheckpointError, match="got neither"):
        verify(tmp_path)
    save_file({"other": torch.zeros(1)}, tmp_path / "dit_golden.safetensors")
    with pytest.raises(CheckpointError, match="none that is known"):
        verify(tmp_path)
    with pytest.raises(InvalidOptionError, match="device"):
        verify(GOLDEN, device="nowhere")


def test_what_rounding_of_an_input_makes_is_measured():
    exact = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    stored = exact.half()
    floor = rounding_error(lambda x: x * 3, stored, stored.float() * 3)
    assert 1e-4 < floor < 5e-4
    assert relative_error(stored.float() * 3, exact * 3) < 2 * floor
    assert rounding_error(lambda x: x, exact, exact) == 0
    assert relative_error(exact, stored) == 0, "compared as the reference is stored"


def test_what_is_not_a_number_does_not_pass():
    assert Result(1e-5, 1e-4).passes and not Result(float("nan"), 1e-4).passes


def test_a_folder_is_converted_from_the_command_line(tmp_path, capsys):
    torch.save({"a": torch.zeros(2)}, tmp_path / "Wan2.2_VAE.pth")
    assert main(["weights", "convert", str(tmp_path)]) == 0
    assert "Wan2.2_VAE.safetensors" in capsys.readouterr().out
    assert main(["weights", "convert", str(tmp_path)]) == 0
    assert "nothing to convert" in capsys.readouterr().out
    assert main(["weights", "convert", str(tmp_path / "absent")]) == 2
