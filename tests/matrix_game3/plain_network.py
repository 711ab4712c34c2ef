"""The network once more, as plainly as it can be said: one sample, nothing prepared or shared.

It follows the public network step by step (complex rotations, a convolution for patches, keyboard
keys repeated at every place) and reads the weights straight from a state dict.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mgenv.matrix_game3 import TransformerConfig


class PlainNetwork:
    """``PlainNetwork(config, weights)(x, t, …)`` for a batch of one and per-token timesteps."""

    def __init__(self, config: TransformerConfig, weights: dict[str, Tensor]) -> None:
        self.config, self.weights = config, weights

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def __call__(self, x, t, text, plucker, keyboard, mouse, memory, past, now) -> Tensor:
        w, config = self.weights, self.config
        count = 0 if memory is None else memory.shape[2]
        if memory is not None:
            x = torch.cat([memory, x], 2)
        x = F.conv3d(x, w["patch_embedding.weight"], w["patch_embedding.bias"], (1, 2, 2))
        frames, rows, columns = x.shape[2:]
        t = torch.cat([t.new_zeros(1, count * rows * columns), t], 1)
        x = x.flatten(2).transpose(1, 2)  # (1, L, D)
        indices = [*past, *now]
        cells = [(f, y, c) for f in indices for y in range(rows) for c in range(columns)]
        turn = self.turns(torch.tensor(cells))  # (L, N, H/2) complex
        padded = torch.cat(
            [text, text.new_zeros(1, config.text_len - text.shape[1], text.shape[2])], 1
        )
        words = self.linear("text_embedding.2", self.gelu(self.linear("text_embedding.0", padded)))
        half = config.freq_dim // 2
        angles = t[..., None].double() * 10000 ** (-torch.arange(half).double() / half)
        waves = torch.cat([angles.cos(), angles.sin()], -1).float()
        time = self.linear("time_embedding.2", F.silu(self.linear("time_embedding.0", waves)))
        six = self.linear("time_projection.1", F.silu(time)).unflatten(-1, (6, -1))
        rays = self.rays(plucker, rows, columns) if plucker is not None else None
        for i in range(config.num_layers):
            x = self.block(f"blocks.{i}.", x, six, turn, words, rays)
            actions = config.actions_of(i)
            if actions is not None:
                x = self.act(
                    f"blocks.{i}.action_model.", x, frames, count, keyboard, mouse, actions
                )
            x = self.feed_forward(f"blocks.{i}.", x, six)
        shift, scale = (w["head.modulation"] + time[:, :, None]).unbind(2)
        out = self.linear("head.head", self.norm(x) * (1 + scale) + shift)
        out = out.reshape(frames, rows, columns, 2, 2, config.out_dim)
        out = torch.einsum("fyxpqc->cfypxq", out).reshape(1, -1, frames, 2 * rows, 2 * columns)
        return out[:, :, count:]

    def block(self, name, x, six, turn, words, rays) -> Tensor:
        shift, scale, gate = (self.weights[f"{name}modulation"] + six).unbind(2)[:3]
        h = self.norm(x) * (1 + scale) + shift
        x = x + gate * self.attention(f"{name}self_attn.", h, h, turn)
        if rays is not None:
            hidden = F.silu(self.linear(f"{name}cam_injector_layer1", rays))
            hidden = self.linear(f"{name}cam_injector_layer2", hidden) + rays
            x = (1 + self.linear(f"{name}cam_scale_layer", hidden)) * x
            x = x + self.linear(f"{name}cam_shift_layer", hidden)
        x = self.norm(x, self.weights[f"{name}norm3.weight"], self.weights[f"{name}norm3.bias"])
        return x + self.attention(f"{name}cross_attn.", x, words, None)

    def feed_forward(self, name, x, six) -> Tensor:
        shift, scale, gate = (self.weights[f"{name}modulation"] + six).unbind(2)[3:]
        h = self.linear(f"{name}ffn.0", self.norm(x) * (1 + scale) + shift)
        return x + gate * self.linear(f"{name}ffn.2", self.gelu(h))

    def attention(self, name, x, over, turn) -> Tensor:
        q, k = self.linear(f"{name}q", x), self.linear(f"{name}k", over)
        q, k = (
            self.rms(y, self.weights[f"{name}norm_{n}.weight"]) for y, n in ((q, "q"), (k, "k"))
        )
        heads = (self.config.num_heads, -1)
        q, k, v = (y.unflatten(-1, heads) for y in (q, k, self.linear(f"{name}v", over)))
        if turn is not None:
            q, k = self.turned(q, turn), self.turned(k, turn)
        return self.linear(f"{name}o", self.softmax(q, k, v))

    def act(self, name, x, frames, count, keyboard, mouse, config) -> Tensor:
        places = x.shape[1] // frames
        windows = [self.windows(a, frames - count) for a in (mouse, keyboard)]
        null = [
            torch.full((count, *y.shape[1:]), v) for y, v in zip(windows, (1.0, -1.0), strict=True)
        ]
        moves, presses = (torch.cat(pair) for pair in zip(null, windows, strict=True))  # (F, 12, C)
        times = torch.tensor([*range(count), *range(frames - count)])
        by_place = x[0].unflatten(0, (frames, places)).transpose(0, 1)  # (S, F, D)
        joined = torch.cat([by_place, moves.flatten(1).expand(places, -1, -1)], -1)
        hidden = self.linear(
            f"{name}mouse_mlp.2", self.gelu(self.linear(f"{name}mouse_mlp.0", joined))
        )
        affine = [self.weights[f"{name}mouse_mlp.3.{kind}"] for kind in ("weight", "bias")]
        hidden = F.layer_norm(hidden, hidden.shape[-1:], *affine)
        heads, turning = config.heads_num, config.mouse_qk_dim_list
        q, k, v = self.linear(f"{name}t_qkv", hidden).unflatten(-1, (3, heads, -1)).unbind(2)
        turn = self.time_turns(times, turning, config.rope_theta)
        q, k = self.turned(self.rms(q), turn), self.turned(self.rms(k), turn)
        moved = self.linear(f"{name}proj_mouse", self.softmax(q, k, v))  # (S, F, D)
        x = x + moved.transpose(0, 1).flatten(0, 1)
        words = self.linear(f"{name}keyboard_embed.0", presses)
        words = self.linear(f"{name}keyboard_embed.2", F.silu(words)).flatten(1)[None]
        k, v = self.linear(f"{name}keyboard_attn_kv", words).unflatten(-1, (2, heads, -1)).unbind(2)
        q = self.linear(f"{name}mouse_attn_q", x).unflatten(-1, (heads, -1))
        q = self.rms(q)[0].unflatten(0, (frames, places)).transpose(0, 1)  # (S, F, N, H)
        turning = config.mouse_qk_dim_list if count else config.rope_dim_list
        turn = self.time_turns(times, turning, config.rope_theta)
        q, k = self.turned(q, turn), self.turned(self.rms(k), turn)
        pressed = self.softmax(q, k.repeat(places, 1, 1, 1), v.repeat(places, 1, 1, 1))
        return x + self.linear(f"{name}proj_keyboard", pressed).transpose(0, 1).flatten(0, 1)

    def rays(self, plucker, rows, columns) -> Tensor:
        cells = plucker[0].unflatten(3, (columns, 2)).unflatten(2, (rows, 2))
        flat = torch.einsum("cfypxq->fyxcpq", cells).flatten(3).flatten(0, 2)[None]
        rays = self.linear("patch_embedding_wancamctrl", flat)
        hidden = F.silu(self.linear("c2ws_hidden_states_layer1", rays))
        return rays + self.linear("c2ws_hidden_states_layer2", hidden)

    def turns(self, cells: Tensor) -> Tensor:
        config = self.config
        half = config.dim // config.num_heads // 2
        widths = (half - 2 * (half // 3), half // 3, half // 3)
        spread = torch.linspace(-1, 1, config.num_heads).double() * config.sigma_theta
        angles = []
        for axis, width in enumerate(widths):
            powers = torch.arange(width).double() / width
            speed = 1 / (10000 * (1 + spread))[:, None] ** powers
            angles.append(cells[:, axis, None, None] * speed)
        angles = torch.cat(angles, -1)
        return torch.polar(torch.ones_like(angles), angles)

    @staticmethod
    def windows(actions: Tensor, latents: int) -> Tensor:
        frames = actions[0]
        before = 12 if len(frames) % 4 == 1 else 8
        padded = torch.cat([frames[:1].repeat(before, 1), frames])
        return torch.stack([padded[4 * i : 4 * i + 12] for i in range(latents)])  # (T, 12, C)

    @staticmethod
    def time_turns(times: Tensor, widths: tuple[int, ...], base: float) -> Tensor:
        angles = torch.zeros(len(times), 1, sum(widths) // 2).double()
        width = widths[0] // 2
        angles[:, 0, :width] = times[:, None] * base ** (-torch.arange(width).double() / width)
        return torch.polar(torch.ones_like(angles), angles)

    @staticmethod
    def turned(x: Tensor, turn: Tensor) -> Tensor:
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * turn.to(pairs.dtype)).flatten(-2)

    @staticmethod
    def softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = torch.einsum("blnh,bknh->bnlk", q, k) / q.shape[-1] ** 0.5
        return torch.einsum("bnlk,bknh->blnh", logits.softmax(-1), v).flatten(2)

    @staticmethod
    def rms(x: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight

    @staticmethod
    def norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], weight, bias, 1e-6)

    @staticmethod
    def gelu(x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")
