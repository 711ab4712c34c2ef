"""Threads share work in parts that make up the whole."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import pytest
import torch

from mgenv.memory.threads import in_parts


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
