"""`mgenv bench kernels`: products and attention of the public 5B network, one kernel at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgenv.benchmark.report import Report
from mgenv.benchmark.timing import seconds
from mgenv.matrix_game3.benchmark.video import format_value
from mgenv.matrix_game3.checkpoint.references import relative_error
from mgenv.matrix_game3.kernels.quantize import (
    INT8,
    QuantizedLinear,
    fp8_product,
    int8_product,
    to_fp8,
    to_int8,
)
from mgenv.matrix_game3.network.attention import attend, attention_kernels
from mgenv.matrix_game3.speed.fast import ATTENTIONS

Row = dict[str, Any]
Work = Callable[[], Tensor]
PRODUCTS = (
    (16720, 9216, 3072),
    (16720, 3072, 3072),
    (16720, 14336, 3072),
    (16720, 3072, 14336),
    (8800, 3072, 14336),
)
"""Tokens, outputs and inputs of the network's products; the last where clean latents are reused."""
LENGTHS = ((16720, 16720), (8800, 16720), (7920, 7920))
"""Queries and keys of a whole step, of one that reuses clean latents, and of these alone."""
HEADS = (24, 128)
REPEATS = 20
PROTOCOL = (
    "Random normal inputs. *ms*: one call, the mean of 20 in a row, the fastest of three rows. "
    "*T/s*: 10¹² multiplications and additions a second. *Error*: ‖out − ref‖/‖ref‖ against "
    "float32. 8-bit products are timed without rounding their inputs, layers and attention with it."
)
AUTOTUNED = {
    "max_autotune": True,
    "coordinate_descent_tuning": True,
    "force_fuse_int_mm_with_mul": True,
}
"""How torchao asks to be compiled, and the search among kernels of "max-autotune-no-cudagraphs"."""


@torch.no_grad()
def run(
    products: Sequence[tuple[int, int, int]] = PRODUCTS,
    lengths: Sequence[tuple[int, int]] = LENGTHS,
    heads: tuple[int, int] = HEADS,
    device: str = "cuda",
    report: Callable[[str], None] = lambda text: None,
) -> Report:
    """Measure each kernel that the device has; the others are listed as failed.

    Args:
        products: (M, N, K) each.
        lengths: queries and keys.
        heads: how many, and how wide.
    """
    torch.manual_seed(0)
    rows: list[Row] = []
    failed: list[str] = []

    def measure(name: str, shape: str, work: Work, operations: float, truth: Tensor) -> None:
        try:
            error = relative_error(work().float(), truth)
            spent = seconds(lambda: [work() for _ in range(REPEATS)], device) / REPEATS
        except (RuntimeError, ImportError) as problem:
            failed.append(f"{name}, {shape}: {type(problem).__name__}: {problem}".splitlines()[0])
            return
        rate = operations / spent / 1e12
        rows.append(
            {"kernel": name, "shape": shape, "ms": 1e3 * spent, "T/s": rate, "error": error}
        )
        report(" ".join(f"{key}: {format_value(value)}" for key, value in rows[-1].items()))

    for m, n, k in products:
        x, weight = torch.randn(m, k, device=device), torch.randn(n, k, device=device)
        truth = F.linear(x, weight)
        for name, work in _products(x, weight).items():
            measure(name, f"{m} × {n} × {k}", work, 2.0 * m * n * k, truth)
    with attention_kernels():
        for queries, keys in lengths:
            q, k, v = (torch.randn(1, n, *heads, device=device) for n in (queries, keys, keys))
            truth = attend(q, k, v)
            halves = [part.bfloat16() for part in (q, k, v)]
            operations = 4.0 * queries * keys * heads[0] * heads[1]
            for name, kernel in {"the framework's": attend, **ATTENTIONS}.items():
                if name == INT8 and device != "cpu":  # as in a block, which is compiled
                    kernel = torch.compile(kernel, dynamic=False)
                work = partial(kernel, *halves)
                measure(f"attention, {name}", f"{queries} × {keys}", work, operations, truth)
    return Report(title="Kernels", protocol=PROTOCOL, rows=rows, seeds=[0], failed=failed)


def _products(x: Tensor, weight: Tensor) -> dict[str, Work]:
    """By name; of (M, K) and (N, K)."""
    x16, w16 = x.bfloat16(), weight.bfloat16()
    whole = (*to_int8(x), *to_int8(weight))
    eight = (*to_fp8(x), *to_fp8(weight))

    def ours() -> Tensor:
        from mgenv.matrix_game3.kernels import quantize_triton

        return quantize_triton.multiply(*whole, None)

    return {
        "bfloat16": lambda: F.linear(x16, w16),
        "FP8": lambda: fp8_product(*eight),
        "the framework's INT8": lambda: int8_product(*whole),
        "our INT8": ours,
        **{name: partial(layer, x16) for name, layer in _layers(w16).items()},
    }


def _layers(weight: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """By name: layers with weights (N, K) that round their inputs, compiled on a GPU.

    torchao is no dependency: its layer is left out where it is not installed.
    """
    linear = nn.Linear(*reversed(weight.shape), bias=False, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    compiled = partial(torch.compile, dynamic=False, disable=not weight.is_cuda)
    layers = {"our INT8 layer": compiled(QuantizedLinear(linear, INT8))}
    try:
        from torchao.quantization import (  # pyright: ignore[reportMissingImports]
            Int8DynamicActivationInt8WeightConfig,
            quantize_,
        )
    except ModuleNotFoundError:
        return layers
    quantize_(linear, Int8DynamicActivationInt8WeightConfig(set_inductor_config=False))
    return layers | {"torchao's INT8 layer": compiled(linear, options=dict(AUTOTUNED))}
