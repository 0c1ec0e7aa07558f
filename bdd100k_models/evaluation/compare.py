"""Two results of the same ground truth: how far apart their scores are, and how sure that is.

The interval is the bootstrap's percentile interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13): images (in tracking: videos) are drawn with replacement, as many as there are, the same ones for both
results, and scored again. Matching is done once; a sample only accumulates anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.coco import Floats, Ints
from bdd100k_models.evaluation.parts import Assessment
from bdd100k_models.evaluation.result import format_score
from bdd100k_models.progress import ProgressBar
from bdd100k_models.text_tables import align

#: Samples weighed at a time.
_CHUNK = 64


@dataclass(frozen=True)
class Difference:
    """One metric of two results.

    Attributes:
        metric: Its key in the summary.
        first: Score of the first result.
        second: Score of the second.
        low: Lower bound of the second minus the first; NaN where the metric is undefined in every sample.
        high: Upper bound likewise.
        samples: In how many samples the metric is defined for both.
    """

    metric: str
    first: float
    second: float
    low: float
    high: float
    samples: int

    @property
    def difference(self) -> float:
        """The second minus the first."""
        return self.second - self.first

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Two results.

    Attributes:
        task: The official name of the task.
        kind: What was drawn: ``images`` or ``videos``.
        units: How many there are.
        samples: How many samples were drawn.
        seed: Of the source of chance.
        confidence: Share of samples in the interval, from 0 to 1.
        differences: By metric, in the order of the summary.
        notes: What the user should know about the two, one sentence each.
    """

    task: str
    kind: str
    units: int
    samples: int
    seed: int
    confidence: float
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    def table(self) -> str:
        """Return a table: a row for each metric; a star marks intervals without 0."""
        share = f"{100 * self.confidence:g} %"
        head = ("metric", "A", "B", "B - A", f"{share} interval", "")
        lines = align([head, *(_row(one) for one in self.differences)], figures=1)
        rule = "-" * max(len(line) for line in lines)
        last = f"{self.samples} samples of {self.units} {self.kind} (seed {self.seed}); * the interval leaves out 0"
        return "\n".join([lines[0], rule, *lines[1:], rule, last]) + "\n"

    def content(self) -> dict[str, Any]:
        """Return everything as JSON; NaN where a number is undefined."""
        metrics = {
            one.metric: {
                "a": one.first,
                "b": one.second,
                "difference": one.difference,
                "interval": [one.low, one.high],
                "samples": one.samples,
            }
            for one in self.differences
        }
        return {
            "task": self.task,
            "units": self.kind,
            "number": self.units,
            "samples": self.samples,
            "seed": self.seed,
            "confidence": self.confidence,
            "metrics": metrics,
            "notes": list(self.notes),
        }


def _row(one: Difference) -> tuple[str, ...]:
    interval = "-" if np.isnan(one.low) else f"[{one.low:+.2f}, {one.high:+.2f}]"
    difference = "-" if np.isnan(one.difference) else f"{one.difference:+.2f}"
    scores = (format_score(value).strip() for value in (one.first, one.second))
    return (one.metric, *scores, difference, interval, "*" if one.clear else "")


def draw_samples(units: int, samples: int, seed: int) -> Iterator[Ints]:
    """Draw units with replacement.

    Args:
        units: How many there are, and how many each sample has.
        samples: How many samples.
        seed: Of the source of chance; the first samples are the same whatever their number.

    Yields:
        For each sample how often each unit is in it, int64 (units,).
    """
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        yield np.bincount(rng.integers(0, max(units, 1), units), minlength=units)


def compare(
    first: Assessment, second: Assessment, *, samples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Comparison:
    """Compare two results of the same ground truth.

    Args:
        first: What one result came to.
        second: What the other did.
        samples: How many samples to draw.
        seed: Of the source of chance.
        confidence: Share of samples in the interval, between 0 and 1.

    Returns:
        For every metric of the summary both scores, their difference and its interval. Where a metric is undefined or
        infinite in a sample, that sample does not count for it.

    Raises:
        InputError: A number is out of range, or the two are not of the same images and categories.
    """
    if samples < 1 or not 0 < confidence < 1:
        raise InputError(
            f"{samples} samples at a confidence of {confidence}: give 1 or more, and a share between 0 and 1"
        )
    if tuple(first.units.names) != tuple(second.units.names) or first.result.task != second.result.task:
        raise InputError("the two results are of different images or tasks; compare results of one ground truth")
    if first.categories != second.categories:
        raise InputError("the two results score different categories; compare results of one kind")
    units = len(first.units.names)
    sides = first.result.summary(), second.result.summary()
    metrics = [metric for metric in sides[0] if metric in sides[1]]
    drawn = _differences((first, second), metrics, samples, seed)
    tail = 50 * (1 - confidence)
    rows = []
    for place, metric in enumerate(metrics):
        values = drawn[:, place][np.isfinite(drawn[:, place])]
        low, high = np.percentile(values, [tail, 100 - tail]).tolist() if len(values) else (np.nan, np.nan)
        rows.append(Difference(metric, sides[0][metric], sides[1][metric], low, high, len(values)))
    notes = [f"{name}: {note}" for name, side in (("A", first), ("B", second)) for note in side.result.notes]
    return Comparison(first.result.task, first.units.kind, units, samples, seed, confidence, tuple(rows), tuple(notes))


def _differences(sides: tuple[Assessment, Assessment], metrics: Sequence[str], samples: int, seed: int) -> Floats:
    """Return the differences of all metrics in each sample, float64 (samples, metrics)."""
    rows: list[list[float]] = []
    draws = draw_samples(len(sides[0].units.names), samples, seed)
    # a thread for each result: NumPy lets the other run while it counts
    with ProgressBar(samples, "resampling", "samples") as bar, ThreadPoolExecutor(2) as pool:
        while chunk := list(islice(draws, _CHUNK)):
            weights = np.stack(chunk)
            scored = pool.map(lambda side: [one.summary() for one in side.parts.resample(weights)], sides)  # noqa: B023
            for scores, others in zip(*scored, strict=True):
                rows.append([others[metric] - scores[metric] for metric in metrics])
            bar.advance(len(chunk))
    return np.array(rows, np.float64).reshape(samples, len(metrics))
