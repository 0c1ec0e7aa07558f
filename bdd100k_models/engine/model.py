"""A config's model, built, filled with weights and made ready to run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn

from bdd100k_models.engine.checkpoint import load_weights
from bdd100k_models.engine.grouping import alike
from bdd100k_models.errors import ConfigError, InputError, ZooError, first_line
from bdd100k_models.registry import enter_scope

#: What PyTorch, NumPy and the system say of it; a bus error means that memory which processes share is full.
_NO_MEMORY = (
    *("out of memory", "can't allocate", "Cannot allocate memory", "Unable to allocate"),
    *("is killed by signal: Killed", "is killed by signal: Bus error", "shared memory (shm)"),
)


def build_model(config: Config) -> nn.Module:
    """Build the model of a config on the CPU, in evaluation mode, with random weights.

    Weights of a backbone that ``init_cfg`` names are not fetched: the checkpoint holds all of them.

    Raises:
        ConfigError: The config has no model, or one that its library does not know.
    """
    if "model" not in config:
        raise ConfigError(f"{config.filename}: has no model; name a model's config, not one of its bases")
    enter_scope(config.get("default_scope"))
    try:
        model: nn.Module = MODELS.build(config.model)
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError) as error:
        raise ConfigError(f"{config.filename}: the model cannot be built ({error})") from None
    return model.eval()


def prepare_model(
    config: Config,
    weights: Path | None,
    device: torch.device,
    *,
    fuse_conv_bn: bool = False,
    channels_last: bool = False,
) -> nn.Module:
    """Build a model, load its weights and put it on a device.

    Args:
        config: The model's config.
        weights: A checkpoint, or None for random weights.
        device: Where to run.
        fuse_conv_bn: Fold batch normalisation into the convolutions before it.
        channels_last: Lay convolutions out with channels last. Faster on most hardware; sums are taken in another
            order, so boxes of nearly equal scores can change places.

    Raises:
        ConfigError: See :func:`build_model`.
        CheckpointError: The weights are damaged, unsafe or of another model.
    """
    model = build_model(config)
    if weights is not None:
        load_weights(model, weights)
    model = _without_sync(model)
    if fuse_conv_bn:
        _fuse(model)
    model.to(device)
    if channels_last:
        lay_channels_last(model)
    return model.eval()


def lay_channels_last(model: nn.Module) -> None:
    """Lay out the convolutions of a model, and so what they compute, with the channels last.

    Gradients too: RoIAlign's have the channels before the pixels, and with them batch normalisation and convolutions
    before it would take several times as long as with the layout of their own outputs.
    """
    _keep_flat_layouts(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
    for module in model.modules():
        if isinstance(neck := getattr(module, "neck", None), nn.Module):
            neck.register_forward_hook(_lay_gradients_channels_last)


def _lay_gradients_channels_last(_: nn.Module, __: object, outputs: torch.Tensor | Sequence[torch.Tensor]) -> None:
    for output in (outputs,) if isinstance(outputs, torch.Tensor) else outputs:
        if output.requires_grad and output.ndim == 4:  # a classifier's neck gives one row of numbers a picture
            output.register_hook(  # type: ignore[no-untyped-call]  # missing in the stubs
                lambda gradient: gradient.contiguous(memory_format=torch.channels_last)
            )


def _fuse(module: nn.Module) -> None:
    """Fold batch normalisation into the convolution right before it.

    mmcv's own function also takes one that follows later, which in DMNet is that of another output.
    """
    from mmcv.cnn.utils.fuse_conv_bn import _fuse_conv_bn

    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.modules.batchnorm._BatchNorm) and before is not None:
            module._modules[before[0]] = _fuse_conv_bn(before[1], child)
            module._modules[name] = nn.Identity()
        elif not isinstance(child, nn.Conv2d):
            _fuse(child)
        before = (name, child) if isinstance(child, nn.Conv2d) else None


def _keep_flat_layouts(model: nn.Module) -> None:
    """Give what flattens its features by ``view`` (VGG, DMNet's filters) a layout by channels."""
    for module in model.modules():
        parts: Any = module
        flattened: list[nn.Module] = []
        if type(module).__name__ == "VGG":
            flattened = [parts.features[-1]]
        elif type(module).__name__ == "DCM":
            flattened = [parts.filter_gen_conv, parts.input_redu_conv]
        for part in flattened:
            part.register_forward_hook(lambda _, __, output: output.contiguous())


def _without_sync(model: nn.Module) -> nn.Module:
    """Replace synchronised batch normalisation, which needs several GPUs, by its equal at test time."""
    plain: nn.Module = revert_sync_batchnorm(model)
    return plain


@contextlib.contextmanager
def inference_mode(device: torch.device, amp: bool) -> Iterator[None]:
    """Run without gradients and, if asked, in reduced precision: bfloat16 on the CPU, float16 on CUDA.

    Keep it open over many images: autocast then converts the weights once.
    """
    dtype = torch.bfloat16 if device.type == "cpu" else torch.float16
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=amp):
        yield


@contextlib.contextmanager
def explain_memory(advice: str) -> Iterator[None]:
    """Turn what PyTorch raises where memory runs out into one line that says what to do.

    Raises:
        InputError: The memory, or that of a process which prepares images, did not suffice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, ZooError) or not ran_out_of_memory(error):
            raise
        reason = first_line(error).split(". ", 1)[0]
        raise InputError(f"there is not enough memory ({reason}); {advice}") from error


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or what it was raised from, means that memory ran out, also in what prepares images."""
    if error is None:
        return False
    told = isinstance(error, MemoryError) or any(part in str(error) for part in _NO_MEMORY)
    return told or ran_out_of_memory(error.__cause__)


def predict(model: nn.Module, batch: dict[str, Any], channels_last: bool = False) -> list[dict[str, Any]]:
    """Run a model on a batch as the data set's pipeline packs it.

    Args:
        model: The model.
        batch: ``inputs``: images (3, height, width); ``data_samples``: one an image. Either may be a list of views of
            each image, for models that take the mean over them.
        channels_last: The layout that the model was prepared with.

    Returns:
        One dict an image, with the task's predictions.
    """
    if _is_segmentor(model):
        from bdd100k_models.engine.semantic import predict_class_maps

        return predict_class_maps(model, batch, channels_last)
    if _is_classifier(model):
        return _predict_alike(model, batch, channels_last)
    return _predict_together(model, batch, channels_last)


def _predict_alike(model: nn.Module, batch: Mapping[str, Sequence[Any]], channels_last: bool) -> list[dict[str, Any]]:
    """Run a model on images of one size at a time: padded to the largest, an image would get another mean."""
    samples: dict[int, dict[str, Any]] = {}
    for members in alike(tuple(image.shape) for image in batch["inputs"]):
        part = {key: [values[index] for index in members] for key, values in batch.items()}
        samples.update(zip(members, _predict_together(model, part, channels_last), strict=True))
    return [samples[index] for index in range(len(samples))]


def _predict_together(model: nn.Module, batch: dict[str, Any], channels_last: bool) -> list[dict[str, Any]]:
    preprocess: Any = model.data_preprocessor
    data = preprocess(batch, False)
    inputs = data["inputs"]
    if channels_last and isinstance(inputs, torch.Tensor) and inputs.ndim == 4:
        data["inputs"] = inputs.contiguous(memory_format=torch.channels_last)
    samples = model(**data, mode="predict")
    # a tracker answers with videos, here of one frame each
    return [frame.to_dict() for sample in samples for frame in getattr(sample, "video_data_samples", [sample])]


def predict_in_parts(
    model: nn.Module, batch: dict[str, list[Any]], size: int, channels_last: bool = False
) -> list[dict[str, Any]]:
    """Run a model on a batch as :func:`predict` does, at most ``size`` samples a forward pass.

    The regions of an image can be too many for one.
    """
    samples: list[dict[str, Any]] = []
    for start in range(0, len(batch["inputs"]), max(size, 1)):
        part = {key: values[start : start + size] for key, values in batch.items()}
        samples += predict(model, part, channels_last)
    return samples


def _is_segmentor(model: nn.Module) -> bool:
    """Tell whether a model is one of mmseg's, without importing that library for others."""
    return _is_a(model, "mmseg.models.segmentors", "BaseSegmentor")


def _is_classifier(model: nn.Module) -> bool:
    """Tell whether a model is one of mmpretrain's, in the same way."""
    return _is_a(model, "mmpretrain.models.classifiers", "BaseClassifier")


def _is_a(model: nn.Module, module: str, kind: str) -> bool:
    library = sys.modules.get(module)
    return library is not None and isinstance(model, getattr(library, kind))
