"""FlashAttention-3 gives what PyTorch's attention gives, and says when it is missing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mgenv.errors import MissingExtraError
from mgenv.matrix_game3.kernels import flash_attention3


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(flash_attention3, "_PACKAGE", "no_such_package")
    assert not flash_attention3.installed()
    x = torch.zeros(1, 4, 2, 64)
    with pytest.raises(MissingExtraError, match="fast"):
        flash_attention3.attend(x, x, x)


@pytest.mark.gpu
@pytest.mark.skipif(not flash_attention3.installed(), reason="needs the extra 'fast'")
@pytest.mark.parametrize(("length", "keys"), [(130, 77), (1000, 3001)])
def test_it_is_attention(length, keys):
    q, k, v = (torch.randn(2, n, 3, 128).cuda().bfloat16() for n in (length, keys, keys))
    truth = F.scaled_dot_product_attention(*(x.float().transpose(1, 2) for x in (q, k, v)))
    out = torch.compile(flash_attention3.attend, fullgraph=True)(q, k, v)
    torch.testing.assert_close(out.float(), truth.transpose(1, 2), rtol=0.02, atol=0.005)
