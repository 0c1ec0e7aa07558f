"""Whether an exported file says what the model in PyTorch says, on real pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch

from bdd100k_models.datasets.loader import Batch, Preparation
from bdd100k_models.engine.model import inference_mode, predict
from bdd100k_models.errors import InputError
from bdd100k_models.inference.model import Model
from bdd100k_models.inference.pictures import take_picture
from bdd100k_models.inference.results import ClassMap, Detections, Instances, Panoptic, People, Result, Tags
from bdd100k_models.runtime.description import KEY, read_description
from bdd100k_models.runtime.pictures import ImageLike, Pixels, read_picture, resize
from bdd100k_models.runtime.runner import Runner, load

#: Largest differences that pass: pixels of boxes and joints, scores and probabilities, part of the pixels that are of
#: another class, object or segment.
LIMITS = {"boxes": 0.1, "joints": 0.1, "scores": 1e-3, "probabilities": 1e-3, "embeddings": 1e-3, "pixels": 1e-3}

#: Part of the objects that may be missing or new: two of nearly the same score or overlap can change places.
UNMATCHED_LIMIT = 0.02

#: Boxes and joints farther apart than this many pixels are not the same.
_SAME_PLACE = 1.0

_AT_ONCE = 2  # pictures: a batch of more shows nothing else, and costs memory

#: People are looked for here where nothing else is said: corners in parts of the picture's width and height.
_PERSON_BOXES = ((0.1, 0.2, 0.3, 0.9), (0.4, 0.4, 0.55, 0.8), (0.7, 0.1, 0.98, 0.97))


@dataclass(frozen=True)
class Agreement:
    """How far two results of the same pictures differ.

    Attributes:
        worst: The largest difference, by what was compared; see :data:`LIMITS`.
        objects: Objects or joints that were compared.
        unmatched: Those that only one side has, apart from such at the edge of what is kept.
        empty: Whether there was nothing to compare: no object, or pixels of one kind alone.
    """

    worst: dict[str, float]
    objects: int
    unmatched: int
    empty: bool = False

    @property
    def passed(self) -> bool:
        """Whether something was compared, and every difference is within its limit."""
        close = all(value <= LIMITS[name] for name, value in self.worst.items())
        return close and self.unmatched <= UNMATCHED_LIMIT * self.objects and not self.empty

    def __str__(self) -> str:
        """Say it in one line."""
        if self.empty:
            return "nothing is found in these pictures, so agreement says nothing; take others"
        parts = [f"{name} {value:.2g}" for name, value in self.worst.items()]
        if self.objects:
            parts.append(f"{self.objects - self.unmatched} of {self.objects} matched")
        return ", ".join(parts)


class ScriptSession:
    """A TorchScript file with the manners of ONNX Runtime's sessions."""

    def __init__(self, path: Path) -> None:
        extra = {KEY: ""}
        load_script: Any = torch.jit.load
        self._module = load_script(str(path), map_location="cpu", _extra_files=extra)
        text = extra[KEY]
        self.description = read_description(text.decode() if isinstance(text, bytes) else text, str(path))

    def get_inputs(self) -> list[Any]:
        """Return the one input there is."""
        return [mock.Mock()]

    def run(self, _: None, inputs: dict[Any, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Run the module on its one input."""
        (images,) = inputs.values()
        with torch.inference_mode():
            return [output.numpy() for output in self._module(torch.from_numpy(images))]


def load_exported(path: Path) -> Runner:
    """Load an exported file of either format.

    Raises:
        MissingFileError, CheckpointError: See :func:`bdd100k_models.runtime.load`.
    """
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"  # TorchScript is a ZIP file
    if not is_archive:
        return load(path)
    session = ScriptSession(path)
    return Runner(session, session.description)


def check_export(model: Model, runner: Runner, images: Sequence[ImageLike]) -> Agreement:
    """Compare an exported file with the model that it was made of.

    The pictures, scaled to the size that the graph is for, go through the graph two at a time, where it takes any
    number, and through the model one by one.

    Args:
        model: The model.
        runner: The exported file.
        images: The pictures.

    Raises:
        InputError: There are no pictures, or the file was made without what goes before and after the network.
        ImageError: A picture cannot be read.
    """
    if not images:
        raise InputError("there are no pictures to check with")
    pictures = (resize(read_picture(image), runner.description.image_size) for image in images)
    if model.task.videos:
        return _check_tracker(model, runner, pictures)
    parts: list[Agreement] = []
    while few := list(itertools.islice(pictures, _AT_ONCE)):
        options: dict[str, Any] = {}
        if model.task.name == "pose":
            options["boxes"] = [person_boxes((pixels.shape[0], pixels.shape[1])) for pixels in few]
        expected = model.predict(few, threshold=0.0, **options)
        found = runner.predict(few, threshold=0.0, batch_size=_AT_ONCE, **options)
        parts += (compare(one, other) for one, other in zip(expected, found, strict=True))
    return merge(parts)


def person_boxes(size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return where people are looked for in a picture of a height and width: corners in pixels, (n, 4)."""
    boxes: npt.NDArray[np.float64] = np.array(_PERSON_BOXES) * np.tile(size[::-1], 2)
    return boxes


def merge(parts: Sequence[Agreement]) -> Agreement:
    """Return the agreement over several pictures; what is no number in one is none in all."""
    names = dict.fromkeys(name for part in parts for name in part.worst)
    worst = {name: float(np.max([part.worst.get(name, 0.0) for part in parts])) for name in names}
    objects, unmatched = sum(part.objects for part in parts), sum(part.unmatched for part in parts)
    return Agreement(worst, objects, unmatched, all(part.empty for part in parts))


def compare(expected: Result, found: Result) -> Agreement:
    """Compare two results of one picture.

    Raises:
        TypeError: They are of kinds that cannot be compared.
    """
    if isinstance(expected, Tags) and isinstance(found, Tags):
        return Agreement({"probabilities": _largest(expected.scores - found.scores)}, 0, 0)
    if isinstance(expected, ClassMap) and isinstance(found, ClassMap):
        return _compare_maps(expected.classes, found.classes)
    if isinstance(expected, Panoptic) and isinstance(found, Panoptic):
        return _compare_maps(expected.segments, _counterparts(expected, found))
    if isinstance(expected, People) and isinstance(found, People):
        return _compare_people(expected, found)
    if isinstance(expected, Detections) and isinstance(found, Detections):
        agreement = compare_boxes(
            (expected.boxes, expected.scores, expected.classes), (found.boxes, found.scores, found.classes)
        )[0]
        if isinstance(expected, Instances) and isinstance(found, Instances):
            agreement.worst["pixels"] = _differing(expected.segments, _counterparts(expected, found))
        return agreement
    raise TypeError(f"a {type(expected).__name__} cannot be compared with a {type(found).__name__}")


Objects = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]


def compare_boxes(expected: Objects, found: Objects) -> tuple[Agreement, list[tuple[int, int]]]:
    """Match objects of one class by where they are, and compare them.

    Args:
        expected: Boxes (n, 4), scores (n,) and classes (n,).
        found: Likewise.

    Returns:
        The agreement, and the pairs of places that belong together.
    """
    pairs: list[tuple[int, int]] = []
    free = np.ones(len(found[1]), np.bool_)
    for place in np.argsort(-expected[1], kind="stable").tolist():
        candidates = np.flatnonzero(free & (found[2] == expected[2][place]))
        if not len(candidates):
            continue
        distances = np.abs(found[0][candidates] - expected[0][place]).max(axis=1)
        distances[np.isnan(distances)] = np.inf
        # several boxes can lie on one another: of those that are near, the one of the nearest score
        near = candidates[distances <= max(distances.min(), LIMITS["boxes"])]
        best = int(near[np.argmin(np.abs(found[1][near] - expected[1][place]))])
        if distances.min() <= _SAME_PLACE:
            pairs.append((place, best))
            free[best] = False
    left, right = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    # where the number is limited, those at the limit can change for others of the same score
    edge = min(float(scores.min(initial=np.inf if len(scores) else 0.0)) for scores in (expected[1], found[1]))
    # each side is judged by itself: what it has and the other lacks
    unmatched = max(
        sum(float(scores[place]) > edge + LIMITS["scores"] for place in range(len(scores)) if place not in matched)
        for scores, matched in ((expected[1], left), (found[1], right))
    )
    one, other = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    worst = {
        "boxes": _largest(expected[0][one] - found[0][other]),
        "scores": _largest(expected[1][one] - found[1][other]),
    }
    objects = max(len(expected[1]), len(found[1]))
    return Agreement(worst, objects, unmatched, objects == 0), pairs


def _compare_maps(expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> Agreement:
    """Compare two maps; that both are of the same one kind says nothing."""
    differing = _differing(expected, found)
    return Agreement({"pixels": differing}, 0, 0, not differing and bool((expected == expected.flat[0]).all()))


def _compare_people(expected: People, found: People) -> Agreement:
    pairs = []
    for place, joints in enumerate(expected.joints[:, :, :2]):
        if len(found):
            distances = np.abs(found.joints[:, :, :2] - joints).max(axis=(1, 2))
            pairs.append((place, int(distances.argmin())))
    one, other = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    difference = np.abs(expected.joints[one] - found.joints[other])
    # of two peaks of nearly the same height the other can be taken: such a joint has no counterpart
    stays = difference[:, :, :2].max(axis=2, initial=0) <= _SAME_PLACE
    scores = np.hstack([difference[:, :, 2].ravel(), expected.scores[one] - found.scores[other]])
    worst = {"joints": _largest(difference[stays][:, :2]), "scores": _largest(scores)}
    total = max(people.joints[:, :, 0].size for people in (expected, found))
    return Agreement(worst, total, total - int(np.count_nonzero(stays)), total == 0)


def _largest(difference: npt.NDArray[np.floating[Any]]) -> float:
    return float(np.abs(difference).max()) if difference.size else 0.0


def _differing(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    return float((one != other).mean())


def _counterparts(expected: Instances | Panoptic, found: Instances | Panoptic) -> npt.NDArray[np.int64]:
    """Return found segments under the numbers of their counterparts; others have numbers of their own.

    Two are counterparts if they are of the same class and their intersection is more than half of their union, so each
    has one at most.
    """
    shape = len(expected) + 1, len(found) + 1
    pairs = expected.segments.astype(np.int64) * shape[1] + found.segments
    shared = np.bincount(pairs.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    unions = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0) - shared
    same = (2 * shared > unions)[1:, 1:] & (expected.classes[:, None] == found.classes)
    numbers = np.arange(shape[1]) + len(expected)
    numbers[0] = 0
    theirs, ours = np.nonzero(same)
    numbers[ours + 1] = theirs + 1
    return numbers[found.segments]


def _check_tracker(model: Model, runner: Runner, images: Iterable[Pixels]) -> Agreement:
    """Compare what a tracker sees in each picture, before it follows it."""
    preparation = Preparation(model.config.test_dataloader.dataset.pipeline)
    parts = []
    track_head: Any = model.network.track_head
    for place, image in enumerate(images):
        picture = take_picture(image, video=f"video {place}", position=0)
        batch = Batch()
        preparation.add(batch, 0, picture.item(), picture.pixels)
        embeddings: list[torch.Tensor] = []
        embed = track_head.predict

        def record(*arguments: Any, embed: Any = embed, embeddings: list[torch.Tensor] = embeddings) -> torch.Tensor:
            embeddings.append(embed(*arguments))
            return embeddings[-1]

        with inference_mode(model.device, False), mock.patch.object(track_head, "predict", record):
            (sample,) = predict(model.network, batch.data)
        seen = sample["pred_instances"]
        expected = tuple(seen[name].numpy() for name in ("bboxes", "scores", "labels"))
        outputs = runner.run(np.repeat(picture.pixels[None, :, :, ::-1], runner.description.batch or 1, axis=0))
        valid = outputs["classes"][0] >= 0
        found = tuple(outputs[name][0][valid] for name in ("boxes", "scores", "classes"))
        agreement, pairs = compare_boxes(expected, found)
        own = embeddings[0].numpy() if embeddings else np.zeros((0, 1))
        differences = [own[one] - outputs["embeddings"][0][valid][other] for one, other in pairs]
        agreement.worst["embeddings"] = _largest(np.array(differences))
        parts.append(agreement)
    return merge(parts)
