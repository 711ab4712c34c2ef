"""A file of an autoencoder becomes a light one that worlds read, and training makes it better."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mgenv.cli.main import main
from mgenv.data.dataset import Dataset
from mgenv.data.record import CollectConfig, collect
from mgenv.errors import CheckpointError, DataError, InvalidOptionError, OutputError
from mgenv.matrix_game3.checkpoint.folder import Folder
from mgenv.matrix_game3.checkpoint.loader import Weights
from mgenv.matrix_game3.vae.vae import VideoVAE
from mgenv.training.pruning.prune import narrowed, prune_channels
from mgenv.training.pruning.prune_data import fitted, split
from mgenv.training.pruning.prune_decoder import PruneConfig, prune_decoder, psnr_of
from tests.matrix_game3.checkpoint.test_loader import light_name
from tests.matrix_game3.public_network import public_folder

WHOLE = Path(__file__).parents[2] / "fixtures" / "matrix_game3" / "vae_00.safetensors"
EPISODES, TICKS = 6, 24


def gather(out: Path, episodes: int) -> Path:
    collect(
        CollectConfig(
            source="tests.data.fake_source:FakeSource", out=str(out), frames=episodes * TICKS,
            episode_frames=TICKS, shard_episodes=2, image_size=40, workers=1,
        )
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gather(tmp_path_factory.mktemp("data"), EPISODES)


def header(file: Path) -> dict[str, str]:
    with safe_open(str(file), framework="pt") as opened:
        return opened.metadata()


def whole() -> VideoVAE:
    return VideoVAE.from_state_dict(load_file(WHOLE))


def test_fine_tuning_on_a_dataset_brings_it_nearer_and_worlds_read_it(tmp_path, data, capsys):
    folder = public_folder(tmp_path)
    out = folder / "MG-LightVAE_v2.safetensors"
    out.unlink()
    wide = folder / "Wan2.2_VAE.safetensors"
    words = f"weights prune {wide} --out {out} --rate 0.5 --data {data} --steps 20 --lr 3e-3"
    assert main([*words.split(), "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "step      0: " in said and "step     20: " in said

    made = header(out)
    psnr = json.loads(made.pop("psnr_against_whole_decoder_db"))
    assert list(psnr) == [str(step) for step in range(0, 21, 2)]
    assert psnr["20"] > psnr["0"] + 1.5
    assert made == {
        "format": "pt", "source": wide.name, "rate": "0.5", "steps": "20", "data": str(data),
        "decoder_widths": "[16, 16, 16, 8, 4]", "size": "32x32", "frames": "5", "batch": "1",
        "learning_rate": "0.003", "seed": "3",
    }  # fmt: skip

    vae = Folder.open(folder, vae="light_v2").read(torch.device("cpu"))[1]
    assert vae.config == narrowed(whole().config, 0.5)
    saved = VideoVAE.from_state_dict(load_file(out))
    judged = split(Dataset(data), 5, (32, 32), shrink=False)[1]
    assert psnr_of(whole(), vae, judged) == pytest.approx(psnr["20"], abs=0.01)
    assert psnr_of(whole(), saved, judged) == pytest.approx(psnr["20"], abs=0.01)


def test_without_data_it_is_cut_and_no_more(tmp_path):
    made = prune_decoder(PruneConfig(source=WHOLE, out=tmp_path / "light.safetensors", rate=0.75))
    cut = prune_channels(whole(), 0.75).state_dict()
    saved = load_file(made.path)
    assert saved.keys() == cut.keys()
    assert all(torch.equal(saved[key], value) for key, value in cut.items())
    assert made.psnr == {} and made.pruned.decoder_widths == (8, 8, 8, 4, 2)
    assert header(made.path) == {
        "format": "pt", "source": WHOLE.name, "rate": "0.75", "steps": "0",
        "decoder_widths": "[8, 8, 8, 4, 2]",
    }  # fmt: skip


def test_pickles_in_the_light_ones_names_are_read_too(tmp_path):
    state = {light_name(key): value for key, value in load_file(WHOLE).items()}
    torch.save({"state_dict": state}, tmp_path / "whole.pth")
    files = [tmp_path / f"{name}.safetensors" for name in "ab"]
    prune_decoder(PruneConfig(source=tmp_path / "whole.pth", out=files[0]))
    prune_decoder(PruneConfig(source=WHOLE, out=files[1]))
    states = [load_file(file) for file in files]
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())


def test_the_same_seed_gives_the_same_weights(tmp_path, data):
    config = PruneConfig(
        source=WHOLE, out="", data=data, steps=3, size=(16, 32), frames=1, batch=2
    )
    first, second, other = (
        prune_decoder(replace(config, out=tmp_path / f"{name}.safetensors", seed=seed))
        for name, seed in (("first", 5), ("second", 5), ("other", 6))
    )
    assert header(first.path)["size"] == "16x32"
    assert first.psnr == second.psnr and list(first.psnr) == [0, 1, 2, 3]
    assert first.psnr[0] == other.psnr[0], "what it is judged by is not drawn"
    assert first.psnr[3] != other.psnr[3]
    weights = [load_file(made.path)["decoder.conv1.weight"] for made in (first, second, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_what_it_is_judged_by_is_not_trained_on(data):
    dataset = Dataset(data)
    train, judged = split(dataset, 5, (32, 32), shrink=False, batch=2)

    def ticks(clips):
        return {
            (episode, start + offset)
            for batch in clips.batches
            for episode, start in batch
            for offset in range(5)
        }

    assert not ticks(train) & ticks(judged)
    assert len(ticks(judged)) == 2 * 5
    assert len(ticks(train)) == 22 * 5, "each window is there once"
    assert train.batches != split(dataset, 5, (32, 32), batch=2, seed=1)[0].batches

    episode, start = train.batches[4][1]
    pictures = dataset.pictures(episode, range(start, start + 5))[:, 4:36, 4:36]  # (5, 32, 32, 3)
    video = ((train[4][1] + 1) * 127.5).round()  # (3, 5, 32, 32)
    assert np.array_equal(video.permute(1, 2, 3, 0).numpy(), pictures)


def test_pictures_are_scaled_until_they_cover_and_then_cut():
    columns = torch.linspace(-1, 1, 40).expand(1, 3, 20, 40)
    made = fitted(
        columns, (32, 32), shrink=False
    )  # 32 by 64 once scaled, of which the middle stays
    assert made.shape == (1, 3, 32, 32)
    assert made[0, 0, 0, [0, -1]].tolist() == pytest.approx([-0.5, 0.5], abs=0.03)
    assert torch.equal(fitted(columns, (10, 20), shrink=False), columns[..., 5:15, 10:30])
    shrunk = fitted(columns, (10, 16), shrink=True)  # 10 by 20 once scaled
    assert shrunk[0, 0, 0, [0, -1]].tolist() == pytest.approx([-0.77, 0.77], abs=0.03)


def test_the_error_is_of_clamped_pictures_and_exact(data):
    videos = split(Dataset(data), 1, (16, 16))[1]
    full, same = whole(), prune_channels(whole(), 0.0)
    assert psnr_of(full, same, videos) > 80
    white = prune_channels(whole(), 0.5)
    last = dict(white.decoder.named_parameters())
    last["head.2.weight"].data.zero_()
    last["head.2.bias"].data.fill_(7)  # clamped: white
    pictures = [full.decode(full.encode(videos[i])).clamp(-1, 1) for i in range(len(videos))]
    mean = torch.cat([(1 - picture).square().flatten() for picture in pictures]).mean() / 4
    assert psnr_of(full, white, videos) == pytest.approx(-10 * mean.log10().item(), abs=1e-3)


def broken(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A stage in the middle lacks its first block."""
    gone = "decoder.upsamples.1.upsamples.0."
    return {key: value for key, value in state.items() if not key.startswith(gone)}


@pytest.mark.parametrize(
    "change, error, said",
    [
        ({"source": "absent.pth"}, CheckpointError, "absent.pth; got nothing"),
        ({"source": "other.safetensors"}, CheckpointError, "other.safetensors: .*autoencoder"),
        ({"source": "broken.safetensors"}, CheckpointError, r"broken.safetensors: .*upsamples\.1"),
        ({"source": "more.safetensors"}, CheckpointError, "1 unexpected: more"),
        ({"source": "text.pth"}, CheckpointError, "text.pth: expected a pickle"),
        ({"rate": 1.0}, InvalidOptionError, r"\[0, 1\), got 1.0"),
        ({"rate": float("nan")}, InvalidOptionError, r"\[0, 1\), got nan"),
        ({"out": "nowhere/light.safetensors"}, OutputError, "folder that is there; got .*nowhere"),
        ({"out": "other.safetensors"}, OutputError, "not there yet"),
        ({"out": "light.pth"}, OutputError, "ends in .safetensors"),
        ({"data": "absent"}, DataError, "absent"),
        ({"frames": 25}, DataError, "2 windows of 25 frames .*; got 0"),
        ({"batch": 23}, DataError, "24 windows of 5 frames .*; got 24"),
        ({"frames": 6}, InvalidOptionError, r"frames: expected 1 \+ 4n, got 6"),
        ({"size": (32, 40)}, InvalidOptionError, r"divisible by 16, got \(32, 40\)"),
        ({"size": (0, 32)}, InvalidOptionError, r"divisible by 16, got \(0, 32\)"),
        ({"steps": -1}, InvalidOptionError, "steps: expected at least 0"),
        ({"batch": 0}, InvalidOptionError, "batch: expected at least 1"),
        ({"seed": -1}, InvalidOptionError, "seed: expected at least 0"),
        ({"learning_rate": 0.0}, InvalidOptionError, "learning_rate: expected more than 0"),
        ({"learning_rate": 1e38}, InvalidOptionError, r"at most 1, got 1e\+38"),
        ({"device": "cuda:99"}, InvalidOptionError, "a device .*; got cuda:99"),
    ],
)
def test_what_is_wrong_is_named_before_a_tensor_is_read(
    change, error, said, tmp_path, data, monkeypatch
):
    state = load_file(WHOLE)
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    save_file(broken(state), tmp_path / "broken.safetensors")
    save_file(state | {"more": torch.zeros(1)}, tmp_path / "more.safetensors")
    (tmp_path / "text.pth").write_text("no pickle")
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Weights, "read", lambda _: pytest.fail("read"))
    config = PruneConfig(source=WHOLE, out="light.safetensors", data=data)
    with pytest.raises(error, match=said):
        prune_decoder(replace(config, **change))
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_no_number_is_told_and_not_written(tmp_path, data, monkeypatch):
    config = PruneConfig(source=WHOLE, out=tmp_path / "light.safetensors", data=data, frames=1)
    state = load_file(WHOLE)
    state["decoder.head.2.bias"][0] = torch.nan
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match="nan.safetensors: expected to decode numbers"):
        prune_decoder(replace(config, source=tmp_path / "nan.safetensors"))

    def diverge(full, pruned, videos, steps, *, report, **_):
        pruned.conv2.bias.data.fill_(torch.nan)
        for step in range(steps):
            report(step, torch.nan)

    monkeypatch.setattr("mgenv.training.pruning.prune_decoder.fit_pruned", diverge)
    with pytest.raises(InvalidOptionError, match=r"stays finite, got 0.001 \(after 2 steps\)"):
        prune_decoder(replace(config, steps=20))
    assert not (tmp_path / "light.safetensors").exists()


@pytest.mark.parametrize("words", ["--rate 2", "--data absent", "--out nowhere/light.safetensors"])
def test_errors_are_one_line_of_the_command(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["weights", "prune", str(WHOLE), "--out", "light.safetensors", *words.split()]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert said.startswith("mgenv weights: ") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_size_is_two_numbers(capsys):
    with pytest.raises(SystemExit):
        main(["weights", "prune", str(WHOLE), "--out", "x.safetensors", "--size", "64"])
    assert "expected a size like 704x1280, got '64'" in capsys.readouterr().err
