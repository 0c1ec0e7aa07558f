"""Deformable convolution, versions 1 and 2, with mmcv's arguments.

Dai et al., "Deformable Convolutional Networks", ICCV 2017; Zhu et al., "Deformable ConvNets v2", CVPR 2019.
Shapes throughout, with G deformable groups, a kernel of (kH, kW) and an output of (Ho, Wo):

- input (N, C, H, W), weight (O, C / groups, kH, kW), output (N, O, Ho, Wo)
- offset (N, G * kH * kW * 2, Ho, Wo): y, x displacements in input pixels
- mask (N, G * kH * kW, Ho, Wo): factors, usually in [0, 1]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bdd100k_models.compat.mmcv_ext.precision import widen
from bdd100k_models.errors import InputError


class _Geometry(NamedTuple):
    """How the kernel moves, in the order in which torchvision's kernels take it."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    offset_groups: int
    use_mask: bool


class _Gradients(NamedTuple):
    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def _convolve(input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, bias: Tensor, geometry: _Geometry) -> Tensor:
    output: Tensor = torch.ops.torchvision.deform_conv2d(
        widen(input), widen(weight), widen(offset), widen(mask), widen(bias), *geometry
    )
    return output


def _differentiate(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    geometry: _Geometry,
) -> _Gradients:
    return _Gradients(
        *torch.ops.torchvision._deform_conv2d_backward(
            widen(grad_output), widen(input), widen(weight), widen(offset), widen(mask), widen(bias), *geometry
        )
    )


def _no_mask(input: Tensor) -> Tensor:
    return input.new_zeros(input.size(0), 1)


def _no_bias(weight: Tensor) -> Tensor:
    return weight.new_zeros(weight.size(0))


def forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill ``output`` with the deformable convolution, version 1, without bias.

    Args:
        input: See the module.
        weight: See the module.
        offset: See the module.
        output: Written.
        columns: Scratch memory; used in the backward pass.
        ones: Scratch memory, unused.
        kW: Kernel width.
        kH: Kernel height.
        dW: Horizontal stride.
        dH: Vertical stride.
        padW: Zeros to the left and to the right.
        padH: Zeros above and below.
        dilationW: Horizontal distance between kernel elements.
        dilationH: Vertical distance between kernel elements.
        group: Groups of channels.
        deformable_group: G.
        im2col_step: Images handled at a time; no effect on the result, torchvision chooses its own.

    Raises:
        InputError: The offset map has not the output's size.
    """
    if offset.shape[-2:] != output.shape[-2:]:
        raise InputError(
            f"deformable convolution: the offset map is {_size(offset)}, the output {_size(output)}; "
            "give the layer that makes the offsets the convolution's stride, padding and dilation"
        )
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    output.copy_(_convolve(input, weight, offset, _no_mask(input), _no_bias(weight), geometry))


def backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill ``grad_input`` and ``grad_offset``, shaped like ``input`` and ``offset``, from ``grad_output``.

    torchvision computes the weight's gradient along with these; ``columns`` takes it to
    :func:`backward_parameters`, which mmcv calls next with the same ``columns`` if it wants it at all. The other
    arguments are those of :func:`forward`.
    """
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    gradients = _differentiate(grad_output, input, weight, offset, _no_mask(input), _no_bias(weight), geometry)
    grad_input.copy_(gradients.input)
    grad_offset.copy_(gradients.offset)
    columns.resize_(weight.shape).copy_(gradients.weight)


def backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add ``scale`` times the weight's gradient to ``grad_weight``, shaped like the weight.

    ``columns`` holds that gradient if :func:`backward_input` ran before, and is emptied. The other arguments are those
    of :func:`forward`. The gradient does not depend on the weight, so mmcv does not pass it.
    """
    if columns.shape == grad_weight.shape:
        grad_weight.add_(columns, alpha=scale)
        columns.resize_(0)
        return
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    weight = torch.zeros_like(grad_weight)
    gradients = _differentiate(grad_output, input, weight, offset, _no_mask(input), _no_bias(weight), geometry)
    grad_weight.add_(gradients.weight, alpha=scale)


def _size(tensor: Tensor) -> str:
    return f"{tensor.size(-2)}x{tensor.size(-1)}"


def _crop_memory(values: Tensor, height: int, width: int) -> Tensor:
    """Return (N, C, height, width): the first values of each image, whatever the size of their map.

    mmcv's kernels never look at the size of an offset or mask map; they read each image's memory as if it had the
    output's size. DyHead hands them larger maps, and its published weights were trained so.

    Args:
        values: (N, C, H, W) with at least ``height * width`` positions.
        height: Of the output.
        width: Of the output.

    Raises:
        InputError: The map has fewer positions than the output.
    """
    if values.shape[-2:] == (height, width):
        return values
    if values.size(-2) * values.size(-1) < height * width:
        raise InputError(
            f"deformable convolution: the offset or mask map is {_size(values)}, smaller than the output, "
            f"{height}x{width}; give the layer that makes it the convolution's stride, padding and dilation"
        )
    count = values.size(1) * height * width
    return values.flatten(1)[:, :count].view(-1, values.size(1), height, width)


def _uncrop_memory(grad: Tensor, whole: Tensor) -> None:
    """Write the gradient of :func:`_crop_memory`'s result into ``whole``, shaped like its argument."""
    padding = whole[0].numel() - grad[0].numel()
    flat = torch.nn.functional.pad(grad.flatten(1), (0, padding))
    whole.copy_(flat.view(whole.shape))


def modulated_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill ``output`` with the deformable convolution, version 2.

    Args:
        input: See the module.
        weight: See the module.
        bias: (O,), or empty where ``with_bias`` is False.
        ones: Scratch memory, unused.
        offset: See the module; the map may be larger than the output, see :func:`_crop_memory`.
        mask: See the module; likewise.
        output: Written.
        columns: Scratch memory, unused.
        kernel_h: Kernel height.
        kernel_w: Kernel width.
        stride_h: Vertical stride.
        stride_w: Horizontal stride.
        pad_h: Zeros above and below.
        pad_w: Zeros to the left and to the right.
        dilation_h: Vertical distance between kernel elements.
        dilation_w: Horizontal distance between kernel elements.
        group: Groups of channels.
        deformable_group: G.
        with_bias: Whether to add ``bias``.

    Raises:
        InputError: The offset or mask map has fewer positions than the output.
    """
    geometry = _Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group, use_mask=True
    )
    height, width = output.shape[-2:]
    output.copy_(
        _convolve(
            input,
            weight,
            _crop_memory(offset, height, width),
            _crop_memory(mask, height, width),
            bias if with_bias else _no_bias(weight),
            geometry,
        )
    )


def modulated_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill the five ``grad_*`` tensors, each shaped like what it is the gradient of, from ``grad_output``.

    ``grad_bias`` is left alone where ``with_bias`` is False; offsets and factors that the forward pass did not read
    get zeros. The other arguments are those of :func:`modulated_forward`.
    """
    geometry = _Geometry(
        stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group, use_mask=True
    )
    height, width = grad_output.shape[-2:]
    gradients = _differentiate(
        grad_output,
        input,
        weight,
        _crop_memory(offset, height, width),
        _crop_memory(mask, height, width),
        bias if with_bias else _no_bias(weight),
        geometry,
    )
    grad_input.copy_(gradients.input)
    grad_weight.copy_(gradients.weight)
    _uncrop_memory(gradients.offset, grad_offset)
    _uncrop_memory(gradients.mask, grad_mask)
    if with_bias:
        grad_bias.copy_(gradients.bias)
