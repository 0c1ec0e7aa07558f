"""What an evaluation counted of each image or video, from which the scores of any selection follow.

Matching is done once. Scores of a slice of the data set, or of a sample drawn from it with replacement, only add up and
accumulate anew what was found there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bdd100k_models.evaluation.coco import Curves, Floats, Ints, Matches
from bdd100k_models.evaluation.coco import Protocol as Rules
from bdd100k_models.evaluation.resampling import CurveSampler
from bdd100k_models.evaluation.result import Groups, Result, task_result
from bdd100k_models.formats.arrays import Scene

Scores = Mapping[str, Groups | float]

#: What a table of confusion calls the place where nothing is labelled or predicted.
BACKGROUND = "background"


class Parts(Protocol):
    """The statistics of the units of an evaluation: images, or in tracking videos."""

    def __len__(self) -> int:
        """Return the number of units."""

    def take(self, units: Ints) -> Parts:
        """Return the statistics of some units (N,), each at most once."""

    def result(self) -> Result:
        """Return the official scores of these units, without notes."""

    def resample(self, weights: Ints) -> Iterator[Result]:
        """Score samples of the units.

        Args:
            weights: int64 (B, U): how often each unit is in each sample.

        Yields:
            The scores of each sample, as if that many copies of each unit were evaluated. Among detections of equal
            score, copies of a unit stand together.
        """


@dataclass(frozen=True)
class SummedParts:
    """Statistics that add up.

    Attributes:
        table: Numbers (U, F): a row of counts or sums for each unit.
        score: Turns a sum of rows, float64 (F,), into scores.
    """

    table: npt.NDArray[Any]
    score: Callable[[Floats], Result]

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.table)

    def take(self, units: Ints) -> SummedParts:
        """Return the statistics of some units."""
        return SummedParts(self.table[units], self.score)

    def result(self) -> Result:
        """Return the scores of these units."""
        return self.score(self.table.sum(axis=0).astype(np.float64))

    def resample(self, weights: Ints) -> Iterator[Result]:
        """Score samples; see :meth:`Parts.resample`."""
        # counts stay below 2**53, so sums of them are exact
        for total in weights.astype(np.float64) @ self.table.astype(np.float64):
            yield self.score(total)


@dataclass(frozen=True)
class CurveParts:
    """Outcomes of detections, from which average precision is accumulated.

    Attributes:
        task: The official name.
        matches: The outcomes.
        rules: Area ranges and numbers of detections.
        read: Reads scores from curves.
        nothing: Scores where there are no predictions at all, given the categories that have any label; None where
            that is no special case.
    """

    task: str
    matches: Matches
    rules: Rules
    read: Callable[[Curves], Scores]
    nothing: Callable[[Collection[int]], Scores] | None

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.matches.counts)

    def take(self, units: Ints) -> CurveParts:
        """Return the outcomes of some units."""
        return CurveParts(self.task, self.matches.take(units), self.rules, self.read, self.nothing)

    def result(self) -> Result:
        """Return the scores of these units."""
        if self.nothing is not None and not len(self.matches.image):
            return task_result(self.task, self.nothing(_present(self.matches.labelled)))
        return task_result(self.task, self.read(self.matches.curves(self.rules)))

    def resample(self, weights: Ints) -> Iterator[Result]:
        """Score samples; see :meth:`Parts.resample`."""
        found = np.bincount(self.matches.image, minlength=len(self)) > 0
        for sample, curves in zip(weights, self._sampler.curves(weights), strict=True):
            drawn = sample > 0
            if self.nothing is not None and not (drawn & found).any():
                yield task_result(self.task, self.nothing(_present(self.matches.labelled[drawn])))
            else:
                yield task_result(self.task, self.read(curves))

    @cached_property
    def _sampler(self) -> CurveSampler:
        return CurveSampler(self.matches, self.rules)


def _present(labelled: npt.NDArray[np.bool_]) -> list[int]:
    """Return the categories that any image (I, K) has labels of."""
    return [int(index) for index in np.flatnonzero(labelled.any(axis=0))]


@dataclass(frozen=True)
class Units:
    """The images of an evaluation; in tracking its videos.

    Attributes:
        names: Name of each: of an image or mask with the suffix that the ground truth gives.
        scenes: Weather, scene and time of day of each, as far as its labels say; of a video, of its first frame.
            Empty where no form of the labels could carry them.
        kind: What a unit is, in the plural: ``images`` or ``videos``.
    """

    names: Sequence[str]
    scenes: Sequence[Scene] = ()
    kind: str = "images"


@dataclass(frozen=True)
class Confusion:
    """What was predicted where something is labelled.

    Attributes:
        title: What was counted.
        rows: Names of what is labelled; the last may stand for nothing.
        columns: Names of what is predicted, likewise.
        counts: int64 (rows, columns).
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Ints


@dataclass(frozen=True)
class Assessment:
    """Everything that an evaluation of files found.

    Attributes:
        result: The scores, with notes.
        parts: What was counted of each unit.
        units: The units, in the order of the parts.
        categories: The evaluated categories, in the order in which they are counted.
        confusions: Computes the tables of confusion, given the least score of a detection that counts.
    """

    result: Result
    parts: Parts
    units: Units
    categories: tuple[str, ...] = ()
    confusions: Callable[[float], Sequence[Confusion]] = field(default=lambda threshold: ())

    def with_notes(self, notes: Sequence[str]) -> Assessment:
        """Return the same with other notes."""
        return replace(self, result=replace(self.result, notes=tuple(notes)))
