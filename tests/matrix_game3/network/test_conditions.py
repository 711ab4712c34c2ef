"""What a clip fixes before any noise is computed once, when asked for, and serves every step."""

from __future__ import annotations

import pytest
import torch

from mgenv.errors import InvalidActionError, InvalidOptionError
from mgenv.matrix_game3.network.blocks import Block
from mgenv.matrix_game3.network.transformer import Transformer
from tests.matrix_game3.small_network import SMALL, a_clip, latents_and_times, randomised


@pytest.fixture
def network() -> Transformer:
    return randomised(SMALL)


def test_conditions_once_a_clip_change_nothing(network):
    clip = a_clip(SMALL)
    x, t = latents_and_times(SMALL)
    conditions = network.prepare(**clip)
    for step in (1.0, 0.5):
        assert torch.equal(network(x, t * step, conditions), network(x, t * step, **clip))


def test_conditions_of_a_block_are_computed_when_it_asks_and_once(network, monkeypatch):
    asked: list[Block] = []
    prepare = Block.prepare
    monkeypatch.setattr(
        Block, "prepare", lambda block, *given: asked.append(block) or prepare(block, *given)
    )
    conditions, (x, t) = network.prepare(**a_clip(SMALL)), latents_and_times(SMALL)
    assert not asked and len(conditions.blocks) == len(network.layers())
    for _ in range(2):
        network.velocity(x, t, conditions)
        assert asked == network.layers()


def test_conditions_of_some_blocks_can_be_had(network):
    blocks = network.prepare(**a_clip(SMALL)).blocks
    assert [own is blocks[i] for i, own in enumerate(blocks[:2])] == [True, True]


@pytest.mark.parametrize("a_token", [False, True])
@pytest.mark.parametrize("acting", [True, False])
def test_the_velocity_of_new_latents_alone_is_the_same(network, acting, a_token):
    """Whether or not the last block can leave out the others, which it needs for actions."""
    clip, (x, t) = a_clip(SMALL), latents_and_times(SMALL)
    clip = clip if acting else clip | {"keyboard": None, "mouse": None}
    t = t.repeat_interleave(6, 1) if a_token else t
    conditions = network.prepare(**clip)
    whole = network.velocity(x, t, conditions)
    lengths: list[int] = []
    network.layers()[-1].register_forward_hook(lambda _, x, y: lengths.append(y[0].shape[1]))
    for new in (1, 2):
        out = network.velocity(x, t, conditions, new)
        torch.testing.assert_close(out, whole[:, :, -new:], rtol=1e-5, atol=1e-5)
    assert lengths == ([30, 30] if acting else [6, 12])
    for new in (-1, 4):
        with pytest.raises(InvalidOptionError, match=r"new: expected 0 … 3"):
            network.velocity(x, t, conditions, new)
    kept, later = network.velocity_keeping(x, t, conditions, 1, 2)
    torch.testing.assert_close(kept, whole[:, :, -2:], rtol=1e-5, atol=1e-5)
    again = network.velocity(x[:, :, 1:], t[:, -(t.shape[1] * 2 // 3) :], later, 2)
    torch.testing.assert_close(again, whole[:, :, -2:], rtol=1e-5, atol=1e-5)


def test_steps_of_any_clip_are_one_graph(network):
    clip, (x, t) = a_clip(SMALL), latents_and_times(SMALL)
    other = clip | {"memory_latent_idx": torch.tensor([7, 9]), "predict_latent_idx": (30, 33)}
    torch._dynamo.reset()
    compiled = torch.compile(network.velocity, backend="eager", fullgraph=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for conditions in (network.prepare(**clip), network.prepare(**other)):
            for step in (1.0, 0.3):
                expected = network.velocity(x, t * step, conditions)
                torch.testing.assert_close(compiled(x, t * step, conditions), expected)


@torch.no_grad()
def test_a_prompt_is_read_once_for_many_clips():
    network, clip = randomised(SMALL), a_clip(SMALL)
    x, t = latents_and_times(SMALL)
    one = clip["text"][0]
    truth = network(x, t, network.prepare(**clip | {"text": [one, one]}))
    prompt = network.read(one)
    for _ in range(2):
        assert torch.equal(network(x, t, network.prepare(**clip | {"text": prompt})), truth)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"keyboard": torch.zeros(2, 7, 6)}, InvalidActionError, "12 or 9"),
        ({"mouse": torch.zeros(2, 12, 3)}, InvalidActionError, "mouse"),
        ({"plucker": torch.zeros(2, 1536, 5, 4, 5)}, InvalidOptionError, "w of 2"),
        ({"plucker": torch.zeros(2, 1535, 5, 4, 6)}, InvalidOptionError, "1536"),
        ({"memory": torch.zeros(2, 6, 2, 2, 6)}, InvalidOptionError, "memory"),
        ({"memory_latent_idx": [1]}, InvalidOptionError, "2 indices in memory"),
        ({"predict_latent_idx": (0, 9)}, InvalidOptionError, "3 indices in predict"),
        ({"text": torch.zeros(2, 6, 10)}, InvalidOptionError, "at most 5 tokens"),
        ({"text": torch.zeros(3, 5, 10)}, InvalidOptionError, "1 or 2 rows, got 3"),
        ({"plucker": None}, InvalidOptionError, "shape="),
    ],
)
def test_bad_conditions_are_named(network, change, error, words):
    with pytest.raises(error, match=words):
        network.prepare(**(a_clip(SMALL) | change))


def test_bad_steps_are_named(network):
    conditions = network.prepare(**a_clip(SMALL))
    x, t = latents_and_times(SMALL)
    with pytest.raises(InvalidOptionError, match="timesteps"):
        network(x, t[:, :2], conditions)
    with pytest.raises(InvalidOptionError, match="latents for conditions"):
        network(x[:, :, :2], t, conditions)
