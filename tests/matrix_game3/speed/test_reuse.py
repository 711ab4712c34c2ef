"""Keys and values of clean latents are kept between steps."""

from __future__ import annotations

import pytest
import torch

from mgenv.matrix_game3.network.transformer import Transformer
from mgenv.matrix_game3.rollout.clips import REUSE, ClipConditions, sample_clip
from tests.matrix_game3.small_network import (
    SMALL,
    a_clip,
    latents_and_times,
    randomised,
    relative_error,
)

CLEAN, NEW = 1, 2


@pytest.fixture(scope="module")
def network() -> Transformer:
    return randomised(SMALL)


@pytest.mark.parametrize("memory", [0, 2])
@torch.no_grad()
def test_at_the_same_latents_what_was_kept_changes_nothing(network, memory):
    conditions = network.prepare(**a_clip(SMALL, memory=memory), shape=(2, 3, 4, 6))
    x, t = latents_and_times(SMALL)
    velocity, later = network.velocity_keeping(x, t, conditions, CLEAN)
    assert torch.equal(velocity, network.velocity(x, t, conditions))
    again = network.velocity(x[:, :, CLEAN:], t[:, CLEAN:], later)
    assert again.shape[2] == NEW
    assert relative_error(again, velocity[:, :, CLEAN:]) < 1e-5


@torch.no_grad()
def test_a_token_may_have_a_time_of_its_own(network):
    conditions = network.prepare(**a_clip(SMALL))
    x, t = latents_and_times(SMALL)
    _, later = network.velocity_keeping(x, t, conditions, CLEAN)
    a_frame = network.velocity(x[:, :, CLEAN:], t[:, CLEAN:], later)
    a_token = network.velocity(x[:, :, CLEAN:], t[:, CLEAN:].repeat_interleave(6, 1), later)
    assert relative_error(a_token, a_frame) < 1e-5


@torch.no_grad()
def test_causal_conditions_are_those_of_a_clip_that_ends_with_the_past(network):
    """What memory and past latents say does not depend on what comes after them."""
    clip = a_clip(SMALL)
    x, _ = latents_and_times(SMALL)
    made = network.causal(x[:, :, :CLEAN], network.prepare(**clip))
    frames = {key: clip[key][:, : 4 * CLEAN] for key in ("keyboard", "mouse")}
    short = clip | frames | {"plucker": clip["plucker"][:, :, : 2 + CLEAN]}
    short |= {"predict_latent_idx": (11, 11 + CLEAN)}
    _, alone = network.velocity_keeping(
        x[:, :, :CLEAN], torch.zeros(2, CLEAN), network.prepare(**short), CLEAN
    )
    for whole, part in zip(made.blocks, alone.blocks, strict=True):
        for kept, own in zip(whole.past, part.past, strict=True):
            torch.testing.assert_close(kept, own)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@torch.no_grad()
def test_clips_differ_by_what_they_reuse(network, guidance):
    x, _ = latents_and_times(SMALL)
    full = network.prepare(**a_clip(SMALL))
    null = network.prepare(**a_clip(SMALL, memory=0)) if guidance != 1 else None
    past, noise = x[:, :, :CLEAN], x[:, :, CLEAN:]
    both = ClipConditions(full, null)
    made = {
        reuse: sample_clip(network, both, past, noise, 3, 5.0, guidance, reuse) for reuse in REUSE
    }
    assert all(latents.shape == noise.shape for latents in made.values())
    far = [relative_error(made[reuse], made["none"]) for reuse in REUSE]
    assert far[0] == 0 and far == sorted(far) and 0 < far[1] < far[2] < 0.5
    assert not torch.equal(made["causal"], made["first_step"])


@torch.no_grad()
def test_every_second_step_but_the_last_reuses_the_one_before(network, monkeypatch):
    x, _ = latents_and_times(SMALL)
    both = ClipConditions(network.prepare(**a_clip(SMALL)))
    seen: list[int] = []
    plain = type(network)._tokens

    def counting(self, tokens, *rest):
        seen.append(tokens.shape[2])
        return plain(self, tokens, *rest)

    monkeypatch.setattr(type(network), "_tokens", counting)
    for steps, latents in ((2, [3, 3]), (3, [3, 2, 3]), (4, [3, 2, 3, 3]), (5, [3, 2, 3, 2, 3])):
        seen.clear()
        sample_clip(network, both, x[:, :, :CLEAN], x[:, :, CLEAN:], steps, 5.0, 1.0, "alternate")
        assert seen == latents


@torch.no_grad()
def test_one_step_has_nothing_to_reuse(network):
    x, _ = latents_and_times(SMALL)
    both = ClipConditions(network.prepare(**a_clip(SMALL)))
    plain, kept = (
        sample_clip(network, both, x[:, :, :CLEAN], x[:, :, CLEAN:], 1, 5.0, 1.0, reuse)
        for reuse in ("none", "first_step")
    )
    assert torch.equal(plain, kept)
