"""Panoptic segmentation from files: folders of bitmasks, or JSON with run-length masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bdd100k_models.evaluation.config import EvalConfig, Options, default_config
from bdd100k_models.evaluation.frames import FramePair, pair_frames
from bdd100k_models.evaluation.masks import has_masks, map_images, pair_masks
from bdd100k_models.evaluation.panoptic import Counts, PanopticEvaluator, count_bitmasks, count_regions, stuff_of
from bdd100k_models.evaluation.parts import Assessment
from bdd100k_models.evaluation.regions import has_doubled_stuff, read_regions
from bdd100k_models.formats.bitmask import read_packed

_MISSING = "all of their segments count as missed"


def assess_panoptic_files(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    """Score panoptic segments of any form that the official tool takes.

    Args:
        truth: Folder of bitmasks, or JSON (a file or a folder).
        result: Predictions in the same form.
        options: Of these, the number of processes and ``coco_truth`` count.
        config: Categories and which are things. Bitmasks hold category ids, which no config changes.

    Raises:
        ConfigError: The config does not tell things from stuff.
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format; the message names file, frame and field.
    """
    if has_masks(truth, result):
        return _assess_bitmasks(truth, result, options)
    return _assess_regions(truth, result, options, config)


def _assess_bitmasks(truth: Path, result: Path, options: Options) -> Assessment:
    config = default_config("pan_seg")
    pairs = pair_masks(truth, result)
    evaluator = PanopticEvaluator(config)
    count = partial(_count_bitmask_files, categories=len(config.categories))
    images = list(zip(pairs.truths, pairs.results, strict=True))
    for name, counts in zip(pairs.names, map_images(count, images, options.processes), strict=True):
        evaluator.process(name, counts)
    assessment = evaluator.assess(pairs.units())
    return assessment.with_notes((*pairs.notes(_MISSING), *assessment.result.notes))


def _count_bitmask_files(image: tuple[Path, Path | None], categories: int) -> Counts:
    truth, result = image
    found = read_packed(result) if result is not None else None
    return count_bitmasks(read_packed(truth), found, (truth, result or truth), categories)


def _assess_regions(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    official, strict = (PanopticEvaluator(config, regions=True) for _ in range(2))
    pairs = pair_frames(truth, result, coco_truth=options.coco_truth)
    overlapping = doubled = 0
    count = partial(_count_frames, config=config)
    for index, image in enumerate(map_images(count, pairs, options.processes)):
        key = f"{pairs.truth.names[index]}\0{index}"  # names may repeat between videos
        official.process(key, image.official)
        strict.process(key, image.strict)
        overlapping += image.overlapping
        doubled += image.doubled
    assessment = official.assess(pairs.units())
    scored = assessment.result
    notes = [*pairs.notes(_MISSING), *scored.notes]
    if overlapping:
        notes.append(
            f"{overlapping} of {len(pairs)} images have predicted masks that overlap; the official tool drops all "
            "predictions of such an image, and so do these scores"
        )
    if doubled:
        notes.append(
            f"{doubled} of {len(pairs)} images have true masks of one kind of stuff that overlap; the official tool "
            "reads such masks wrongly, and so do these scores"
        )
    if overlapping or doubled:
        notes.append(
            f"PQ is {scored.score('PQ'):.2f}; with shared pixels given to the predicted mask of higher score, or the "
            f"earlier one, and true masks of a kind of stuff united, it is {strict.evaluate().score('PQ'):.2f}"
        )
    return assessment.with_notes(notes)


@dataclass(frozen=True)
class _Image:
    """The counts of an image by the official rules and by strict ones, and where these differ."""

    official: Counts
    strict: Counts
    overlapping: bool
    doubled: bool


def _count_frames(pair: FramePair, config: EvalConfig) -> _Image:
    truth = read_regions(pair.truth, config, pair.truth_where, predicted=False)
    found = None
    if pair.result is not None:
        found = read_regions(pair.result, config, pair.where, predicted=True)
    overlapping = found is not None and found.overlap()
    doubled = has_doubled_stuff(truth.take(~(truth.crowd | truth.ignored)), stuff_of(config))
    official = count_regions(truth, None if overlapping else found, pair.where, config)
    if not overlapping and not doubled:
        return _Image(official, official, overlapping, doubled)
    parted = found.separated() if found is not None else None
    return _Image(official, count_regions(truth, parted, pair.where, config, strict=True), overlapping, doubled)
