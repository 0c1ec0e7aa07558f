"""What the tests of mmcv's operators share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

LOW = [torch.bfloat16, torch.float16]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")],
    ),
]


def rand(*shape: int, device: str = "cpu", grad: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, device=device, requires_grad=grad)


def assert_rounded_once(low: Tensor, exact: Tensor) -> None:
    """The 16-bit result is the float32 result rounded to its nearest neighbour (or, for ties in sums, the next one)."""
    eps = torch.finfo(low.dtype).eps
    torch.testing.assert_close(low.float(), exact.float(), rtol=eps, atol=eps * 1e-2)
