"""Masks and panoptic segments from what graphs give, with the arithmetic of mmdetection's heads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Between the numbers of two instances of one class; mmdet's ``INSTANCE_OFFSET``.
OFFSET = 1000


def paint_masks(
    masks: Floats, boxes: Floats, scores: npt.NDArray[np.float64], size: tuple[int, int], threshold: float
) -> npt.NDArray[np.int32]:
    """Paint masks by ascending score, so that the highest lies on top.

    Args:
        masks: In each box, (n, height, width), 0 to 1.
        boxes: Corners in pixels of the picture, (n, 4).
        scores: (n,).
        size: Height and width of the picture.
        threshold: What is at least so likely belongs to the object.

    Returns:
        int32 (height, width): place of the object, counted from 1; 0 for none.
    """
    painted = np.zeros(size, np.int32)
    for place in np.argsort(scores, kind="stable").tolist():
        inside, (rows, columns) = paste_mask(masks[place], boxes[place], size, threshold)
        painted[rows, columns][inside] = place + 1
    return painted


def paste_mask(
    mask: Floats, box: Floats, size: tuple[int, int], threshold: float
) -> tuple[npt.NDArray[np.bool_], tuple[slice, slice]]:
    """Stretch a mask over its box, bilinearly.

    Args:
        mask: (height, width), 0 to 1.
        box: Corners in pixels of the picture, (4,).
        size: Height and width of the picture.
        threshold: What is at least so likely belongs to the object.

    Returns:
        bool, and the rows and columns of the picture that it is for.
    """
    x1, y1, x2, y2 = (np.float32(side) for side in box)
    left, right = _span(x1, x2, size[1])
    top, bottom = _span(y1, y2, size[0])
    down = _stretch(mask.shape[0], np.arange(top, bottom), y1, y2)
    across = _stretch(mask.shape[1], np.arange(left, right), x1, x2)
    return down @ mask @ across.T >= threshold, (slice(top, bottom), slice(left, right))


def _span(first: np.float32, last: np.float32, length: int) -> tuple[int, int]:
    begin = min(max(int(np.floor(first)) - 1, 0), length)
    return begin, max(begin, min(int(np.ceil(last)) + 1, length))


def _stretch(count: int, pixels: npt.NDArray[np.int64], first: np.float32, last: np.float32) -> Floats:
    """Return the weight of each of ``count`` cells of a mask in each pixel, (pixels, count); none outside."""
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = (pixels.astype(np.float32) + np.float32(0.5) - first) / (last - first) * 2 - 1
    relative = np.where(np.isfinite(relative), relative, np.float32(0))
    places = ((relative + 1) * count - 1) / 2
    before = np.floor(places).astype(np.int64)
    part = (places - before).astype(np.float32)
    weights = np.zeros((len(pixels), count), np.float32)
    rows = np.arange(len(pixels))
    for cells, weight in ((before, 1 - part), (before + 1, part)):
        inside = (cells >= 0) & (cells < count)
        weights[rows[inside], cells[inside]] += weight[inside]
    return weights


def fuse(
    masks: Floats,
    boxes: Floats,
    scores: Floats,
    classes: npt.NDArray[np.int64],
    background: npt.NDArray[np.uint8],
    *,
    things: int,
    void: int,
    mask_threshold: float,
    mask_overlap: float,
    stuff_area_limit: int,
) -> npt.NDArray[np.int64]:
    """Put instances over the background, best first, as panoptic FPN's heuristic does.

    Args:
        masks: In each box, (n, height, width), 0 to 1.
        boxes: Corners in pixels of the picture, (n, 4).
        scores: (n,).
        classes: (n,).
        background: Class of each pixel (height, width): 0 for any thing, then the kinds of stuff.
        things: How many categories are things; theirs come first.
        void: Number of what is nothing.
        mask_threshold: What is at least so likely belongs to an instance.
        mask_overlap: An instance is dropped if more than this part of it is hidden.
        stuff_area_limit: Stuff of fewer pixels is dropped.

    Returns:
        The number of each pixel's segment, int64 (height, width): its class, and :data:`OFFSET` times the place of a
        thing.
    """
    numbers = background.astype(np.int64) + things
    taken = np.zeros(background.shape, np.bool_)
    count = 0
    for place in np.argsort(-scores, kind="stable").tolist():
        inside, region = paste_mask(masks[place], boxes[place], background.shape, mask_threshold)  # type: ignore[arg-type]
        area = int(inside.sum())
        if area == 0 or (inside & taken[region]).sum() / (area + 1e-5) > mask_overlap:
            continue
        free = inside & ~taken[region]
        taken[region] |= inside
        if free.any():
            count += 1
            numbers[region][free] = classes[place] + count * OFFSET
    kinds, areas = np.unique(numbers % OFFSET, return_counts=True)
    small = kinds[(kinds >= things) & (areas < stuff_area_limit)]
    numbers[np.isin(numbers, small)] = void
    return numbers
