"""Exported models, run by ONNX Runtime."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import CheckpointError, InputError, MissingFileError, first_line
from bdd100k_models.inference.names import THRESHOLD
from bdd100k_models.inference.results import ClassMap, Detections, Instances, Panoptic, People, Result, Tags
from bdd100k_models.runtime import people, segments
from bdd100k_models.runtime.description import KEY, Description, read_description
from bdd100k_models.runtime.pictures import ImageLike, Pixels, cover, fit, name_of, read_picture, take_region
from bdd100k_models.tasks import JOINTS, THINGS

Outputs = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture on its way through a graph.

    Attributes:
        name: Its name.
        pixels: uint8 (height, width, 3), red-green-blue.
        inner: Height and width that it takes in the graph's input.
    """

    name: str
    pixels: Pixels
    inner: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """What takes x and y of the graph's input to the picture's."""
        return np.array([self.size[1] / self.inner[1], self.size[0] / self.inner[0]])


class Runner:
    """An exported model ready to be called; from several threads too.

    Made by :func:`load`.

    Attributes:
        description: What the file says of itself.
        session: That of ONNX Runtime.
    """

    def __init__(self, session: Any, description: Description) -> None:
        self.session, self.description = session, description
        self._input = session.get_inputs()[0].name

    @property
    def name(self) -> str:
        """The model's name."""
        return self.description.name

    def run(self, images: npt.NDArray[Any]) -> Outputs:
        """Run the graph alone.

        Args:
            images: As :meth:`~bdd100k_models.runtime.description.Description.input_form` says.

        Returns:
            Its outputs by name.
        """
        return dict(zip(self.description.outputs, self.session.run(None, {self._input: images}), strict=True))

    def predict(
        self,
        images: ImageLike | Sequence[ImageLike],
        *,
        threshold: float = THRESHOLD,
        boxes: Sequence[npt.ArrayLike] | None = None,
        batch_size: int = 1,
    ) -> list[Result]:
        """Predict on pictures.

        Pictures of the size that the graph is for give what the model in PyTorch gives, and so do people in pictures of
        any size. Others are scaled to that size first, which comes near: with other proportions they are padded (for
        tags: cut), and maps of classes and of stuff, decided at that size, are enlarged by the nearest pixel.

        Args:
            images: Files, arrays uint8 (height, width, 3) in RGB order, or pictures of Pillow; one or several.
            threshold: Least score of objects that are kept, and of boxes of people that are looked at, 0 to 1.
            boxes: For pose models: the boxes of the people of each image, exclusive corners in pixels (n, 4), or with
                scores (n, 5).
            batch_size: Pictures, or people, a run; graphs of one image at a time take 1.

        Returns:
            One result an image, in their order. Trackers give the objects of each frame; see :meth:`run` for their
            embeddings.

        Raises:
            ImageError: An image cannot be read.
            InputError: An option does not fit the model.

        Boxes of people that cannot be used are left out with a warning.
        """
        if isinstance(images, (str, os.PathLike, np.ndarray)) or not isinstance(images, Sequence):
            images = [images]
        if not (self.description.pre and self.description.post):
            raise InputError(
                f"{self.name}: was exported without what goes before or after it; call run, or export anew"
            )
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, not {batch_size}")
        if self.description.task == "pose":
            if boxes is None or len(boxes) != len(images):
                raise InputError(f"{self.name}: a pose model needs the boxes of the people of each image")
            return [
                self._people(frame, given, threshold, batch_size)
                for frame, given in zip(self._frames(images), boxes, strict=True)
            ]
        if boxes is not None:
            raise InputError(f"{self.name}: boxes are for pose models; leave them out")
        return list(self._predict(self._frames(images), threshold, self.description.batch or batch_size))

    def _frames(self, images: Iterable[ImageLike]) -> Iterator[Frame]:
        for place, image in enumerate(images):
            yield Frame(name_of(image, place), read_picture(image), self.description.image_size)

    def _predict(self, frames: Iterator[Frame], threshold: float, batch_size: int) -> Iterator[Result]:
        convert = _CONVERT[self.description.task]
        while batch := list(itertools.islice(frames, batch_size)):
            prepared = [self._prepare(frame) for frame in batch]
            pictures = np.stack([pixels for pixels, _ in prepared])
            outputs = self.run(self._filled(pictures))
            for place, (_, frame) in enumerate(prepared):
                own = {name: values[place] for name, values in outputs.items()}
                yield convert(self.description, frame, own, threshold)

    def _filled(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Repeat the last image until there are as many as the graph takes."""
        missing = (self.description.batch or 0) - len(images)
        return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing > 0 else images

    def _prepare(self, frame: Frame) -> tuple[Pixels, Frame]:
        size = self.description.image_size
        if self.description.task == "tagging":
            return cover(frame.pixels, size), frame
        mean = self.description.mean if self.description.channel_order == "rgb" else self.description.mean[::-1]
        red, green, blue = (round(value) for value in mean)
        pixels, inner = fit(frame.pixels, size, (red, green, blue))
        return pixels, Frame(frame.name, frame.pixels, inner)

    def _people(self, frame: Frame, given: npt.ArrayLike, threshold: float, batch_size: int) -> People:
        boxes = people.scored_boxes(given)
        boxes = _usable(boxes[boxes[:, 4] >= threshold], frame)
        options, size = self.description.options, self.description.input_size
        regions = [people.region_of(box, options["padding"], size) for box in boxes]
        joints = np.zeros((len(boxes), len(JOINTS), 3))
        count = self.description.batch or batch_size
        for start in range(0, len(regions), count):
            part = regions[start : start + count]
            crops = np.stack([take_region(frame.pixels, *region, size, options["udp"]) for region in part])
            joints[start : start + len(part)] = self.run(self._filled(crops))["joints"][: len(part)]
        return _people_of(self.description, frame, boxes, regions, joints)


def _usable(boxes: npt.NDArray[np.float64], frame: Frame) -> npt.NDArray[np.float64]:
    """Return the boxes that are finite, have an area and a pixel of the picture, and warn of the others."""
    problems = [people.box_problem(box, frame.size) for box in boxes.tolist()]
    for problem in filter(None, problems):
        warnings.warn(f"{frame.name}: {problem}, left out", stacklevel=4)
    return boxes[np.array([problem is None for problem in problems], np.bool_)]


def _people_of(
    description: Description,
    frame: Frame,
    boxes: npt.NDArray[np.float64],
    regions: Sequence[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
    joints: npt.NDArray[np.float64],
) -> People:
    height, width = description.input_size
    options = description.options
    areas = np.array([extent.prod() for _, extent in regions])
    for place, (centre, extent) in enumerate(regions):
        joints[place, :, :2] = joints[place, :, :2] / (width, height) * extent + centre - extent * 0.5
    confidences, sure = joints[:, :, 2].astype(np.float32), boxes[:, 4].astype(np.float32)
    rows = zip(confidences, sure, strict=True)
    scores = np.array([people.person_score(own, box, options["visible"]) for own, box in rows], np.float64)
    sigmas = np.array(options["sigmas"])
    kept = people.distinct(joints[:, :, :2], areas, scores, sigmas, options["similarity"])
    return People(
        name=frame.name,
        size=frame.size,
        joint_names=JOINTS,
        joints=joints[kept],
        scores=scores[kept],
        areas=areas[kept],
    )


def _objects(description: Description, frame: Frame, outputs: Outputs, threshold: float) -> dict[str, Any]:
    """Return what results of objects have in common, which of the outputs they are, and how far their masks reach."""
    scores = outputs["scores"].astype(np.float64)
    places = np.flatnonzero((outputs["classes"] >= 0) & (scores >= threshold))
    places = places[np.argsort(outputs["classes"][places], kind="stable")]
    boxes = outputs["boxes"][places].astype(np.float64)
    if frame.inner != frame.size:
        boxes *= np.tile(frame.scale, 2)
    # where the picture ends and the graph's input does not, a mask goes on
    reach = boxes.astype(np.float32)
    if frame.inner != frame.size:
        boxes = boxes.clip(0, np.tile(frame.size[::-1], 2))
    return {
        "places": places,
        "reach": reach,
        "values": {
            "name": frame.name,
            "size": frame.size,
            "categories": description.categories,
            "boxes": boxes,
            "scores": scores[places],
            "classes": outputs["classes"][places].astype(np.int64),
        },
    }


def _detections(description: Description, frame: Frame, outputs: Outputs, threshold: float) -> Result:
    return Detections(**_objects(description, frame, outputs, threshold)["values"])


def _instances(description: Description, frame: Frame, outputs: Outputs, threshold: float) -> Result:
    found = _objects(description, frame, outputs, threshold)
    values = found["values"]
    masks, least = outputs["masks"][found["places"]], description.options["mask_threshold"]
    return Instances(
        **values, segments=segments.paint_masks(masks, found["reach"], values["scores"], frame.size, least)
    )


def _class_map(description: Description, frame: Frame, outputs: Outputs, threshold: float) -> Result:
    classes = _to_picture(outputs["classes"], frame)
    return ClassMap(name=frame.name, size=frame.size, categories=description.categories, classes=classes)


def _to_picture(values: npt.NDArray[Any], frame: Frame) -> npt.NDArray[Any]:
    """Return a map of the graph's input at the size of the picture, taking the nearest value."""
    if frame.inner == frame.size:
        return values
    rows = ((np.arange(frame.size[0]) + 0.5) / frame.scale[1]).astype(np.int64).clip(0, frame.inner[0] - 1)
    columns = ((np.arange(frame.size[1]) + 0.5) / frame.scale[0]).astype(np.int64).clip(0, frame.inner[1] - 1)
    result: npt.NDArray[Any] = values[rows][:, columns]
    return result


def _panoptic(description: Description, frame: Frame, outputs: Outputs, threshold: float) -> Result:
    """Return segments; like the model's own, they do not depend on a threshold of scores."""
    count = len(description.categories)
    found = np.flatnonzero(outputs["classes"] >= 0)
    boxes = outputs["boxes"][found] * np.tile(frame.scale, 2).astype(np.float32)
    numbers = segments.fuse(
        outputs["masks"][found],
        boxes,
        outputs["scores"][found],
        outputs["classes"][found],
        _to_picture(outputs["background"], frame),
        things=len(THINGS),
        void=count,
        **description.options,
    )
    listed, places = np.unique(numbers, return_inverse=True)
    known = listed % segments.OFFSET != count
    order = np.where(known, np.cumsum(known), 0).astype(np.int32)
    # the model counts things first, the data set stuff first
    classes = (listed[known] % segments.OFFSET - len(THINGS)) % count
    return Panoptic(
        name=frame.name,
        size=frame.size,
        categories=description.categories,
        first_thing=count - len(THINGS),
        segments=order[places].reshape(frame.size),
        classes=classes.astype(np.int64),
        ids=listed[known].astype(np.int64),
    )


def _tags(description: Description, frame: Frame, outputs: Outputs, threshold: float) -> Result:
    scores = outputs["probabilities"].astype(np.float64)
    tag = str(description.options["tag"])
    return Tags(name=frame.name, size=frame.size, tag=tag, values=description.categories, scores=scores)


_CONVERT: Mapping[str, Callable[[Description, Frame, Outputs, float], Result]] = {
    "det": _detections,
    "ins_seg": _instances,
    "sem_seg": _class_map,
    "drivable": _class_map,
    "pan_seg": _panoptic,
    "tagging": _tags,
    "mot": _detections,
}


def load(path: str | os.PathLike[str], *, threads: int | None = None, providers: Sequence[str] | None = None) -> Runner:
    """Load an exported model.

    Args:
        path: An ONNX file that ``bdd100k-models export`` made.
        threads: Threads of the CPU; by default one a core.
        providers: Where ONNX Runtime computes; by default the CPU.

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: It is no export of this zoo, or damaged.
        InputError: onnxruntime is not installed.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        raise InputError("onnxruntime is not installed; pip install onnxruntime") from None
    file = Path(path)
    if not file.is_file():
        raise MissingFileError(f"{file}: no such file; make it with `bdd100k-models export NAME`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    try:
        session = onnxruntime.InferenceSession(
            str(file), options, providers=list(providers or ["CPUExecutionProvider"])
        )
    except Exception as error:  # its own exceptions have no common root
        reason = first_line(error, 160)
        raise CheckpointError(f"{file}: cannot be loaded ({reason}); export the model again") from None
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    return Runner(session, read_description(text, str(file)))
