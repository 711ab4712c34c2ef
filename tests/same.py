"""Equality of nested observations, infos and states, to the bit."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

import numpy as np
import torch


def assert_same(one: Any, other: Any, where: str = "") -> None:
    """Same keys, types and values, in arrays of objects too."""
    assert type(one) is type(other), f"{where}: {type(one)} and {type(other)}"
    if isinstance(one, np.random.Generator):
        one, other = one.bit_generator.state, other.bit_generator.state
    if is_dataclass(one):
        one, other = vars(one), vars(other)
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, where
        if one.dtype == torch.bfloat16:  # which NumPy does not know
            one, other = one.float(), other.float()
        one, other = one.numpy(), other.numpy()
    if isinstance(one, dict):
        assert one.keys() == other.keys(), f"{where}: {sorted(one)} and {sorted(other)}"
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert_same(list(one), list(other), where)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and one.shape == other.shape, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    else:
        assert one == other, f"{where}: {one} and {other}"


def differs(one: Any, other: Any) -> bool:
    """Whether :func:`assert_same` would fail."""
    try:
        assert_same(one, other)
    except AssertionError:
        return True
    return False
