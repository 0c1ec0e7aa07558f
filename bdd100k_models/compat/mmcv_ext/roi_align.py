"""RoIAlign (average pooling) with mmcv's arguments."""

from __future__ import annotations

import torch
from torch import Tensor

from bdd100k_models.compat.mmcv_ext.precision import widen
from bdd100k_models.errors import UnsupportedOpError

_MAX = 0  # mmcv's pool_mode: 0 is max, 1 is average


def _refuse_max(pool_mode: int) -> None:
    if pool_mode == _MAX:
        raise UnsupportedOpError(
            "RoIAlign with pool_mode='max' needs a compiled mmcv; torchvision pools by average: use pool_mode='avg'"
        )


def forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``output`` with the features of each region, averaged in a grid of bins.

    Args:
        input: (N, C, H, W) features.
        rois: (K, 5) as ``image index, x1, y1, x2, y2`` in image pixels; K may be 0.
        output: (K, C, aligned_height, aligned_width), written.
        argmax_y: Used by max pooling only.
        argmax_x: Used by max pooling only.
        aligned_height: Bins from top to bottom.
        aligned_width: Bins from left to right.
        spatial_scale: Feature pixels per image pixel.
        sampling_ratio: Samples per bin and axis; 0 for as many as the bin has feature pixels.
        pool_mode: 1 for average; 0, max, is not supported.
        aligned: Whether pixel centres lie at half-integer coordinates.

    Raises:
        UnsupportedOpError: ``pool_mode`` is max.
    """
    _refuse_max(pool_mode)
    features = widen(input)
    pooled = torch.ops.torchvision.roi_align(
        features,
        rois.to(features.dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        sampling_ratio,
        aligned,
    )
    output.copy_(pooled)


def backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``grad_input`` (N, C, H, W) from ``grad_output`` (K, C, aligned_height, aligned_width).

    The other arguments are those of :func:`forward`.

    Raises:
        UnsupportedOpError: ``pool_mode`` is max.
    """
    _refuse_max(pool_mode)
    grad = widen(grad_output)
    gathered = torch.ops.torchvision._roi_align_backward(
        grad,
        rois.to(grad.dtype),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.copy_(gathered)
