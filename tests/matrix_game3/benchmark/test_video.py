from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mgenv.matrix_game3.benchmark import video
from mgenv.matrix_game3.network.config import TransformerConfig
from mgenv.matrix_game3.vae.config import VaeConfig

CONFIG = Path(__file__).parents[2] / "fixtures" / "matrix_game3" / "dit_config.json"
TINY = VaeConfig(encoder_widths=(8, 8, 16, 16, 16), decoder_widths=(16, 16, 16, 16, 8))


@pytest.fixture(scope="module")
def report():
    told: list[str] = []
    sizes = TransformerConfig.from_json(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video.clips, "REMEMBERED", 16)
        made = video.run(sizes, TINY, (32, 64), device="cpu", report=told.append)
    return made, told


PARTS = ("retrieve [ms]", "prepare [ms]", "3 steps [ms]", "decode [ms]")


def test_every_row_is_measured(report):
    made, told = report
    worlds = [variant.name for variant in (video.DRAFT_WORLD, video.WORLD)]
    assert made.notes == [f"{name}: programs compiled after the third clip: 0." for name in worlds]
    assert not made.failed and len(told) == len(made.rows) == len(video.ROWS)
    assert [row["variant"] for row in made.rows] == [variant.name for variant in video.ROWS]
    for row, variant in zip(made.rows, video.ROWS, strict=True):
        assert row["FPS"] == pytest.approx(video.NEW_FRAMES / row["clip [ms]"] * 1e3)
        summed = sum(row[part] for part in PARTS)
        if not variant.pinned or variant.retrieve_on_cpu:
            assert row["clip [ms]"] == pytest.approx(summed)
        elif variant.world:  # and remembers what it made
            assert row["clip [ms]"] > 0.3 * summed
        else:  # measured as a whole
            assert 0.3 * summed < row["clip [ms]"] < 3 * summed


def test_errors_are_those_of_rounding(report):
    errors = {row["variant"]: row["velocity"] for row in report[0].rows}
    assert errors[video.ONCE.name] == pytest.approx(errors[video.PLAIN.name], rel=0.2)
    kinds = [errors[row.name] for row in (video.DECODER, video.GATED, video.IN_FP8, video.IN_INT8)]
    assert len(set(kinds)) == 4 and all(0 < error < 0.03 for error in kinds)


def test_what_is_reused_shows_in_the_rollout_alone(report):
    rows = {row["variant"]: row for row in report[0].rows}
    plain, reused = rows[video.FLASH3.name], rows[video.REUSED.name]
    assert reused["velocity"] == plain["velocity"]
    draft, alternate = rows[video.DRAFT.name], rows[video.ALTERNATE.name]
    assert len({row["rollout"] for row in (plain, reused, alternate, draft)}) == 4
    assert rows[video.PLAIN.name]["rollout"] < 0.03


def test_what_fails_is_said_and_the_rest_goes_on(monkeypatch):
    def fail(*args):
        raise RuntimeError("no such kernel\nand more")

    monkeypatch.setattr(video.Bench, "measure", fail)
    ladder = (video.PLAIN, replace(video.PLAIN, name="other"))
    made = video.run(TransformerConfig.from_json(CONFIG), TINY, (32, 64), ladder, "cpu")
    assert made.failed == [f"{n}: RuntimeError: no such kernel" for n in (ladder[0].name, "other")]
    assert made.rows == []


def test_kernels_of_a_clip_are_told(monkeypatch):
    monkeypatch.setattr(video.clips, "REMEMBERED", 16)
    config = TransformerConfig.from_json(CONFIG)
    made = video.run(config, TINY, (32, 64), (video.PINNED,), "cpu", profile=True)
    parts = ("prepare", "steps", "decode")
    for note, part in zip(made.notes, parts, strict=True):
        assert note.startswith(f"{video.PINNED.name}, {part}: ")
        assert " ms in all: " in note and " ms `aten::" in note
