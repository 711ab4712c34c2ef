"""Attention by FlashAttention-3 (arXiv 2407.08608) on Hopper GPUs: exact; from the extra ``fast``.

Over 16,720 tokens it takes 16 % less time than cuDNN's, which is the fastest that PyTorch has.

Legend: B batch, L queries, K keys, N heads, H head width.
"""

from __future__ import annotations

import importlib
import importlib.util

import torch
from torch import Tensor

from mgenv.errors import MissingExtraError

_PACKAGE = "fa3_fwd"


def installed() -> bool:
    """Whether :func:`attend` can be used."""
    return importlib.util.find_spec(_PACKAGE) is not None


def usable(device: torch.device) -> bool:
    """Whether it is installed, and ``device`` is a Hopper GPU."""
    return on_hopper(device) and installed()


def on_hopper(device: torch.device) -> bool:
    """Whether ``device`` is a Hopper GPU."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == 9


def attend(q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor) -> Tensor:
    """Softmax attention of every query over every key: bfloat16 (B, L, N, H), on a GPU.

    Raises:
        MissingExtraError: the package is not installed.
    """
    if not installed():
        raise MissingExtraError("fast", "FlashAttention-3's kernels")
    return flash(q_BLNH, k_BKNH, v_BKNH)


@torch.library.custom_op("mgenv::flash_attention_3", mutates_args=(), device_types="cuda")
def flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """bfloat16 (B, L, N, H) of (B, L, N, H) and twice (B, K, N, H); a head's channels together."""
    importlib.import_module(f"{_PACKAGE}._C")  # registers what follows
    given = {"softmax_scale": q.shape[-1] ** -0.5, "num_splits": 1}
    return torch.ops.fa3_fwd.fwd(q, k, v, **given)[0]


@flash.register_fake
def _(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.empty_like(q, memory_format=torch.contiguous_format)
