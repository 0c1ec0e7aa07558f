"""Maps of classes from models of mmsegmentation, resized and decided where the model runs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bdd100k_models.engine.grouping import alike

#: Bytes that the resized scores of an image may take; those of larger ones are resized some rows at a time.
_WHOLE = 1 << 30
_STRIP = 1 << 26  # bytes of the scores of such rows


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
    for members in alike(map(_sizes, range(len(inputs)), inputs, samples)):
        if isinstance(inputs[members[0]], Tensor):
            own = [samples[i] for i in members]
            scores = _scores(model, [inputs[i] for i in members], own, channels_last)
            classes = _classes(scores, _size(own[0]), _align_corners(model))
        else:
            (member,) = members
            classes = _decide(_mean_probabilities(model, inputs[member], samples[member], channels_last))
        for place, member in enumerate(members):
            maps[member] = classes[place]
    return [
        {"img_path": _first(sample).metainfo.get("img_path"), "pred_sem_seg": {"data": classes}}
        for sample, classes in zip(samples, maps, strict=True)
    ]


def _first(sample: Any) -> Any:
    return sample[0] if isinstance(sample, (list, tuple)) else sample


def _size(sample: Any) -> tuple[int, int]:
    height, width = sample.metainfo["ori_shape"][:2]
    return height, width


def _align_corners(model: Any) -> bool:
    return bool(model.align_corners)


def _sizes(index: int, image: Any, sample: Any) -> Hashable:
    """Return what is equal for images that can run together: size before and after the pipeline. Views stay alone."""
    return (tuple(image.shape), _size(sample)) if isinstance(image, Tensor) else index


def _scores(model: Any, images: list[Tensor], samples: list[Any], channels_last: bool) -> Tensor:
    """Return scores (images, classes, height, width) at the size that the model gives them, without padding."""
    data = model.data_preprocessor({"inputs": images, "data_samples": samples}, False)
    pixels = data["inputs"]
    if channels_last:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    metas = [sample.metainfo for sample in data["data_samples"]]
    scores: Tensor = model.inference(pixels, metas)
    left, right, top, bottom = metas[0].get("img_padding_size", metas[0].get("padding_size", (0, 0, 0, 0)))
    return scores[:, :, top : scores.shape[2] - bottom, left : scores.shape[3] - right]


def _resize(scores: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    if tuple(scores.shape[2:]) == size:
        return scores
    return functional.interpolate(scores, size=size, mode="bilinear", align_corners=align_corners)


def _decide(scores: Tensor) -> Tensor:
    return scores.argmax(dim=1, keepdim=True).to(torch.uint8)


def _classes(scores: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Return the class of each pixel, uint8 (images, 1, height, width), in memory that does not grow with the size.

    Args:
        scores: float (images, classes, rows, columns).
        size: Height and width of the images.
        align_corners: Whether the corner pixels lie on one another, or the edges of the images.
    """
    row = scores.shape[1] * size[1] * scores.element_size()
    if len(scores) * size[0] * row <= _WHOLE:
        return _decide(_resize(scores, size, align_corners))
    if len(scores) > 1:
        return torch.cat([_classes(own[None], size, align_corners) for own in scores])
    height = max(1, _STRIP // row)
    tops = range(0, size[0], height)
    strips = (range(top, min(top + height, size[0])) for top in tops)
    return torch.cat([_decide(_resize_strip(scores, strip, size, align_corners)) for strip in strips], dim=2)


def _resize_strip(scores: Tensor, strip: range, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Return some rows of what :func:`_resize` returns, up to rounding: first between rows, then between columns."""
    rows = scores.shape[2]
    places = torch.arange(strip.start, strip.stop, dtype=torch.float32, device=scores.device)
    if align_corners:
        places = places * ((rows - 1) / max(1, size[0] - 1))
    else:
        places = ((places + 0.5) * (rows / size[0]) - 0.5).clamp(min=0)
    above = places.long().clamp(max=rows - 1)
    below = (above + 1).clamp(max=rows - 1)
    share = (places - above)[:, None]
    between = torch.lerp(scores[:, :, above].float(), scores[:, :, below].float(), share)
    return _resize(between, (len(strip), size[1]), align_corners).to(scores.dtype)


def _mean_probabilities(model: Any, views: Sequence[Tensor], samples: Sequence[Any], channels_last: bool) -> Tensor:
    """Return the mean of the class probabilities (1, classes, height, width) over views of one image."""
    total: Tensor | None = None
    for view, sample in zip(views, samples, strict=True):
        scores = _resize(_scores(model, [view], [sample], channels_last), _size(sample), _align_corners(model))
        probabilities = scores.float().softmax(dim=1)
        if sample.metainfo.get("flip"):
            axis = 3 if sample.metainfo["flip_direction"] == "horizontal" else 2
            probabilities = probabilities.flip(dims=(axis,))
        total = probabilities if total is None else total.add_(probabilities)
    assert total is not None, "a pipeline of views makes at least one"
    return total / len(views)
