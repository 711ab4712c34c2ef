"""What the pages say is so: their code runs, their commands run, their figures were measured."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import gymnasium as gym
import pytest
import torch

from mgenv.benchmark import speed
from mgenv.cli import demo
from mgenv.cli.main import COMMANDS, SUBCOMMANDS, main
from mgenv.data.sources import SOURCES
from mgenv.envs import episode_starts, vector_env
from mgenv.envs.registration import IDS
from mgenv.matrix_game3 import PUBLIC_5B, build
from mgenv.matrix_game3.checkpoint.experts import Expert
from mgenv.matrix_game3.checkpoint.loader import Weights
from mgenv.matrix_game3.speed.footprint import GIB, Load, footprint
from mgenv.matrix_game3.vae.vae import VideoVAE
from mgenv.models.world_model import WorldModel, WorldModelConfig
from mgenv.robots import ROBOTS
from mgenv.tasks import TASKS
from mgenv.worlds import load_world
from mgenv.wrappers import __all__ as WRAPPERS
from tests.fake_world import FakeRecording, FakeWorld
from tests.matrix_game3.light_vae import PUBLIC_LIGHT_50, PUBLIC_LIGHT_75, PUBLIC_VAE
from tests.pages import PAGES, ROOT, anchors, blocks, commands, file_name, prose, tables

GOLDEN = ROOT / "tests" / "fixtures" / "matrix_game3"
PUBLIC = ROOT / "docs" / "public_network.md"
NEGATIVE = ROOT / "docs" / "negative_results.md"

SMALL = {
    "demo": "--walk-steps 2 --steps 512 --num-envs 8 --episodes 2 --twin-episodes 2 --num-worlds 1"
    " --max-episode-steps 5 --policy spin --push-steps 2",
    "train": "total_steps=32 env.num_envs=2 ppo.rollout_steps=16 ppo.batch_size=16",
    "evaluate": "--episodes 2 --num-envs 2 --max-episode-steps 5",
    "episodes": "--count 2 --num-envs 2",
    "bench render": "--worlds 1",
    "bench speed": "--sampling-steps 1 --steps 2 --warmup 0",
    "bench memory": "--worlds 2 --known-frames 8 --path-frames 4 --returns 2",
    "collect": "frames=8 episode_frames=4 shard_episodes=2 image_size=32 workers=1",
    "data": "",
    "weights": "--steps 2 --frames 1 --batch 2 --size 16x32 --device cpu",
    "bench drift": "--worlds 1 --known-frames 8 --steps 4",
}
"""Arguments that make each command short; they come last and win."""

CODE = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    if page != PUBLIC
    for number, code in enumerate(blocks(page, "python"))
]
LINES = [
    pytest.param(page, line, id=f"{page.stem}: {line}")
    for page in PAGES
    for line in commands(page)
    if line.startswith("mgenv")
]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Worlds are tiny, whatever their name, and files go into a folder of the test's own."""
    for module in (vector_env, demo):
        monkeypatch.setattr(module, "load_world", lambda name, num_envs, **_: FakeWorld(num_envs))
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)
    monkeypatch.setattr(speed, "_in_process", speed.measure)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def untrained(monkeypatch):
    """The quality benchmarks judge an untrained model, which is as long in the doing."""
    model = WorldModel(WorldModelConfig())
    monkeypatch.setattr("mgenv.cli.bench_common.load_model", lambda *_: model)


@pytest.fixture
def as_it_was():
    """What recipes register is forgotten after the test."""
    known = (ROBOTS._known, TASKS._known, gym.registry)
    kept = [dict(one) for one in known]
    yield
    for one, before in zip(known, kept, strict=True):
        one.clear()
        one.update(before)


# -- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "line"), LINES)
def test_every_command_runs(page, line, tiny, untrained, capsys):
    for code in blocks(page, "python"):
        Path(file_name(code, "unnamed.py")).write_text(code)
    words = shlex.split(line)[1:]
    name = " ".join(words[:2]) if words[0] == "bench" else words[0]
    if name == "evaluate" and words[1] != "random":
        _run_before(page, "train")
    if "--episodes" in words:
        _run_before(page, "episodes")
    if name in ("data", "weights"):
        _run_before(page, "collect", words[-1])
    if name == "weights":
        Path("DIR").mkdir()
        shutil.copy(GOLDEN / "vae_00.safetensors", words[2])
    small = SMALL[name] if "--episodes" not in words else "--num-envs 2 --max-episode-steps 5"
    assert main([*words, *small.split()]) == 0, capsys.readouterr().err


def _run_before(page: Path, name: str, place: str = "") -> None:
    """Run the page's own command whose result another needs."""
    line = next(c for c in commands(page) if c.startswith(f"mgenv {name}") and place in c)
    assert main([*shlex.split(line)[1:], *SMALL[name].split()]) == 0


def test_every_command_that_is_named_exists_and_every_command_is_named():
    text = "\n".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"(?:`|^)mgenv (\w+)", text, re.M)) == set(COMMANDS)
    assert set(re.findall(r"mgenv bench (\w+)", text)) <= set(SUBCOMMANDS["bench"])
    missing = {name for name in SUBCOMMANDS["bench"] if not re.search(rf"\b{name}`", text)}
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_other_commands_are_of_files_and_programs_that_are_there(page):
    for line in commands(page):
        program, *arguments = line.split()
        if program == "python":
            assert (ROOT / arguments[0]).is_file(), "run by test_examples.py"
        elif program == "make":
            subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)
        elif program != "mgenv":
            assert program == "tensorboard"
            subprocess.run([sys.executable, "-c", "import tensorboard.main"], check=True)


def test_make_targets_that_are_named_exist():
    text = "\n".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"`make ([\w-]+)", text))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test", "test-gpu", "lint"} <= named <= targets


# -- code ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODE)
def test_every_piece_of_code_runs(code, monkeypatch, tmp_path, as_it_was, capsys):
    monkeypatch.setattr("mgenv.worlds.load_world", _tiny_world)
    monkeypatch.setattr(vector_env, "load_world", _tiny_world)
    monkeypatch.setattr(episode_starts, "scan", FakeRecording)
    monkeypatch.setattr("mgenv.engine.motion.navigation.scan", FakeRecording)
    monkeypatch.chdir(tmp_path)
    script = tmp_path / file_name(code, "page.py")
    script.write_text(code)
    runpy.run_path(str(script))
    said = capsys.readouterr().out.splitlines()
    for promised in re.findall(r"^ *print\(.*\)  # (\(.*)$", code, re.M):
        assert promised in said


def test_every_recipe_is_a_piece_of_code_that_runs():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipes = re.findall(r"^## Add an? ([\w ]+)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert [name for name, _ in recipes] == [
        "robot", "task", "world", "data source", "architecture",
    ]  # fmt: skip
    for name, recipe in recipes:
        assert "```python" in recipe, name


def test_every_robot_task_source_and_wrapper_is_named():
    text = "\n".join(page.read_text() for page in PAGES)
    tasks = {name.partition("/")[2] for name in IDS}
    assert not {name for name in {*ROBOTS, *tasks, *SOURCES, *WRAPPERS} if f"`{name}`" not in text}


def test_the_layers_are_those_that_imports_keep():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = "\n".join(layers).replace("mgenv.", "")
    assert f"```\n{drawn}\n```" in (ROOT / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_excerpts_are_those_of_the_source(page):
    source = (ROOT / "mgenv" / "worlds" / "generated.py").read_text()
    for line in "".join(blocks(page, "py")).splitlines():
        assert line.partition("  #")[0].strip() in source, line


def _tiny_world(name, num_envs, share_memory=False, **_):
    if Path(name).is_file():
        return load_world(name, num_envs)
    return FakeWorld(num_envs, 64, share_memory)


# -- figures and links ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_figure_is_in_the_results_file_beside_it(page):
    for cells, file in tables(page):
        measured = file.read_text()
        bold = re.findall(r"\*\*[−+]?([\d.,]*\d)", " ".join(cells))
        figures = re.findall(r"\d[\d.,]*\d|\d", cells[-1]) if len(cells) > 1 else []
        assert bold or page == NEGATIVE, f"no figure in bold: {cells}"
        for figure in [*bold, *figures]:
            found = re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", measured)
            assert found, (figure, cells[0], file.name)


def test_every_results_file_that_names_a_failure_is_among_the_negative_results():
    linked = {file.name for _, file in tables(NEGATIVE)}
    for file in sorted((ROOT / "mgenv" / "benchmark" / "results").glob("*.md")):
        failed = re.findall(r"^## What (?:failed|fell short)\n+- (.*)", file.read_text(), re.M)
        wrong = [line for line in failed if not line.startswith("Nothing")]
        if wrong and file.name != "nano_memory_h100.md":  # the same as on a CPU
            assert file.name in linked, file.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_link_within_the_tree_is_broken(page):
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if link.startswith("https://arxiv.org/"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
    named = re.findall(r"`((?:mgenv|examples|tests|agents|wrappers|docs)/[\w./]*)`", prose(page))
    for path in named:
        assert (ROOT / path).exists(), path


# -- the public network --------------------------------------------------------------------------


def test_code_of_the_public_network_runs_from_top_to_bottom_on_the_golden_weights(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(PUBLIC, "python"))
    code = code.replace('"Matrix-Game-3.0"', repr(str(GOLDEN))).replace('"cuda"', '"cpu"')
    assert str(GOLDEN) in code and "cuda" not in code
    exec(compile(code, "public_network.md", "exec"), {"__name__": "public_network"})
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["(1, 64, 96, 3)", "(57, 64, 96, 3)", "(1, 64, 96, 3) (40, 64, 96, 3)"]
    assert said[3:] == ["6.469915584 billion weights"]
    assert (tmp_path / "runs" / "my_place.safetensors").is_file()


@pytest.mark.parametrize(
    "vae, name",
    [(PUBLIC_VAE, "whole"), (PUBLIC_LIGHT_50, "light"), (PUBLIC_LIGHT_75, "light_v2")],
)
def test_memory_of_the_public_network_is_what_is_compared_with_the_gpu(vae, name):
    def shapes_of(module):
        shapes = {name: value.shape for name, value in module.state_dict().items()}
        return Weights(Path("weights"), shapes, {})

    with torch.device("meta"):
        autoencoder = shapes_of(VideoVAE(vae))
    network = Expert(PUBLIC_5B, shapes_of(build(PUBLIC_5B)))
    sizes = [Load(image_size=size) for size in ((704, 1280), (352, 640))]
    large, small = (footprint([network], autoencoder, vae, load) for load in sizes)
    (row,) = re.findall(rf'^\| `vae="{name}"` \| (.*) \|$', PUBLIC.read_text(), re.MULTILINE)
    told = [float(cell.split(" GiB")[0]) for cell in row.split(" | ")]
    expected = [large.total / GIB, small.total / GIB, large.streams / GIB]
    assert told == pytest.approx(expected, abs=0.06)
