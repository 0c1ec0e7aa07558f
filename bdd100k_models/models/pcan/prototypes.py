"""Prototypes: a few vectors that stand for many pixels, found by expectation maximisation.

Source: Ke, Li, Danelljan, Tai, Tang, Yu: "Prototypical Cross-Attention Networks for Multiple Object Tracking and
Segmentation", NeurIPS 2021. Each pixel belongs softly to every prototype (E), each prototype is the direction of the
mean of its pixels (M). Attention then runs against K prototypes instead of N pixels.

The functions are pure. Features are not normalised, so the exponents are large: halves are raised to float32, and
autocast is off inside. R counts instances (or images), C channels, N pixels, K prototypes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_SHARPNESS = 20.0  # factor of the exponents in the E step; the attention itself has none
_EPSILON = 1e-6
_COUNT_EPSILON = 1e-5


def random_prototypes(channels: int, count: int) -> Tensor:
    """Draw prototypes (1, channels, count), columns of length one."""
    return _normalise(torch.randn(1, channels, count))


def _normalise(prototypes: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(prototypes, dim=1, keepdim=True)
    return prototypes / (_EPSILON + lengths)


@torch.no_grad()
def find_prototypes(features: Tensor, start: Tensor, rounds: int, mask: Tensor | None = None) -> Tensor:
    """Fit prototypes to features by expectation maximisation; no gradient flows through it.

    Args:
        features: (R, C, N).
        start: Where to begin, (R, C, K).
        rounds: Rounds of E and M.
        mask: Weights of the pixels, (R, 1, N), 0 or 1; all of them where None. Where a mask is empty, the prototypes
            come out as zeros.

    Returns:
        Prototypes (R, C, K), columns of length one (or zero), at least in float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        features, prototypes = _at_least_float32(features), _at_least_float32(start)
        for _ in range(rounds):
            weights = torch.softmax(_SHARPNESS * (features.transpose(1, 2) @ prototypes), dim=2)
            if mask is not None:
                weights = weights * mask.to(weights.dtype).transpose(1, 2)
            weights = weights / (_EPSILON + weights.sum(dim=1, keepdim=True))
            prototypes = _normalise(features @ weights)
    return prototypes


def attend(features: Tensor, prototypes: Tensor) -> Tensor:
    """Share out each pixel among prototypes: softmax of the dot products.

    Args:
        features: (R, C, N).
        prototypes: (R, C, K).

    Returns:
        (R, N, K), at least in float32; sums to one over K.
    """
    with torch.autocast(features.device.type, enabled=False):
        return torch.softmax(_at_least_float32(features).transpose(1, 2) @ _at_least_float32(prototypes), dim=2)


def reconstruct(features: Tensor, prototypes: Tensor) -> Tensor:
    """Rebuild each pixel from prototypes, weighted by its attention to them.

    Args:
        features: (R, C, N).
        prototypes: (R, C, K).

    Returns:
        (R, C, N), at least in float32.
    """
    with torch.autocast(features.device.type, enabled=False):
        return _at_least_float32(prototypes) @ attend(features, prototypes).transpose(1, 2)


def masked_mean(features: Tensor, mask: Tensor) -> Tensor:
    """Average the features under a mask.

    Args:
        features: (R, C, N).
        mask: (R, 1, N), 0 or 1.

    Returns:
        (R, C, 1); zeros where the mask is empty.
    """
    mask = mask.to(features.dtype)
    return (features * mask).sum(dim=2, keepdim=True) / (mask.sum(dim=2, keepdim=True) + _COUNT_EPSILON)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


class FrameMemory(NamedTuple):
    """What one level of the feature pyramid remembers of a video.

    Attributes:
        bank: Features of the past, running mean, (1, C, H, W).
        prototypes: Prototypes of the bank, running mean, (1, C, K).
    """

    bank: Tensor
    prototypes: Tensor


def remember_frame(
    features: Tensor, memory: FrameMemory, rounds: int, rate: float = 0.25
) -> tuple[Tensor, FrameMemory]:
    """Let a frame's features look at the past, then let the past take them in (frame-level cross-attention).

    Args:
        features: Of this frame, (1, C, H, W).
        memory: The past; at a video's first frame its own features, and the prototypes as trained.
        rounds: Rounds of expectation maximisation.
        rate: Share of the reconstruction in the new features, and of the old bank in the new bank.

    Returns:
        The new features, of the shape and dtype of the old, and the new memory.
    """
    pixels = features.flatten(2)
    fitted = find_prototypes(memory.bank.flatten(2), memory.prototypes, rounds)
    rebuilt = reconstruct(pixels, fitted).view_as(features)
    mixed = (1 - rate) * features + rate * rebuilt
    bank = (1 - rate) * mixed + rate * memory.bank
    return mixed.to(features.dtype), FrameMemory(bank, 0.5 * memory.prototypes + 0.5 * fitted)
