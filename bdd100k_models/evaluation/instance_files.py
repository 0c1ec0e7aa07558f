"""Instance segmentation from files: folders of bitmasks with a score file, or JSON with run-length masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from bdd100k_models.errors import InputError, LabelError
from bdd100k_models.evaluation.config import EvalConfig, Options
from bdd100k_models.evaluation.frames import FramePair, pair_frames
from bdd100k_models.evaluation.instance import Comparison, InstanceEvaluator, compare_bitmasks, compare_regions
from bdd100k_models.evaluation.masks import has_masks, map_images, pair_masks
from bdd100k_models.evaluation.pairing import refuse_repeated
from bdd100k_models.evaluation.parts import Assessment
from bdd100k_models.evaluation.regions import NO_REGIONS, read_regions
from bdd100k_models.formats.bitmask import read_packed
from bdd100k_models.formats.stream import stream_frames

_MISSING = "they count as images with none found"


class _Score(msgspec.Struct):
    index: int
    score: float


class _ScoredFrame(msgspec.Struct):
    name: str | int
    labels: list[_Score] | None = None


def assess_instance_files(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    """Score instance masks of any form that the official tool takes.

    Args:
        truth: Folder of bitmasks, or JSON (a file or a folder).
        result: Predictions in the same form.
        options: Of these, the score file, the number of processes and ``coco_truth`` count.
        config: Categories and names.

    Raises:
        InputError: There is no score file beside bitmasks.
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format; the message names file, frame and field.
    """
    if has_masks(truth, result):
        return _assess_bitmasks(truth, result, options, config)
    return _assess_regions(truth, result, options, config)


@dataclass(frozen=True)
class _Image:
    truth: Path
    result: Path | None
    scores: Sequence[tuple[int, float]]


def _assess_bitmasks(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    if options.score_file is None:
        raise InputError(f"{result}: instances in bitmasks have no scores; name the file that has them: --score-file")
    pairs = pair_masks(truth, result)
    scores = load_scores(options.score_file)
    images = []
    for true_path, path in zip(pairs.truths, pairs.results, strict=True):
        if path is not None and path.stem not in scores:
            raise LabelError(f"{options.score_file}: no frame for the mask {path}; list every image, if without labels")
        images.append(_Image(true_path, path, scores[path.stem] if path is not None else ()))
    evaluator = InstanceEvaluator(config)
    compare = partial(_compare_bitmask_files, categories=len(config.categories))
    for name, comparison in zip(pairs.names, map_images(compare, images, options.processes), strict=True):
        evaluator.process(name, comparison)  # the order of files decides between equal scores
    assessment = evaluator.assess(pairs.units())
    return assessment.with_notes((*pairs.notes(_MISSING), *assessment.result.notes))


def _compare_bitmask_files(image: _Image, categories: int) -> Comparison:
    where = (image.truth, image.result or image.truth)
    found = read_packed(image.result) if image.result is not None else None
    return compare_bitmasks(read_packed(image.truth), found, image.scores, where, categories)


def load_scores(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read a score file: Scalabel JSON whose labels give the ``index`` of an instance and its ``score``.

    Returns:
        Pairs of index and score, by the stem of the image's name.

    Raises:
        MissingFileError: There is no such file.
        LabelError: It breaks the format, an image stands twice, or a number is not finite.
    """
    frames = [frame for _, _, frame in stream_frames(path, _ScoredFrame)]
    refuse_repeated([Path(str(frame.name)).stem for frame in frames], [str(path)] * len(frames))
    for frame in frames:
        for place, label in enumerate(frame.labels or ()):
            if label.index < 1:
                where = f"{path}: frame {frame.name}, label {place}"
                raise LabelError(f"{where}: index is {label.index}; instances are numbered from 1")
    return {
        Path(str(frame.name)).stem: [(label.index, label.score) for label in frame.labels or ()] for frame in frames
    }


def _assess_regions(truth: Path, result: Path, options: Options, config: EvalConfig) -> Assessment:
    pairs = pair_frames(truth, result, coco_truth=options.coco_truth)
    official, strict = (InstanceEvaluator(config, regions=True) for _ in range(2))
    overlapping = 0
    compare = partial(_compare_frames, config=config)
    keys = [f"{name}\0{index:09}" for index, name in enumerate(pairs.truth.names)]  # names may repeat between videos
    for key, (comparison, separated) in zip(
        keys, map_images(compare, pairs, options.processes, light=True), strict=True
    ):
        official.process(key, comparison)
        strict.process(key, separated or comparison)
        overlapping += separated is not None
    assessment = official.assess(pairs.units())
    scored = assessment.result
    notes = [*pairs.notes(_MISSING), *scored.notes]
    if overlapping:
        mended = strict.evaluate()
        notes.append(
            f"{overlapping} of {len(pairs)} images have predicted masks that overlap; the official tool drops all "
            f"predictions of such an image, and so do these scores: AP {scored.score('AP'):.2f}. With shared pixels "
            f"given to the mask of higher score it is {mended.score('AP'):.2f}, AP50 {mended.score('AP50'):.2f}"
        )
    return assessment.with_notes(notes)


def _compare_frames(pair: FramePair, config: EvalConfig) -> tuple[Comparison, Comparison | None]:
    """Compare an image by the official rule, and where predictions overlap also with these parted."""
    truth = read_regions(pair.truth, config, pair.truth_where, predicted=False)
    if pair.result is None:
        return compare_regions(truth, None, pair.where), None
    found = read_regions(pair.result, config, pair.where, predicted=True, scored=True)
    if found.overlap():
        parted = compare_regions(truth, found.separated(), pair.where)
        return compare_regions(truth, NO_REGIONS, pair.where), parted
    return compare_regions(truth, found, pair.where), None
