"""Image textures on furniture."""

from __future__ import annotations

import numpy as np
import pytest

from mgenv.engine.estates.texture_assignment import LEAF, _cover_leaves
from mgenv.engine.render.random_stream import new_stream, uniform
from mgenv.engine.scene.shapes import BOX, OBJECT_MATERIAL, OBJECT_SIZE
from mgenv.engine.textures.textures import IMAGE, LEAVES, PLAIN


@pytest.mark.parametrize("pattern", [PLAIN, LEAVES])
def test_only_pieces_with_leaves_draw_a_lawn(pattern):
    table = np.zeros((LEAF + 1, 1, 2), np.int64)
    table[LEAF, 0] = 5, 3
    objects = np.zeros((2, OBJECT_SIZE), np.float32)
    objects[:, 0], objects[:, OBJECT_MATERIAL] = BOX, pattern
    state, untouched = new_stream(7, 1), new_stream(7, 1)
    _cover_leaves(state, table, np.full(8, 2.0), objects, 0, 2)
    leaves = pattern == LEAVES
    assert (objects[:, OBJECT_MATERIAL] == (IMAGE if leaves else pattern)).all()
    assert (uniform(state) != uniform(untouched)) == leaves
    assert not leaves or objects[0, 15] == objects[1, 15] in (5, 6, 7)
