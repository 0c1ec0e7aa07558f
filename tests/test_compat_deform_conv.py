"""Deformable convolution over torchvision's kernels, against ``grid_sample`` in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck

from bdd100k_models import compat
from bdd100k_models.errors import InputError
from ops_support import DEVICES, LOW, assert_rounded_once, rand

compat.activate()

from mmcv import ops  # noqa: E402


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def plain_deform_conv(
    x: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    deform_groups: int,
) -> Tensor:
    """Deformable convolution by ``grid_sample``, differentiable in every tensor."""
    batch, channels, height, width = x.shape
    kernel_h, kernel_w = weight.shape[2:]
    out_h, out_w = offset.shape[2:]
    shifts = offset.view(batch * deform_groups, kernel_h * kernel_w, 2, out_h, out_w)
    images = x.reshape(batch * deform_groups, channels // deform_groups, height, width)
    rows = torch.arange(out_h, dtype=x.dtype, device=x.device)[:, None] * stride[0] - padding[0]
    columns = torch.arange(out_w, dtype=x.dtype, device=x.device)[None, :] * stride[1] - padding[1]
    taps = []
    for tap, (i, j) in enumerate(itertools.product(range(kernel_h), range(kernel_w))):
        y = rows + i * dilation[0] + shifts[:, tap, 0]
        z = columns + j * dilation[1] + shifts[:, tap, 1]
        grid = torch.stack([2 * z / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
        sampled = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        if mask is not None:
            sampled = sampled * mask.view(batch * deform_groups, -1, 1, out_h, out_w)[:, tap]
        taps.append(sampled.reshape(batch, groups, channels // groups, out_h, out_w))
    kernel = weight.view(groups, -1, channels // groups, kernel_h * kernel_w)
    out = torch.einsum("tngchw,goct->ngohw", torch.stack(taps), kernel).reshape(batch, -1, out_h, out_w)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


# stride, padding, dilation, groups, deformable groups, batch
GEOMETRIES = [
    ((1, 1), (1, 1), (1, 1), 1, 1, 2),
    ((2, 1), (0, 2), (1, 2), 1, 1, 1),
    ((1, 2), (1, 1), (1, 1), 2, 1, 3),
    ((2, 2), (2, 1), (2, 1), 2, 4, 2),
]
Geometry = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int, int, int]


def output_size(stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Of the (7, 6) input and (3, 2) kernel used here."""
    sizes = zip((7, 6), (3, 2), stride, padding, dilation, strict=True)
    height, width = ((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in sizes)
    return height, width


def tensors(geometry: Geometry, device: str, size: tuple[int, int] | None = None) -> tuple[Tensor, ...]:
    """Input, offset, mask, weight, bias; ``size`` is that of the offset and mask maps."""
    stride, padding, dilation, groups, deform_groups, batch = geometry
    size = size or output_size(stride, padding, dilation)
    return (
        rand(batch, 4, 7, 6, device=device, grad=True),
        (rand(batch, deform_groups * 12, *size, device=device) * 1.5).requires_grad_(),
        torch.rand(batch, deform_groups * 6, *size, dtype=torch.float64, device=device).requires_grad_(),
        rand(6, 4 // groups, 3, 2, device=device, grad=True),
        rand(6, device=device, grad=True),
    )


def assert_same_gradients(ours: Tensor, expected: Tensor, inputs: list[Tensor]) -> None:
    cotangent = torch.randn_like(ours)
    found = torch.autograd.grad(ours, inputs, cotangent)
    for mine, reference in zip(found, torch.autograd.grad(expected, inputs, cotangent), strict=True):
        torch.testing.assert_close(mine, reference)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_modulated_deform_conv(geometry: Geometry, with_bias: bool, device: str) -> None:
    x, offset, mask, weight, bias = tensors(geometry, device)
    inputs = [x, offset, mask, weight] + [bias] * with_bias
    ours = ops.modulated_deform_conv2d(x, offset, mask, weight, bias if with_bias else None, *geometry[:5])
    expected = plain_deform_conv(x, offset, mask, weight, bias if with_bias else None, *geometry[:5])
    torch.testing.assert_close(ours, expected)
    assert_same_gradients(ours, expected, inputs)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_deform_conv(geometry: Geometry, device: str) -> None:
    x, offset, _, weight, _ = tensors(geometry, device)
    ours = ops.deform_conv2d(x, offset, weight, *geometry[:5])
    expected = plain_deform_conv(x, offset, None, weight, None, *geometry[:5])
    torch.testing.assert_close(ours, expected)
    assert_same_gradients(ours, expected, [x, offset, weight])


def test_deform_conv_im2col_step_changes_nothing(device: str) -> None:
    geometry: Geometry = ((1, 1), (1, 1), (1, 1), 1, 1, 4)
    x, offset, _, weight, _ = tensors(geometry, device)
    results = [ops.deform_conv2d(x, offset, weight, *geometry[:5], False, step) for step in (1, 2, 32)]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])
    with pytest.raises(AssertionError, match="im2col_step"):
        ops.deform_conv2d(x, offset, weight, *geometry[:5], False, 3)


@pytest.mark.parametrize("wanted", [[0], [1], [2], [0, 2], [1, 2]])
def test_deform_conv_gradients_asked_for_alone(wanted: list[int], device: str) -> None:
    """Also twice through the same graph: nothing of the first pass may leak into the second."""
    x, offset, _, weight, _ = (t.detach() for t in tensors(GEOMETRIES[0], device))
    inputs = [x, offset, weight]
    for index in wanted:
        inputs[index].requires_grad_()
    ours = ops.deform_conv2d(x, offset, weight, 1, 1)
    expected = plain_deform_conv(x, offset, None, weight, None, (1, 1), (1, 1), (1, 1), 1, 1)
    for _ in range(2):
        cotangent = torch.randn_like(ours)
        chosen = [inputs[index] for index in wanted]
        found = torch.autograd.grad(ours, chosen, cotangent, retain_graph=True)
        for mine, reference in zip(
            found, torch.autograd.grad(expected, chosen, cotangent, retain_graph=True), strict=True
        ):
            torch.testing.assert_close(mine, reference)


def test_deform_conv_gradcheck(device: str) -> None:
    geometry: Geometry = ((2, 2), (1, 0), (1, 1), 2, 2, 1)
    x, offset, mask, weight, bias = tensors(geometry, device)
    tolerance = {"nondet_tol": 1e-12}
    assert gradcheck(lambda a, b, c: ops.deform_conv2d(a, b, c, *geometry[:5]), (x, offset, weight), **tolerance)
    assert gradcheck(
        lambda *a: ops.modulated_deform_conv2d(*a, *geometry[:5]), (x, offset, mask, weight, bias), **tolerance
    )


def reread(values: Tensor, height: int, width: int) -> Tensor:
    """What a kernel sees that takes each image's flat memory for a map of the given size, value by value."""
    seen = torch.empty(*values.shape[:2], height, width, dtype=values.dtype, device=values.device)
    for image, memory in enumerate(values.flatten(1)):
        for c, y, x in itertools.product(range(values.size(1)), range(height), range(width)):
            seen[image, c, y, x] = memory[(c * height + y) * width + x]
    return seen


@pytest.mark.parametrize("size", [(8, 8), (5, 12), (20, 3)])
@pytest.mark.parametrize("geometry", [GEOMETRIES[0], GEOMETRIES[3]])
def test_maps_larger_than_the_output_are_read_as_flat_memory(
    geometry: Geometry, size: tuple[int, int], device: str
) -> None:
    x, offset, mask, weight, bias = tensors(geometry, device, size)
    height, width = output_size(*geometry[:3])
    ours = ops.modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry[:5])
    expected = plain_deform_conv(
        x, reread(offset, height, width), reread(mask, height, width), weight, bias, *geometry[:5]
    )
    torch.testing.assert_close(ours, expected)
    assert_same_gradients(ours, expected, [x, offset, mask, weight, bias])
    unread = torch.autograd.grad(
        ops.modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry[:5]).sum(), offset
    )[0].flatten(1)[:, offset.size(1) * height * width :]
    assert unread.numel() and not unread.any()


def test_maps_in_channels_last_memory_are_read_in_logical_order(device: str) -> None:
    x, offset, mask, weight, bias = tensors(GEOMETRIES[0], device, (8, 8))
    ours = ops.modulated_deform_conv2d(x, offset, mask, weight, bias, 1, 1)
    last = [t.detach().to(memory_format=torch.channels_last).requires_grad_() for t in (x, offset, mask)]
    again = ops.modulated_deform_conv2d(*last, weight, bias, 1, 1)
    torch.testing.assert_close(again, ours)
    torch.testing.assert_close(
        torch.autograd.grad(again.square().sum(), last), torch.autograd.grad(ours.square().sum(), (x, offset, mask))
    )


def test_maps_smaller_than_the_output_are_refused() -> None:
    x, offset, mask, weight, bias = tensors(GEOMETRIES[0], "cpu", (3, 3))
    with pytest.raises(InputError, match="3x3, smaller than the output, 7x7"):
        ops.modulated_deform_conv2d(x, offset, mask, weight, bias, 1, 1)


def test_deform_conv_wants_a_map_of_the_outputs_size() -> None:
    x, offset, _, weight, _ = tensors(GEOMETRIES[0], "cpu", (8, 8))
    with pytest.raises(InputError, match="offset map is 8x8, the output 7x7"):
        ops.deform_conv2d(x, offset, weight, 1, 1)


@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("version", [1, 2])
def test_deform_conv_in_16_bit(version: int, dtype: torch.dtype, device: str) -> None:
    inputs = [t.detach().to(dtype).requires_grad_() for t in tensors(GEOMETRIES[0], device)]
    wide = [t.detach().float().requires_grad_() for t in inputs]

    def convolve(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if version == 1:
            return ops.deform_conv2d(x, offset, weight, 1, 1)
        return ops.modulated_deform_conv2d(x, offset, mask, weight, bias, 1, 1)

    with torch.autocast(device, dtype):
        low = convolve(*inputs)
        low.sum().backward()
    exact = convolve(*wide)
    exact.sum().backward()
    assert low.dtype == dtype
    assert_rounded_once(low, exact)
    for narrow, reference in zip(inputs, wide, strict=True):
        assert (narrow.grad is None) == (reference.grad is None)
        if narrow.grad is not None and reference.grad is not None:
            assert_rounded_once(narrow.grad, reference.grad)


def test_autocast_leaves_float32_tensors_alone(device: str) -> None:
    """Also the matrix products inside the kernels, of which bfloat16 would keep three digits."""
    x, offset, mask, weight, bias = (t.detach().float().requires_grad_() for t in tensors(GEOMETRIES[0], device))

    def run() -> tuple[Tensor, ...]:
        modulated = ops.modulated_deform_conv2d(x, offset, mask, weight, bias, 1, 1)
        total = modulated.square().sum() + ops.deform_conv2d(x, offset, weight, 1, 1).square().sum()
        return modulated, *torch.autograd.grad(total, (x, offset, mask, weight, bias))

    expected = run()
    with torch.autocast(device, torch.bfloat16):
        torch.testing.assert_close(run(), expected)


def test_the_weights_gradient_is_not_kept_after_use() -> None:
    x, offset, _, weight, _ = tensors(GEOMETRIES[0], "cpu")
    out = ops.deform_conv2d(x, offset, weight, 1, 1)
    out.sum().backward()
    assert [buffer.numel() for buffer in out.grad_fn.bufs_] == [0, 0]


@pytest.mark.parametrize("layer", [ops.DeformConv2dPack, ops.ModulatedDeformConv2dPack])
def test_deform_conv_layers_train_under_autocast(layer: type[torch.nn.Module], device: str) -> None:
    module = layer(4, 6, 3, padding=1).to(device)
    x = torch.rand(2, 4, 8, 8, device=device, requires_grad=True)
    with torch.autocast(device, torch.bfloat16):
        out = module(x)
    out.float().square().sum().backward()
    assert out.dtype == torch.bfloat16
    grads = [x.grad, *(p.grad for p in module.parameters())]
    assert all(g is not None and g.isfinite().all() and g.any() for g in grads)
    assert all(g is not None and g.dtype == torch.float32 for g in grads)


def test_a_layer_without_offsets_is_an_ordinary_convolution(device: str) -> None:
    module = ops.DeformConv2dPack(4, 6, 3, padding=1, stride=2).double().to(device)
    x = rand(2, 4, 9, 8, device=device)
    torch.testing.assert_close(module(x), F.conv2d(x, module.weight, stride=2, padding=1))


def test_dyhead_runs_forward_and_backward_on_a_pyramid_of_odd_sizes() -> None:
    """At every level but the last, the offsets are larger than the output of the convolution of the next level."""
    from mmdet.models.necks import DyHead

    head = DyHead(16, 16, num_blocks=2, zero_init_offset=False)
    levels = [torch.rand(1, 16, *size, requires_grad=True) for size in ((23, 40), (12, 20), (6, 10))]
    outputs = head(levels)
    assert [o.shape for o in outputs] == [level.shape for level in levels]
    sum(o.square().sum() for o in outputs).backward()
    assert all(level.grad is not None and level.grad.isfinite().all() and level.grad.any() for level in levels)
