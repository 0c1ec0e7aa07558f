"""In which precision an operator computes."""

from __future__ import annotations

import torch
from torch import Tensor


def widen(tensor: Tensor) -> Tensor:
    """Return the tensor in the precision to compute in: float64 as it is, everything else as float32.

    torchvision's kernels know bfloat16 on no device and float16 on CUDA only.
    """
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
