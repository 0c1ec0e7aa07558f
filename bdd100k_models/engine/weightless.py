"""Models built without memory for their weights: shapes, names and counts, at no cost."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

import torch
from mmengine.config import Config
from torch import nn

from bdd100k_models.engine.model import build_model


@contextlib.contextmanager
def _numbers_stay_real() -> Iterator[None]:
    # stochastic depth reads its rates back as numbers, which tensors without data cannot give
    with mock.patch.object(torch, "linspace", functools.partial(torch.linspace, device="cpu")):
        yield


def build_weightless(config: Config) -> nn.Module:
    """Build the model of a config on the ``meta`` device: every parameter has a shape and no data.

    Not for several threads at once: while it builds, ``torch.linspace`` makes tensors on the CPU.

    Raises:
        ConfigError: See :func:`bdd100k_models.engine.model.build_model`.
    """
    with _numbers_stay_real(), torch.device("meta"):
        return build_model(config)


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers a model learns; those of frozen layers count, buffers do not."""
    return sum(parameter.numel() for parameter in model.parameters())
