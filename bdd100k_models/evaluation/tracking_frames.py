"""One frame of a tracking evaluation: which labelled and predicted objects overlap, whatever form they come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation import regions
from bdd100k_models.evaluation.boxes import overlaps
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.config import EvalConfig
from bdd100k_models.evaluation.frames import FramePair, decode_frame
from bdd100k_models.evaluation.names import unknown_category
from bdd100k_models.evaluation.regions import NO_REGIONS, Regions, decode_regions, read_written
from bdd100k_models.evaluation.segments import overlay
from bdd100k_models.formats.arrays import Flags, check_box, is_true
from bdd100k_models.formats.bitmask import Bitmask, Packed, read_packed
from bdd100k_models.formats.scalabel import Box2D


@dataclass(frozen=True)
class FrameOverlap:
    """The objects of a frame that count, of all categories.

    Attributes:
        truth_ids: Track of each labelled object (N); an id is one track for each category that it occurs with.
        truth_category: int64 (N,): index of the category.
        result_ids: Track of each predicted object (M).
        result_category: int64 (M,): likewise.
        similarity: float64 (N, M): intersection over union.
        inside: float64 (M,): the largest share of each predicted object that lies in one ignored region or crowd.
        unknown: Predicted objects left out because they are of no evaluated category.
        flagged: Predicted objects left out because they are marked as ignored or a crowd.
        instances: Predicted objects in all, where they come from a bitmask, which the official tool limits.
    """

    truth_ids: tuple[str | int, ...]
    truth_category: Ints
    result_ids: tuple[int, ...]
    result_category: Ints
    similarity: Floats
    inside: Floats
    unknown: int = 0
    flagged: int = 0
    instances: int = 0


@dataclass(frozen=True)
class TrackedBoxes:
    """The boxes of a frame, a row each.

    Attributes:
        ids: Track of each (N).
        category: int64 (N,): index of the category.
        xywh: float64 (N, 4): left, top, width and height in pixels.
        ignored: bool (N,): whether a label is an ignored region or a crowd.
    """

    ids: tuple[str | int, ...]
    category: Ints
    xywh: Floats
    ignored: Bools

    def take(self, rows: Bools) -> TrackedBoxes:
        """Return the boxes that ``rows`` (N,) chooses."""
        ids = tuple(self.ids[row] for row in np.flatnonzero(rows).tolist())
        return TrackedBoxes(ids, self.category[rows], self.xywh[rows], self.ignored[rows])


class _Label(msgspec.Struct, gc=False):
    id: str | int
    category: str | None = None
    attributes: Flags | None = None
    box2d: Box2D | None = None


class _Frame(msgspec.Struct, gc=False):
    labels: list[_Label] | None = None


_DECODER = msgspec.json.Decoder(_Frame)


def read_boxes(text: bytes, config: EvalConfig, where: str) -> TrackedBoxes:
    """Read the boxes of a frame that belong to evaluated categories; labels without a box are skipped.

    Args:
        text: JSON of the frame.
        config: Categories and names.
        where: Names file and frame, for errors.

    Raises:
        LabelError: A field has the wrong type, a category is unknown, a box is impossible, or a category has two
            objects of the same track.
    """
    frame = decode_frame(text, _DECODER, where)
    ids: list[str | int] = []
    rows: list[tuple[float, float, float, float]] = []
    kinds: list[int] = []
    ignored: list[bool] = []
    for place, label in enumerate(frame.labels or ()):
        meaning = config.meaning(label.category)
        if meaning is None:
            raise LabelError(f"{where}, label {place}: {unknown_category(label.category, config)}")
        if meaning.category is None or (box := label.box2d) is None:
            continue
        check_box(box, f"{where}, label {place}")
        flags = label.attributes
        ids.append(str(label.id))
        kinds.append(meaning.category)
        rows.append((box.x1, box.y1, box.x2 - box.x1 + 1, box.y2 - box.y1 + 1))
        ignored.append(meaning.ignored or (flags is not None and (is_true(flags.crowd) or is_true(flags.ignored))))
    return TrackedBoxes(
        tuple(ids), np.array(kinds, np.int64), np.array(rows, np.float64).reshape(-1, 4), np.array(ignored, np.bool_)
    )


def box_ious(truth: Floats, result: Floats) -> Floats:
    """Return intersection over union of every pair of boxes, operation by operation as motmetrics does.

    Args:
        truth: float64 (N, 4): left, top, width, height.
        result: float64 (M, 4): likewise.

    Returns:
        float64 (N, M): 0 where boxes do not overlap.
    """
    low, other_low = truth[:, None, :2], result[None, :, :2]
    high, other_high = low + truth[:, None, 2:], other_low + result[None, :, 2:]
    shared = np.maximum(np.minimum(high, other_high) - np.maximum(low, other_low), 0).prod(axis=-1)
    union = np.maximum(high - low, 0).prod(axis=-1) + np.maximum(other_high - other_low, 0).prod(axis=-1) - shared
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared != 0)
    return shares


def compare_boxes(truth: TrackedBoxes, result: TrackedBoxes) -> FrameOverlap:
    """Compare the boxes of a frame; predictions of ignored categories do not count."""
    counted, found = truth.take(~truth.ignored), result.take(~result.ignored)
    aside = truth.xywh[truth.ignored]
    return FrameOverlap(
        counted.ids,
        counted.category,
        tuple(int(track) for track in found.ids),
        found.category,
        box_ious(counted.xywh, found.xywh),
        _largest(_box_iofs(found.xywh, aside)),
        flagged=int(result.ignored.sum()),
    )


def _box_iofs(result: Floats, aside: Floats) -> Floats:
    """Return the share of each box (M, 4) that lies in each region (K, 4), (M, K)."""
    first, second = np.repeat(result, len(aside), axis=0), np.tile(aside, (len(result), 1))
    crowd = np.ones(len(first), np.bool_)
    return overlaps(first, second, crowd).reshape(len(result), len(aside))


def _largest(shares: Floats) -> Floats:
    """Return the largest of each row (M, K), 0 where there is none."""
    largest: Floats = shares.max(axis=1, initial=0.0)
    return largest


def compare_regions(truth: Regions, result: Regions, where: str) -> FrameOverlap:
    """Compare the run-length masks of a frame; predictions of ignored categories do not count.

    Args:
        truth: The labelled regions.
        result: The predicted ones.
        where: Names the predicted frame, for errors.

    Raises:
        LabelError: The masks of the two have different sizes.
    """
    regions.check_sizes(truth, result, where)
    aside, flagged = truth.crowd | truth.ignored, result.crowd | result.ignored
    shared = regions.shared_pixels(result, truth)[~flagged]
    area, crowd = result.area[~flagged], np.zeros(len(truth), np.bool_)
    rows, columns = np.flatnonzero(~aside), np.flatnonzero(~flagged)
    return FrameOverlap(
        tuple(truth.ids[row] for row in rows.tolist()),
        truth.category[rows],
        tuple(int(result.ids[column]) for column in columns.tolist()),
        result.category[columns],
        regions.shares_of(shared[:, rows], area, truth.area[rows], crowd[rows]).T,
        _largest(regions.shares_of(shared[:, aside], area, truth.area[aside], ~crowd[aside])),
        flagged=int(flagged.sum()),
    )


def compare_bitmasks(
    truth: Bitmask | Packed, result: Bitmask | Packed, where: tuple[Path | str, Path | str], categories: int
) -> FrameOverlap:
    """Compare two bitmasks; predictions marked as ignored or crowds do not count.

    Args:
        truth: The ground truth.
        result: The prediction.
        where: Names of the two files, for errors.
        categories: How many categories there are; ids from 1 to this are evaluated.

    Raises:
        LabelError: The sizes differ, or an instance has several categories or attributes.
    """
    both = overlay(truth, result, where[1])
    both.truth.check(where[0])
    both.result.check(where[1])
    aside, flagged = (side.crowd | side.ignored for side in (both.truth, both.result))
    known, predicted = ((side.category >= 1) & (side.category <= categories) for side in (both.truth, both.result))
    rows, columns = np.flatnonzero(known & ~aside), np.flatnonzero(predicted & ~flagged)
    return FrameOverlap(
        tuple(both.truth.ids[rows].tolist()),
        both.truth.category[rows] - 1,
        tuple(both.result.ids[columns].tolist()),
        both.result.category[columns] - 1,
        both.ious()[np.ix_(rows, columns)],
        _largest(both.iofs()[aside][:, columns].T),
        unknown=int((~predicted & ~flagged).sum()),
        flagged=int(flagged.sum()),
        instances=len(both.result.ids),
    )


def compare_box_frames(pair: FramePair, config: EvalConfig) -> FrameOverlap:
    """Read and compare the boxes of a frame.

    Raises:
        LabelError: See :func:`read_boxes`; or the id of a prediction is no whole number.
    """
    truth = read_boxes(pair.truth, config, pair.truth_where)
    result = read_boxes(pair.result or b"{}", config, pair.where)
    _check_tracks(truth.ids, truth.category, ~truth.ignored, config, pair.truth_where)
    _check_tracks(result.ids, result.category, ~result.ignored, config, pair.where, predicted=True)
    return compare_boxes(truth, result)


def compare_region_frames(
    pairs: Sequence[FramePair], config: EvalConfig
) -> list[tuple[FrameOverlap, FrameOverlap | None]]:
    """Read and compare the run-length masks of some frames, whose masks are decoded together.

    Returns:
        Of each, the comparison by the official rule, which drops all predictions of a frame if two of them overlap;
        and in that case the one of the same masks parted, else None.

    Raises:
        LabelError: See :func:`~bdd100k_models.evaluation.regions.read_written` and ``decode_regions``; or the id of a
            prediction is no whole number, or a category has two objects of the same track.
    """
    written = []
    for pair in pairs:
        written.append(read_written(pair.truth, config, pair.truth_where, predicted=False))
        written.append(read_written(pair.result or b"{}", config, pair.where, predicted=True))
    sides = decode_regions(written)
    return [
        _compare_region_frame(pair, truth, result, config)
        for pair, truth, result in zip(pairs, sides[::2], sides[1::2], strict=True)
    ]


def _compare_region_frame(
    pair: FramePair, truth: Regions, result: Regions, config: EvalConfig
) -> tuple[FrameOverlap, FrameOverlap | None]:
    _check_tracks(truth.ids, truth.category, ~(truth.crowd | truth.ignored), config, pair.truth_where)
    counted = ~(result.crowd | result.ignored)
    _check_tracks(result.ids, result.category, counted, config, pair.where, predicted=True)
    if result.overlap():
        return compare_regions(truth, NO_REGIONS, pair.where), compare_regions(truth, result.separated(), pair.where)
    return compare_regions(truth, result, pair.where), None


def compare_bitmask_files(pair: tuple[Path, Path], categories: int) -> FrameOverlap:
    """Read and compare the two bitmasks of a frame; see :func:`compare_bitmasks`."""
    truth, result = pair
    return compare_bitmasks(read_packed(truth), read_packed(result), pair, categories)


def _check_tracks(
    ids: Sequence[str | int], category: Ints, counted: Bools, config: EvalConfig, where: str, *, predicted: bool = False
) -> None:
    """Require the objects of a frame that count to be of different tracks, and predicted ids to be whole numbers."""
    seen: set[tuple[int, str | int]] = set()
    for track, kind, counts in zip(ids, category.tolist(), counted.tolist(), strict=True):
        if not counts:
            continue
        name: str | int = track
        if predicted:
            try:
                name = int(track)
            except ValueError:
                raise LabelError(f"{where}: id is {track!r}; the id of a predicted track is a whole number") from None
        if (kind, name) in seen:
            raise LabelError(
                f"{where}: id {track} stands twice among {config.categories[kind]}; a track has one object in a frame"
            )
        seen.add((kind, name))
