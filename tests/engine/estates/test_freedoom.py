"""Freedoom's pictures as textures; Doom's picture formats."""

import struct
from pathlib import Path

import numpy as np
import pytest

from mgenv.engine.estates.freedoom import distinct, freedoom, is_sane, read_patch, unit_of
from mgenv.engine.estates.wad import read_lumps
from mgenv.engine.textures.bank import TEXELS, Bank
from mgenv.errors import DataError


@pytest.fixture(scope="module")
def bank() -> Bank:
    pytest.importorskip("vizdoom")
    return freedoom()


def test_bank_has_walls_and_floors(bank: Bank) -> None:
    walls, floors = bank.categories["walls"], bank.categories["floors"]
    assert len(walls) > 150 and len(floors) > 40
    assert [*walls, *floors] == list(range(len(bank.size)))
    assert bank.texels.shape == (len(bank.size), TEXELS, 3)
    assert set(bank.size) <= {2.0, 4.0}
    assert set(bank.size[list(floors)]) == {2.0}


def test_pictures_are_seen_but_do_not_glare(bank: Bank) -> None:
    means = bank.texels[:, :4096].mean((1, 2))
    assert means.min() > 45 and means.max() < 225


def test_pictures_of_a_kind_are_unlike(bank: Bank) -> None:
    for numbers in bank.categories.values():
        texels = bank.texels[numbers.start : numbers.stop]
        assert distinct(texels) == list(range(len(texels)))


def test_patch_is_read_column_by_column() -> None:
    columns = [bytes([1, 2, 0, 7, 8, 0, 255]), bytes([255])]
    starts = struct.pack("<ii", 16, 16 + len(columns[0]))
    data = struct.pack("<hhhh", 2, 4, 0, 0) + starts + b"".join(columns)
    assert read_patch(data).tolist() == [[-1, -1], [7, -1], [8, -1], [-1, -1]]


def test_narrow_picture_is_laid_beside_itself() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (128, 64, 3), np.uint8)
    unit = unit_of(picture)
    assert unit.shape == (128, 128, 3)
    assert np.array_equal(unit[:, :64], unit[:, 64:])


def test_picture_with_a_seam_is_mirrored() -> None:
    slope = np.linspace(0, 250, 128).astype(np.uint8)
    picture = np.repeat(np.tile(slope, (128, 1))[..., None], 3, 2)
    unit = unit_of(picture)
    assert np.array_equal(unit, unit[:, ::-1])


def test_dark_gaudy_and_empty_pictures_are_no_surfaces() -> None:
    rng = np.random.default_rng(0)
    stone = (120 + rng.normal(0, 10, (64, 64, 1)) + np.zeros(3)).astype(np.uint8)
    assert is_sane(stone)
    assert not is_sane(stone // 4)
    assert not is_sane(np.full_like(stone, 120))
    assert not is_sane(stone * np.array([1, 0, 0], np.uint8))


def test_damaged_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.wad"
    path.write_bytes(b"IWAD" + struct.pack("<ii", 9, 12))
    with pytest.raises(DataError, match="cut off"):
        read_lumps(path)
