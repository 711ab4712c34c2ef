"""What the README says is so: its code runs, its commands run, its excerpt is the source."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mgenv.benchmark import speed
from mgenv.cli import demo
from mgenv.cli.main import COMMANDS, main
from mgenv.envs import places, vector_env
from mgenv.models.world_model import WorldModel, WorldModelConfig
from tests.fake_world import FakeRecording, FakeWorld

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()

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


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Worlds are tiny, whatever their name, and files go into a folder of the test's own."""
    for module in (vector_env, demo):
        monkeypatch.setattr(module, "load_world", lambda name, num_envs, **_: FakeWorld(num_envs))
    monkeypatch.setattr(places, "scan", FakeRecording)
    monkeypatch.setattr(speed, "_in_process", speed.measure)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def untrained(monkeypatch):
    """The quality benchmarks judge an untrained model, which is as long in the doing."""
    model = WorldModel(WorldModelConfig())
    monkeypatch.setattr("mgenv.cli.bench_common.load_model", lambda *_: model)


def test_two_commands_set_it_up():
    made = [line for line in commands() if line.startswith("make")]
    assert made == ["make demo", "make test"]
    for line in made:
        subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith("mgenv")])
def test_every_command_runs(line, tiny, untrained, capsys):
    words = shlex.split(line)[1:]
    name = " ".join(words[:2]) if words[0] == "bench" else words[0]
    if name == "evaluate" and words[1] != "random":
        train = next(c for c in commands() if c.startswith("mgenv train"))
        assert main([*shlex.split(train)[1:], *SMALL["train"].split()]) == 0
    if "--episodes" in words:
        make = next(c for c in commands() if c.startswith("mgenv episodes make"))
        assert main([*shlex.split(make)[1:], *SMALL["episodes"].split()]) == 0
    if name in ("data", "weights"):
        place = words[-1]
        collect = next(c for c in commands() if place in c and c.startswith("mgenv collect"))
        assert main([*shlex.split(collect)[1:], *SMALL["collect"].split()]) == 0
    if name == "weights":
        Path("DIR").mkdir()
        shutil.copy(ROOT / "tests/fixtures/matrix_game3/vae_00.safetensors", words[2])
    small = SMALL[name] if "--episodes" not in words else "--num-envs 2 --max-episode-steps 5"
    assert main([*words, *small.split()]) == 0, capsys.readouterr().err


def test_every_command_that_is_named_exists():
    named = set(re.findall(r"`mgenv (\w+)", README))
    named |= {line.split()[1] for line in commands() if line.startswith("mgenv")}
    assert named == set(COMMANDS)


def test_other_commands_are_of_files_and_programs_that_are_there():
    others = [c.split() for c in commands() if not c.startswith(("mgenv", "make"))]
    for program, *arguments in others:
        if program == "python":
            assert (ROOT / arguments[0]).is_file(), "run by test_examples.py"
        else:
            assert program == "tensorboard"
            subprocess.run([sys.executable, "-c", "import tensorboard.main"], check=True)


def test_every_example_is_named():
    named = re.findall(r"python (examples/\w+\.py)", README)
    assert named == sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("examples/*.py"))


@pytest.mark.parametrize("code", blocks("python"))
def test_every_piece_of_code_runs(code, monkeypatch, tmp_path):
    monkeypatch.setattr("mgenv.worlds.load_world", _tiny_world)
    monkeypatch.setattr(vector_env, "load_world", _tiny_world)
    monkeypatch.setattr(places, "scan", FakeRecording)
    monkeypatch.setattr("mgenv.engine.motion.navigation.scan", FakeRecording)
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "readme.py"
    script.write_text(code)
    runpy.run_path(str(script))


def test_the_step_is_that_of_the_source():
    source = (ROOT / "mgenv" / "worlds" / "generated.py").read_text()
    for line in "".join(blocks("py")).splitlines():
        assert line.partition("  #")[0].strip() in source, line


def test_every_figure_is_in_the_results_file_beside_it():
    rows = re.findall(r"^\| (.*) \| \[\w+\]\((mgenv/benchmark/results/\S+)\) \|$", README, re.M)
    for text, file in rows:
        measured = (ROOT / file).read_text()
        figures = re.findall(r"\*\*([\d.,]+)", text)
        assert figures, f"no figure in bold: {text}"
        for figure in figures:
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", measured), (figure, file)


def test_no_link_within_the_tree_is_broken():
    named = re.findall(r"`((?:mgenv|examples|tests)/[\w./]+\.\w+)`", README)
    named += re.findall(r"\]\(((?:mgenv|docs)/[\w./]+)\)", README)
    assert named and "docs/public_network.md" in named
    for path in named:
        assert (ROOT / path).exists(), path


def _tiny_world(name, num_envs, share_memory=False, **_):
    return FakeWorld(num_envs, 64, share_memory)
