"""Threads share work in parts that make up the whole."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mgenv.memory.threads import in_fixed_parts, in_parts, one_thread


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def parts(batch: int) -> list[int]:
    done: list[int] = []
    in_parts(lambda first, last: done.extend(range(first, last)), batch)
    return sorted(done)


@pytest.mark.parametrize("batch", [0, 1, 2, 7])
def test_each_item_is_done_once(two_threads, batch):
    assert parts(batch) == list(range(batch))


@pytest.mark.parametrize("wrong", [0, 3])
def test_an_error_of_any_part_is_raised(two_threads, wrong):
    def work(first: int, last: int) -> None:
        if first <= wrong < last:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_parts(work, 4)


def in_slices(work, batch: int) -> list:
    return in_fixed_parts(work, [slice(n, n + 2) for n in range(0, batch, 2)])


@pytest.mark.parametrize("share", [in_parts, in_slices])
def test_no_part_goes_on_after_an_error_has_come_back(two_threads, share):
    going: list[str] = []

    def work(*part) -> None:
        start = part[0].start if isinstance(part[0], slice) else part[0]
        if start == 0:
            while not going:
                time.sleep(0.01)
            raise ZeroDivisionError
        going.append("began")
        time.sleep(0.2)
        going.append("ended")

    with pytest.raises(ZeroDivisionError):
        share(work, 4)
    assert going == ["began", "ended"]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[1], [2, 2], [3, 3, 1], [2] * 7])
def test_fixed_parts_come_back_in_their_order(two_threads, sizes, threads):
    torch.set_num_threads(threads)
    ends = np.cumsum(sizes).tolist()
    parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
    assert in_fixed_parts(lambda part: part, parts) == parts


def test_fixed_parts_keep_torch_in_their_threads(two_threads):
    def work(part: slice) -> tuple[int, int, bool]:
        return threading.get_ident(), torch.get_num_threads(), torch.is_inference_mode_enabled()

    with one_thread():
        made = in_slices(work, 4)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    assert len({ident for ident, _, _ in made}) == 2
    assert {(count, inference) for _, count, inference in made} == {(1, True)}


@pytest.mark.parametrize("wrong", [0, 3])
def test_torch_has_its_threads_again_after_an_error(two_threads, wrong):
    def work(part: slice) -> None:
        if part.start <= wrong < part.stop:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_slices(work, 4)
    assert torch.get_num_threads() == 2


def in_child(queue) -> None:
    queue.put(parts(4))


def test_a_forked_process_has_threads_of_its_own(two_threads):
    """Those of its parent do not come along, and work given to them would never end."""
    assert parts(4) == [0, 1, 2, 3]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,), daemon=True)
    child.start()
    try:
        assert queue.get(timeout=20) == [0, 1, 2, 3]
    finally:
        child.kill()
