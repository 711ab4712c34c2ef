"""The public network's numbers, at any size, and the same however they are computed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mgenv import matrix_game3
from mgenv.errors import InvalidOptionError
from mgenv.matrix_game3 import (
    PUBLIC_5B,
    PUBLIC_14B_EXPERT,
    PUBLIC_14B_PLAIN,
    ActionConfig,
    Transformer,
    TransformerConfig,
    build,
)
from mgenv.matrix_game3.network.action import HeadNorm, action_windows, latents_of
from mgenv.matrix_game3.network.attention import LayerNorm, RMSNorm
from mgenv.matrix_game3.network.rope import head_bases, rotate, token_rotation
from tests.matrix_game3.plain_network import PlainNetwork
from tests.matrix_game3.small_network import (
    SMALL,
    a_clip,
    latents_and_times,
    randomised,
    relative_error,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "matrix_game3"


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    tensors = load_file(FIXTURES / "dit_golden.safetensors")
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


@pytest.fixture(scope="module")
def public() -> Transformer:
    network = build(TransformerConfig.from_json(FIXTURES / "dit_config.json"), "cpu")
    network.load_state_dict(load_file(FIXTURES / "dit.safetensors"), strict=True)
    return network


@pytest.fixture
def network() -> Transformer:
    return randomised(SMALL)


# -- the public network's numbers ----------------------------------------------------------------


def first_clip(golden) -> dict:
    return {
        "text": [golden["text"]],
        "plucker": golden["plucker.first_clip"],
        "keyboard": golden["keyboard"][None, :57],
        "mouse": golden["mouse"][None, :57],
        "predict_latent_idx": (0, 15),
    }


def second_clip(golden) -> dict:
    return {
        "text": golden["text"][None],
        "plucker": golden["second.plucker"],
        "keyboard": golden["keyboard"][None, 41:97],
        "mouse": golden["mouse"][None, 41:97],
        "memory": golden["second.x_memory"],
        "memory_latent_idx": golden["second.memory_latent_idx"],
        "predict_latent_idx": golden["second.predict_latent_idx"],
    }


def test_first_clip_is_the_public_one(public, golden):
    y = public(golden["first.x"], golden["first.t"], **first_clip(golden))
    assert relative_error(y, golden["first.y"]) < 1e-5


def test_second_clip_with_memory_is_the_public_one(public, golden):
    y = public(golden["second.x"], golden["second.t"], **second_clip(golden))
    assert relative_error(y, golden["second.y"]) < 1e-5


def test_the_plain_network_is_the_public_one(public, golden):
    plain = PlainNetwork(public.config, public.state_dict())
    clip = second_clip(golden)
    inputs = (clip[key] for key in ("text", "plucker", "keyboard", "mouse", "memory"))
    past, now = clip["memory_latent_idx"].tolist(), range(*clip["predict_latent_idx"].tolist())
    y = plain(golden["second.x"], golden["second.t"], *inputs, past, now)
    assert relative_error(y, golden["second.y"]) < 1e-5


def test_bfloat16_weights_stay_near(public, golden):
    network = build(public.config, "cpu")
    network.load_state_dict(public.state_dict())
    network.mixed(torch.bfloat16)
    y = network(golden["second.x"], golden["second.t"], **second_clip(golden))
    assert y.dtype == torch.float32
    assert network.blocks[0].norm3.weight.dtype == torch.float32
    assert relative_error(y, golden["second.y"]) < 0.03


# -- any size --------------------------------------------------------------------------------------

OTHERS = {
    "small": SMALL,
    "one base for all heads": replace(SMALL, sigma_theta=0.0),
    "actions everywhere": replace(
        SMALL,
        num_layers=3,
        action_config=replace(SMALL.action_config, blocks=(0, 1, 2), qkv_bias=True),
    ),
    "no actions": replace(SMALL, action_config=None),
    "wide head": replace(SMALL, num_heads=1, num_layers=1, text_len=9),
}


@pytest.mark.parametrize("memory", [0, 2])
@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
def test_any_size_equals_the_plain_network(config, memory):
    network, clip = randomised(config), a_clip(config, batch=1, memory=memory)
    x, t = latents_and_times(config, batch=1)
    t = t.repeat_interleave(6, 1)  # a timestep a token
    past, now = clip["memory_latent_idx"], range(*clip["predict_latent_idx"])
    plain = PlainNetwork(config, network.state_dict())
    inputs = (clip[key] for key in ("text", "plucker", "keyboard", "mouse", "memory"))
    expected = plain(x, t, *inputs, past.tolist() if memory else [], now)
    assert relative_error(network(x, t, **clip), expected) < 1e-5


def test_first_latent_may_be_a_single_frame():
    network, clip = randomised(SMALL), a_clip(SMALL, batch=1, memory=0)
    clip |= {key: clip[key][:, 3:] for key in ("keyboard", "mouse")}  # 4 T - 3 frames
    x, t = latents_and_times(SMALL, batch=1)
    inputs = (clip[key] for key in ("text", "plucker", "keyboard", "mouse"))
    plain = PlainNetwork(SMALL, network.state_dict())
    expected = plain(x, t.repeat_interleave(6, 1), *inputs, None, [], range(11, 14))
    assert relative_error(network(x, t, **clip), expected) < 1e-5


def test_public_sizes_hold_as_many_weights_as_they_should():
    dim, hidden, text, action = 3072, 14336, 4096, 1024
    square, norms = dim * dim + dim, 2 * dim
    attention = 4 * square + norms
    block = 2 * attention + norms + 2 * dim * hidden + hidden + dim + 6 * dim + 4 * square
    mouse_mlp = (24 + dim) * action + action + action * action + action + 2 * action
    mouse = mouse_mlp + 3 * action * action + 2 * 64 + action * dim
    embed = 6 * 128 + 128 + 128 * 128 + 128
    keyboard = embed + 2 * 64 + dim * action + 12 * 128 * 2 * action + action * dim
    embeddings = (48 * 4 * dim + dim) + (6144 * dim + dim) + 2 * square
    embeddings += (text * dim + dim + square) + (256 * dim + dim + square) + 6 * square
    head = dim * 192 + 192 + 2 * dim
    network = build(PUBLIC_5B)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == 30 * block + 15 * (mouse + keyboard) + embeddings + head == 6_469_915_584
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert network.mixed().blocks[0].ffn[0].weight.dtype == torch.bfloat16


def test_public_sizes_run_at_704_by_1280_on_meta():
    network = build(PUBLIC_5B, dtype=torch.bfloat16)
    rest = {"device": "meta"}
    conditions = network.prepare(
        text=torch.zeros(1, 300, 4096, **rest),
        plucker=torch.zeros(1, 1536, 19, 44, 80, **rest),
        keyboard=torch.zeros(1, 56, 6, **rest),
        mouse=torch.zeros(1, 56, 2, **rest),
        memory=torch.zeros(1, 48, 5, 44, 80, **rest),
        memory_latent_idx=(0, 2, 4, 6, 8),
        predict_latent_idx=(11, 25),
    )
    y = network(torch.zeros(1, 48, 14, 44, 80, **rest), torch.zeros(1, 14, **rest), conditions)
    assert y.shape == (1, 48, 14, 44, 80)
    scale, _ = conditions.blocks[0].camera
    assert scale.shape == (1, 16720, 3072) and scale.dtype == torch.bfloat16
    assert [block.actions is not None for block in conditions.blocks] == [True] * 15 + [False] * 15


def test_experts_of_the_28b_hold_fourteen_billion_before_the_camera():
    high, low = (build(config) for config in (PUBLIC_14B_EXPERT, PUBLIC_14B_PLAIN))
    camera = 4 * (5120 * 5120 + 5120) * 40
    count = sum(parameter.numel() for parameter in low.parameters()) - camera
    assert 14.0e9 < count < 14.5e9
    assert any("action_model" in name for name in high.state_dict())
    assert not any("action_model" in name for name in low.state_dict())


def test_without_memory_it_has_no_camera_and_adds_to_the_state_itself():
    config = replace(SMALL, use_memory=False)
    network = randomised(config)
    assert not any("cam" in name or "c2ws" in name for name in network.state_dict())
    x, t = latents_and_times(config)
    clip = a_clip(config, memory=0) | {"plucker": None}
    acting = network(x, t, **clip)
    still = network(x, t, **(clip | {"keyboard": None, "mouse": None}))
    assert relative_error(still, acting) > 0.01
    elsewhere = network(x, t, **(clip | {"predict_latent_idx": (90, 93)}))
    assert torch.equal(acting, elsewhere)  # it counts from its own first latent
    with pytest.raises(InvalidOptionError, match="no camera"):
        network.prepare(**(clip | {"plucker": torch.zeros(2, 1536, 3, 4, 6)}))


# -- the same however it is computed ---------------------------------------------------------------


@pytest.mark.parametrize("affine", [True, False])
def test_a_compiled_layer_norm_is_the_same(affine):
    norm = LayerNorm(24, 1e-6, elementwise_affine=affine)
    if affine:
        norm.weight.data, norm.bias.data = torch.rand(24) + 0.5, torch.randn(24)
    for dtype in (torch.float32, torch.bfloat16):
        x = (3 + 2 * torch.randn(7, 24)).to(dtype)
        out = torch.compile(norm, backend="eager", fullgraph=True)(x)
        torch.testing.assert_close(out, norm(x))


def test_conditions_serve_steps_in_public_weights(public, golden):
    conditions = public.prepare(**second_clip(golden))
    y = public(golden["second.x"], golden["second.t"], conditions)
    assert relative_error(y, golden["second.y"]) < 1e-5


def test_timesteps_a_sample_a_frame_or_a_token_are_the_same(network):
    conditions = network.prepare(**a_clip(SMALL))
    x, _ = latents_and_times(SMALL)
    t = torch.tensor([300.0, 700.0])
    by_sample = network(x, t, conditions)
    by_frame = network(x, t[:, None].expand(-1, 3), conditions)
    by_token = network(x, t[:, None].expand(-1, 18), conditions)
    assert torch.equal(by_sample, by_frame)
    assert relative_error(by_token, by_frame) < 1e-6


def test_samples_of_a_batch_do_not_know_each_other(network):
    clip = a_clip(SMALL)
    clip["text"] = [clip["text"][0], clip["text"][1, :2]]  # of different lengths
    clip["memory_latent_idx"] = torch.tensor([[0, 3], [5, 1]])
    clip["predict_latent_idx"] = torch.tensor([[11, 12, 13], [20, 21, 22]])
    x, t = latents_and_times(SMALL)
    together = network(x, t, **clip)
    for i in range(2):
        own = {key: value[i : i + 1] for key, value in clip.items()}
        assert (
            relative_error(network(x[i : i + 1], t[i : i + 1], **own), together[i : i + 1]) < 1e-5
        )


def test_actions_memory_cameras_and_prompts_matter(network):
    clip = a_clip(SMALL)
    x, t = latents_and_times(SMALL)
    y = network(x, t, **clip)
    for key in ("text", "plucker", "keyboard", "mouse", "memory", "memory_latent_idx"):
        other = clip | {key: clip[key] * 2 + 1}
        assert relative_error(network(x, t, **other), y) > 1e-3, key


def test_gradients_reach_every_weight_but_those_not_applied():
    network = Transformer(SMALL)
    x, t = latents_and_times(SMALL)
    network(x, t, **a_clip(SMALL)).square().mean().backward()
    unmoved = {name for name, p in network.named_parameters() if p.grad is None}
    assert all("action_model" in name and "attn_" in name and "norm" in name for name in unmoved)


def test_head_norm_keeps_its_weight_and_leaves_it_out():
    x, plain, scaled = torch.randn(2, 5, 8), HeadNorm(8), RMSNorm(8, 1e-6)
    expected = scaled(x)
    plain.weight.data.fill_(3.0)
    assert torch.allclose(plain(x), expected)
    assert "weight" in plain.state_dict()


# -- rotations and windows -------------------------------------------------------------------------


def test_rotation_turns_each_head_by_its_own_base():
    bases = head_bases(3, 0.8)
    assert torch.allclose(bases, torch.tensor([2000.0, 10000.0, 18000.0]).double())
    rotation = token_rotation(torch.tensor([[5]]), 1, 1, bases, 12)
    assert rotation.cos.shape == (1, 1, 3, 6)
    x = torch.zeros(1, 1, 3, 12)
    x[..., 2] = 1  # the second pair of time
    turned = rotate(x, rotation)[0, 0]
    for head, base in enumerate(bases.tolist()):
        angle = torch.tensor(5 * base**-0.5)
        assert torch.allclose(turned[head, 2:4], torch.stack([angle.cos(), angle.sin()]))


def test_windows_end_with_the_latents_own_actions():
    config = ActionConfig()
    frames = torch.arange(12.0).reshape(1, 12, 1)
    later = action_windows(frames, 1, -1.0, config)[0, :, :, 0]  # (1 + 3, 12)
    assert later[0].tolist() == [-1.0] * 12
    assert later[1].tolist() == [0.0] * 8 + [0.0, 1.0, 2.0, 3.0]
    assert later[3].tolist() == list(range(12))
    first = action_windows(frames[:, :9], 0, -1.0, config)[0, :, :, 0]
    assert first[0].tolist() == [0.0] * 12
    assert first[2].tolist() == [0.0] * 4 + list(range(8))
    assert [latents_of(n, 4) for n in (1, 4, 5, 6, 57, 56)] == [1, 1, 2, None, 15, 14]


def test_every_public_name_is_there():
    for name in matrix_game3.__all__:
        assert getattr(matrix_game3, name) is not None
    assert set(dir(matrix_game3)) == set(matrix_game3.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = matrix_game3.nothing
