"""Preparation of pictures inside a graph, as the config's pipeline and the model's preprocessor do it outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmcv.image.geometric import rescale_size
from torch import Tensor, nn
from torch.nn import functional

from bdd100k_models.errors import ConfigError

Size = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a picture go; sizes are height and width.

    Attributes:
        image: Size of the pictures.
        resized: Size after the pipeline's resizing.
        crop: Upper and left corner of what is cut out of that.
        network: Size of what is cut out: all that the network sees, without padding.
        padded: The same with padding.
        rounds: Whether resized pixels are rounded to whole numbers.
    """

    image: Size
    resized: Size
    crop: tuple[int, int]
    network: Size
    padded: Size
    rounds: bool

    @property
    def scale(self) -> tuple[float, float]:
        """Width and height of the resized picture in those of the original."""
        return self.resized[1] / self.image[1], self.resized[0] / self.image[0]

    def metas(self) -> dict[str, Any]:
        """Return what OpenMMLab's heads ask about an image."""
        return {
            "ori_shape": self.image,
            "img_shape": self.network,
            "pad_shape": self.padded,
            "batch_input_shape": self.padded,
            "scale_factor": self.scale,
            "padding_size": [0, self.padded[1] - self.network[1], 0, self.padded[0] - self.network[0]],
        }


def plan_geometry(pipeline: Sequence[Mapping[str, Any]], image: Size, divisor: int, prepares: bool = True) -> Geometry:
    """Work out what a test pipeline does to pictures of one size.

    Args:
        pipeline: The steps, from loading to packing; steps for videos may stand in a broadcaster.
        image: Height and width of the pictures.
        divisor: Of the padded sides.
        prepares: Whether the graph does these steps; if not, those that it could not do leave the size alone.

    Raises:
        ConfigError: A step is none that a graph can do.
    """
    resized, crop, network, rounds = image, (0, 0), image, True
    for step in _flat(pipeline):
        kind = str(step["type"]).rpartition(".")[2]
        if kind.startswith("Load"):
            rounds = rounds and not step.get("to_float32", False)
        elif kind == "Resize":
            resized = network = _resize(step, resized)
        elif kind == "ResizeEdge":
            resized = network = _resize_edge(step, resized)
        elif kind == "CenterCrop":
            network = (min(step["crop_size"], resized[0]), min(step["crop_size"], resized[1]))
            crop = (round((resized[0] - network[0]) / 2), round((resized[1] - network[1]) / 2))
        elif kind == "TopdownAffine":
            width, height = step["input_size"]
            resized = network = image = (height, width)
        elif not (kind.startswith("Pack") or kind == "PersonBoxCenterScale") and prepares:
            raise ConfigError(f"the test pipeline's {kind} cannot be part of a graph; export with --no-pre")
    height, width = (math.ceil(side / divisor) * divisor for side in network)
    return Geometry(image, resized, crop, network, (height, width), rounds)


def _flat(pipeline: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [inner for step in pipeline for inner in (_flat(step["transforms"]) if "transforms" in step else [step])]


def _resize(step: Mapping[str, Any], size: Size) -> Size:
    width, height = step["scale"]
    if step.get("keep_ratio"):
        width, height = rescale_size((size[1], size[0]), (width, height))
    return height, width


def _resize_edge(step: Mapping[str, Any], size: Size) -> Size:
    height, width = size
    target = int(step["scale"])
    if step.get("edge", "short") == "width" or (step.get("edge", "short") == "short") == (width < height):
        return int(target * height / width), target
    return target, int(target * width / height)


@dataclass(frozen=True)
class Normalisation:
    """How a model's preprocessor changes pixels.

    Attributes:
        mean: Subtracted from each channel; zeros where it does not.
        std: Divided by; ones where it does not.
        bgr: Whether the network's channels are blue, green, red.
        pad_value: What is padded with, after normalisation.
        divisor: Of the padded sides.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool
    pad_value: float
    divisor: int


def normalisation_of(preprocessor: Any) -> Normalisation:
    """Return what a model's preprocessor does to pixels that were read as blue, green, red."""
    # mmengine's classes have one name for it, mmpretrain's another
    swaps = bool(getattr(preprocessor, "to_rgb", getattr(preprocessor, "_channel_conversion", False)))
    normalises = bool(getattr(preprocessor, "_enable_normalize", False))
    mean = preprocessor.mean.flatten().tolist() if normalises else [0.0] * 3
    std = preprocessor.std.flatten().tolist() if normalises else [1.0] * 3
    pad = float(getattr(preprocessor, "pad_value", getattr(preprocessor, "pad_val", 0)) or 0)
    divisor = int(getattr(preprocessor, "pad_size_divisor", 1) or 1)
    if hasattr(preprocessor, "test_cfg"):  # mmseg pads for tests as that says, and for training as the other does
        padding = preprocessor.test_cfg or {}
        if padding.get("size") is not None:
            raise ConfigError(
                "the data_preprocessor pads to test_cfg.size; a graph pads to test_cfg.size_divisor alone"
            )
        divisor = int(padding.get("size_divisor") or 1)
    return Normalisation(tuple(mean), tuple(std), not swaps, pad, max(divisor, 1))


class Prepare(nn.Module):
    """Makes the network's input of pictures (N, H, W, 3), red-green-blue, 0 to 255, uint8 or float32."""

    mean: Tensor
    std: Tensor

    def __init__(self, geometry: Geometry, normalisation: Normalisation) -> None:
        super().__init__()
        self.geometry, self.normalisation = geometry, normalisation
        self.register_buffer("mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(normalisation.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 (N, 3, padded height, padded width)."""
        geometry, normalisation = self.geometry, self.normalisation
        # some networks flatten their features and expect them laid out by channels
        pixels = images.permute(0, 3, 1, 2).float().contiguous()
        if normalisation.bgr:
            pixels = pixels.flip(1)
        if geometry.resized != geometry.image:
            pixels = functional.interpolate(pixels, size=geometry.resized, mode="bilinear", align_corners=False)
            pixels = torch.floor(pixels + 0.5) if geometry.rounds else pixels  # as OpenCV: halves go up
        (top, left), (height, width) = geometry.crop, geometry.network
        if geometry.network != geometry.resized:
            pixels = pixels[:, :, top : top + height, left : left + width]
        pixels = (pixels - self.mean) / self.std
        if geometry.padded == geometry.network:
            return pixels
        below, right = geometry.padded[0] - height, geometry.padded[1] - width
        return functional.pad(pixels, (0, right, 0, below), value=normalisation.pad_value)
