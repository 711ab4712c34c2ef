"""FlashAttention-3 (arXiv 2407.08608) by the package ``fa3-fwd``: exact, for Hopper GPUs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from mgenv.errors import MissingExtraError


def require() -> None:
    """See whether the package is there.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("fa3_fwd_interface") is None:
        raise MissingExtraError("hopper", 'Attention by "flash3"')


@torch.library.custom_op("mgenv::flash3", mutates_args=())
def attend(q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor) -> Tensor:
    """Softmax attention of every query over every key, bfloat16 on a Hopper GPU: (B, L, N, H)."""
    return import_module("fa3_fwd_interface").flash_attn_func(q_BLNH, k_BKNH, v_BKNH)


@attend.register_fake
def _(q_BLNH: Tensor, k_BKNH: Tensor, v_BKNH: Tensor) -> Tensor:
    return torch.empty_like(q_BLNH, memory_format=torch.contiguous_format)
