"""Frames are decoded behind what else is done, and nothing that they need is reused meanwhile."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from mgenv.matrix_game3.rollout.frames import BackgroundDecoder
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.streaming import StreamingDecoder
from mgenv.matrix_game3.vae.vae import VideoVAE

SMALL = VaeConfig(encoder_widths=(2, 2, 2, 2, 2), decoder_widths=(4, 4, 4, 4, 4))


@pytest.fixture
def background() -> BackgroundDecoder:
    torch.manual_seed(0)
    return BackgroundDecoder(StreamingDecoder(VideoVAE(SMALL)), torch.device("cpu"))


def test_clip_by_clip_is_the_video_at_once(background):
    latents = torch.randn(48, 5, 2, 3)
    first, past = background.decode(latents[:, :3], None)
    second, _ = background.decode(latents[:, 3:], past)
    whole, _ = background.decode(latents, None)
    both = torch.cat([first.wait(), second.wait()])
    assert (whole.wait().int() - both.int()).abs().max() <= 1


def test_what_another_stream_reads_is_not_reused_before(background, monkeypatch):
    """Latents, and the past too: that of a copied track lies in memory of the caller's stream."""
    past = background.decode(torch.randn(48, 1, 2, 3), None)[1]
    stream, marked = SimpleNamespace(wait_stream=lambda other: None), []
    monkeypatch.setattr(background, "_stream", stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(Tensor, "record_stream", lambda x, s: marked.append((x.data_ptr(), s)))
    latents = torch.randn(48, 2, 2, 3)
    background.decode(latents, past)
    assert {at for at, _ in marked} == {x.data_ptr() for x in (latents, *past)}
    assert all(by is stream for _, by in marked)


@pytest.mark.gpu
def test_a_past_that_the_caller_made_outlives_the_call(background):
    vae, latents = background.decoder.vae.cuda(), torch.randn(48, 2, 2, 3).cuda()
    background = BackgroundDecoder(StreamingDecoder(vae), latents.device)
    _, past = background.decode(latents[:, :1], None)
    torch.cuda.synchronize()
    expected = background.decode(latents[:, 1:], past)[0].wait()
    copies = [kept.clone() for kept in past]
    with torch.cuda.stream(background._stream):
        torch.cuda._sleep(10**8)
    frames, _ = background.decode(latents[:, 1:], copies)
    sizes = [kept.shape for kept in copies]
    del copies
    background.decoder.reset()
    overwritten = [torch.full(size, 1e4, device="cuda") for size in sizes]
    assert torch.equal(frames.wait(), expected) and overwritten
