"""Non-maximum suppression with mmcv's arguments."""

from __future__ import annotations

import torch
from torch import Tensor

from bdd100k_models.compat.mmcv_ext.precision import widen


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Keep the boxes that no better-scored kept box overlaps by more than the threshold.

    Args:
        boxes: (N, 4) as ``x1, y1, x2, y2`` in pixels; N may be 0.
        scores: (N,).
        iou_threshold: In [0, 1]; an overlap equal to it is kept.
        offset: 0, or 1 where ``x2`` and ``y2`` are inclusive, so that a width is ``x2 - x1 + 1``.

    Returns:
        (K,) int64 indices of the kept boxes, best score first; equal scores in the order of ``scores.sort``.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    corners, scores = widen(boxes), widen(scores)
    if offset:
        corners = torch.cat([corners[:, :2], corners[:, 2:] + offset], dim=1)
    # equal scores, of which saturated proposals have many, come in the order of mmcv's own sort, which is not stable;
    # torchvision's is, so it leaves the order of what is sorted already
    order = scores.sort(0, descending=True)[1]
    # torchvision's kernel for CPUs compares with a double, mmcv's and that for GPUs with the precision of the boxes
    threshold = float(torch.tensor(iou_threshold, dtype=corners.dtype))
    kept: Tensor = torch.ops.torchvision.nms(corners[order], scores[order].to(corners.dtype), threshold)
    return order[kept]
