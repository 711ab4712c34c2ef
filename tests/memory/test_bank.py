"""Memory is bounded, outlives places and processes, and keeps the observed before the imagined."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mgenv.errors import CheckpointError, InvalidOptionError, NotResetError, OutputError
from mgenv.memory.bank import MemoryBank
from tests.memory.scenes import looking
from tests.same import assert_same

SIZE = 16


def frame(number: int, x: float | None = None):
    """One frame with its own colour, depth and position: (1, H, W, 3), (1, H, W), (1, 4, 4)."""
    rgb = np.full((1, SIZE, SIZE, 3), number, dtype=np.uint8)
    depth = np.full((1, SIZE, SIZE), 1.0 + number / 8, dtype=np.float32)
    return rgb, depth, looking(float(number) if x is None else x)[None].numpy()


def put(bank: MemoryBank, slot: int, numbers, observed: bool) -> None:
    for number in numbers:
        bank.add([slot], *frame(number), observed=observed)


def numbers(bank: MemoryBank, slot: int) -> list[int]:
    return bank.frames(slot).rgb[:, 0, 0, 0].tolist()


@pytest.fixture
def bank() -> MemoryBank:
    made = MemoryBank(3, SIZE, frames=4)
    made.enter([0, 1, 2], [7, 7, 8])
    return made


def test_frames_come_back_as_they_went_in(bank):
    put(bank, 0, [1], observed=True)
    put(bank, 0, [2], observed=False)
    memories = bank.frames(0)
    for index, number in enumerate((1, 2)):
        rgb, depth, pose = frame(number)
        np.testing.assert_array_equal(memories.rgb[index], rgb[0])
        np.testing.assert_allclose(memories.depth[index], depth[0], rtol=1e-3)
        np.testing.assert_array_equal(memories.pose[index], pose[0])
    assert memories.observed.tolist() == [True, False]
    assert bank.count([0, 1, 2]).tolist() == [2, 0, 0]
    assert bank.world_ids() == [7]


def test_an_observed_frame_is_stored_once_for_many_places(bank):
    put(bank, 0, [1], observed=True)
    put(bank, 1, [1], observed=True)
    put(bank, 2, [1], observed=True)
    rows = {bank.surfaces(slot)[0].tolist()[0] for slot in range(3)}
    assert len(rows) == 1
    bank.clear([0])
    assert bank.count([0, 1, 2]).tolist() == [0, 1, 1]
    assert numbers(bank, 1) == [1]


def test_the_same_observation_twice_is_one_memory(bank):
    put(bank, 0, [1, 1], observed=True)
    assert bank.count([0])[0] == 1


def test_forgotten_frames_make_room(bank):
    for number in range(200):
        put(bank, 0, [number], observed=True)
        bank.clear([0])
    assert len(bank.surfaces(0)[1]) <= 64


def test_a_place_is_bounded_and_generated_frames_go_first(bank):
    put(bank, 0, [1, 2], observed=True)
    put(bank, 0, [3, 4], observed=False)
    put(bank, 0, [5, 6], observed=True)
    assert numbers(bank, 0) == [1, 2, 5, 6]
    put(bank, 0, [7], observed=False)  # no generated frame drives an observed one out
    assert numbers(bank, 0) == [1, 2, 5, 6]
    put(bank, 0, [8], observed=True)
    assert bank.count([0])[0] == 4 and 8 in numbers(bank, 0)


def test_the_most_redundant_generated_frame_is_evicted(bank):
    for number, x in ((1, 0.0), (2, 5.0), (3, 5.1), (4, 9.0)):
        bank.add([0], *frame(number, x), observed=number == 2)
    bank.add([0], *frame(5, 20.0), observed=False)
    assert numbers(bank, 0) == [1, 2, 4, 5]


def test_places_outlive_visits_until_cleared(bank):
    put(bank, 0, [1], observed=False)
    bank.enter([0], [8])
    assert bank.count([0])[0] == 0
    bank.enter([0], [7])
    assert numbers(bank, 0) == [1]
    bank.clear([0])
    assert bank.count([0])[0] == 0 and bank.world_ids() == []


def test_clear_forgets_one_place_only(bank):
    put(bank, 0, [1], observed=False)
    put(bank, 1, [2], observed=False)
    bank.clear([0])
    assert bank.count([0, 1]).tolist() == [0, 1]


def test_forget_leaves_no_place_and_no_position(bank):
    put(bank, 0, [1], observed=False)
    put(bank, 1, [2], observed=False)
    bank.forget([0])
    with pytest.raises(NotResetError):
        bank.count([0])
    assert numbers(bank, 1) == [2]


def test_slots_in_one_world_may_share_what_they_remember():
    bank = MemoryBank(3, SIZE, shared=True)
    bank.enter([0, 1, 2], [7, 7, 8])
    put(bank, 0, [1], observed=False)
    assert numbers(bank, 1) == [1]
    assert bank.count([2])[0] == 0
    bank.clear([1])
    assert bank.count([0])[0] == 0


def test_fork_copies_and_then_parts(bank):
    put(bank, 0, [1], observed=True)
    put(bank, 0, [2], observed=False)
    put(bank, 2, [9], observed=False)
    bank.fork(0, [2])
    assert numbers(bank, 2) == [1, 2]
    put(bank, 2, [3], observed=False)
    put(bank, 0, [4], observed=False)
    assert numbers(bank, 0) == [1, 2, 4] and numbers(bank, 2) == [1, 2, 3]
    bank.clear([0])
    for number in range(20, 40):  # what one forgot may be overwritten, unless the other holds it
        put(bank, 1, [number], observed=False)
    assert numbers(bank, 2) == [1, 2, 3]


def test_fork_takes_other_worlds_along(bank):
    put(bank, 0, [1], observed=False)
    bank.enter([0], [9])
    bank.fork(0, [1])
    bank.enter([1], [7])
    assert numbers(bank, 1) == [1]


def test_a_state_resumes_exactly_and_is_a_copy(bank):
    put(bank, 0, [1, 2], observed=True)
    put(bank, 0, [3], observed=False)
    state = bank.get_state()

    def go_on() -> list[list[int]]:
        put(bank, 0, [4, 5], observed=False)
        put(bank, 1, [2], observed=True)
        assert bank.surfaces(1)[0][0] == bank.surfaces(0)[0][1]  # stored once
        return [numbers(bank, slot) for slot in range(3)]

    first = go_on()
    bank.clear([0, 1])
    bank.set_state(state)
    assert numbers(bank, 0) == [1, 2, 3]
    assert go_on() == first


def test_a_file_brings_everything_back(bank, tmp_path):
    put(bank, 0, [1], observed=True)
    put(bank, 1, [2], observed=False)
    put(bank, 2, [1, 3], observed=True)
    bank.save(tmp_path / "deep" / "memory.safetensors")
    other = MemoryBank(3, SIZE)
    assert other.load(tmp_path / "deep" / "memory.safetensors") == [7, 8]
    other.enter([0, 1, 2], [7, 7, 8])
    for slot in range(3):
        assert_same(tuple(bank.frames(slot)), tuple(other.frames(slot)))
    assert os.listdir(tmp_path / "deep") == ["memory.safetensors"]


def test_loading_changes_the_named_slots_only(bank, tmp_path):
    put(bank, 0, [1], observed=True)
    bank.save(tmp_path / "memory")
    other = MemoryBank(2, SIZE)
    other.enter([0, 1], [7, 7])
    put(other, 0, [5], observed=False)
    put(other, 1, [6], observed=False)
    other.load(tmp_path / "memory", slots=[1])
    assert numbers(other, 0) == [5] and numbers(other, 1) == [1]


def test_a_scan_of_one_serves_slots_that_had_none(bank, tmp_path):
    put(bank, 0, [1, 2], observed=True)
    bank.save(tmp_path / "memory")
    many = MemoryBank(4, SIZE)
    many.load(tmp_path / "memory")
    many.enter(range(4), [7] * 4)
    assert [numbers(many, slot) for slot in range(4)] == [[1, 2]] * 4


def test_a_longer_file_is_cut_to_the_bound(bank, tmp_path):
    put(bank, 0, [1, 2, 3, 4], observed=True)
    bank.save(tmp_path / "memory")
    small = MemoryBank(1, SIZE, frames=2)
    small.load(tmp_path / "memory")
    small.enter([0], [7])
    assert small.count([0])[0] == 2


def damage(path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("not a memory")
    elif kind == "missing":
        path.unlink()
    elif kind == "other":
        save_file({"x": torch.zeros(1)}, path, metadata={"format": "something"})
    elif kind == "places":
        path.write_bytes(content.replace(b'"0,7"', b'"0;7"'))
    else:
        shape = {"0.rgb": (1, SIZE, SIZE, 3), "0.depth": (1, 3, 3), "0.pose": (1, 4, 4)}
        tensors = {name: torch.zeros(size) for name, size in shape.items()}
        tensors["0.rgb"] = tensors["0.rgb"].to(torch.uint8)
        tensors["0.observed"] = torch.ones(1, dtype=torch.bool)
        header = {"format": "mgenv-memory-1", "image_size": str(SIZE), "places": "0,7"}
        save_file(tensors, path, metadata=header)


@pytest.mark.parametrize("kind", ["cut", "text", "missing", "other", "places", "shape"])
def test_a_damaged_file_is_named_and_changes_nothing(bank, tmp_path, kind):
    path = tmp_path / "memory"
    put(bank, 0, [1], observed=True)
    bank.save(path)
    damage(path, kind)
    put(bank, 0, [2], observed=False)
    with pytest.raises(CheckpointError, match=str(path)):
        bank.load(path)
    assert numbers(bank, 0) == [1, 2]


def test_frames_of_another_size_are_named(bank, tmp_path):
    put(bank, 0, [1], observed=True)
    bank.save(tmp_path / "memory")
    with pytest.raises(CheckpointError, match="32 px"):
        MemoryBank(1, 32).load(tmp_path / "memory")


def test_what_cannot_be_written_is_named_and_leaves_no_trace(bank, tmp_path):
    put(bank, 0, [1], observed=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        bank.save(tmp_path / "file" / "memory")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OutputError):
        bank.save(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_frames_of_a_wrong_shape_or_not_finite_are_refused(bank):
    rgb, depth, pose = frame(1)
    with pytest.raises(InvalidOptionError, match="shape"):
        bank.add([0], rgb[:, :8], depth, pose, observed=True)
    with pytest.raises(InvalidOptionError, match="finite"):
        bank.add([0], rgb, depth * np.nan, pose, observed=True)
    assert bank.count([0])[0] == 0


def test_nobody_remembers_before_entering():
    with pytest.raises(NotResetError):
        MemoryBank(1, SIZE).add([0], *frame(1), observed=True)
    with pytest.raises(InvalidOptionError):
        MemoryBank(1, SIZE, frames=0)
