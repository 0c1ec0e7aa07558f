"""Operators that graphs have, or can be put together of what they have.

A trace follows one example, so what depends on the data in shape, as the number of boxes that are left, is written
here with fixed shapes and a mark for what counts.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

#: Whether the trace is for ONNX, whose own operators then stand for what PyTorch does in several steps.
FOR_ONNX: contextvars.ContextVar[bool] = contextvars.ContextVar("for_onnx", default=False)


class _Suppression(torch.autograd.Function):
    """Greedy suppression of boxes; ONNX has an operator for it, which also takes the threshold and the count."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, overlap: float, least: float, count: int) -> Tensor:
        return _suppress_eagerly(boxes, scores, overlap, least, count)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, overlap: float, least: float, count: int) -> Any:
        def constant(value: list[float] | list[int], dtype: torch.dtype) -> Any:
            return g.op("Constant", value_t=torch.tensor(value, dtype=dtype))

        first = constant([0], torch.int64)
        chosen = g.op(
            "NonMaxSuppression",
            g.op("Unsqueeze", boxes, first),
            g.op("Unsqueeze", scores, constant([0, 1], torch.int64)),
            constant([count], torch.int64),
            constant([overlap], torch.float32),
            constant([least], torch.float32),
        )
        return g.op("Gather", chosen, g.op("Constant", value_t=torch.tensor(2)), axis_i=1)


def _suppress_eagerly(boxes: Tensor, scores: Tensor, overlap: float, least: float, count: int) -> Tensor:
    sure = (scores > least).nonzero().squeeze(1)
    kept: Tensor = torch.ops.torchvision.nms(boxes[sure], scores[sure], overlap)
    return sure[kept][:count]


def suppress(
    boxes: Tensor, groups: Tensor | None, scores: Tensor, overlap: float, least: float, count: int
) -> tuple[Tensor, Tensor]:
    """Keep boxes that no better one of their group overlaps, as mmcv's ``batched_nms`` does, in a fixed shape.

    Args:
        boxes: float32 (K, 4), corners; K is at least 1.
        groups: int64 (K,), or None where all are of one.
        scores: float32 (K,).
        overlap: Boxes that overlap more than this exclude each other.
        least: Only scores above this count.
        count: How many to keep at most.

    Returns:
        Indices int64 (count,), best first, and which of them count, bool (count,): the first ones.
    """
    if groups is not None:
        # groups are moved apart; done as mmcv does it, for the same rounding
        boxes = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
    suppression = _Suppression.apply if FOR_ONNX.get() else _suppress_eagerly
    kept: Tensor = suppression(boxes, scores, overlap, least, count)
    padding = torch.zeros(count, dtype=torch.int64, device=boxes.device)
    indices = torch.cat([kept, padding])[:count]
    valid = torch.cat([torch.ones_like(kept), padding])[:count] > 0
    return indices, valid


def extract_regions(extractor: Any, features: tuple[Tensor, ...], rois: Tensor, scale: float | None = None) -> Tensor:
    """Pool each region from its level of the pyramid, as ``SingleRoIExtractor.forward`` does.

    Args:
        extractor: The extractor.
        features: Feature maps (N, C, H, W), one a level.
        rois: (K, 5): image index and corners in pixels of the network's input.
        scale: Regions grow by this first, if given.

    Returns:
        (K, C, height, width).
    """
    from torchvision.ops import roi_align

    levels = extractor.map_roi_levels(rois, len(features))
    if scale is not None:
        rois = extractor.roi_rescale(rois, scale)
    pooled, places = [], []
    for level, (feature, layer) in enumerate(zip(features, extractor.roi_layers, strict=False)):
        inside = (levels == level).nonzero().squeeze(1)
        size, ratio = layer.output_size, max(layer.sampling_ratio, 0)
        pooled.append(roi_align(feature, rois[inside], size, layer.spatial_scale, ratio, layer.aligned))
        places.append(inside)
    # regions without an area have no level, and zeros
    pooled.append(torch.zeros_like(features[0][:1, :, :1, :1]).expand(-1, -1, *extractor.roi_layers[0].output_size))
    order = torch.cat(places)
    count = order.shape[0]
    back = (torch.zeros_like(levels) + count).scatter(0, order, torch.arange(count, device=rois.device))
    return torch.cat(pooled)[back]


def deform_convolve(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    offset_groups: int,
) -> Tensor:
    """Convolve with displaced taps, by sampling the input once a tap.

    ONNX has ``DeformConv`` since opset 19; sampling needs only opset 16 and also runs where that has no kernel.

    Args:
        input: (N, C, H, W).
        offset: (N, offset groups * taps * 2, Ho, Wo): y and x in pixels.
        mask: (N, offset groups * taps, Ho, Wo), or None.
        weight: (O, C / groups, kH, kW).
        bias: (O,), or None.
        stride: Vertical and horizontal.
        padding: Likewise.
        dilation: Likewise.
        groups: Groups of channels.
        offset_groups: Groups of channels that are displaced alike.

    Returns:
        (N, O, Ho, Wo).
    """
    channels, height, width = (int(side) for side in input.shape[1:])
    out_height, out_width = (int(side) for side in offset.shape[-2:])
    outputs, _, rows, columns = (int(side) for side in weight.shape)
    taps = rows * columns
    if min(height, width) == 1:  # where there is one pixel, sampling knows no outside; what is padded is zero, as that
        input = functional.pad(input, (0, int(width == 1), 0, int(height == 1)))
        height, width = max(height, 2), max(width, 2)
    y, x = _tap_grid((rows, columns), (out_height, out_width), stride, padding, dilation)
    moves = offset.reshape(-1, taps, 2, out_height, out_width)
    # (N * offset groups, taps * Ho, Wo, 2), from -1 to 1 between the centres of the outermost pixels
    grid_x = (x.to(input) + moves[:, :, 1]) * (2 / (width - 1)) - 1
    grid_y = (y.to(input) + moves[:, :, 0]) * (2 / (height - 1)) - 1
    grid = torch.stack([grid_x, grid_y], dim=-1).reshape(-1, taps * out_height, out_width, 2)
    source = input.reshape(-1, channels // offset_groups, height, width)
    sampled = functional.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    sampled = sampled.reshape(-1, channels // offset_groups, taps, out_height, out_width)
    if mask is not None:
        sampled = sampled * mask.reshape(-1, 1, taps, out_height, out_width)
    stacked = sampled.reshape(-1, channels * taps, out_height, out_width)
    kernel = weight.reshape(outputs, -1, 1, 1)
    return functional.conv2d(stacked, kernel, bias, groups=groups)


@functools.lru_cache(maxsize=64)
def _tap_grid(
    kernel: tuple[int, int],
    out: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return where each tap lies without displacement: y and x, (taps, Ho, Wo)."""
    down, across = torch.meshgrid(
        torch.arange(kernel[0]) * dilation[0], torch.arange(kernel[1]) * dilation[1], indexing="ij"
    )
    y = torch.arange(out[0]) * stride[0] - padding[0]
    x = torch.arange(out[1]) * stride[1] - padding[1]
    shape = (kernel[0] * kernel[1], *out)
    return (
        (down.reshape(-1, 1, 1) + y.view(1, -1, 1)).expand(shape).float(),
        (across.reshape(-1, 1, 1) + x.view(1, 1, -1)).expand(shape).float(),
    )


def pool_adaptively(input: Tensor, size: int | tuple[int | None, int | None] | list[int | None]) -> Tensor:
    """Average over a grid of cells that may overlap, as ``adaptive_avg_pool2d`` does, by two matrix products.

    ONNX has no such operator: exporters refuse a grid whose cells have several sizes.

    Args:
        input: (N, C, H, W).
        size: Rows and columns of the grid; None for the input's.
    """
    height, width = (int(side) for side in input.shape[-2:])
    rows, columns = (size, size) if isinstance(size, int) else tuple(size)
    rows, columns = height if rows is None else int(rows), width if columns is None else int(columns)
    if (rows, columns) == (1, 1):
        return input.mean(dim=(2, 3), keepdim=True)
    left, right = _cells(height, rows).to(input), _cells(width, columns).to(input)
    return left @ input @ right.T


def pool_largest_adaptively(input: Tensor, output_size: int | tuple[int, int] | list[int]) -> Tensor:
    """Take the largest value of each cell of a grid, as ``adaptive_max_pool2d`` does, rows before columns.

    Args:
        input: (N, C, H, W).
        output_size: Rows and columns of the grid.
    """
    height, width = (int(side) for side in input.shape[-2:])
    rows, columns = (output_size, output_size) if isinstance(output_size, int) else map(int, output_size)
    if height % rows == 0 and width % columns == 0:
        return functional.max_pool2d(input, (height // rows, width // columns))
    high = torch.stack([input[:, :, first:last].amax(2) for first, last in _bounds(height, rows)], 2)
    return torch.stack([high[:, :, :, first:last].amax(3) for first, last in _bounds(width, columns)], 3)


def _bounds(length: int, count: int) -> list[tuple[int, int]]:
    """Return the first pixel of each cell and the one after its last; cells can overlap."""
    return [(cell * length // count, -(-(cell + 1) * length // count)) for cell in range(count)]


@functools.lru_cache(maxsize=64)
def _cells(length: int, count: int) -> Tensor:
    """Return the weight of each pixel in each cell, (count, length)."""
    weights = torch.zeros(count, length)
    for cell, (first, last) in enumerate(_bounds(length, count)):
        weights[cell, first:last] = 1 / (last - first)
    return weights


def lay_out_masks(input: Tensor, psa_type: int, mask_size: tuple[int, int]) -> Tensor:
    """Lay out relative attention masks as absolute ones, as PSANet's operator does, by shifting rows.

    Args:
        input: (N, mask height * mask width, H, W): the mask that each position predicts, centred on itself.
        psa_type: 0 to collect, 1 to distribute.
        mask_size: Height and width of a mask.

    Returns:
        (N, H * W, H, W).
    """
    height, width = (int(side) for side in input.shape[-2:])
    masks = input.reshape(-1, *mask_size, height, width)
    # (N, h, w, mask row, mask column) to (N, h, w, mask row, x)
    masks = _absolute(masks.permute(0, 3, 4, 1, 2), width, (mask_size[1] - 1) // 2)
    # (N, w, h, x, mask row) to (N, w, h, x, y)
    masks = _absolute(masks.permute(0, 2, 1, 4, 3), height, (mask_size[0] - 1) // 2)
    order = (0, 4, 3, 2, 1) if psa_type == 0 else (0, 2, 1, 4, 3)
    return masks.permute(order).reshape(-1, height * width, height, width)


def _absolute(masks: Tensor, size: int, half: int) -> Tensor:
    """Turn distances from a position into positions.

    Args:
        masks: (N, A, positions, B, distances).
        size: How many positions there are.
        half: The distance that lies on the position itself.

    Returns:
        (N, A, positions, B, positions): the value that the first lays on the second, 0 where it does not reach.
    """
    first, positions, second, distances = (int(side) for side in masks.shape[1:])
    rows = masks.permute(0, 1, 3, 2, 4)
    # each row of numbers begins one place later than the one before when rows are read a number shorter
    length = distances + positions
    rows = functional.pad(rows, (0, positions)).reshape(-1, first, second, positions * length)
    rows = rows[..., : positions * (length - 1)].reshape(-1, first, second, positions, length - 1)
    rows = functional.pad(rows, (0, max(0, half + size - (length - 1))))[..., half : half + size]
    return rows.permute(0, 1, 3, 2, 4)
