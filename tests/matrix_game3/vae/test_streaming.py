"""Segment by segment equals all at once, and fast paths equal the plain one."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3.vae.config import VaeConfig
from mgenv.matrix_game3.vae.streaming import (
    StreamingDecoder,
    fold,
    to_channels_last,
)
from mgenv.matrix_game3.vae.vae import VideoVAE, to_uint8

CONFIG = VaeConfig(
    latent_channels=6,
    encoder_widths=(4, 4, 4, 8, 8),
    decoder_widths=(16, 16, 16, 8, 4),
    encoder_blocks=1,
    decoder_blocks=2,
)
SPLITS = ([1] * 8, [8], [3, 5], [1, 2, 4, 1], [2, 1, 1, 3, 1])


@pytest.fixture(scope="module")
def vae() -> VideoVAE:
    torch.manual_seed(0)
    return VideoVAE(CONFIG).requires_grad_(False).eval()


@pytest.fixture(scope="module")
def latent() -> Tensor:
    return torch.randn(2, 6, 8, 2, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def video() -> Tensor:
    return torch.rand(2, 3, 29, 32, 48, generator=torch.Generator().manual_seed(2)) * 2 - 1


def same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("segment", [1, 3])
def test_segments_decode_to_the_whole(
    vae: VideoVAE, latent: Tensor, split: list[int], segment: int
) -> None:
    decoder = StreamingDecoder(vae, segment=segment)
    pieces = [decoder.decode(part) for part in latent.split(split, dim=2)]
    assert [piece.shape[2] for piece in pieces] == [
        4 * n - 3 * (i == 0) for i, n in enumerate(split)
    ]
    assert same(torch.cat(pieces, dim=2), vae.decode(latent))


def test_steps_of_any_length_decode_to_the_whole(vae: VideoVAE, latent: Tensor) -> None:
    start, past = vae.decode_step(latent[:, :, :3], None)
    rest, _ = vae.decode_step(latent[:, :, 3:], past)
    assert same(torch.cat([start, rest], dim=2), vae.decode(latent))


def test_nothing_looks_ahead(vae: VideoVAE, latent: Tensor) -> None:
    changed = latent.clone()
    changed[:, :, 5:] += 1
    assert same(vae.decode(latent)[:, :, :17], vae.decode(changed)[:, :, :17])
    assert not same(vae.decode(latent)[:, :, 17:], vae.decode(changed)[:, :, 17:])


def test_videos_of_a_batch_do_not_mix(vae: VideoVAE, latent: Tensor) -> None:
    assert same(vae.decode(latent)[1:], vae.decode(latent[1:]))


def test_reset_starts_a_new_video(vae: VideoVAE, latent: Tensor) -> None:
    decoder = StreamingDecoder(vae)
    first = decoder.decode(latent)
    decoder.reset()
    assert torch.equal(decoder.decode(latent), first)


def test_state_resumes_in_another_decoder(vae: VideoVAE, latent: Tensor) -> None:
    decoder, other = StreamingDecoder(vae), StreamingDecoder(vae)
    decoder.decode(latent[:, :, :3])
    state = decoder.get_state()
    expected = decoder.decode(latent[:, :, 3:])
    other.set_state(state)
    assert torch.equal(other.decode(latent[:, :, 3:]), expected)
    other.set_state({})
    assert other.decode(latent[:, :, :1]).shape[2] == 1


def test_memory_does_not_grow(vae: VideoVAE, latent: Tensor) -> None:
    decoder = StreamingDecoder(vae)
    sizes = []
    for part in latent.split(2, dim=2):
        decoder.decode(part)
        sizes.append([kept.untyped_storage().nbytes() for kept in decoder.past or []])
    assert sizes[0] == sizes[1] == sizes[-1]
    assert all(kept.shape[2] <= 2 for kept in decoder.past or [])


def copy_of(vae: VideoVAE) -> VideoVAE:
    return VideoVAE.from_state_dict(vae.state_dict(), vae.latent_mean, vae.latent_std)


@pytest.mark.parametrize(
    "options",
    [{"channels_last": True}, {"folded": True}, {"channels_last": True, "folded": True}],
    ids=str,
)
def test_fast_layouts_equal_plain(vae: VideoVAE, latent: Tensor, options: dict[str, bool]) -> None:
    copy = copy_of(vae)
    decoder = StreamingDecoder(copy, **options)  # type: ignore[arg-type]
    pieces = [decoder.decode(part) for part in latent.split(3, dim=2)]
    assert same(torch.cat(pieces, dim=2), vae.decode(latent))
    assert set(copy.state_dict()) == set(vae.state_dict())
    layout = torch.channels_last_3d if "channels_last" in options else torch.contiguous_format
    assert copy.decoder.conv1.weight.is_contiguous(memory_format=layout)


def test_compiled_equals_plain() -> None:
    config = VaeConfig(
        latent_channels=4,
        encoder_widths=(4, 4, 4),
        decoder_widths=(8, 8, 4),
        encoder_blocks=1,
        decoder_blocks=1,
        encoder_temporal=(True,),
        decoder_temporal=(True,),
    )
    vae, latent = VideoVAE(config).requires_grad_(False), torch.randn(1, 4, 2, 2, 2)
    expected = vae.decode(latent)
    decoder = StreamingDecoder(vae, folded=True, compiled=True)
    assert same(decoder.decode(latent), expected)


def test_a_step_traces_without_breaks(vae: VideoVAE, latent: Tensor) -> None:
    """Tensors in, tensors out: a compiler sees one graph and no branch on data."""
    fast = copy_of(vae)
    fold(to_channels_last(fast.decoder))
    step = torch.compile(fast.decode_step, backend="aot_eager", fullgraph=True, dynamic=False)
    start, past = step(latent[:, :, :1], None)
    rest, _ = step(latent[:, :, 1:4], past)
    assert same(torch.cat([start, rest], dim=2), vae.decode(latent[:, :, :4]))


def test_uint8_frames_are_images_last(vae: VideoVAE, latent: Tensor) -> None:
    decoder = StreamingDecoder(vae, segment=2)
    frames = decoder.decode_to_uint8(latent)
    assert frames.shape == (2, 29, 32, 48, 3) and frames.dtype == torch.uint8
    assert (frames.int() - vae.decode_to_uint8(latent).int()).abs().max() <= 1
    ends = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).view(1, 1, 5, 1, 1).expand(1, 3, 5, 1, 1)
    assert to_uint8(ends)[0, :, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("shape", [(1, 3, 8, 32, 32), (1, 3, 5, 40, 32), (1, 4, 5, 32, 32)])
def test_video_that_does_not_fit_is_refused(vae: VideoVAE, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidOptionError, match=r"1 \+ 4n.*divisible by 16"):
        vae.encode(torch.zeros(shape))


def test_latents_of_another_model_are_refused(vae: VideoVAE) -> None:
    with pytest.raises(InvalidOptionError, match=r"\(B, 6, T, h, w\), got \(1, 5, 2, 2, 2\)"):
        StreamingDecoder(vae).decode(torch.zeros(1, 5, 2, 2, 2))


def test_graphs_need_a_gpu(vae: VideoVAE) -> None:
    with pytest.raises(InvalidOptionError, match="got one on cpu"):
        StreamingDecoder(vae, graphed=True)


@pytest.mark.gpu
def test_graphs_equal_plain(vae: VideoVAE, latent: Tensor) -> None:
    copy = VideoVAE.from_state_dict(
        vae.state_dict(), vae.latent_mean, vae.latent_std, device="cuda", dtype=torch.float64
    )
    decoder = StreamingDecoder(copy, segment=2, channels_last=True, graphed=True)
    for _ in range(2):
        pieces = [decoder.decode(part.cuda()) for part in latent.split([3, 4, 1], dim=2)]
        assert same(torch.cat(pieces, dim=2).cpu().float(), vae.decode(latent))
        decoder.reset()


def test_what_is_kept_has_its_channels_side_by_side(vae):
    """From the first frame on, which leaves open how it lies."""
    decoder = StreamingDecoder(vae, channels_last=True)
    for part in torch.randn(1, 6, 4, 2, 3).split((1, 3), dim=2):
        decoder.decode(part)
        assert all(kept.movedim(1, -1).is_contiguous() for kept in decoder.past)


def test_a_state_goes_through_a_file(vae, latent, tmp_path):
    decoder = StreamingDecoder(vae)
    decoder.decode(latent[:, :, :3])
    save_file(decoder.get_state(), tmp_path / "state.safetensors")
    expected = decoder.decode(latent[:, :, 3:])
    decoder.reset()
    decoder.set_state(load_file(tmp_path / "state.safetensors"))
    assert all(kept.movedim(1, -1).is_contiguous() for kept in decoder.past)
    assert same(decoder.decode(latent[:, :, 3:]), expected)
