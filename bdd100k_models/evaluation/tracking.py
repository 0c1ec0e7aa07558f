"""Tracking of boxes and of masks: CLEAR MOT and identity metrics with the numbers of the official tool, and HOTA."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np

from bdd100k_models.evaluation.clear_mot import Counts, TrackFrame, clear_scores, count_clear, leave_out_ignored
from bdd100k_models.evaluation.coco import Floats
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.hota import HotaCounts, count_hota, hota_scores
from bdd100k_models.evaluation.parts import Assessment, SummedParts, Units
from bdd100k_models.evaluation.result import AVERAGE, OVERALL, Groups, Result, task_result
from bdd100k_models.evaluation.tracking_frames import FrameOverlap
from bdd100k_models.formats.bitmask import OFFICIAL_OBJECTS

_Counts = TypeVar("_Counts", Counts, HotaCounts)

#: The metrics whose average over categories has a key of its own.
_AVERAGED = ("MOTA", "MOTP", "IDF1")

_OFFICIAL_IOU = 0.5


def split_categories(
    video: Sequence[FrameOverlap], categories: int, iou_threshold: float, iof_threshold: float
) -> list[list[TrackFrame]]:
    """Part a video by category, number its tracks, and leave out unmatched predictions in ignored regions.

    Args:
        video: Its frames in order.
        categories: How many categories there are.
        iou_threshold: Least overlap of a match.
        iof_threshold: Share above which a prediction lies in an ignored region.

    Returns:
        For each category the frames that hold an object of it.
    """
    parts: list[list[TrackFrame]] = [[] for _ in range(categories)]
    true_numbers: list[dict[str | int, int]] = [{} for _ in parts]
    numbers: list[dict[str | int, int]] = [{} for _ in parts]
    # as officially: numbers if all ids of the video are, so that 1 and 01 are one track
    numeric = all(isinstance(track, int) or track.isdecimal() for frame in video for track in frame.truth_ids)
    for frame in video:
        true_ids = [int(track) for track in frame.truth_ids] if numeric else frame.truth_ids
        for kind in sorted({*frame.truth_category.tolist(), *frame.result_category.tolist()}):
            rows, columns = np.flatnonzero(frame.truth_category == kind), np.flatnonzero(frame.result_category == kind)
            known, predicted = true_numbers[kind], numbers[kind]
            part = TrackFrame(
                np.array([known.setdefault(true_ids[row], len(known)) for row in rows.tolist()], np.int64),
                np.array(
                    [predicted.setdefault(frame.result_ids[column], len(predicted)) for column in columns.tolist()],
                    np.int64,
                ),
                frame.similarity[rows][:, columns],
            )
            part = leave_out_ignored(part, frame.inside[columns], iou_threshold, iof_threshold)
            if len(part.truth) or len(part.result):
                parts[kind].append(part)
    return parts


class TrackingEvaluator:
    """Scores tracks, one video at a time; of a video only counts are kept.

    Args:
        task: ``box_track`` or ``seg_track``.
        config: Categories, their groups and names; the task's own by default.
        iou_threshold: Least overlap of a match.
        iof_threshold: Share above which an unmatched prediction in an ignored region is left out.
        hota: Whether to compute HOTA too.
    """

    def __init__(
        self,
        task: str = "box_track",
        config: EvalConfig | None = None,
        *,
        iou_threshold: float = 0.5,
        iof_threshold: float = 0.5,
        hota: bool = False,
    ) -> None:
        self.task = task
        self.config = config or default_config(task)
        self.iou_threshold = iou_threshold
        self.iof_threshold = iof_threshold
        self.hota = hota
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        categories = self.config.categories
        self._counts = [Counts() for _ in categories]
        self._hota = [HotaCounts() for _ in categories]
        self._rows: list[Floats] = []
        self._videos = self._unknown = self._flagged = self._crowded = 0

    def process(self, video: Sequence[FrameOverlap]) -> None:
        """Add a video: all of its frames in order, those without objects too or not."""
        parts = split_categories(video, len(self.config.categories), self.iou_threshold, self.iof_threshold)
        counts, hota = [Counts() for _ in parts], [HotaCounts() for _ in parts]
        for kind, frames in enumerate(parts):
            if frames:
                counts[kind] = count_clear(frames, self.iou_threshold)
                if self.hota:
                    hota[kind] = count_hota(frames)
        self._counts = [old + new for old, new in zip(self._counts, counts, strict=True)]
        self._hota = [old + new for old, new in zip(self._hota, hota, strict=True)]
        self._rows.append(pack_counts(counts, hota if self.hota else []))
        self._videos += 1
        self._unknown += sum(frame.unknown for frame in video)
        self._flagged += sum(frame.flagged for frame in video)
        self._crowded += sum(frame.instances > OFFICIAL_OBJECTS for frame in video)

    def evaluate(self) -> Result:
        """Return the scores of everything processed.

        MOTA, MOTP, IDF1 and counts by category, by group of categories, as AVERAGE over categories and OVERALL; with
        ``hota`` also its eight metrics. A category without objects has NaN (or, with predictions, a MOTA of minus
        infinity) and counts as 0 in AVERAGE.
        """
        scored = self._score(self._counts, self._hota)
        return replace(scored, notes=tuple(self._notes(scored)))

    def assess(self, units: Units) -> Assessment:
        """Return the scores, and what was found of each video; ``units`` are these in the order of processing."""
        kinds = len(self.config.categories)
        none = pack_counts([Counts()] * kinds, [HotaCounts()] * kinds if self.hota else [])
        table = np.stack([none, *self._rows])[1:]
        parts = SummedParts(table, lambda total: self._score(*unpack_counts(total, kinds)))
        return Assessment(self.evaluate(), parts, units, self.config.categories)

    def _score(self, counts: Sequence[Counts], hota: Sequence[HotaCounts]) -> Result:
        """Score the counts of each category."""
        metrics = self._columns(counts, Counts(), clear_scores)
        if self.hota:
            metrics |= self._columns(hota, HotaCounts(), hota_scores)
        averages: dict[str, Groups | float] = {f"m{name}": metrics[name][-1][AVERAGE] for name in self._averaged()}
        return task_result(self.task, averages | metrics)

    def _averaged(self) -> tuple[str, ...]:
        return (*_AVERAGED, "HOTA") if self.hota else _AVERAGED

    def _columns(
        self, counts: Sequence[_Counts], none: _Counts, score: Callable[[_Counts], Mapping[str, float]]
    ) -> dict[str, Groups]:
        """Score every row of the table; return the groups of rows of each metric."""
        categories = self.config.categories
        of_category = dict(zip(categories, counts, strict=True))
        rows = {name: score(one) for name, one in of_category.items()}
        groups = {
            name: score(sum((of_category[member] for member in members), none))
            for name, members in self.config.groups.items()
        }
        overall = score(sum(counts, none))
        columns: dict[str, Groups] = {}
        for metric, total in overall.items():
            values: dict[str, float] = {name: row[metric] for name, row in rows.items()}
            middle: list[dict[str, float]] = [{name: row[metric] for name, row in groups.items()}] if groups else []
            columns[metric] = [values, *middle, {AVERAGE: _average(list(values.values()), total), OVERALL: total}]
        return columns

    def _notes(self, scored: Result) -> list[str]:
        notes = []
        if not self._videos:
            notes.append("the ground truth holds no frames")
        elif absent := [
            name for name, one in zip(self.config.categories, self._counts, strict=True) if not one.objects
        ]:
            notes.append(_absence(absent, self.config.categories, scored, self._averaged()))
        if self.iou_threshold != _OFFICIAL_IOU:
            notes.append(
                f"matches overlap by {self.iou_threshold:g} or more, as asked; the official tool does so with "
                f"--nproc 1 only, and else takes {_OFFICIAL_IOU:g}"
            )
        if self._unknown:
            notes.append(f"{self._unknown} predicted objects are of no evaluated category; they are left out")
        if self._flagged:
            notes.append(f"{self._flagged} predicted objects are marked as ignored or crowds; they are left out")
        if self._crowded:
            notes.append(
                f"{self._crowded} frames have more than {OFFICIAL_OBJECTS} predicted instances; all of them count, "
                "but the official tool stops at such a bitmask"
            )
        if self._videos and not sum(one.predictions for one in self._counts):
            notes.append("there are no predicted objects of the evaluated categories")
        return notes


def pack_counts(counts: Sequence[Counts], hota: Sequence[HotaCounts]) -> Floats:
    """Return the counts of all categories in one row, float64 (F,), of which sums are counts again."""
    columns = [np.array([list(vars(one).values()) for one in counts], np.float64).reshape(-1)]
    columns += [np.stack(list(vars(one).values())).reshape(-1) for one in hota]
    return np.concatenate(columns)


def unpack_counts(row: Floats, kinds: int) -> tuple[list[Counts], list[HotaCounts]]:
    """Return the counts of ``kinds`` categories in a row of :func:`pack_counts`."""
    size = kinds * len(fields(Counts))
    counts = []
    for values in row[:size].reshape(kinds, -1).tolist():
        named = dict(zip((one.name for one in fields(Counts)), values, strict=True))
        distance = named.pop("distance")
        counts.append(Counts(distance=distance, **{name: round(value) for name, value in named.items()}))
    if size == len(row):
        return counts, [HotaCounts()] * kinds
    return counts, [HotaCounts(*values) for values in row[size:].reshape(kinds, len(fields(HotaCounts)), -1)]


def _average(values: Sequence[float], total: float) -> float:
    """Average over categories as the official tool does: counts are summed up, and what is not finite is 0."""
    finite = [value if math.isfinite(value) else 0 for value in values]
    return sum(finite) if isinstance(total, int) else float(np.mean(finite))


def _absence(absent: Sequence[str], categories: Sequence[str], scored: Result, averaged: Sequence[str]) -> str:
    """Say which categories have no objects, and what the averages are without them."""
    text = f"{len(absent)} of {len(categories)} categories have no labelled object ({', '.join(absent)})"
    if len(absent) == len(categories):
        return f"{text}; every score is 0 or undefined"
    present = [name for name in categories if name not in absent]
    strict = (f"m{metric} {_average([scored.score(metric, name) for name in present], 0.0):.1f}" for metric in averaged)
    return f"{text}; the official averages count each as 0. Over the others: {', '.join(strict)}"
