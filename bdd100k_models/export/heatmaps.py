"""Joints from heat maps, with the arithmetic of :mod:`bdd100k_models.models.pose_codecs` on tensors of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bdd100k_models.models.pose_codecs import PublishedUDPHeatmap


def find_joints(maps: Tensor, codec: Any) -> Tensor:
    """Find the joints of each person.

    Args:
        maps: Heat maps (N, joints, height, width).
        codec: How the model's maps are decoded.

    Returns:
        (N, joints, 3): x and y in pixels of the network's input, and the height of the peak.
    """
    height, width = (int(side) for side in maps.shape[-2:])
    flat = maps.flatten(2)
    scores, place = flat.max(dim=2)
    row = torch.div(place, width, rounding_mode="floor")
    column = place - row * width
    if isinstance(codec, PublishedUDPHeatmap):
        smooth = _blur(maps, codec.blur_kernel_size, mirrored=True).clamp(1e-3, 50.0).log()
        found = scores > 0
        x = torch.where(found, column, torch.full_like(column, -1))
        y = torch.where(found, row, torch.full_like(row, -1))
        points = torch.stack([x, y], dim=-1) - _newton_step(smooth, x, y)
        last = torch.tensor([width - 1.0, height - 1.0])
        points = points / last * torch.tensor([float(side) for side in codec.input_size])
        return torch.cat([points, scores[..., None]], dim=-1)
    move = _dark_step(maps, column, row, codec.blur_kernel_size) if codec.unbiased else _quarter_step(flat, maps, place)
    points = torch.stack([column, row], dim=-1) + move
    points = torch.where((scores > 0)[..., None], points, torch.full_like(points, -1.0))
    points = points * torch.tensor([float(factor) for factor in codec.scale_factor])
    return torch.cat([points, scores[..., None]], dim=-1)


def _inner(maps: Tensor, place: Tensor, before: int, after: int) -> Tensor:
    """Tell which peaks are farther than so many pixels from the edges, bool (N, joints)."""
    height, width = (int(side) for side in maps.shape[-2:])
    row = torch.div(place, width, rounding_mode="floor")
    column = place - row * width
    return (column > before) & (column < width - after) & (row > before) & (row < height - after)


def _around(flat: Tensor, place: Tensor, step: int) -> Tensor:
    """Return the value a number of pixels after each place; meaningless outside of the map."""
    count = int(flat.shape[-1])
    return flat.gather(2, (place + step).clamp(0, count - 1)[..., None])[..., 0]


def _quarter_step(flat: Tensor, maps: Tensor, place: Tensor) -> Tensor:
    """Return a quarter pixel towards the higher neighbour on both axes, (N, joints, 2); 0 near an edge."""
    width = int(maps.shape[-1])
    across = _around(flat, place, 1) - _around(flat, place, -1)
    down = _around(flat, place, width) - _around(flat, place, -width)
    inner = _inner(maps, place, 1, 1)
    return torch.stack([across, down], dim=-1).sign() * 0.25 * inner[..., None]


def _dark_step(maps: Tensor, column: Tensor, row: Tensor, kernel: int) -> Tensor:
    """Return where a quadratic through the logarithms around a peak has its maximum, (N, joints, 2); 0 near an edge."""
    width = int(maps.shape[-1])
    smooth = _blur(maps, kernel, mirrored=False)
    peaks = maps.flatten(2).max(dim=2).values / smooth.flatten(2).max(dim=2).values
    flat = (smooth * peaks[..., None, None]).clamp(min=1e-10).log().flatten(2)
    place = row * width + column

    def at(across: int, down: int) -> Tensor:
        return _around(flat, place, down * width + across)

    dx, dy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
    dxx, dyy = 0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0)), 0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    dxy = 0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
    determinant = dxx * dyy - dxy * dxy
    usable = _inner(maps, place, 1, 2) & (determinant != 0)
    safe = torch.where(usable, determinant, torch.ones_like(determinant))
    step = torch.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], dim=-1) / safe[..., None]
    return torch.where(usable[..., None], -step, torch.zeros_like(step))


def _newton_step(smooth: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return how far peaks are from the maximum of a quadratic through the logarithms around them, (N, joints, 2)."""
    joints, height, width = (int(side) for side in smooth.shape[1:])
    padded = functional.pad(smooth, (1, 1, 1, 1), mode="replicate")
    row = width + 2
    size = row * (height + 2)
    # one row of numbers over all joints of a person, as the decoder of the published models reads it
    values = padded.flatten(1)
    here = x + 1 + (y + 1) * row + torch.arange(joints) * size

    def at(across: int, down: int) -> Tensor:
        # what lies before the first number is read from the end
        return values.gather(1, torch.remainder(here + down * row + across, joints * size))

    centre = at(0, 0)
    dx, dy = 0.5 * (at(1, 0) - at(-1, 0)), 0.5 * (at(0, 1) - at(0, -1))
    epsilon = torch.finfo(torch.float32).eps
    dxx, dyy = at(1, 0) - 2 * centre + at(-1, 0) + epsilon, at(0, 1) - 2 * centre + at(0, -1) + epsilon
    dxy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + centre + centre - at(-1, 0) - at(0, -1) + at(-1, -1))
    # float64: where a map is flat, the determinant is the difference of nearly equal numbers
    dx, dy, dxx, dyy, dxy = (value.double() for value in (dx, dy, dxx, dyy, dxy))
    determinant = dxx * dyy - dxy * dxy
    step = torch.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], dim=-1) / determinant[..., None]
    return step.float()


def _blur(maps: Tensor, kernel: int, mirrored: bool) -> Tensor:
    """Smooth each map with OpenCV's Gaussian of a size, surrounded by its mirror image or by zeros."""
    import cv2

    weights = torch.from_numpy(cv2.getGaussianKernel(kernel, 0)).float().flatten()
    border = (kernel - 1) // 2
    joints = int(maps.shape[1])
    padded = functional.pad(maps, (border,) * 4, mode="reflect" if mirrored else "constant")
    across = weights.view(1, 1, 1, -1).repeat(joints, 1, 1, 1)
    down = weights.view(1, 1, -1, 1).repeat(joints, 1, 1, 1)
    return functional.conv2d(functional.conv2d(padded, across, groups=joints), down, groups=joints)
