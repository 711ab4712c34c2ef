import numpy as np
import pytest

from mgenv.memory.recognition import recognise, similarity
from mgenv.worlds.sources import engine_view


def test_a_picture_is_found_among_others():
    frames = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    assert recognise(frames[13], frames) == (13, pytest.approx(1.0))


def test_brightness_and_noise_do_not_hide_it_and_others_are_unlike():
    frames = np.stack([engine_view(world_id, 64)[0] for world_id in range(8)])
    rng = np.random.default_rng(0)
    for index, frame in enumerate(frames):
        blurred = frame * 0.7 + rng.normal(0, 15, frame.shape)
        found, match = recognise(blurred.clip(0, 255).astype(np.uint8), frames)
        assert found == index and match > 0.95
        assert np.delete(similarity(frame, frames), index).max() < match


def test_nothing_is_found_in_no_frames_nor_in_a_blank_picture():
    blank = np.zeros((64, 64, 3), np.uint8)
    assert recognise(blank, np.zeros((0, 64, 64, 3), np.uint8)) == (-1, 0.0)
    assert recognise(blank, blank[None])[1] == 0.0


@pytest.mark.parametrize("shape", [(8, 8), (16, 16), (50, 70)])
def test_pictures_of_any_shape_are_compared(shape):
    frames = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    np.testing.assert_allclose(similarity(frames[1], frames)[1], 1.0)
