"""What is worked out about a model from its config: what it changes in others, and what it computes."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from torch.utils.flop_counter import FlopCounterMode

from bdd100k_models.tasks import IMAGE_SIZE


def config_changes(path: Path) -> list[str]:
    """Return what a config changes in those it builds on, one line an entry, in the order of its text.

    ``+`` stands before what it adds, ``-`` before what it takes away, ``~`` before what it gives another value.

    Args:
        path: A config of the zoo.

    Raises:
        ConfigError: It is no plain data.
        MissingFileError: A file that it builds on is not there.
    """
    from bdd100k_models.paths import resource_root
    from bdd100k_models.zoo.check.plain_config import read_with_base

    base, own = (_flat(part, "") for part in read_with_base(path, resource_root()))
    lines = [f"- {key}: {value!r}" for key, value in base.items() if key not in own]
    for key, value in own.items():
        if key not in base:
            lines.append(f"+ {key}: {value!r}")
        elif value != base[key]:
            lines.append(f"~ {key}: {base[key]!r} -> {value!r}")
    return lines


def _flat(value: Any, name: str) -> dict[str, Any]:
    """Name each leaf of nested dicts; a list is a leaf unless it holds dicts, an empty dict is one."""
    items: list[tuple[Any, Any]]
    if isinstance(value, Mapping) and value:
        items = list(value.items())
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        items = list(enumerate(value))
    else:
        return {name: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= _flat(item, f"{name}.{key}" if name else str(key))
    return flat


def count_flops(config: Config) -> int:
    """Count what a model computes for one image of the data set's size, prepared as for its test.

    Multiplications and additions of convolutions (deformable ones too), matrix products and attention count one each;
    other operators do not count. Models whose work depends on what they see, as those of two stages, are
    run with random weights, which make as many proposals as the config allows; the others only have their shapes
    followed. Models of poses are given one person, trackers the first frame of a video.

    Args:
        config: The model's config.

    Raises:
        ConfigError: The model or its test pipeline cannot be built.
    """
    from bdd100k_models.engine.model import build_model
    from bdd100k_models.engine.weightless import build_weightless

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        try:
            data, times = _windows(config, _sample(config, "meta"))
            return times * _count(build_weightless(copy.deepcopy(config)), data, "tensor")
        except (NotImplementedError, RuntimeError, TypeError, AttributeError, IndexError, ValueError):
            torch.manual_seed(0)
            return _count(build_model(copy.deepcopy(config)), _sample(config, "cpu"), "predict")


def flop_counter() -> FlopCounterMode:
    """Return PyTorch's counter of floating-point operations, which counts deformable convolutions too.

    A multiplication and an addition are two; the interpolation before a deformable convolution is left out, as other
    interpolations are.
    """
    return FlopCounterMode(display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deform_conv_flops})


def _deform_conv_flops(
    inputs: tuple[int, ...], weight: tuple[int, ...], *_: object, out_shape: tuple[int, ...], **__: object
) -> int:
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def _windows(config: Config, data: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return what a model that slides over an image sees of it at a time, and how often; else all of it, once."""
    settings = config.model.get("test_cfg") or {}
    if settings.get("mode") != "slide":
        return data, 1
    sizes = zip(data["inputs"][0].shape[-2:], settings["crop_size"], settings["stride"], strict=True)
    steps = [max(size - crop + stride - 1, 0) // stride + 1 for size, crop, stride in sizes]
    height, width = settings["crop_size"]
    return {**data, "inputs": [image[:, :height, :width] for image in data["inputs"]]}, math.prod(steps)


def _count(model: torch.nn.Module, data: dict[str, Any], mode: str) -> int:
    device = next(model.parameters()).device
    with torch.device(device):
        model = revert_sync_batchnorm(model)
    preprocess: Any = model.to(device).data_preprocessor  # told its device, which it keeps for itself
    with flop_counter() as counter:
        model(**preprocess(data, False), mode=mode)
    return int(counter.get_total_flops())


def _sample(config: Config, device: str) -> dict[str, Any]:
    """Return a grey image as the model's test pipeline makes it."""
    from bdd100k_models.datasets.images import ImageItem
    from bdd100k_models.datasets.loader import Batch, Preparation
    from bdd100k_models.datasets.person_boxes import PersonBox, as_regions
    from bdd100k_models.registry import enter_scope

    enter_scope(config.get("default_scope"))
    pipeline = config.test_dataloader.dataset.pipeline
    preparation = Preparation(pipeline)
    height, width = IMAGE_SIZE
    people = None
    if config.get("default_scope") == "mmpose":
        people = as_regions({"image.jpg": [PersonBox(0, 0, width, height, 1.0)]})["image.jpg"]
    batch = Batch()
    pixels = np.full((height, width, 3), 128, np.uint8)
    item = ImageItem("image.jpg", Path("image.jpg"), video="video" if preparation.in_videos else None)
    preparation.add(batch, 0, item, pixels, regions=people)
    batch.data["inputs"] = [image.to(device) for image in batch.data["inputs"]]
    return batch.data
