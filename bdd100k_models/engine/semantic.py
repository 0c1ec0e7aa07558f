"""Maps of classes from models of mmsegmentation, resized and decided where the model runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def predict_class_maps(model: nn.Module, batch: Mapping[str, Any], channels_last: bool = False) -> list[dict[str, Any]]:
    """Predict the class of each pixel.

    Scores are resized to each image's own size and taken to classes on the model's device, so that one byte a pixel is
    left to copy. mmseg's own post-processing keeps the scores (70 MB an image) and eight bytes a pixel.

    Args:
        model: A segmentor of mmseg.
        batch: ``inputs``: images (3, height, width) as the pipeline packs them, or for each image a list of its views
            (scaled, flipped); ``data_samples``: likewise. Images of any sizes can be in one batch.
        channels_last: The layout that the model was prepared with.

    Returns:
        One dict an image: its ``img_path``, and ``pred_sem_seg`` with ``data``: uint8 (1, height, width).
    """
    inputs, samples = batch["inputs"], batch["data_samples"]
    maps: list[Tensor | None] = [None] * len(inputs)
    for members in _alike(inputs, samples):
        if isinstance(inputs[members[0]], Tensor):
            scores = _scores(model, [inputs[i] for i in members], [samples[i] for i in members], channels_last)
        else:
            (member,) = members
            scores = _mean_probabilities(model, inputs[member], samples[member], channels_last)
        classes = scores.argmax(dim=1, keepdim=True).to(torch.uint8)
        for place, member in enumerate(members):
            maps[member] = classes[place]
    return [
        {"img_path": _first(sample).metainfo.get("img_path"), "pred_sem_seg": {"data": classes}}
        for sample, classes in zip(samples, maps, strict=True)
    ]


def _first(sample: Any) -> Any:
    return sample[0] if isinstance(sample, (list, tuple)) else sample


def _alike(inputs: Sequence[Any], samples: Sequence[Any]) -> list[list[int]]:
    """Group images that can run together: of one size, before and after the pipeline. Several views stay alone."""
    groups: dict[Any, list[int]] = {}
    for index, (image, sample) in enumerate(zip(inputs, samples, strict=True)):
        alone = not isinstance(image, Tensor)
        key = index if alone else (tuple(image.shape), tuple(sample.metainfo["ori_shape"][:2]))
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _scores(model: Any, images: list[Tensor], samples: list[Any], channels_last: bool) -> Tensor:
    """Return scores (images, classes, height, width) at the size of the original images, which are all alike."""
    data = model.data_preprocessor({"inputs": images, "data_samples": samples}, False)
    pixels = data["inputs"]
    if channels_last:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    metas = [sample.metainfo for sample in data["data_samples"]]
    scores: Tensor = model.inference(pixels, metas)
    left, right, top, bottom = metas[0].get("img_padding_size", metas[0].get("padding_size", (0, 0, 0, 0)))
    scores = scores[:, :, top : scores.shape[2] - bottom, left : scores.shape[3] - right]
    size = tuple(metas[0]["ori_shape"][:2])
    if tuple(scores.shape[2:]) == size:
        return scores
    return functional.interpolate(scores, size=size, mode="bilinear", align_corners=model.align_corners)


def _mean_probabilities(model: Any, views: Sequence[Tensor], samples: Sequence[Any], channels_last: bool) -> Tensor:
    """Return the mean of the class probabilities (1, classes, height, width) over views of one image."""
    total: Tensor | None = None
    for view, sample in zip(views, samples, strict=True):
        probabilities = _scores(model, [view], [sample], channels_last).float().softmax(dim=1)
        if sample.metainfo.get("flip"):
            axis = 3 if sample.metainfo["flip_direction"] == "horizontal" else 2
            probabilities = probabilities.flip(dims=(axis,))
        total = probabilities if total is None else total.add_(probabilities)
    assert total is not None, "a pipeline of views makes at least one"
    return total / len(views)
