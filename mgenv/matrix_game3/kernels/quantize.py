"""Linear layers with 8-bit weights and activations: INT8 everywhere, FP8 where the GPU has it.

Weights have a scale an output channel, activations one a token, so that a product is exact but for
rounding: y = s_token · s_channel · (x₈ W₈ᵀ) + b. PyTorch's INT8 product is no faster than bfloat16
on a GPU; there a kernel of our own does it (:mod:`mgenv.matrix_game3.kernels.quantize_triton`).

Legend: M tokens, K input channels, N output channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.errors import InvalidOptionError, UnknownNameError

INT8, FP8 = "int8", "fp8"
KINDS = (INT8, FP8)
INT8_MOST, FP8_MOST = 127.0, 448.0
"""The largest value of each: of ``torch.int8`` and ``torch.float8_e4m3fn``."""
_LEAST = 1e-12


def to_int8(x: Tensor, dims: int | tuple[int, ...] = -1) -> tuple[Tensor, Tensor]:
    """Rows (…, K) to integers in [-127, 127] and float32 scales (…, 1), shared along ``dims``."""
    scale = x.float().abs().amax(dims, keepdim=True).clamp(min=_LEAST) / INT8_MOST
    return (x.float() / scale).round().to(torch.int8), scale


def to_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (…, K) to ``float8_e4m3fn`` and float32 scales (…, 1)."""
    scale = x.float().abs().amax(-1, keepdim=True).clamp(min=_LEAST) / FP8_MOST
    return (x.float() / scale).to(torch.float8_e4m3fn), scale


def int8_product(x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor) -> Tensor:
    """float32 (M, N) of int8 (M, K) and (N, K) with scales (M, 1) and (N, 1): the plain path."""
    whole = torch.ops.aten._int_mm(_padded(x), weight.t())[: len(x)]
    return whole.float() * x_scale * weight_scale.view(1, -1)


def _padded(x: Tensor) -> Tensor:
    """At least 32 rows, as cuBLAS wants for int8."""
    missing = 32 - len(x)
    return torch.cat([x, x.new_zeros(missing, x.shape[1])]) if missing > 0 and x.is_cuda else x


def fp8_product(x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor) -> Tensor:
    """bfloat16 (M, N), as :func:`int8_product`; exact products by float32 without FP8 hardware."""
    if x.is_cuda:
        scales = (x_scale.view(-1, 1), weight_scale.view(1, -1))
        return torch.ops.aten._scaled_mm(x, weight.t(), *scales, out_dtype=torch.bfloat16)
    return (x.float() @ weight.float().t() * x_scale * weight_scale.view(1, -1)).bfloat16()


class QuantizedLinear(nn.Module):
    """A linear layer in 8 bits; what it is given and gives has the type of its input.

    Args:
        linear: with weights (N, K).
        kind: ``"int8"`` or ``"fp8"``.
        gelu: whether the GELU, in its form by tanh, comes after it.

    Attributes:
        compute_dtype: of the weights that it stands for.

    Raises:
        UnknownNameError: another kind.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear, kind: str, *, gelu: bool = False) -> None:
        super().__init__()
        if kind not in KINDS:
            raise UnknownNameError("kind of 8 bits", kind, KINDS)
        self.gelu = gelu
        self.kind, self.in_features, self.out_features = kind, *reversed(linear.weight.shape)
        weight, scale = (to_int8 if kind == INT8 else to_fp8)(linear.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = linear.bias
        self.compute_dtype = linear.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        """(…, K) to (…, N)."""
        rows = x.reshape(-1, self.in_features)  # (M, K)
        product = self._int8(rows) if self.kind == INT8 else self._fp8(rows)
        return product.to(x.dtype).unflatten(0, x.shape[:-1])

    def _int8(self, rows: Tensor) -> Tensor:
        small, scale = to_int8(rows)
        if rows.is_cuda:
            from mgenv.matrix_game3.kernels import quantize_triton

            if quantize_triton.fits(self.weight):
                return quantize_triton.multiply(
                    small, scale, self.weight, self.scale, self.bias, self.gelu
                )
        product = int8_product(small, scale, self.weight, self.scale)
        return self._end(product if self.bias is None else product + self.bias.float())

    def _fp8(self, rows: Tensor) -> Tensor:
        product = fp8_product(*to_fp8(rows), self.weight, self.scale)
        return self._end(product if self.bias is None else product + self.bias.to(product.dtype))

    def _end(self, product: Tensor) -> Tensor:
        return F.gelu(product, approximate="tanh") if self.gelu else product

    def extra_repr(self) -> str:
        """What it is."""
        return f"{self.in_features}, {self.out_features}, {self.kind}"


def stacked(layers: Sequence[nn.Linear]) -> nn.Linear:
    """One linear layer that gives what all of them give, side by side: (…, K) to (…, Σ N).

    What reads the same input then is rounded once and multiplied once. As every output channel has
    a scale of its own, no number changes.

    Raises:
        InvalidOptionError: no layers, inputs of several widths, or a bias in some only.
    """
    kinds = {(layer.in_features, layer.bias is not None) for layer in layers}
    if len(kinds) != 1:
        raise InvalidOptionError(
            "stacked: expected layers of one width, all or none with a bias, "
            f"got (width, bias) {sorted(kinds)}"
        )
    (width, has_bias), like = kinds.pop(), layers[0].weight
    total = sum(layer.out_features for layer in layers)
    one = nn.Linear(width, total, has_bias, device="meta", dtype=like.dtype)
    one.weight = _joined([layer.weight for layer in layers])
    if has_bias:
        one.bias = _joined([layer.bias for layer in layers])
    return one


def _joined(parts: Sequence[Tensor]) -> nn.Parameter:
    return nn.Parameter(torch.cat([part.detach() for part in parts]), requires_grad=False)
