"""Every objective trains on engine worlds, ships a checkpoint, and goes on where it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import pytest
import torch

from mgenv.cli.config import load_config
from mgenv.cli.main import main
from mgenv.config import plain
from mgenv.errors import CheckpointError, InvalidOptionError, UnknownNameError
from mgenv.models.checkpoint import load_checkpoint
from mgenv.models.refiner import RefinerConfig
from mgenv.models.transformer import TransformerConfig
from mgenv.models.vae import VAEConfig
from mgenv.models.world_model import WorldModelConfig
from mgenv.training import trainer
from mgenv.training.clips import ClipConfig
from mgenv.training.config import OBJECTIVES, TrainerConfig, VAETrainerConfig
from mgenv.training.data import HELD_OUT
from mgenv.training.discriminator import Discriminator
from mgenv.training.rollouts import RolloutConfig
from mgenv.training.trainer import Trainer
from tests.same import assert_same

MODEL = WorldModelConfig(
    image_size=32,
    vae=VAEConfig(latent_channels=4, encoder_widths=(8, 8, 8), decoder_widths=(8, 8, 8)),
    transformer=TransformerConfig(
        width=32, depth=1, heads=2, hidden=64, cells=8, latent_channels=4, side=4, history=2
    ),
    refiner=RefinerConfig(widths=(8, 8)),
)
TINY = TrainerConfig(
    steps=4,
    worlds=2,
    frames=26,
    refresh_worlds=1,
    batch=3,
    warmup=0,
    decay=1e-6,
    log_every=1,
    refined=4,
    flow_every=2,
    model=MODEL,
    clips=ClipConfig(targets=2, history=2, candidates=4, retrieved=2),
    rollouts=RolloutConfig(slots=3, max_age=6, wander_age=3, observed=4, generated=3, retrieved=2),
)


@pytest.fixture(autouse=True)
def small_discriminator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "Discriminator", lambda: Discriminator((8, 8, 8)))


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """What each step's losses were."""
    seen: list[dict[str, float]] = []

    def log(self, writer, parts, began) -> None:
        seen.append({name: float(value) for name, value in parts.items()})

    monkeypatch.setattr(Trainer, "_log", log)
    return seen


def fit(folder, **changes) -> Trainer:
    made = Trainer(replace(TINY, out=str(folder), **changes))
    made.fit()
    return made


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.model.state_dict().items()}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_objective_trains_and_ships_a_checkpoint(tmp_path, losses, objective):
    before = weights(Trainer(replace(TINY, out=str(tmp_path), objective=objective)))
    made = fit(tmp_path, objective=objective)
    assert made.step == 4 and len(losses) == 4
    values = torch.tensor([value for parts in losses for value in parts.values()])
    assert torch.isfinite(values).all()
    after = weights(made)
    changed = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    expected = {"vae": {"vae"}}.get(objective, {"network", "refiner"})
    assert changed == expected
    shipped = load_checkpoint(made.checkpoint_path)
    for name, value in shipped.state_dict().items():
        if name not in ("vae.mean", "vae.std"):  # measured when it is shipped
            torch.testing.assert_close(value, made.average.values[name].bfloat16().float())


def test_the_autoencoder_learns(tmp_path, losses):
    fit(tmp_path, objective="vae", steps=40, batch=16, lr=3e-3)
    pixels = [parts["pixels"] for parts in losses]
    assert sum(pixels[-5:]) < 0.6 * sum(pixels[:5])


def test_the_network_learns(tmp_path, losses):
    fit(tmp_path, objective="flow", steps=40, batch=8)
    flow = [parts["flow"] for parts in losses]
    assert sum(flow[-8:]) < 0.95 * sum(flow[:8])


def test_latents_of_a_shipped_autoencoder_have_unit_variance(tmp_path):
    made = fit(tmp_path, objective="vae", steps=8)
    vae = load_checkpoint(made.checkpoint_path).vae
    walks = trainer.make_walks(range(2), 26, 32, "cpu")
    rgb, depth = trainer.draw_frames(walks, 64, torch.Generator().manual_seed(0))
    latents = vae.encode(rgb, depth)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=0.15, atol=0)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=0.15)


@pytest.mark.parametrize("objective", ["vae", "flow"])
def test_resuming_equals_never_having_stopped(tmp_path, objective):
    """Own errors are gathered anew after resuming, so none are injected here."""
    changes = {"objective": objective, "clips": replace(TINY.clips, inject=0.0)}
    fit(tmp_path / "parts", steps=3, **changes)
    again = fit(tmp_path / "parts", steps=6, **changes)
    whole = fit(tmp_path / "whole", steps=6, **changes)
    assert again.step == whole.step == 6
    assert_same(weights(again), weights(whole))
    assert_same(again.average.values, whole.average.values)


def test_a_finished_run_does_nothing_more(tmp_path):
    done = weights(fit(tmp_path, objective="flow"))
    again = fit(tmp_path, objective="flow")
    assert again.step == 4
    assert_same(weights(again), done)


def test_the_last_steps_are_shipped_too(tmp_path):
    fresh = weights(Trainer(replace(TINY, out=str(tmp_path), objective="vae")))
    shipped = load_checkpoint(fit(tmp_path, objective="vae", steps=1).checkpoint_path).state_dict()
    name = "vae.encoder.layers.1.weight"
    assert not torch.equal(shipped[name], fresh[name].bfloat16().float())


def test_without_resume_a_run_begins_anew(tmp_path):
    fit(tmp_path, objective="flow")
    assert Trainer(replace(TINY, out=str(tmp_path), objective="flow")).step == 4
    assert Trainer(replace(TINY, out=str(tmp_path), objective="flow", resume=False)).step == 0


def test_the_same_seed_trains_the_same_network(tmp_path):
    one, two = (fit(tmp_path / name, objective="rollout") for name in "ab")
    assert_same(weights(one), weights(two))
    other = fit(tmp_path / "c", objective="rollout", seed=1)
    assert not torch.equal(weights(one)["network.frame_in.weight"],
                           weights(other)["network.frame_in.weight"])  # fmt: skip


@pytest.mark.parametrize("kind", ["cut", "other", "network"])
def test_a_damaged_state_is_named(tmp_path, kind):
    made = fit(tmp_path, objective="flow", steps=1)
    path, config = made.state_path, replace(TINY, out=str(tmp_path), objective="flow")
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "other":
        path.write_bytes(made.checkpoint_path.read_bytes())
    else:
        wider = replace(MODEL, transformer=replace(MODEL.transformer, width=64))
        config = replace(config, model=wider)
    with pytest.raises(CheckpointError, match="state.safetensors"):
        Trainer(config)


def test_held_out_worlds_are_never_trained_on(tmp_path):
    with pytest.raises(InvalidOptionError, match="held out"):
        Trainer(replace(TINY, out=str(tmp_path), first_world=HELD_OUT - 1))
    Trainer(replace(TINY, out=str(tmp_path), first_world=HELD_OUT - 2))


def test_new_worlds_are_not_held_out_either(tmp_path, monkeypatch):
    asked: list[int] = []
    make = trainer.make_walks

    def listed(ids, *rest):
        asked.extend(ids)
        return make(ids, *rest)

    monkeypatch.setattr(trainer, "make_walks", listed)
    fit(tmp_path, objective="vae", first_world=HELD_OUT - 2, refresh_every=1)
    assert len(set(asked)) > 2 and max(asked) < HELD_OUT


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"objective": "floww"}, "floww"),
        ({"steps": 0}, "steps"),
        ({"worlds": 0}, "worlds"),
        ({"rollouts": replace(TINY.rollouts, generated=0)}, "generated"),
        ({"objective": "flow", "frames": 5}, "frames"),
        ({"objective": "rollout", "frames": 12}, "frames"),
    ],
)
def test_what_cannot_be_trained_is_named(tmp_path, changes, message):
    with pytest.raises(InvalidOptionError, match=message):
        Trainer(replace(TINY, out=str(tmp_path), **changes))


def test_an_unknown_objective_is_named_on_the_command_line(capsys):
    assert main(["fit", "world", "objective=floww"]) == 2
    assert "floww" in capsys.readouterr().err
    assert main(["fit", "wrld"]) == 2
    assert "Did you mean 'world'" in capsys.readouterr().err


def keys(value, prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields of nested dataclasses, or keys of nested dictionaries."""
    if is_dataclass(value):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    for name, inner in value.items():
        nested = is_dataclass(inner) or isinstance(inner, dict)
        yield from keys(inner, f"{prefix}{name}.") if nested else [f"{prefix}{name}"]


def record_reads(config, names: set[str], prefix: str = ""):
    """The same values as an object that notes which of its fields are read."""
    kind = type(config)

    def read(self, name):
        if name in kind.__dataclass_fields__:
            names.add(prefix + name)
        return object.__getattribute__(self, name)

    values = {part.name: getattr(config, part.name) for part in fields(config)}
    for name, value in values.items():
        if is_dataclass(value):
            values[name] = record_reads(value, names, f"{prefix}{name}.")
    return type(kind.__name__, (kind,), {"__getattribute__": read})(**values)


def test_every_setting_is_read(tmp_path, monkeypatch):
    names: set[str] = set()
    for objective in OBJECTIVES:
        config = replace(
            TINY, out=str(tmp_path / objective), objective=objective, steps=1, refresh_every=1
        )
        Trainer(record_reads(config, names)).fit()
    assert set(keys(TINY)) <= names


@pytest.mark.parametrize("kind", [TrainerConfig, VAETrainerConfig])
def test_the_command_line_has_the_options_of_a_stage(kind):
    assert plain(load_config(kind, [])) == plain(kind())
    given = load_config(kind, ["seed=7", "model.vae.latent_channels=3"])
    assert (given.seed, given.model.vae.latent_channels) == (7, 3)


def test_what_the_autoencoder_has_no_use_for_is_no_option():
    with pytest.raises(UnknownNameError, match="matrix_lr"):
        load_config(VAETrainerConfig, ["matrix_lr=1"])


def test_a_run_that_is_cut_short_leaves_its_last_checkpoint(tmp_path, monkeypatch):
    cut = Trainer(replace(TINY, objective="vae", out=str(tmp_path), save_every=2))
    update = cut._update

    def update_three_times(name, loss):
        if cut.step == 3:
            raise KeyboardInterrupt
        return update(name, loss)

    monkeypatch.setattr(cut, "_update", update_three_times)
    with pytest.raises(KeyboardInterrupt):
        cut.fit()
    assert cut.checkpoint_path.exists()
    assert Trainer(replace(TINY, objective="vae", out=str(tmp_path))).step == 2
