"""What the README alone promises; its code, commands, figures and links: ``test_docs.py``."""

from __future__ import annotations

import re
import subprocess

from tests.pages import PAGES, ROOT, commands

README = ROOT / "README.md"


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 150


def test_two_commands_set_it_up():
    made = [line for line in commands(README) if line.startswith("make")]
    assert made == ["make demo", "make test"]
    for line in made:
        subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_every_example_is_named():
    named = re.findall(r"python (examples/\w+\.py)", README.read_text())
    assert named == sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("examples/*.py"))


def test_every_page_is_linked():
    linked = set(re.findall(r"\]\(([\w/]+\.md)\)", README.read_text()))
    assert {str(page.relative_to(ROOT)) for page in PAGES} - linked == {"README.md"}


def test_policies_that_do_not_look_stand_beside_those_that_learned():
    rows = re.findall(r"^\| PointNav, ([\w+ ]*\w)", README.read_text(), re.M)
    assert {"random", "blind", "blind+odometry", "planner on the true map"} <= set(rows)
