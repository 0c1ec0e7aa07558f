"""Label maps from frames of run-length masks or polygons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.config import EvalConfig
from bdd100k_models.evaluation.frames import decode_frame
from bdd100k_models.evaluation.names import unknown_category
from bdd100k_models.formats.rle import decode_spans, encode
from bdd100k_models.formats.scalabel import RLE, Poly2D

Ints = npt.NDArray[np.int64]
LabelMap = npt.NDArray[np.uint8]


#: What to say where a config would change the categories of PNG masks.
FIXED_VALUES = "the values of PNG masks have a fixed meaning; the categories of the config are not used"


class MaskLabel(msgspec.Struct):
    """What a mask evaluation reads of a label."""

    id: str | int
    category: str | None = None
    rle: RLE | None = None
    poly2d: list[Poly2D] | None = None


class MaskFrame(msgspec.Struct):
    """What a mask evaluation reads of a frame."""

    labels: list[MaskLabel] | None = None


_DECODER = msgspec.json.Decoder(MaskFrame)


@dataclass(frozen=True)
class Regions:
    """The masks of a frame.

    Attributes:
        classes: Index of each mask's category.
        masks: The masks, in the order of the file.
        places: Place of each label in its frame.
    """

    classes: list[int]
    masks: list[RLE]
    places: list[int]


def read_regions(text: bytes | msgspec.Raw, config: EvalConfig, where: str, *, polygons: bool = True) -> Regions:
    """Read the masks of a frame that belong to evaluated categories; labels without a mask are skipped.

    Args:
        text: JSON of the frame.
        config: Categories and names.
        where: Names file and frame, for errors.
        polygons: Whether a polygon is a mask too.

    Raises:
        LabelError: A field has the wrong type, a category is unknown and not to be left out, or a mask has another size
            than the images.
    """
    regions = Regions([], [], [])
    for place, label in enumerate(decode_frame(text, _DECODER, where).labels or ()):
        meaning = config.meaning(label.category)
        if meaning is None:
            raise LabelError(f"{where}, label {place}: {unknown_category(label.category, config)}")
        if meaning.category is None:
            continue
        mask = label.rle
        if mask is None and polygons and label.poly2d is not None:
            mask = _from_polygons(label.poly2d, config, f"{where}, label {place}")
        if mask is None:
            continue
        if config.image_size is not None and mask.size != config.image_size:
            raise LabelError(
                f"{where}, label {place}: rle.size is {mask.size[0]}x{mask.size[1]}, but images have "
                f"{config.image_size[0]}x{config.image_size[1]} (height x width)"
            )
        regions.classes.append(meaning.category)
        regions.masks.append(mask)
        regions.places.append(place)
    return regions


def _from_polygons(polygons: list[Poly2D], config: EvalConfig, where: str) -> RLE:
    """Return the union of polygons as the official tool draws it."""
    if config.image_size is None:
        raise LabelError(f"{where}: poly2d needs the size of the images; give scalabel.imageSize in the config")
    if not all(polygon.closed for polygon in polygons):
        raise LabelError(f"{where}: poly2d is not closed; a line covers no area, so close it or leave it out")
    from bdd100k_models.formats.polygons import paint_polygons  # brings matplotlib, which is slow to import

    return encode(paint_polygons([(1, polygons)], config.image_size, 0, where) > 0)


@dataclass(frozen=True)
class Segments:
    """A label map, down its columns: runs of pixels of equal value.

    Attributes:
        starts: int64 (S,): first pixel of each run, ascending from 0.
        values: int64 (S,): its value.
        total: Number of pixels.
        overlapping: Whether masks covered each other.
    """

    starts: Ints
    values: Ints
    total: int
    overlapping: bool = False


def paint(regions: Regions, size: tuple[int, int], fill: int, where: str) -> Segments:
    """Paint masks one over the other.

    Args:
        regions: The masks; of two that overlap, the later one covers the earlier.
        size: (height, width) in pixels.
        fill: Value of pixels in no mask.
        where: Names file and frame, for errors.

    Raises:
        LabelError: A mask is malformed or has another size.
    """
    total = size[0] * size[1]
    runs = _read_runs(regions, size, where)
    spans = np.concatenate([np.empty((0, 2), np.int64), *runs])
    values = np.repeat(np.array(regions.classes, np.int64), [len(run) for run in runs])
    order = np.argsort(spans[:, 0], kind="stable")
    borders = spans[order].reshape(-1)
    if (borders[1:] < borders[:-1]).any():
        pixels = np.full(total, fill, np.int64)
        for value, run in zip(regions.classes, runs, strict=True):
            pixels[_covered(run, total)] = value
        starts = np.flatnonzero(np.diff(pixels, prepend=-1))
        return Segments(starts, pixels[starts], total, overlapping=True)
    # before, between and behind the runs lies what no mask covers, often no pixel at all
    painted = np.full(len(borders) + 1, fill, np.int64)
    painted[1::2] = values[order]
    starts = np.concatenate([np.zeros(1, np.int64), borders])
    kept = np.diff(starts, append=total) > 0
    return Segments(starts[kept], painted[kept], total)


def count_pairs(first: Segments, second: Segments, values: int) -> Ints:
    """Count pairs of values of two label maps of one size, without drawing them.

    Args:
        first: Values below ``values``.
        second: Likewise.
        values: How many values there are.

    Returns:
        int64 (values, values): pixels by value of the first and of the second.
    """
    starts = np.concatenate([first.starts, second.starts])
    order = np.argsort(starts, kind="stable")  # both parts ascend already, so this only merges them
    reached = np.cumsum(order < len(first.starts))
    # which run of each map a boundary lies in; where one has not begun no pixel lies between it and the next boundary
    pairs = (first.values * values).take(reached - 1, mode="clip")
    pairs += second.values.take(np.arange(len(order)) - reached, mode="clip")
    lengths = np.diff(starts[order], append=first.total)
    return np.bincount(pairs, weights=lengths, minlength=values**2).astype(np.int64).reshape(values, values)


def draw(regions: Regions, size: tuple[int, int], where: str) -> npt.NDArray[np.uint64]:
    """Set a bit for each class that holds a pixel.

    Args:
        regions: Masks of up to 64 classes; of several masks of a class the last counts.
        size: (height, width) in pixels.
        where: Names file and frame, for errors.

    Returns:
        uint64 (height, width), in column order.

    Raises:
        LabelError: A mask is malformed or has another size.
    """
    height, width = size
    flat = np.zeros(height * width, np.uint64)
    last = dict(zip(regions.classes, _read_runs(regions, size, where), strict=True))
    for value, run in last.items():
        flat[_covered(run, flat.size)] |= np.uint64(1 << value)
    return flat.reshape(width, height).T


def _read_runs(regions: Regions, size: tuple[int, int], where: str) -> list[Ints]:
    """Return for each mask first and past-the-last pixel (N, 2) of its runs, down the columns."""
    names = [f"{where}, label {place}" for place in regions.places]
    for name, mask in zip(names, regions.masks, strict=True):
        if mask.size != size:
            raise LabelError(
                f"{name}: rle.size is {mask.size[0]}x{mask.size[1]}, but other masks of this image have "
                f"{size[0]}x{size[1]} (height x width)"
            )
    return decode_spans(regions.masks, names)


def _covered(spans: Ints, total: int) -> npt.NDArray[np.bool_]:
    """Return which of ``total`` pixels lie in the spans (N, 2), which ascend."""
    lengths = np.diff(spans.reshape(-1), prepend=0, append=total)
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def common_size(sides: Sequence[Regions], config: EvalConfig) -> tuple[int, int] | None:
    """Return (height, width) of an image: the config's, or that of its first mask; None where there is neither."""
    sizes = (mask.size for side in sides for mask in side.masks)
    return config.image_size or next(sizes, None)
