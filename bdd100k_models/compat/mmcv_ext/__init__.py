"""mmcv's compiled operators, written over torchvision's kernels and plain PyTorch.

mmcv 2 keeps its operators in a compiled module, ``mmcv._ext``, for which no ready build exists for today's torch; built
as pip builds it by default, mmcv comes without it and ``import mmcv.ops`` fails. :func:`install` registers a module of
that name with mmcv's function names and argument lists, so that everything above it runs without a compiler, on the
CPU and on CUDA, forward and backward. Written for mmcv 2.3.6 and torchvision 0.19 to 0.26.

16-bit tensors (autocast, fp16) are computed in float32 and rounded once at the end.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn, Protocol

import torch

from bdd100k_models.compat.mmcv_ext import deform_conv, focal_loss, nms, psa_mask, roi_align
from bdd100k_models.errors import UnsupportedOpError

NAME = "mmcv._ext"


class _Refusal(Protocol):
    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn: ...


def _compile_command() -> str:
    """Return what compiles the installed mmcv; the build finds torch, and so builds operators, only unisolated."""
    version = importlib.import_module("mmcv").__version__
    return f"pip install --no-build-isolation --no-cache-dir --no-deps --force-reinstall onedl-mmcv=={version}"


def _refuse(op: str) -> _Refusal:
    """Return a function that stands for ``op`` and raises when it is called."""

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise UnsupportedOpError(
            f"mmcv's operator {op!r} is not among those that run on torchvision's kernels; "
            f"compile mmcv (needs a C++ compiler, setuptools and wheel, for CUDA also nvcc): {_compile_command()}"
        )

    refuse.__name__ = refuse.__qualname__ = op
    return refuse


class _Extension(ModuleType):
    """A stand-in for ``mmcv._ext``.

    mmcv asks at import for every operator of every module, so an operator that is missing may only fail when it is
    called.
    """

    def __getattr__(self, name: str) -> _Refusal:
        # the import system and inspect probe modules for private names; only operators are promised
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _refuse(name)


def _build() -> _Extension:
    extension = _Extension(NAME, __doc__)
    # importlib.util.find_spec, which mmengine uses to look for operators, refuses a module without a spec
    extension.__spec__ = ModuleSpec(NAME, loader=None, origin=__name__)
    operators = {
        "nms": nms.nms,
        "roi_align_forward": roi_align.forward,
        "roi_align_backward": roi_align.backward,
        "deform_conv_forward": deform_conv.forward,
        "deform_conv_backward_input": deform_conv.backward_input,
        "deform_conv_backward_parameters": deform_conv.backward_parameters,
        "modulated_deform_conv_forward": deform_conv.modulated_forward,
        "modulated_deform_conv_backward": deform_conv.modulated_backward,
        "sigmoid_focal_loss_forward": focal_loss.forward,
        "sigmoid_focal_loss_backward": focal_loss.backward,
        "psamask_forward": psa_mask.forward,
        "psamask_backward": psa_mask.backward,
        "get_compiler_version": lambda: "none (operators over torchvision)",
        "get_compiling_cuda_version": lambda: "none (operators over torchvision)",
    }
    vars(extension).update(operators)
    return extension


def _require_kernels() -> None:
    """Load torchvision's kernels.

    Raises:
        UnsupportedOpError: They are not there: torchvision was built for another torch, or without them.
    """
    advice = "install a torchvision of the same release and build as torch, both from the same package index"
    try:
        torchvision = importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        raise UnsupportedOpError(f"torchvision does not import ({error}); {advice}") from error
    if not hasattr(torch.ops.torchvision, "nms"):
        raise UnsupportedOpError(f"torchvision {torchvision.__version__} has no kernels for this torch; {advice}")


def install() -> None:
    """Register the operators as ``mmcv._ext`` unless a compiled module of that name imports. Safe to call again.

    A compiled module that is there but does not import (built for another torch) is replaced with a warning.

    Raises:
        ModuleNotFoundError: mmcv is not installed.
        UnsupportedOpError: torchvision's kernels are not there.
    """
    mmcv = importlib.import_module("mmcv")
    try:
        importlib.import_module(NAME)
    except ImportError as error:
        if not (isinstance(error, ModuleNotFoundError) and error.name == NAME):
            warnings.warn(
                f"mmcv's compiled operators do not import ({error}); "
                f"torchvision's take their place. To have them back: {_compile_command()}",
                RuntimeWarning,
                stacklevel=2,
            )
        _require_kernels()
        extension = _build()
        sys.modules[NAME] = extension
        vars(mmcv)["_ext"] = extension
