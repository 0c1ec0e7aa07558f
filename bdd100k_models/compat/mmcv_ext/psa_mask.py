"""Point-wise spatial attention masks with mmcv's arguments.

Zhao et al., "PSANet: Point-wise Spatial Attention Network for Scene Parsing", ECCV 2018, section 3.2. Every position
``(h, w)`` predicts a mask of weights over its neighbourhood, centred on itself. Here those relative masks are laid out
as absolute ones: for every pair of positions, which weight of the one's mask falls on the other. "Collect" lists, for
each position, the weights with which it gathers from all others; "distribute" is the transpose.
"""

from __future__ import annotations

import torch
from torch import Tensor

_COLLECT = 0  # mmcv's psa_type: 0 is collect, 1 is distribute


def _by_pair(absolute: Tensor, psa_type: int, height: int, width: int) -> Tensor:
    """View (N, H*W, H, W) as (N, y, x, h, w): the mask of ``(h, w)`` where it lies on ``(y, x)``."""
    pairs = absolute.view(-1, height, width, height, width)
    return pairs if psa_type == _COLLECT else pairs.permute(0, 3, 4, 1, 2)


def _overlap(centre: int, size: int, mask_size: int, half: int) -> tuple[slice, slice]:
    """Return which positions a mask centred on ``centre`` covers, and which of its weights cover them."""
    first = max(0, centre - half)
    last = min(size, centre - half + mask_size)
    return slice(first, last), slice(first - centre + half, last - centre + half)


def _columns(width: int, mask_width: int, half: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return three int64 vectors that list every (x, mask column, w) that belong together."""
    x, w = torch.meshgrid(torch.arange(width, device=device), torch.arange(width, device=device), indexing="ij")
    column = x - w + half
    inside = (column >= 0) & (column < mask_width)
    return x[inside], column[inside], w[inside]


def forward(
    input: Tensor,
    output: Tensor,
    *,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Lay out relative masks as absolute ones.

    Args:
        input: (N, h_mask * w_mask, H, W): the mask that each position predicts.
        output: (N, H * W, H, W), zeros, written where a mask covers the position.
        psa_type: 0 to collect, 1 to distribute.
        num_: N.
        h_feature: H.
        w_feature: W.
        h_mask: Rows of a mask.
        w_mask: Columns of a mask.
        half_h_mask: The row of a mask that lies on its own position.
        half_w_mask: The column of a mask that lies on its own position.
    """
    relative = input.reshape(num_, h_mask, w_mask, h_feature, w_feature)
    absolute = _by_pair(output, psa_type, h_feature, w_feature)
    x, column, w = _columns(w_feature, w_mask, half_w_mask, input.device)
    # a row at a time: an index of all pairs would be several times as large as the result
    for h in range(h_feature):
        rows, mask_rows = _overlap(h, h_feature, h_mask, half_h_mask)
        absolute[:, rows, x, h, w] = relative[:, mask_rows, column, h, w]


def backward(
    grad_output: Tensor,
    grad_input: Tensor,
    *,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Fill ``grad_input`` (N, h_mask * w_mask, H, W), given as zeros, from ``grad_output`` (N, H * W, H, W).

    The other arguments are those of :func:`forward`.
    """
    absolute = _by_pair(grad_output.contiguous(), psa_type, h_feature, w_feature)
    relative = grad_input.view(num_, h_mask, w_mask, h_feature, w_feature)
    x, column, w = _columns(w_feature, w_mask, half_w_mask, grad_output.device)
    for h in range(h_feature):
        rows, mask_rows = _overlap(h, h_feature, h_mask, half_h_mask)
        relative[:, mask_rows, column, h, w] = absolute[:, rows, x, h, w]
