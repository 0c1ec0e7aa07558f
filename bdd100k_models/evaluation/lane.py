"""Lane markings: how well thin regions agree within a few pixels, with the official tool's numbers.

For each class of each property (direction, style, category) and each radius: precision is the share of predicted pixels
within that radius of a labelled one, recall the share of labelled pixels within it of a predicted one, and the F-score
their harmonic mean, averaged over the images. After the boundary measure of the DAVIS benchmark (Perazzi et al., CVPR
2016), without thinning. The classes of a pixel are bits of one number, so that one pass dilates all of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import ConfigError
from bdd100k_models.evaluation.config import LANE_CATEGORIES, EvalConfig, default_config
from bdd100k_models.evaluation.frames import FramePair, pair_frames
from bdd100k_models.evaluation.masks import check_shapes, has_masks, map_images, pair_masks
from bdd100k_models.evaluation.parts import Assessment, SummedParts, Units
from bdd100k_models.evaluation.result import AVERAGE, Result, task_result
from bdd100k_models.evaluation.semantic_frames import FIXED_VALUES, Regions, common_size, draw, read_regions
from bdd100k_models.formats.bitmask import read_mask

Bits = npt.NDArray[np.uint64] | npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

#: Distances in pixels within which a pixel counts as found.
RADII = (1, 2, 5)

#: Most classes that fit the bits of a pixel.
_MOST_CLASSES = 64

#: Direction, style and category.
_PROPERTIES = 3

_BACKGROUND = 0b1000  # the bit of a mask that says: no lane marking
_DIRECTION, _STYLE, _KIND = 5, 4, 0b111


def _class_table() -> npt.NDArray[np.uint16]:
    """Return the classes (bits in the order of ``LANE_CATEGORIES``) of each value of a mask, uint16 (256,)."""
    value = np.arange(256)
    directions, styles = len(LANE_CATEGORIES["direction"]), len(LANE_CATEGORIES["style"])
    bits = 1 << (value >> _DIRECTION & 1)
    bits |= 1 << (directions + (value >> _STYLE & 1))
    bits |= 1 << (directions + styles + (value & _KIND))
    return np.where(value & _BACKGROUND, 0, bits).astype(np.uint16)


_CLASSES = _class_table()


def lane_classes(mask: Bytes) -> npt.NDArray[np.uint16]:
    """Return the classes of each pixel of a lane mask as bits.

    Args:
        mask: uint8 (height, width): bits 0 to 2 category, 3 background, 4 style, 5 direction; 255 is background.

    Returns:
        uint16 (height, width): bit ``i`` is set where the pixel is of class ``i`` of direction, style and category, in
        that order; 0 on background.
    """
    return _CLASSES[mask]


def dilations(bits: Bits) -> list[Bits]:
    """Return for each radius which classes lie within it of each pixel, in the shape of ``bits`` (height, width).

    Beyond the border is nothing. A disk is a stack of horizontal bars, each longer by one pixel at both ends than the
    one before.
    """
    bars = [bits]
    for _ in range(max(RADII)):
        shorter = bars[-1]
        bar = shorter.copy()
        bar[:, 1:] |= shorter[:, :-1]
        bar[:, :-1] |= shorter[:, 1:]
        bars.append(bar)
    return [_stack(bars, radius) for radius in RADII]


def _stack(bars: Sequence[Bits], radius: int) -> Bits:
    """Pile up bars to the disk of ``radius``: all pixels with ``dx**2 + dy**2 <= radius**2``."""
    disk = bars[radius].copy()
    for step in range(1, radius + 1):
        bar = bars[math.isqrt(radius**2 - step**2)]
        disk[step:] |= bar[:-step]
        disk[:-step] |= bar[step:]
    return disk


def f_scores(truth: Bits, prediction: Bits, classes: int) -> Floats:
    """Return the F-score of each class and radius.

    Args:
        truth: Bits (height, width): see :func:`lane_classes`.
        prediction: Likewise, of the same type.
        classes: How many bits count.

    Returns:
        float64 (classes, radii), from 0 to 1. A class on neither side has 1, a class on one side 0.
    """
    truth, prediction = _crop(truth, prediction)
    labelled, predicted = truth[truth != 0], prediction[prediction != 0]
    counts = [_count(pixels, classes) for pixels in (labelled, predicted)]
    scores = np.where((counts[0] == 0) & (counts[1] == 0), 1.0, 0.0)[:, None].repeat(len(RADII), axis=1)
    both = (counts[0] > 0) & (counts[1] > 0)
    if not both.any():
        return scores
    # only classes on both sides are worth dilating
    wanted = sum(1 << int(index) for index in np.flatnonzero(both))
    dilated = [dilations(side & side.dtype.type(wanted)) for side in (truth, prediction)]
    for index, (near_truth, near_prediction) in enumerate(zip(*dilated, strict=True)):
        found = _count(labelled & near_prediction[truth != 0], classes)[both]
        right = _count(predicted & near_truth[prediction != 0], classes)[both]
        precision, recall = right / counts[1][both], found / counts[0][both]
        total = precision + recall
        scores[both, index] = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return scores


def _crop(truth: Bits, prediction: Bits) -> tuple[Bits, Bits]:
    """Cut both to the smallest box that holds what is not background on either."""
    lane = (truth != 0) | (prediction != 0)
    rows, columns = np.flatnonzero(lane.any(axis=1)), np.flatnonzero(lane.any(axis=0))
    if not len(rows):
        return truth[:0, :0], prediction[:0, :0]
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return truth[box], prediction[box]


def _count(pixels: Bits, classes: int) -> npt.NDArray[np.int64]:
    """Count the pixels of each class, int64 (classes,)."""
    kind = pixels.dtype.type
    return np.array([np.count_nonzero(pixels & kind(1 << index)) for index in range(classes)], np.int64)


class LaneEvaluator:
    """Scores lane masks against true ones, image by image.

    Args:
        groups: The classes of each of the three properties, in the order of their bits.
    """

    def __init__(self, groups: Mapping[str, Sequence[str]] = LANE_CATEGORIES) -> None:
        self.groups = {name: tuple(classes) for name, classes in groups.items()}
        self.classes = sum(len(classes) for classes in self.groups.values())
        self.reset()

    def reset(self) -> None:
        """Forget everything processed."""
        self.images = 0
        self.missing = 0
        self._rows: list[Floats] = []
        self._sum = np.zeros((self.classes, len(RADII)))
        self._strict_sum = np.zeros_like(self._sum)

    def process(self, truth: Bytes, prediction: Bytes | None, where: str = "prediction") -> None:
        """Add an image.

        Args:
            truth: uint8 (height, width), see :func:`lane_classes`.
            prediction: Likewise; None where there is none.
            where: Names the image, for errors.

        Raises:
            LabelError: The two differ in size.
        """
        if prediction is not None:
            check_shapes(truth.shape, prediction.shape, where)
        self.add(*compare_masks(truth, prediction))

    def add(self, scores: Floats, strict: Floats | None = None) -> None:
        """Add the F-scores (classes, radii) of an image.

        Args:
            scores: The official ones.
            strict: For an image without prediction those of an empty one.
        """
        self.images += 1
        self.missing += strict is not None
        self._rows.append(scores.reshape(-1))
        self._sum += scores
        self._strict_sum += scores if strict is None else strict

    def evaluate(self, notes: Sequence[str] | None = None) -> Result:
        """Return the F-scores of everything processed, in percent; NaN without images.

        Args:
            notes: What to tell about missing images; by default how many there were.
        """
        given = self._default_notes() if notes is None else list(notes)
        if self.missing:
            given.append(self._strict())
        return replace(self._score(self._sum, self.images), notes=tuple(given))

    def assess(self, units: Units, notes: Sequence[str] | None = None) -> Assessment:
        """Return the scores, and what was found of each image; see :meth:`evaluate`.

        Args:
            units: The images, in the order of processing.
            notes: What to tell about missing images; by default how many there were.
        """
        # each row ends with the number of its images
        table = np.stack([np.zeros(self._sum.size + 1), *(np.append(row, 1.0) for row in self._rows)])[1:]
        parts = SummedParts(table, lambda total: self._score(total[:-1].reshape(self._sum.shape), float(total[-1])))
        categories = tuple(name for classes in self.groups.values() for name in classes)
        return Assessment(self.evaluate(notes), parts, units, categories)

    def _score(self, total: Floats, images: float) -> Result:
        """Score the sum of F-scores (classes, radii) of so many images."""
        groups = self._groups(total, images)
        scores = {
            f"F1_pix{radius}": [dict(zip(names, values[:, index].tolist(), strict=True)) for names, values in groups]
            for index, radius in enumerate(RADII)
        }
        return task_result("lane_mark", scores)

    def _groups(self, total: Floats, images: float) -> list[tuple[tuple[str, ...], Floats]]:
        """Average sums (classes, radii) over the images: for each group of rows their names and values (rows, radii).

        In the official tool's order of operations, so that even the last digits are equal.
        """
        means = total / images * 100 if images else np.full_like(total, np.nan)
        bounds = np.cumsum([len(classes) for classes in self.groups.values()])[:-1]
        parts = np.split(means, bounds)
        averages = np.stack([part.mean(axis=0) for part in parts])
        rows = list(zip(self.groups.values(), parts, strict=True))
        # the official result has room for three properties
        rows += [((), np.empty((0, len(RADII))))] * (_PROPERTIES - len(rows))
        rows.append((tuple(name.upper() for name in self.groups), averages))
        return [*rows, ((AVERAGE,), averages.mean(axis=0)[None])]

    def _default_notes(self) -> list[str]:
        if not self.images:
            return ["there are no images"]
        return [f"{self.missing} of {self.images} images have no predictions"] if self.missing else []

    def _strict(self) -> str:
        _, values = self._groups(self._strict_sum, self.images)[-1]
        averages = [f"F1_pix{radius} {value:.2f}" for radius, value in zip(RADII, values[0].tolist(), strict=True)]
        return (
            "as in the official tool, a missing mask counts as one whose every pixel is a solid parallel crosswalk; "
            f"where it counts as empty, {AVERAGE} is {', '.join(averages)}"
        )


def compare_masks(truth: Bytes, prediction: Bytes | None) -> tuple[Floats, Floats | None]:
    """Return the official F-scores (classes, radii) of an image and, where it has no prediction, those of an empty one.

    The official tool takes a missing mask as one of zeros, and zero stands for the first class of every property.
    """
    bits = lane_classes(truth)
    classes = sum(len(names) for names in LANE_CATEGORIES.values())
    if prediction is not None:
        return f_scores(bits, lane_classes(prediction), classes), None
    zeros = np.full_like(bits, _CLASSES[0])
    return f_scores(bits, zeros, classes), f_scores(bits, np.zeros_like(bits), classes)


def evaluate_lane(truth: Path, result: Path, config: EvalConfig | None = None, processes: int | None = None) -> Result:
    """Score a folder of lane masks, or a JSON result with a run-length mask for each class.

    Args:
        truth: Ground truth, in the form of the result.
        result: Predictions.
        config: Classes by property, for JSON; the official ones by default.
        processes: How many to use; one by default.

    Returns:
        ``F1_pix1``, ``F1_pix2`` and ``F1_pix5`` by class, by property and their AVERAGE.

    Raises:
        MissingFileError: A path does not exist, or a folder is empty.
        LabelError: A file breaks its format, or belongs to other images.
        ConfigError: The config does not hold three properties and their classes.
    """
    return assess_lane(truth, result, config, processes).result


def assess_lane(
    truth: Path, result: Path, config: EvalConfig | None = None, processes: int | None = None
) -> Assessment:
    """Score lane markings, and keep what was found of each image; see :func:`evaluate_lane`."""
    if has_masks(truth, result):
        evaluator = LaneEvaluator()
        files = pair_masks(truth, result)
        pairs = list(zip(files.truths, files.results, strict=True))
        for scores, strict in map_images(_compare_files, pairs, processes):
            evaluator.add(scores, strict)
        notes = files.notes("each counts as a mask of zeros")
        if config is not None and config.categories != default_config("lane_mark").categories:
            notes.append(FIXED_VALUES)
        return evaluator.assess(files.units(), notes)
    settings = config or default_config("lane_mark")
    groups = settings.groups or {"boundary": settings.categories}
    if sum(len(classes) for classes in groups.values()) != len(settings.categories) or len(groups) > _PROPERTIES:
        raise ConfigError(f"lane markings need up to {_PROPERTIES} categories, each with its classes as subcategories")
    if len(settings.categories) > _MOST_CLASSES:
        raise ConfigError(f"lane markings may have {_MOST_CLASSES} classes, not {len(settings.categories)}")
    evaluator = LaneEvaluator(groups)
    frames = pair_frames(truth, result)
    for scores in map_images(functools.partial(_compare_frames, settings), frames, processes):
        evaluator.add(scores)
    return evaluator.assess(frames.units(), frames.notes("they count as images without lane markings"))


def _compare_files(files: tuple[Path, Path | None]) -> tuple[Floats, Floats | None]:
    """Read the masks of an image and compare them."""
    truth = read_mask(files[0])
    prediction = None
    if files[1] is not None:
        prediction = read_mask(files[1])
        check_shapes(truth.shape, prediction.shape, files[1])
    return compare_masks(truth, prediction)


def _compare_frames(config: EvalConfig, pair: FramePair) -> Floats:
    """Compare the run-length masks of an image, class by class."""
    none = Regions([], [], [])
    # the official tool passes polygons over in this task
    truth = read_regions(pair.truth, config, pair.truth_where, polygons=False)
    result = none if pair.result is None else read_regions(pair.result, config, pair.where, polygons=False)
    size = common_size([truth, result], config) or (1, 1)
    labels, prediction = draw(truth, size, pair.truth_where), draw(result, size, pair.where)
    return f_scores(labels, prediction, len(config.categories))
