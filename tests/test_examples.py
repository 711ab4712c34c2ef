"""Each example runs from a folder of its own, in well under a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAID = {
    "01_step_a_world.py": "remembered share of the view",
    "02_leave_and_come_back.py": "second visit: memory knew",
    "03_train_ppo.py": "PPO: success",
    "04_train_in_your_own_room.py": "starting in [42 42 42 42]",
    "05_many_robots.py": "robot_2: return",
    "06_step_the_public_weights.py": "runs/public_weights.mp4: 97 frames",
}
ARGUMENTS = {"03_train_ppo.py": ["256"]}
"""Training is shorter here."""

GENERATED = ("02_leave_and_come_back.py", "05_many_robots.py")
"""Examples that run in the generated world here; the others in the engine, which is faster."""

FOLDERS = {"06_step_the_public_weights.py": str(ROOT / "tests" / "fixtures" / "matrix_game3")}
"""What stands in the place of the world."""


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.name)
def test_an_example_runs(path, tmp_path):
    world = "nano" if path.name in GENERATED else "engine"
    world = FOLDERS.get(path.name, world)
    command = [sys.executable, str(path), world, *ARGUMENTS.get(path.name, [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert SAID[path.name] in ran.stdout
