"""Keyboard and mouse conditioning: attention over time at each spatial position.

The mouse enters a temporal self-attention; the keyboard provides keys and values of a temporal
cross-attention. A latent sees the actions of a window of latents that ends with itself. Memory has
the null action, and its time is counted separately.

Legend: B batch, F = M + T latent frames (memory, then current), S tokens a frame, D model width,
N heads, H head width, W video frames in a window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.matrix_game3.network.attention import KeysValues, LayerNorm, attend
from mgenv.matrix_game3.network.config import ActionConfig
from mgenv.matrix_game3.network.rope import Rotation, rotate, time_rotation

NULL_KEYBOARD, NULL_MOUSE = -1.0, 1.0
"""Null action of memory frames: value of each key, and of both mouse axes."""


class Actions(NamedTuple):
    """Actions of a clip, as input of the action modules.

    Attributes:
        keyboard, mouse: (B, F, W·C) window of each latent, or None.
        keyboard_turn, mouse_turn: rotation by time, (1, F, 1, P).
    """

    keyboard: Tensor | None
    mouse: Tensor | None
    keyboard_turn: Rotation
    mouse_turn: Rotation


@dataclass(frozen=True, slots=True)
class ActionConditions:
    """Conditions of an action module that do not depend on the noise.

    Attributes:
        mouse: (B, F, 1, C) contribution of the mouse to the first layer, or None.
        keyboard: (B, F, N, H) keys and values, or None.
        mouse_turn, keyboard_turn: rotation by time, (1, F, 1, P).
        first: (C, D) weights of the first layer for tokens, or None.
        past: (B·S, f, N, H) keys and values of the f frames before these, or None.
    """

    mouse: Tensor | None
    keyboard: KeysValues | None
    mouse_turn: Rotation
    keyboard_turn: Rotation
    first: Tensor | None = None
    past: KeysValues | None = None

    def of(self, frames: slice, past: KeysValues | None = None) -> ActionConditions:
        """Conditions of some frames; the keyboard's keys are those up to the last of them."""
        keyboard = self.keyboard
        return replace(
            self,
            mouse=None if self.mouse is None else self.mouse[:, frames],
            keyboard=None
            if keyboard is None
            else KeysValues(*(x[:, : frames.stop] for x in keyboard)),
            mouse_turn=self.mouse_turn.of(frames),
            keyboard_turn=self.keyboard_turn.of(frames),
            past=past,
        )


def latents_of(frames: int, ratio: int) -> int | None:
    """Latents of ``frames`` video frames, with a first latent of one frame or not; or None."""
    if (frames - 1) % ratio == 0:
        return (frames - 1) // ratio + 1
    return frames // ratio if frames % ratio == 0 else None


def action_windows(
    actions: Tensor, memory_frames: int, null: float, config: ActionConfig
) -> Tensor:
    """Action window of each latent, (B, F, W, C).

    Args:
        actions: (B, n, C) of n = 4 T video frames, or 4 T - 3 if the first latent is one frame.
            The first action is repeated before the first frame.
        memory_frames: number M of memory latents, prepended with the null action.
    """
    ratio, count = config.vae_time_compression_ratio, actions.shape[1]
    latents, wide = latents_of(count, ratio), config.windows_size * ratio
    assert latents is not None, count
    before = wide if (count - 1) % ratio == 0 else wide - ratio
    first = torch.arange(latents, device=actions.device)[:, None] * ratio - before
    index = (first + torch.arange(wide, device=actions.device)).clamp(min=0)  # (T, W)
    windows = actions[:, index]  # (B, T, W, C)
    return F.pad(windows, (0, 0, 0, 0, memory_frames, 0), value=null)  # (B, F, W, C)


def read_actions(
    config: ActionConfig,
    keyboard: Tensor | None,
    mouse: Tensor | None,
    memory_frames: int,
    latents: int,
    device: torch.device,
) -> Actions:
    """Prepare the actions of a clip for all blocks.

    Args:
        keyboard, mouse: (B, n, 6) and (B, n, 2) of n video frames, or None.
        memory_frames, latents: M and T.
    """
    times = torch.cat([torch.arange(n, device=device) for n in (memory_frames, latents)])  # (F,)
    turn = time_rotation(times, config.mouse_qk_dim_list[0], config.rope_theta)
    keyboard_turn = turn
    if not memory_frames:  # with memory, the public network rotates both like the mouse
        keyboard_turn = time_rotation(times, config.rope_dim_list[0], config.rope_theta)

    def windows(given: Tensor | None, enabled: bool, null: float) -> Tensor | None:
        if given is None or not enabled:
            return None
        return action_windows(given.to(device), memory_frames, null, config).flatten(2)

    return Actions(
        windows(keyboard, config.enable_keyboard, NULL_KEYBOARD),
        windows(mouse, config.enable_mouse, NULL_MOUSE),
        keyboard_turn,
        turn,
    )


class HeadNorm(nn.Module):
    """x / rms(x) over a head, in float32.

    The weight is loaded and saved but not applied, as in the version of the public network that
    made the golden tensors. A later version applies it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], eps=1e-6).to(x.dtype)


class ActionModule(nn.Module):
    """Adds mouse and keyboard conditioning to the tokens of one block."""

    def __init__(self, config: ActionConfig) -> None:
        super().__init__()
        self.config = config
        if config.enable_keyboard:
            self._build_keyboard(config)
        if config.enable_mouse:
            self._build_mouse(config)

    def prepare(self, actions: Actions) -> ActionConditions:
        """Compute the conditions that do not depend on the noise."""
        share = first = keys_values = None
        if actions.mouse is not None:
            share, first = self._mouse_share(actions.mouse)
        if actions.keyboard is not None:
            keys_values = self._keys_values(actions.keyboard, actions.keyboard_turn)
        return ActionConditions(
            share, keys_values, actions.mouse_turn, actions.keyboard_turn, first
        )

    def forward(
        self, x_BFSD: Tensor, conditions: ActionConditions
    ) -> tuple[Tensor, KeysValues | None]:
        """Tokens (B, F, S, D), and the mouse attention's keys and values (B·S, F, N, H)."""
        own = None
        if conditions.mouse is not None and conditions.first is not None:
            moved, own = self._move(x_BFSD, conditions.mouse, conditions.first, conditions)
            x_BFSD = x_BFSD + moved
        if conditions.keyboard is not None:
            x_BFSD = x_BFSD + self._press(x_BFSD, conditions.keyboard, conditions.keyboard_turn)
        return x_BFSD, own

    # -- mouse -----------------------------------------------------------------------------------

    def _build_mouse(self, config: ActionConfig) -> None:
        width, model = config.mouse_hidden_dim, config.img_hidden_size
        window = config.windows_size * config.vae_time_compression_ratio
        self.mouse_mlp = nn.Sequential(
            nn.Linear(config.mouse_dim_in * window + model, width),
            nn.GELU(approximate="tanh"),
            nn.Linear(width, width),
            LayerNorm(width),
        )
        self.t_qkv = nn.Linear(width, 3 * width, bias=config.qkv_bias)
        self.img_attn_q_norm, self.img_attn_k_norm = _norms(config, width)
        self.proj_mouse = nn.Linear(width, model, bias=config.qkv_bias)

    def _mouse_share(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Contribution of the mouse to the first layer, and the layer's weights for tokens."""
        layer = self.mouse_mlp[0]
        assert isinstance(layer, nn.Linear)
        first, weight = layer.weight.tensor_split([self.config.img_hidden_size], 1)
        share = F.linear(windows.to(weight.dtype), weight, layer.bias).unsqueeze(2)  # (B, F, 1, C)
        return share, first.contiguous()  # a product with strided rows is slow

    def _move(
        self, x: Tensor, share: Tensor, first: Tensor, conditions: ActionConditions
    ) -> tuple[Tensor, KeysValues]:
        """Self-attention over time at each position, after adding the mouse: (B, F, S, D)."""
        turn = conditions.mouse_turn
        hidden = F.linear(x.to(first.dtype), first) + share  # (B, F, S, C)
        qkv = self.t_qkv(self.mouse_mlp[1:](hidden))  # (B, F, S, 3·C)
        qkv = qkv.transpose(1, 2).flatten(0, 1).unflatten(-1, (3, self.config.heads_num, -1))
        q, k, v = qkv.unbind(2)  # (B·S, F, N, H) each
        q = rotate(self.img_attn_q_norm(q), turn)
        own = KeysValues(rotate(self.img_attn_k_norm(k), turn), v)
        seen = own.after(conditions.past)
        moved = self.proj_mouse(attend(q, *seen).flatten(2))  # (B·S, F, D)
        return moved.unflatten(0, (len(x), -1)).transpose(1, 2), own

    # -- keyboard --------------------------------------------------------------------------------

    def _build_keyboard(self, config: ActionConfig) -> None:
        hidden, width = config.hidden_size, config.keyboard_hidden_dim
        model = config.img_hidden_size
        window = config.windows_size * config.vae_time_compression_ratio
        self.keyboard_embed = nn.Sequential(
            nn.Linear(config.keyboard_dim_in, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        self.key_attn_q_norm, self.key_attn_k_norm = _norms(config, width)
        self.mouse_attn_q = nn.Linear(model, width, bias=config.qkv_bias)
        self.keyboard_attn_kv = nn.Linear(hidden * window, 2 * width, bias=config.qkv_bias)
        self.proj_keyboard = nn.Linear(width, model, bias=config.qkv_bias)

    def _keys_values(self, windows: Tensor, turn: Rotation) -> KeysValues:
        window = self.config.windows_size * self.config.vae_time_compression_ratio
        words = windows.to(self.mouse_attn_q.weight.dtype).unflatten(2, (window, -1))
        both = self.keyboard_attn_kv(self.keyboard_embed(words).flatten(2))  # (B, F, 2·N·H)
        keys, values = both.unflatten(-1, (2, self.config.heads_num, -1)).unbind(2)
        return KeysValues(rotate(self.key_attn_k_norm(keys), turn), values)

    def _press(self, x: Tensor, keyboard: KeysValues, turn: Rotation) -> Tensor:
        """Cross-attention to the keyboard over time, with the same keys at each position."""
        queries = self.mouse_attn_q(x.to(self.mouse_attn_q.weight.dtype))  # (B, F, S, N·H)
        queries = self.key_attn_q_norm(queries.unflatten(-1, (self.config.heads_num, -1)))
        wide = Rotation(turn.cos.unsqueeze(2), turn.sin.unsqueeze(2))  # (1, F, 1, 1, P)
        queries = rotate(queries, wide).flatten(1, 2)  # (B, F·S, N, H)
        pressed = self.proj_keyboard(attend(queries, *keyboard).flatten(2))
        return pressed.unflatten(1, x.shape[1:3])


def _norms(config: ActionConfig, width: int) -> tuple[nn.Module, nn.Module]:
    if not config.qk_norm:
        return nn.Identity(), nn.Identity()
    head = width // config.heads_num
    return HeadNorm(head), HeadNorm(head)
