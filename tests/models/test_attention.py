"""The fast path of attention is the plain one."""

import pytest
import torch

from mgenv.models.attention import attend, attend_by_products, rope_angles, rotate


def plain(q, k, v, present):
    """Softmax attention, head by head, in float64: (B, L, D)."""
    logits = torch.einsum("blnh,bknh->bnlk", q.double(), k.double()) / q.shape[-1] ** 0.5
    if present is not None:
        logits = logits.masked_fill(~present[:, None, None], -torch.inf)
    return torch.einsum("bnlk,bknh->blnh", logits.softmax(-1), v.double()).flatten(2)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("masked", [False, True])
def test_products_equal_softmax_attention(dtype, tolerance, masked):
    torch.manual_seed(0)
    q, k, v = (torch.randn(3, length, 2, 16) for length in (5, 9, 9))
    present = torch.rand(3, 9) < 0.6 if masked else None
    if present is not None:
        present[:, 0] = True
    low = [t.to(dtype).transpose(1, 2) for t in (q, k, v)]
    error = attend_by_products(*low, present).double() - plain(q, k, v, present)
    assert error.norm() / plain(q, k, v, present).norm() < tolerance


def test_gradients_take_the_fused_path_with_the_same_result():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, length, 2, 16) for length in (4, 6, 6))
    present = torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    trained = attend(q.clone().requires_grad_(), k, v, present)
    torch.testing.assert_close(trained.detach(), attend(q, k, v, present), rtol=1e-5, atol=1e-5)


def test_rotation_keeps_lengths_and_depends_on_relative_time():
    torch.manual_seed(0)
    q, k = torch.randn(1, 4, 1, 16), torch.randn(1, 4, 1, 16)

    def logits(shift):
        turns = []
        for time in (3, 1):
            angles = rope_angles(torch.tensor([time + shift]), 2, 16)
            turns.append((angles.cos().unsqueeze(2), angles.sin().unsqueeze(2)))
        turned_q, turned_k = rotate(q, turns[0]), rotate(k, turns[1])
        torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1))
        return torch.einsum("blnh,bknh->blk", turned_q, turned_k)

    torch.testing.assert_close(logits(0), logits(500), rtol=1e-4, atol=1e-4)
