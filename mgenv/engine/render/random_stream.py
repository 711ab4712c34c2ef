"""A random stream that is the same for ever: splitmix64 (Steele et al., 2014) in one uint64."""

from __future__ import annotations

import numpy as np

from mgenv.jit import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@compiled
def new_stream(seed, purpose):
    """uint64 (1,): a stream of its own for each pair of integers."""
    state = np.empty(1, np.uint64)
    state[0] = np.uint64(seed) * _MIX_1 + np.uint64(purpose) * _GOLDEN
    uniform(state)
    return state


@compiled
def uniform(state):
    """The next number in [0, 1)."""
    state[0] = state[0] + _GOLDEN
    z = state[0]
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    z = z ^ (z >> _S31)
    return (z >> _S11) * (1.0 / 9007199254740992.0)


@compiled
def between(state, low, high):
    """A number in [low, high)."""
    return low + (high - low) * uniform(state)


@compiled
def below(state, limit):
    """A whole number in [0, limit). The limit is a float, lest each constant compile anew."""
    return int(uniform(state) * limit)


@compiled
def normal(state):
    """Roughly normal, within ±3: the sum of six uniform numbers, scaled."""
    total = 0.0
    for _ in range(6):
        total += uniform(state)
    return (total - 3.0) * 1.4142135
