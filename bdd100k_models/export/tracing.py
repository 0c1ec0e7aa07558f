"""What libraries do that a trace cannot follow, done in a form that it can, while a model is exported."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.jit._trace import TracerWarning
from torch.nn import functional

from bdd100k_models.compat.mmcv_ext.deform_conv import _crop_memory as crop_memory
from bdd100k_models.export.operators import (
    FOR_ONNX,
    deform_convolve,
    extract_regions,
    lay_out_masks,
    pool_adaptively,
    pool_largest_adaptively,
)


@contextlib.contextmanager
def traceable(for_onnx: bool = False) -> Iterator[None]:
    """Let models of OpenMMLab be traced for one example of any content and batches of any size.

    The results are the same; only the way there differs. Not for several threads at once.

    Args:
        for_onnx: Whether ONNX's own operators may stand for several of PyTorch's.
    """
    import mmcv.ops.cc_attention
    import mmcv.ops.deform_conv
    import mmcv.ops.modulated_deform_conv
    import mmdet.models.backbones.swin
    import mmseg.models.backbones.swin
    import mmseg.models.decode_heads.dm_head
    from mmcv.ops.psa_mask import PSAMask
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    windows = (mmdet.models.backbones.swin.ShiftWindowMSA, mmseg.models.backbones.swin.ShiftWindowMSA)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # each is about a branch or a size that was taken from the example; the checks compare what comes out
        warnings.filterwarnings("ignore", category=TracerWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        stack.callback(FOR_ONNX.reset, FOR_ONNX.set(for_onnx))
        for holder, name, substitute in (
            # branches for releases of the libraries that are gone, over modules that are no longer there
            (torch.onnx, "is_in_onnx_export", lambda: False),
            (functional, "adaptive_avg_pool2d", pool_adaptively),
            (functional, "adaptive_max_pool2d", pool_largest_adaptively),
            (SingleRoIExtractor, "forward", extract_regions),
            (PSAMask, "forward", _psa_mask),
            (mmcv.ops.cc_attention, "NEG_INF_DIAG", _minus_infinity_diagonal),
            (mmcv.ops.deform_conv, "deform_conv2d", _deform_conv),
            (mmcv.ops.modulated_deform_conv, "modulated_deform_conv2d", _modulated_deform_conv),
            *((window, "window_reverse", _join_windows) for window in windows),
            (mmseg.models.decode_heads.dm_head.DCM, "forward", _dynamic_filter),
        ):
            stack.enter_context(mock.patch.object(holder, name, substitute))
        yield


def _minus_infinity_diagonal(count: int, device: torch.device) -> Tensor:
    places = torch.arange(int(count), device=device)
    return torch.where(places[:, None] == places, float("-inf"), 0.0)


def _psa_mask(self: Any, input: Tensor) -> Tensor:
    return lay_out_masks(input, self.psa_type_enum, _mask_size(self.mask_size, input))


def _mask_size(given: tuple[int, int] | None, input: Tensor) -> tuple[int, int]:
    if given is not None:
        return given[0], given[1]
    height, width = (int(side) for side in input.shape[-2:])
    return 2 * height - 1, 2 * width - 1


def _deform_conv(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    offset_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    return deform_convolve(
        input, offset, None, weight, None, _pair(stride), _pair(padding), _pair(dilation), groups, offset_groups
    )


def _modulated_deform_conv(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    offset_groups: int = 1,
) -> Tensor:
    moves, pads, spread = _pair(stride), _pair(padding), _pair(dilation)
    height, width = (
        (int(input.shape[2 + axis]) + 2 * pads[axis] - spread[axis] * (int(weight.shape[2 + axis]) - 1) - 1)
        // moves[axis]
        + 1
        for axis in (0, 1)
    )
    offset, mask = crop_memory(offset, height, width), crop_memory(mask, height, width)
    return deform_convolve(input, offset, mask, weight, bias, moves, pads, spread, groups, offset_groups)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1])) if isinstance(value, (tuple, list)) else (int(value), int(value))


def _join_windows(self: Any, windows: Tensor, height: int, width: int) -> Tensor:
    """Put Swin's windows (N * windows, size, size, C) together to (N, H, W, C), of any number of images."""
    size = self.window_size
    rows, columns = int(height) // size, int(width) // size
    tiles = windows.reshape(-1, rows, columns, size, size, int(windows.shape[-1]))
    return tiles.permute(0, 1, 3, 2, 4, 5).reshape(-1, rows * size, columns * size, int(windows.shape[-1]))


def _dynamic_filter(self: Any, images: Tensor) -> Tensor:
    """Filter each channel with the kernel that its own image gives, tap by tap, as DMNet's module does in one group."""
    size = int(self.filter_size)
    kernels = self.filter_gen_conv(pool_adaptively(images, size))
    reduced = self.input_redu_conv(images)
    height, width = (int(side) for side in reduced.shape[-2:])
    before = after = (size - 1) // 2
    before += (size - 1) % 2
    padded = functional.pad(reduced, (before, after, before, after))
    taps = [
        padded[:, :, row : row + height, column : column + width] * kernels[:, :, row : row + 1, column : column + 1]
        for row in range(size)
        for column in range(size)
    ]
    output: Tensor = _sum(taps)
    if self.norm is not None:
        output = self.norm(output)
    output = self.activate(output)
    return self.fusion_conv(output) if self.fusion else output


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
