"""TorchScript of the two parts of a network, put together to a module that takes any number of images."""

from typing import Any

import torch
from torch import Tensor, nn

from bdd100k_models.errors import InputError, first_line
from bdd100k_models.export.tracing import traceable


class _AsList(nn.Module):
    """Takes and returns lists, which a loop in TorchScript can handle without knowing their length."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        return list(self.module(*inputs))


class _Looping(nn.Module):
    """Features of a batch, then the head for one image after the other."""

    def __init__(self, front: nn.Module, back: nn.Module, outputs: int) -> None:
        super().__init__()
        self.front, self.back, self.outputs = front, back, outputs

    def forward(self, images: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.front([images])
        found: list[list[Tensor]] = []
        for index in range(images.shape[0]):
            one: list[Tensor] = []
            for feature in features:
                one.append(feature[index : index + 1])  # noqa: PERF401  TorchScript has no such comprehension
            found.append(self.back(one))
        results: list[Tensor] = []
        for place in range(self.outputs):
            column: list[Tensor] = []
            for said in found:
                column.append(said[place])  # noqa: PERF401
            results.append(torch.stack(column))
        return results


class _Direct(nn.Module):
    """A batch at once."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = self.module([images])
        return outputs


def trace_script(module: nn.Module, *example: Tensor) -> torch.jit.ScriptModule:
    """Follow one example through a module; what comes out takes a list of tensors and returns one.

    Raises:
        InputError: The module cannot be traced; the message says why.
    """
    try:
        with traceable(), torch.no_grad():
            trace: Any = torch.jit.trace
            inputs = (list(example),)
            script: torch.jit.ScriptModule = trace(_AsList(module).eval(), inputs, strict=False, check_trace=False)
            return script
    except RuntimeError as error:
        raise InputError(f"no TorchScript can be made: {first_line(error, 200)}") from error


def repeat_for_each_image(
    front: torch.jit.ScriptModule, back: torch.jit.ScriptModule, outputs: int
) -> torch.jit.ScriptModule:
    """Return a module that runs ``front`` on a batch and ``back`` on each image's part of what that gives.

    Args:
        front: Takes [images], returns features (N, ...).
        back: Takes features (1, ...), returns outputs without a batch axis.
        outputs: How many.
    """
    return torch.jit.script(_Looping(front, back, outputs).eval())


def take_batch(module: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Return a module that takes images instead of a list of them."""
    return torch.jit.script(_Direct(module).eval())
