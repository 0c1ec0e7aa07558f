"""mmpose 1.3.2 measures the accuracy of heat maps while it trains, in NumPy, which has no bfloat16.

``mmpose.utils.tensor_utils.to_numpy`` raises a TypeError for the maps that mixed precision makes on a CPU. Here the
head of heat maps gets them as float32. The mend is no longer needed once that function takes bfloat16.
"""

from __future__ import annotations

from typing import Any

import torch


def install() -> None:
    """Mend the head; once is enough, twice does no harm."""
    from mmpose.models.heads.heatmap_heads import heatmap_head
    from mmpose.utils import tensor_utils

    def to_numpy(tensor: Any) -> Any:
        whole = tensor.float() if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.bfloat16 else tensor
        return tensor_utils.to_numpy(whole)

    heatmap_head.to_numpy = to_numpy
