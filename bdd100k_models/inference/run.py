"""Predicting on everything that was named, with several models at once, in memory that does not grow."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bdd100k_models.datasets.person_boxes import PersonBox, PersonBoxes
from bdd100k_models.engine.shards import Problem
from bdd100k_models.errors import ImageError, OutOfMemoryError
from bdd100k_models.inference.ahead import read_ahead
from bdd100k_models.inference.convert import class_indices, select
from bdd100k_models.inference.model import Model, Session, people_of
from bdd100k_models.inference.names import THRESHOLD
from bdd100k_models.inference.pictures import Picture
from bdd100k_models.inference.results import Result
from bdd100k_models.inference.sources import Source
from bdd100k_models.inference.writers import KINDS, Prediction, Writers
from bdd100k_models.progress import ProgressBar


@dataclass(frozen=True)
class PredictOptions:
    """How to run.

    Attributes:
        out_dir: Where everything goes.
        threshold: Least score of objects and tracks that are kept, and of boxes of people that are looked at.
        classes: Names of the categories that are kept; None for all. Models that know none of them keep all.
        batch_size: Pictures a forward pass.
        kinds: What is written.
        boxes: For pose models: the people of each picture by its name; by default a detector finds them.
        own_detector: Whether pose models have a detector of their own, whatever other models there are.
    """

    out_dir: Path
    threshold: float = THRESHOLD
    classes: Sequence[str] | None = None
    batch_size: int = 1
    kinds: Sequence[str] = KINDS
    boxes: PersonBoxes | None = None
    own_detector: bool = False


@dataclass
class PredictReport:
    """What a run came to.

    Attributes:
        pictures: How many pictures were predicted on.
        found: How many objects, people, segments or tags each model found.
        problems: Pictures that could not be used, or were unusual.
        seconds: How long it took, without loading models.
        interrupted: Whether it was ended early; what was written is whole all the same.
    """

    found: dict[str, int]
    pictures: int = 0
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False


def run_predict(models: Sequence[Model], sources: Sequence[Source], options: PredictOptions) -> PredictReport:
    """Predict on every picture of every source with every model, and write what they say.

    Args:
        models: The models; a pose model takes the people that the first detection model among them finds, also one with
            a tracker.
        sources: Where the pictures come from; they are read ahead, never kept.
        options: How.

    Raises:
        OutputError: The results cannot be written.
        ImageError: A video breaks before its first frame, or not one picture could be used.
    """
    report = PredictReport({model.name: 0 for model in models})
    run = _Run(models, options, report)
    started = time.monotonic()
    try:
        with Writers(options.out_dir, models, options.kinds, options.threshold) as writers:
            try:
                for source in sources:
                    _predict_source(run, source, writers)
            except KeyboardInterrupt:
                report.interrupted = True
            if not report.pictures and report.problems and not report.interrupted:
                raise ImageError(f"{report.problems[0].name}: {report.problems[0].message}")
    except KeyboardInterrupt:  # it came while files were finished, which it waited for
        report.interrupted = True
    report.seconds = time.monotonic() - started
    return report


def _predict_source(run: _Run, source: Source, writers: Writers) -> None:
    writers.begin(source)
    with ProgressBar(source.count or 1, source.name, visible=source.count is not None) as bar:
        try:
            for batch in _batches(source, run.options.batch_size, run.report):
                for picture, predictions in run.predict(batch):
                    writers.add(picture, predictions)
                bar.advance(len(batch))
        except ImageError as error:  # a video that breaks must not cost the others
            run.report.problems.append(Problem(name=source.name, message=str(error).rpartition(": ")[2]))


def _batches(source: Source, size: int, report: PredictReport) -> Iterator[list[Picture]]:
    pictures = _readable(read_ahead(source, 2 * size), report)
    while batch := list(itertools.islice(pictures, size)):
        yield batch


def _readable(items: Iterator[Picture | Problem], report: PredictReport) -> Iterator[Picture]:
    for item in items:
        if isinstance(item, Problem):
            report.problems.append(item)
            continue
        if item.remark is not None:
            report.problems.append(Problem(name=item.name, message=item.remark, predicted=True))
        yield item


class _Run:
    """Predicts with several models on the same pictures."""

    def __init__(self, models: Sequence[Model], options: PredictOptions, report: PredictReport) -> None:
        self.options, self.report = options, report
        self.sessions = [model.session() for model in models]
        self.wanted = [
            None if options.classes is None else class_indices(options.classes, model.task) for model in models
        ]
        finders = [] if options.own_detector else [model for model in models if model.finds_people]
        self.finder = finders[0] if finders else None

    def predict(self, batch: Sequence[Picture]) -> Iterator[tuple[Picture, Mapping[str, Prediction]]]:
        """Yield each picture of a batch with what the models say of it."""
        by_picture: list[dict[str, Prediction]] = [{} for _ in batch]
        people = self._given_people(batch)
        # detectors first: pose models need what they find
        order = sorted(range(len(self.sessions)), key=lambda place: self.sessions[place].model is not self.finder)
        for place in order:
            session = self.sessions[place]
            records = self._encode(session, batch, people if session.model.task.name == "pose" else None)
            if session.model is self.finder and people is None:
                people = people_of(session.model, batch, records, self.options.threshold)
            for index, (picture, record) in enumerate(zip(batch, records, strict=True)):
                kept = select(record, session.model.task, self.options.threshold, self.wanted[place])
                by_picture[index][session.model.name] = Prediction(kept, session.model.result(picture, kept))
        for picture, predictions in zip(batch, by_picture, strict=True):
            self.report.pictures += 1
            for name, prediction in predictions.items():
                self.report.found[name] += _count(prediction.result)
            yield picture, predictions

    def _given_people(self, batch: Sequence[Picture]) -> list[list[PersonBox]] | None:
        if self.options.boxes is None:
            return None
        return [list(self.options.boxes.get(picture.name, ())) for picture in batch]

    def _encode(
        self, session: Session, batch: Sequence[Picture], people: Sequence[Sequence[PersonBox]] | None
    ) -> list[Any]:
        """Return a record a picture; where a model cannot take one, or has no memory for it, that one is empty."""
        if session.model.task.videos and len(batch) > 1:
            # one at a time: a tracker must not see a frame again
            return [self._encode(session, [picture], None)[0] for picture in batch]
        try:
            records = session.encode(batch, people, self.options.threshold)
        except (ImageError, OutOfMemoryError) as error:
            refused = str(error)  # not the error itself, which holds on to what the network had in memory
        else:
            self.report.problems += session.take_remarks()
            return records
        if len(batch) > 1:
            parts = [None] * len(batch) if people is None else [[members] for members in people]
            return [self._encode(session, [picture], part)[0] for picture, part in zip(batch, parts, strict=True)]
        self.report.problems.append(Problem(name=batch[0].name, message=refused.partition(": ")[2]))
        return [session.model.format.empty(batch[0].size)]


def _count(result: Result) -> int:
    if hasattr(result, "__len__"):
        return len(result)
    return len(result.frame().labels or ()) or int(getattr(result, "value", None) is not None)
