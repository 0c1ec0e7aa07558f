"""Models that are called: from a name of the zoo to typed results."""

from __future__ import annotations

import copy
import itertools
import os
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import nn

from bdd100k_models.datasets.loader import Batch, Preparation
from bdd100k_models.datasets.person_boxes import PersonBox, as_regions, boxes_of_frames
from bdd100k_models.engine.distributed import choose_device
from bdd100k_models.engine.fit import check_categories
from bdd100k_models.engine.model import inference_mode, predict_in_parts, prepare_model, ran_out_of_memory
from bdd100k_models.engine.shards import Problem
from bdd100k_models.engine.test import REGIONS_AT_ONCE, format_of
from bdd100k_models.engine.weights import find_weights
from bdd100k_models.errors import ImageError, InputError, OutOfMemoryError, first_line
from bdd100k_models.inference.convert import check_classes, class_indices, select, to_result
from bdd100k_models.inference.find import find_config
from bdd100k_models.inference.names import DEFAULT_DETECTOR, THRESHOLD, TRACKED
from bdd100k_models.inference.pictures import Picture, take_picture
from bdd100k_models.inference.results import Result
from bdd100k_models.runtime.people import scored_boxes
from bdd100k_models.runtime.pictures import ImageLike, name_of
from bdd100k_models.tasks import TASKS, Task, get_task

if TYPE_CHECKING:
    from mmengine.config import Config

#: Boxes of people in one image: exclusive corners in pixels (n, 4), or with a score (n, 5).
Boxes: TypeAlias = "npt.ArrayLike"

# libraries of different tasks take turns in mmengine's default scope while models are built
_building = threading.Lock()


def load_model(
    name_or_config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    half: bool = False,
    detector: str | Model | None = None,
    tracker: str | None = None,
) -> Model:
    """Load a model of the zoo, or of a config.

    Args:
        name_or_config: A model's name, or the path of a config.
        checkpoint: Weights: a file or URL; by default those that the config names, fetched from the zoo if needed.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; by default the GPU where there is one.
        half: Run in reduced precision: bfloat16 on the CPU, float16 on a GPU.
        detector: For pose models: what finds the people, a model or the name of one. By default
            :data:`DEFAULT_DETECTOR`, loaded when it is first needed.
        tracker: ``bytetrack`` or ``ocsort``: follow what a model of det or ins_seg finds by how it moves.

    Raises:
        InputError: There is no such model, device or tracker; the message offers the nearest names.
        MissingFileError: The config or checkpoint is not there.
        ConfigError, CheckpointError: The model cannot be built or filled.
        DownloadError: Nobody could deliver the weights.
    """
    from bdd100k_models.engine.config import load_config

    task, path = find_config(name_or_config)
    config = load_config(path)
    place = choose_device(device)
    weights = find_weights(None if checkpoint is None else os.fspath(checkpoint), config)
    with _building:
        network = prepare_model(config, weights, place, channels_last=half)
        check_categories(network, task)
        preparation = Preparation(config.test_dataloader.dataset.pipeline)
        if tracker is not None:
            network, task = _with_tracker(network, task, tracker)
    finder = detector if isinstance(detector, Model) else _LateModel(detector or DEFAULT_DETECTOR, device, half)
    return Model(path.stem, task, config, network.eval(), preparation, device=place, half=half, detector=finder)


def _with_tracker(network: nn.Module, task: Task, tracker: str) -> tuple[nn.Module, Task]:
    from bdd100k_models.engine.motion import MotionTracking

    if task.name not in TRACKED:
        raise InputError(f"a tracker follows what models of det and ins_seg find; this one is of {task.name}")
    if task.categories != TASKS[task.name].categories:
        raise InputError("a tracker follows objects of the data set's categories, and this model has its own")
    return MotionTracking(network, tracker), get_task(TRACKED[task.name])


class _LateModel:
    """A model that is loaded when it is first asked for."""

    def __init__(self, name: str, device: str | None, half: bool) -> None:
        self.name, self._device, self._half = name, device, half
        self._lock = threading.Lock()
        self._model: Model | None = None

    def get(self) -> Model:
        with self._lock:
            if self._model is None:
                self._model = load_model(self.name, device=self._device, half=self._half)
            return self._model


class Model:
    """A model ready to be called, from any number of threads: forward passes take turns.

    Made by :func:`load_model`.

    Attributes:
        name: The stem of its config.
        task: What it does.
        config: Its config.
        network: The module.
        device: Where it runs.
    """

    def __init__(
        self,
        name: str,
        task: Task,
        config: Config,
        network: nn.Module,
        preparation: Preparation,
        *,
        device: Any,
        half: bool = False,
        detector: Model | _LateModel | None = None,
    ) -> None:
        self.name, self.task, self.config, self.network, self.device = name, task, config, network, device
        self.format = format_of(task, config)
        self._preparation, self._half, self._detector = preparation, half, detector
        self._running = threading.Lock()

    @property
    def finds_people(self) -> bool:
        """Whether it is a model of det, also one whose objects a tracker follows."""
        if self.task.name != TRACKED["det"]:
            return self.task.name == "det"
        from bdd100k_models.engine.motion import MotionTracking

        return isinstance(self.network, MotionTracking)

    @property
    def detector(self) -> Model:
        """What finds the people for a pose model; loaded when first asked for.

        Raises:
            InputError: The model is none of pose, or the detector none of det.
        """
        if self.task.name != "pose" or self._detector is None:
            raise InputError(f"{self.name}: only pose models have a detector; this one is of {self.task.name}")
        found = self._detector.get() if isinstance(self._detector, _LateModel) else self._detector
        if found.task.name != "det":
            raise InputError(f"{found.name}: is of {found.task.name}; people are found by models of det")
        return found

    def predict(
        self,
        images: ImageLike | Picture | Sequence[ImageLike | Picture],
        *,
        threshold: float = THRESHOLD,
        classes: Sequence[str] | None = None,
        boxes: Sequence[Boxes] | None = None,
        batch_size: int = 1,
    ) -> list[Result]:
        """Predict on images; for a tracker, they are the frames of one video in their order.

        Args:
            images: Files, arrays uint8 (height, width, 3) in the order red, green, blue, pictures of Pillow, or frames
                of a video; one or several, of any sizes.
            threshold: Least score of objects and tracks that are kept, and of the boxes of people that are looked
                at, 0 to 1.
            classes: Names of the categories to keep; all by default.
            boxes: For pose models: the boxes of the people of each image, exclusive corners in pixels (n, 4), or with
                scores (n, 5). By default the detector finds them. What cannot be used is left out with a warning.
            batch_size: Images a forward pass.

        Returns:
            One result an image, in their order; see :mod:`bdd100k_models.inference.results`.

        Raises:
            ImageError: An image cannot be read.
            InputError: A category or an option is none of the model's.
            OutOfMemoryError: So many images, or one so large, do not fit into memory.
        """
        if isinstance(images, (str, os.PathLike, np.ndarray, Image.Image, Picture)):
            images = [images]
        if boxes is not None and len(boxes) != len(images):
            raise InputError(f"boxes of {len(boxes)} images were given for {len(images)}; give one array an image")
        options: dict[str, Any] = {"threshold": threshold, "classes": classes, "batch_size": batch_size}
        return list(self.stream(images, boxes=boxes, **options))

    def stream(
        self,
        images: Iterable[ImageLike | Picture],
        *,
        threshold: float = THRESHOLD,
        classes: Sequence[str] | None = None,
        boxes: Iterable[Boxes] | None = None,
        batch_size: int = 1,
    ) -> Iterator[Result]:
        """Predict on images one after the other, of any number; the memory does not grow with it.

        See :meth:`predict` for the arguments and what is raised; results come as they are ready, and images and boxes
        are taken as they are needed.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, not {batch_size}")
        if boxes is not None and self.task.name != "pose":
            raise InputError(f"{self.name}: boxes are for pose models; leave them out for {self.task.name}")
        if classes is not None:
            check_classes(classes, [self.task])
        wanted = None if classes is None else class_indices(classes, self.task)
        session = self.session()
        pictures, people = self._number(images), None if boxes is None else iter(boxes)
        while batch := list(itertools.islice(pictures, batch_size)):
            given = None if people is None else [_next_people(people, picture) for picture in batch]
            records = session.encode(batch, given, threshold)
            for remark in session.take_remarks():
                warnings.warn(f"{remark.name}: {remark.message}", stacklevel=2)
            for picture, record in zip(batch, records, strict=True):
                yield self.result(picture, select(record, self.task, threshold, wanted))

    def _number(self, images: Iterable[ImageLike | Picture]) -> Iterator[Picture]:
        for place, image in enumerate(images):
            video = ("video", place) if self.task.videos else (None, None)
            yield take_picture(image, name_of(image, place), *video)

    def result(self, picture: Picture, record: Any) -> Result:
        """Return the typed result of what :meth:`Session.encode` made of a picture."""
        return to_result(record, self.task, picture.name, picture.size, picture.video, picture.position)

    def session(self) -> Session:
        """Return what predicts on successive pictures; a tracker's sessions follow one video each at a time."""
        return Session(self, _own_tracker(self.network) if self.task.videos else self.network)

    def run(
        self,
        network: nn.Module,
        pictures: Sequence[Picture],
        people: Sequence[Sequence[PersonBox]] | None,
        remarks: list[Problem],
    ) -> list[Any]:
        """Run a network of this model on pictures, and add what is unusual; see :meth:`Session.encode`."""
        batch = Batch()
        for index, picture in enumerate(pictures):
            regions = None
            if people is not None:
                regions = as_regions({"": people[index]}).get("", [])
            try:
                self._preparation.add(batch, index, picture.item(), picture.pixels, regions=regions)
            except ImageError as error:
                raise ImageError(f"{picture.name}: {error}") from None
        size = REGIONS_AT_ONCE if people is not None else len(pictures)
        try:
            with self._running, inference_mode(self.device, self._half):
                samples = predict_in_parts(network, batch.data, size, self._half)
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            raise _explain(error, self.name, pictures) from error
        owned: list[list[Any]] = [[] for _ in pictures]
        for owner, sample in zip(batch.owners, samples, strict=True):
            owned[owner].append(sample)
        remarks += batch.remarks.values()
        return [self.format.encode(samples) for samples in owned]


class Session:
    """Predicts on successive pictures with one model; made by :meth:`Model.session`."""

    def __init__(self, model: Model, network: nn.Module) -> None:
        self.model, self._network = model, network
        self._finder: Session | None = None
        self._remarks: list[Problem] = []

    def encode(
        self,
        pictures: Sequence[Picture],
        people: Sequence[Sequence[PersonBox]] | None = None,
        threshold: float = THRESHOLD,
    ) -> list[Any]:
        """Predict on pictures together.

        Args:
            pictures: The pictures; for a tracker, the next frames of a video, or the first of another.
            people: For pose models: the people of each picture. By default the model's detector finds them.
            threshold: For pose models: least score of the boxes of people.

        Returns:
            What the task's result format encodes, one record a picture; of objects and tracks everything, however
            unsure.

        Raises:
            ImageError: The network cannot take one of the pictures.
            OutOfMemoryError: There is not enough memory for all of them.
        """
        if self.model.task.name == "pose":
            found = self._find_people(pictures, threshold) if people is None else people
            people = [[box for box in boxes if box.score >= threshold] for boxes in found]
        if not self.model.task.videos:
            return self.model.run(self._network, pictures, people, self._remarks)
        # one after the other, in their order
        return [self.model.run(self._network, [picture], None, self._remarks)[0] for picture in pictures]

    def take_remarks(self) -> list[Problem]:
        """Return what was unusual since the last call, such as boxes of people that cannot be used."""
        remarks, self._remarks = self._remarks, []
        return remarks

    def _find_people(self, pictures: Sequence[Picture], threshold: float) -> list[list[PersonBox]]:
        if self._finder is None:
            self._finder = self.model.detector.session()
        return people_of(self._finder.model, pictures, self._finder.encode(pictures), threshold)


def people_of(
    detector: Model, pictures: Sequence[Picture], records: Sequence[Any], threshold: float
) -> list[list[PersonBox]]:
    """Return the people that a detector found in each picture, those of a score of at least ``threshold``."""
    kept = (select(record, detector.task, threshold, None) for record in records)
    frames = [detector.result(picture, record).frame() for picture, record in zip(pictures, kept, strict=True)]
    return [boxes_of_frames([frame])[frame.name] for frame in frames]


def _next_people(boxes: Iterator[Boxes], picture: Picture) -> list[PersonBox]:
    for given in boxes:
        return list(_person_boxes(given))
    raise InputError(f"{picture.name}: no boxes were given for it; give one array an image")


def _person_boxes(boxes: Boxes) -> Iterator[PersonBox]:
    for x1, y1, x2, y2, score in scored_boxes(boxes).tolist():
        yield PersonBox(x1, y1, x2, y2, score)


def _own_tracker(network: nn.Module) -> nn.Module:
    """Return a network of the same weights that remembers its own video."""
    own = copy.copy(network)
    own.__dict__["_modules"] = dict(network._modules)
    own.tracker = copy.deepcopy(network.tracker)
    return own


def _explain(error: Exception, model: str, pictures: Sequence[Picture]) -> Exception:
    """Return what to raise for an error in a network: of memory, or which pictures it could not take."""
    reason = first_line(error, 160)
    sizes = ", ".join(f"{picture.name} ({picture.size[1]}x{picture.size[0]})" for picture in pictures[:3])
    if ran_out_of_memory(error):
        many = len(pictures) > 1
        what = f"{len(pictures)} pictures at once" if many else "such a picture"
        advice = "take fewer" if many else "scale it down"
        return OutOfMemoryError(f"{sizes}: {model} has not enough memory for {what} ({reason}); {advice}")
    return ImageError(f"{sizes}: {model} cannot take such a picture ({reason})")
