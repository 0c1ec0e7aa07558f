"""Weights drawn by name: the same for everyone, and such that a network's answers depend on what it sees."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

_POSITIONS = ("rel_pos", "relative_position_bias_table", "pos_embed", "cls_token")

#: The last layers of segmentors, by name.
_CLASSIFIERS = ("conv_seg", "fc_seg")

#: Layers that are drawn small, as trained ones are: how far boxes and the taps of deformable convolutions are moved,
#: how sure proposals are, and the context that is added to every pixel, which else is more than the pixel's own. Where
#: all are equally sure, or moved at random, the last bit of a sum decides which thousand are kept.
_SMALL = {
    "conv_offset": 0.2,
    "channel_add_conv": 0.2,
    "rpn_cls": 0.2,
    "multi_level_conv_reg": 0.1,
    "multi_level_conv_obj": 0.2,
    "multi_level_conv_cls": 0.2,
    "rpn_reg": 1e-3,
    "fc_reg": 0.1,
    "reg_fcs": 0.1,
    "retina_cls": 0.2,
    "retina_reg": 0.1,
}


def fill_with_drawn_weights(model: nn.Module) -> None:
    """Fill every floating-point parameter and buffer of a model; the preprocessor's and integers stay."""
    state: dict[str, Any] = model.state_dict()
    for name, value in state.items():
        if value.is_floating_point() and not name.startswith("data_preprocessor"):
            value.copy_(torch.from_numpy(_draw(name, tuple(value.shape))))


def settle_statistics(model: nn.Module, run: Callable[[], object]) -> None:
    """Let batch normalisation take its statistics from what a run shows it, as training does.

    Without that, activations grow from layer to layer until the answers of a deep network say more of rounding than of
    the picture.

    Args:
        model: The model, filled with drawn weights.
        run: Runs it on pictures.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    run()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def spread_classes(model: nn.Module, run: Callable[[], object]) -> None:
    """Scale the last layers of a segmentor so that each class has scores of mean 0 and spread 1 over what a run shows.

    Without that, one class can win everywhere.

    Args:
        model: The segmentor, filled with drawn weights.
        run: Runs it on pictures.
    """
    hooks = [
        module.register_forward_hook(_standardise)
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in _CLASSIFIERS and isinstance(module, nn.modules.conv._ConvNd)
    ]
    run()
    for hook in hooks:
        hook.remove()


def _standardise(layer: Any, _: object, scores: torch.Tensor) -> torch.Tensor:
    """Give a layer weights that make the mean of each of its channels 0 and their spread 1; return its new output."""
    others = [axis for axis in range(scores.ndim) if axis != 1]
    spread, mean = torch.std_mean(scores, dim=others)
    spread = spread.clamp(min=1e-6)
    with torch.no_grad():
        layer.weight /= spread.reshape(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.copy_((layer.bias - mean) / spread)
    shape = [1, -1, *[1] * (scores.ndim - 2)]
    return (scores - mean.reshape(shape)) / spread.reshape(shape)


def _draw(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rpartition(".")[2]
    if "init_proposal_bboxes" in name:
        values = generator.uniform(0.3, 0.7, shape)
    elif leaf == "running_var":
        values = generator.uniform(0.6, 1.4, shape)
    elif leaf == "running_mean":
        values = generator.normal(0, 0.05, shape)
    elif len(shape) >= 2 and any(part in name for part in _POSITIONS):
        values = generator.normal(0, 0.02, shape)
    elif len(shape) >= 2 and (scale := next((size for part, size in _SMALL.items() if part in name), None)):
        values = generator.normal(0, scale / np.sqrt(int(np.prod(shape[1:]))), shape)
    elif len(shape) >= 2:
        values = generator.normal(0, np.sqrt(1.6 / max(int(np.prod(shape[1:])), 1)), shape)
    elif leaf == "weight":
        # the last scale of a residual branch is small, so that sums over many blocks keep their size
        values = generator.uniform(0.8, 1.2, shape) * (0.35 if "bn3." in name or "bn2." in name else 1)
    elif leaf == "bias":
        values = generator.normal(0, 0.02, shape)
    else:
        values = generator.uniform(0.9, 1.1, shape)
    return np.asarray(values, np.float32).reshape(shape)
