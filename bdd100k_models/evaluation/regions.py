"""Labelled regions of a frame in JSON: run-length masks, or polygons in the ground truth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from pycocotools import mask as coco_mask

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig
from bdd100k_models.evaluation.frames import decode_frame
from bdd100k_models.evaluation.names import unknown_category
from bdd100k_models.formats import rle
from bdd100k_models.formats.arrays import Flags, is_true
from bdd100k_models.formats.scalabel import RLE, ImageSize, Poly2D


class _Label(msgspec.Struct):
    id: str | int
    score: float | None = None
    category: str | None = None
    attributes: Flags | None = None
    rle: RLE | None = None
    poly2d: list[Any] | None = None


class _Frame(msgspec.Struct):
    size: ImageSize | None = None
    labels: list[_Label] | None = None


_DECODER = msgspec.json.Decoder(_Frame)


@dataclass(frozen=True)
class Regions:
    """The regions of one image, a row each, in the order of the file.

    Attributes:
        masks: The masks, all of one size and well-formed.
        category: int64 (N,): index of the category.
        scores: float64 (N,): NaN where a label has none.
        crowd: bool (N,): the attribute ``crowd``.
        ignored: bool (N,): the attribute ``ignored``, or a category that stands for ignored regions.
        runs: For each mask its runs inside, int64 (R, 2): first and past-the-last pixel, down the columns.
        ids: Id of the label of each, in tracking its track; empty where they are not known.
    """

    masks: tuple[RLE, ...]
    category: Ints
    scores: Floats
    crowd: Bools
    ignored: Bools
    runs: tuple[Ints, ...]
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self.masks)

    @cached_property
    def area(self) -> Ints:
        """int64 (N,): pixels of each mask."""
        spans, rows = self._spans
        return np.bincount(rows, weights=spans[:, 1] - spans[:, 0], minlength=len(self)).astype(np.int64)

    @cached_property
    def _spans(self) -> tuple[Ints, Ints]:
        """The runs of all masks, by their first pixel, int64 (R, 2), and the mask of each, int64 (R,)."""
        if not len(self):
            return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
        spans = np.concatenate(self.runs)
        order = np.argsort(spans[:, 0], kind="stable")
        return spans[order], np.repeat(np.arange(len(self)), [len(run) for run in self.runs])[order]

    @cached_property
    def _disjoint(self) -> bool:
        borders = self._spans[0].reshape(-1)
        return not (borders[1:] < borders[:-1]).any()

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width in pixels; None where there is no mask."""
        return self.masks[0].size if self.masks else None

    def take(self, rows: Ints | Bools) -> Regions:
        """Return the regions that ``rows`` chooses."""
        chosen = np.arange(len(self))[rows].tolist()
        return Regions(
            tuple(self.masks[row] for row in chosen),
            self.category[rows],
            self.scores[rows],
            self.crowd[rows],
            self.ignored[rows],
            tuple(self.runs[row] for row in chosen),
            tuple(self.ids[row] for row in chosen) if self.ids else (),
        )

    def overlap(self) -> bool:
        """Tell whether any two masks share a pixel."""
        return not self._disjoint

    def layers(self) -> tuple[Ints, Ints]:
        """Return where the mask of a pixel changes, if no two masks share one.

        Returns:
            int64 (S,): first pixels, ascending from 0, down the columns, of stretches that may be empty; and the mask
            of each stretch, from 1, or 0 for none, int64 (S,).
        """
        spans, rows = self._spans
        starts = np.zeros(2 * len(spans) + 1, np.int64)
        starts[1:] = spans.reshape(-1)
        values = np.zeros(len(starts), np.int64)
        values[1::2] = rows + 1
        return starts, values

    def separated(self) -> Regions:
        """Give each shared pixel to the mask of the higher score, or the earlier; what has nothing left is dropped."""
        if self.size is None:
            return self
        height, width = self.size
        columns = np.full(height * width, -1, np.int32)
        # without a score the first counts most; later painting covers
        order = np.lexsort((np.arange(len(self)), -np.nan_to_num(self.scores)))[::-1]
        for row in order.tolist():
            for start, end in self.runs[row].tolist():
                columns[start:end] = row
        masks = rle.encode_labels(columns.reshape(width, height).T.copy())
        masks.pop(-1, None)
        rows = np.array(sorted(masks), np.int64)
        kept = self.take(rows)
        mended = tuple(masks[row] for row in rows.tolist())
        return replace(kept, masks=mended, runs=tuple(rle.decode_spans(mended, [""] * len(mended))))


_NO = (False, False)

#: An image without regions.
NO_REGIONS = Regions(
    (), np.zeros(0, np.int64), np.zeros(0), crowd=np.zeros(0, np.bool_), ignored=np.zeros(0, np.bool_), runs=()
)


@dataclass
class Written:
    """The regions of one image as they were written, a row each; the masks are not yet decoded.

    Attributes:
        where: Names file and frame, for errors.
        masks: The masks.
        category: Index of the category of each.
        scores: Score of each, NaN for none.
        crowd: Whether each is a crowd.
        ignored: Whether each is ignored.
        ids: Id of the label of each.
        places: Place of the label of each in the file.
    """

    where: str
    masks: list[RLE] = field(default_factory=list)
    category: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    ignored: list[bool] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def names(self) -> Iterator[str]:
        """Name file, frame and label of each region."""
        return (f"{self.where}, label {place}" for place in self.places)

    def check_size(self) -> None:
        """Require all masks to have the size of the first.

        Raises:
            LabelError: One has another.
        """
        for mask, name in zip(self.masks, self.names(), strict=True):
            if mask.size != self.masks[0].size:
                raise LabelError(
                    f"{name}: rle.size is {mask.size[0]}x{mask.size[1]}, but other masks of this frame have "
                    f"{self.masks[0].size[0]}x{self.masks[0].size[1]} (height x width)"
                )


def decode_regions(images: Sequence[Written]) -> list[Regions]:
    """Decode the masks of many images in one pass, which costs little more than to decode those of one.

    Raises:
        LabelError: A mask is malformed, or has another size than the first of its image.
    """
    for image in images:
        image.check_size()
    masks = [mask for image in images for mask in image.masks]
    runs = iter(rle.decode_spans(masks, itertools.chain.from_iterable(image.names() for image in images)))
    return [
        Regions(
            tuple(image.masks),
            np.array(image.category, np.int64),
            np.array(image.scores, np.float64),
            np.array(image.crowd, np.bool_),
            np.array(image.ignored, np.bool_),
            tuple(itertools.islice(runs, len(image.masks))),
            tuple(image.ids),
        )
        for image in images
    ]


def read_regions(text: bytes, config: EvalConfig, where: str, *, predicted: bool, scored: bool = False) -> Regions:
    """Read the regions of a frame; see :func:`read_written`, also for what is raised, and :func:`decode_regions`."""
    return decode_regions([read_written(text, config, where, predicted=predicted, scored=scored)])[0]


def read_written(text: bytes, config: EvalConfig, where: str, *, predicted: bool, scored: bool = False) -> Written:
    """Read the regions of a frame that belong to evaluated categories; labels without a region are skipped.

    Args:
        text: JSON of the frame.
        config: Categories and names.
        where: Names file and frame, for errors.
        predicted: Whether these are predictions, which may not be polygons.
        scored: Whether every region must have a score.

    Raises:
        LabelError: A field has the wrong type, a category is unknown and not to be left out, a score is missing, or a
            prediction is a polygon.
    """
    frame = decode_frame(text, _DECODER, where)
    written = Written(where)
    for place, label in enumerate(frame.labels or ()):
        meaning = config.meaning(label.category)
        if meaning is None:
            raise LabelError(f"{where}, label {place}: {unknown_category(label.category, config)}")
        if meaning.category is None or (label.rle is None and not label.poly2d):
            continue
        if scored and label.score is None:
            raise LabelError(f"{where}, label {place}: score is missing; every prediction needs one")
        mask = label.rle
        if mask is None:
            if predicted:
                raise LabelError(
                    f"{where}, label {place}: poly2d in a prediction; write run-length masks (rle) instead"
                )
            mask = _draw(label.poly2d, config, frame.size, f"{where}, label {place}")
            if mask is None:
                continue
        crowd, ignored = (
            (is_true(label.attributes.crowd), is_true(label.attributes.ignored)) if label.attributes else _NO
        )
        score = float("nan") if label.score is None else label.score
        written.masks.append(mask)
        written.category.append(meaning.category)
        written.scores.append(score)
        written.crowd.append(crowd)
        written.ignored.append(meaning.ignored or ignored)
        written.ids.append(str(label.id))
        written.places.append(place)
    return written


def _draw(polygons: list[Any] | None, config: EvalConfig, size: ImageSize | None, where: str) -> RLE | None:
    """Paint polygons in the size that the config or the frame gives; None where no pixel is inside."""
    shape = config.image_size or ((size.height, size.width) if size else None)
    if shape is None:
        raise LabelError(f"{where}: poly2d, but neither the config nor the frame says how large the image is")
    try:
        typed = msgspec.convert(polygons, list[Poly2D])
    except msgspec.ValidationError as error:
        raise LabelError(f"{where}: poly2d: {error}; this is not the Scalabel format") from None
    from bdd100k_models.formats.polygons import paint_polygons  # matplotlib takes its time

    painted = paint_polygons([(1, typed)], shape, 0, where)
    return rle.encode(painted != 0) if painted.any() else None


def check_sizes(truth: Regions, result: Regions, where: str) -> None:
    """Require the masks of an image to have one size; ``where`` names the predicted frame.

    Raises:
        LabelError: They differ.
    """
    if truth.size and result.size and truth.size != result.size:
        raise LabelError(
            f"{where}: rle.size is {result.size[0]}x{result.size[1]}, but the ground truth has "
            f"{truth.size[0]}x{truth.size[1]} (height x width); write masks in the size of the images"
        )


def shared_pixels(result: Regions, truth: Regions) -> Floats:
    """Return how many pixels every pair of masks shares, whole numbers as float64 (N, M)."""
    if not len(result) or not len(truth):
        return np.zeros((len(result), len(truth)))
    if result.overlap() or truth.overlap():
        sides = [[_packed(mask) for mask in side.masks] for side in (result, truth)]
        shares: Floats = coco_mask.iou(*sides, [1] * len(truth))
        return np.rint(np.ascontiguousarray(shares) * result.area[:, None])
    (starts, values), (true_starts, true_values) = result.layers(), truth.layers()
    borders = np.concatenate([starts, true_starts])
    order = np.argsort(borders, kind="stable")  # both parts ascend already, so this only merges them
    reached = np.cumsum(order < len(starts))
    pairs = values.take(reached - 1, mode="clip") * (len(truth) + 1)
    pairs += true_values.take(np.arange(len(order)) - reached, mode="clip")
    # what follows the last border lies in no mask
    lengths = borders.take(order)
    lengths[:-1] = lengths[1:] - lengths[:-1]
    lengths[-1] = 0
    size = (len(result) + 1) * (len(truth) + 1)
    table: Floats = np.bincount(pairs, weights=lengths, minlength=size).astype(np.float64)
    return table.reshape(len(result) + 1, -1)[1:, 1:]


def overlaps(result: Regions, truth: Regions, crowd: Bools) -> Floats:
    """Return intersection over union of every pair, over the prediction's area for true regions in ``crowd`` (M,).

    Returns:
        float64 (N, M): predictions by true regions.
    """
    return shares_of(shared_pixels(result, truth), result.area, truth.area, crowd)


def shares_of(shared: Floats, area: Ints, true_area: Ints, crowd: Bools) -> Floats:
    """Divide shared pixels (N, M) by those of the union, or by ``area`` (N,) for true regions in ``crowd`` (M,)."""
    union = np.where(crowd, area[:, None], area[:, None] + true_area - shared)
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return shares


def merge_stuff(regions: Regions, stuff: Bools, *, strict: bool = False) -> Regions:
    """Make one mask of all masks of each kind of stuff.

    Args:
        regions: The regions of an image.
        stuff: bool (K,): whether a category is stuff.
        strict: Whether masks of a kind that overlap give their union. Officially they give something else: the number
            of masks at a pixel is packed as if it were 0 or 1, so that inside and outside change places wherever that
            number changes.

    Returns:
        Regions in order of their categories; within a category of things in the order given.
    """
    masks, runs, first = list(regions.masks), list(regions.runs), np.ones(len(regions), np.bool_)
    for kind in np.unique(regions.category[stuff[regions.category]]).tolist():
        rows = np.flatnonzero(regions.category == kind)
        if len(rows) > 1:
            parts = regions.take(rows)
            mended = strict or not parts.overlap()
            masks[rows[0]] = _union(parts) if mended else _packed_sum(parts)
            runs[rows[0]] = rle.decode_spans([masks[rows[0]]], [""])[0]
            first[rows[1:]] = False
    order = np.argsort(regions.category, kind="stable")
    return replace(regions, masks=tuple(masks), runs=tuple(runs)).take(order[first[order]])


def has_doubled_stuff(regions: Regions, stuff: Bools) -> bool:
    """Tell whether masks of one kind of stuff overlap."""
    kinds = np.unique(regions.category[stuff[regions.category]]).tolist()
    return any(regions.take(regions.category == kind).overlap() for kind in kinds)


def _union(regions: Regions) -> RLE:
    packed = coco_mask.merge([_packed(mask) for mask in regions.masks], intersect=False)
    return RLE(counts=packed["counts"].decode(), size=regions.masks[0].size)


def _packed_sum(regions: Regions) -> RLE:
    height, width = regions.masks[0].size
    number = np.zeros(height * width, np.uint8)
    for run in regions.runs:
        for start, end in run.tolist():
            number[start:end] += 1
    packed = coco_mask.encode(number.reshape(width, height).T)
    return RLE(counts=packed["counts"].decode(), size=(height, width))


def _packed(mask: RLE) -> dict[str, Any]:
    return {"counts": mask.counts.encode(), "size": list(mask.size)}
