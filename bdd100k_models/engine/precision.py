"""Mixed precision in training: float16 with scaled losses on a GPU, bfloat16 on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

_OF_AMP = ("loss_scale", "dtype", "use_fsdp")


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Compute the losses in bfloat16 where that loses little; weights and their updates stay in float32.

    bfloat16 has the range of float32, so no loss need be scaled, unlike in mmengine's ``AmpOptimWrapper``, which is
    for GPUs alone.
    """

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Compute what is inside in mixed precision."""
        with super().optim_context(model), torch.autocast("cpu", torch.bfloat16):
            yield


def set_precision(config: Config, device: torch.device, *, amp: bool) -> None:
    """Choose the optimiser's wrapper by device and precision.

    Args:
        config: A config with ``optim_wrapper``, changed in place.
        device: Where to train.
        amp: Mixed precision, whatever the config says. A config that asks for that of GPUs is trained in full
            precision on the CPU; one that an earlier run left, with that of the CPU, as it says.
    """
    wrapper = config.optim_wrapper
    wrapper.setdefault("type", "OptimWrapper")  # as OpenMMLab does
    mixed = wrapper.type in ("AmpOptimWrapper", CpuAmpOptimWrapper.__name__)
    amp = amp or wrapper.type == CpuAmpOptimWrapper.__name__
    if device.type != "cpu":
        if amp or mixed:
            wrapper.type = "AmpOptimWrapper"
            wrapper.setdefault("loss_scale", "dynamic")
        return
    if mixed and not amp:
        print_log("this recipe's mixed precision is for GPUs: training in full precision (or use --amp)", "current")
    if amp or mixed:
        wrapper.type = CpuAmpOptimWrapper.__name__ if amp else "OptimWrapper"
        for key in _OF_AMP:
            wrapper.pop(key, None)
