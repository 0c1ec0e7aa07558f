"""Tracking from files: JSON with boxes or run-length masks, or folders of bitmasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from bdd100k_models.evaluation.config import EvalConfig, Options
from bdd100k_models.evaluation.frames import FramePair
from bdd100k_models.evaluation.lazy import LazySequence
from bdd100k_models.evaluation.masks import has_masks, map_images
from bdd100k_models.evaluation.parts import Assessment
from bdd100k_models.evaluation.tracking import TrackingEvaluator
from bdd100k_models.evaluation.tracking_frames import compare_bitmask_files, compare_box_frames, compare_region_frames
from bdd100k_models.evaluation.tracking_videos import VideoPairs, pair_mask_videos

_Outcome = TypeVar("_Outcome")
_PORTION = 32  # frames


def assess_box_tracks(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    """Score tracks of boxes.

    Args:
        truth: JSON, a file or a folder of them; frames with ``videoName`` and ``frameIndex``.
        result: Predictions, likewise.
        options: Of these, thresholds, number of processes and HOTA count.
        config: Categories, their groups and names.

    Raises:
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format, or a frame stands on one side only; the message names file and frame.
    """
    pairs = VideoPairs(truth, result)
    evaluator = _evaluator("box_track", options, config)
    frames = map_images(partial(compare_box_frames, config=config), pairs, options.processes, light=True)
    for video in _videos(frames, pairs.lengths):
        evaluator.process(video)
    assessment = evaluator.assess(pairs.units())
    return assessment.with_notes((*pairs.notes, *assessment.result.notes))


def assess_mask_tracks(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    """Score tracks of masks, in either form that the official tool takes.

    Args:
        truth: Folder of bitmasks, a folder for each video; or JSON with run-length masks (a file or a folder).
        result: Predictions in the same form.
        options: Of these, thresholds, number of processes and HOTA count.
        config: Categories, their groups and names.

    Raises:
        MissingFileError: A file does not exist, or a bitmask is missing.
        LabelError: A file breaks its format, or a frame stands on one side only; the message names file and frame.
    """
    if has_masks(truth, result):
        return _assess_bitmasks(truth, result, options, config)
    return _assess_regions(truth, result, options, config)


def _assess_bitmasks(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    videos = pair_mask_videos(truth, result)
    evaluator = _evaluator("seg_track", options, config)
    compare = partial(compare_bitmask_files, categories=len(config.categories))
    for video in _videos(map_images(compare, videos.pairs, options.processes), videos.lengths):
        evaluator.process(video)
    assessment = evaluator.assess(videos.units())
    return assessment.with_notes((*videos.notes, *assessment.result.notes))


def _assess_regions(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    pairs = VideoPairs(truth, result)
    official, strict = (_evaluator("seg_track", options, config) for _ in range(2))
    overlapping = 0
    portions = map_images(partial(compare_region_frames, config=config), _Portions(pairs), options.processes)
    for video in _videos(chain.from_iterable(portions), pairs.lengths):
        official.process([frame for frame, _ in video])
        strict.process([parted or frame for frame, parted in video])
        overlapping += sum(parted is not None for _, parted in video)
    assessment = official.assess(pairs.units())
    scored = assessment.result
    notes = [*pairs.notes, *scored.notes]
    if overlapping:
        mended = strict.evaluate()
        notes.append(
            f"{overlapping} of {len(pairs)} frames have predicted masks that overlap; the official tool drops all "
            f"predictions of such a frame, and so do these scores: mMOTA {scored.score('mMOTA'):.2f}. With shared "
            f"pixels given to the mask of higher score, or the earlier one, it is {mended.score('mMOTA'):.2f}, mIDF1 "
            f"{mended.score('mIDF1'):.2f}"
        )
    return assessment.with_notes(notes)


class _Portions(LazySequence[list[FramePair]]):
    """Frames in portions whose masks are decoded together."""

    def __init__(self, pairs: VideoPairs) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return -(-len(self._pairs) // _PORTION)

    def item(self, index: int) -> list[FramePair]:
        return self._pairs[index * _PORTION : (index + 1) * _PORTION]


def _evaluator(task: str, options: Options, config: EvalConfig) -> TrackingEvaluator:
    return TrackingEvaluator(
        task,
        config,
        iou_threshold=options.iou_threshold,
        iof_threshold=options.ignore_iof_threshold,
        hota=options.hota,
    )


def _videos(frames: Iterable[_Outcome], lengths: Sequence[int]) -> Iterator[list[_Outcome]]:
    """Cut a row of frames into videos of the given lengths."""
    rest = iter(frames)
    for length in lengths:
        yield list(islice(rest, length))
