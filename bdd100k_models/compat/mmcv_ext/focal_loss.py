"""Sigmoid focal loss with mmcv's arguments.

Formula: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 5, one logistic unit a class.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bdd100k_models.compat.mmcv_ext.precision import widen


def _row_weight(target: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (N, 1): the weight of each row's class, and 1 for background, which no class weight covers."""
    with_background = torch.cat([weight.to(dtype), weight.new_ones(1, dtype=dtype)])
    return with_background[target.clamp(max=weight.numel())].unsqueeze(1)


def _positives(target: Tensor, num_classes: int) -> Tensor:
    """Return (N, num_classes) bool: where the column is the row's class; a background row has none."""
    return target.unsqueeze(1) == torch.arange(num_classes, device=target.device)


def _choose(condition: Tensor, yes: float, no: float, like: Tensor) -> Tensor:
    """Return ``torch.where`` of two numbers in the precision of ``like``; of bare numbers it would be float32."""
    return torch.where(condition, like.new_tensor(yes), like.new_tensor(no))


def forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float) -> None:
    """Fill ``output`` with the loss of every entry.

    Args:
        input: (N, C) logits; N may be 0.
        target: (N,) int64 class in [0, C]; C means background.
        weight: (C,) weight of each class, or empty for none.
        output: (N, C), written.
        gamma: How fast the loss of easy entries fades, >= 0.
        alpha: Weight of positive entries in [0, 1]; negative ones get ``1 - alpha``.
    """
    logits = widen(input)
    positive = _positives(target, logits.size(1))
    # of a positive entry: -alpha * (1 - p)^gamma * log p; of a negative one the same with p and 1 - p swapped,
    # which is the same function of -logit
    signed = torch.where(positive, logits, -logits)
    balance = _choose(positive, alpha, 1 - alpha, logits)
    loss = -balance * torch.sigmoid(-signed).pow(gamma) * F.logsigmoid(signed)
    if weight.numel():
        loss = loss * _row_weight(target, weight, loss.dtype)
    output.copy_(loss)


def backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, *, gamma: float, alpha: float) -> None:
    """Fill ``grad_input`` (N, C) with the derivative of every entry's loss by its logit.

    The other arguments are those of :func:`forward`.
    """
    logits = widen(input)
    positive = _positives(target, logits.size(1))
    signed = torch.where(positive, logits, -logits)
    balance = _choose(positive, alpha, alpha - 1, logits)  # the sign is that of d signed / d logit
    missed = torch.sigmoid(-signed)
    slope = missed.pow(gamma) * (gamma * torch.sigmoid(signed) * F.logsigmoid(signed) - missed)
    grad = balance * slope
    if weight.numel():
        grad = grad * _row_weight(target, weight, grad.dtype)
    grad_input.copy_(grad)
