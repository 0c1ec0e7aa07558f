"""Where the people are whose pose is asked for: boxes from files, from labels and from detectors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec

from bdd100k_models.datasets.categories import canonical_category, is_ignored
from bdd100k_models.datasets.joints import FLIP_INDICES
from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.formats.coco import is_coco_file, load_any_frames
from bdd100k_models.formats.folders import files_in
from bdd100k_models.formats.graphs import VISIBILITY
from bdd100k_models.formats.scalabel import Frame, Label
from bdd100k_models.paths import exists, is_file
from bdd100k_models.tasks import IMAGE_SIZE

_PERSON_ID = 1  # of lists of detections: other categories are left out, as the original did
_NAME_IDS = "give each entry its file_name, or to `test` the COCO JSON with the ids (--box-images FILE)"


class PersonBox(NamedTuple):
    """A box in pixels, ``x2`` and ``y2`` exclusive, and its confidence."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float


#: The boxes of people, by the name of their image.
PersonBoxes: TypeAlias = Mapping[str, Sequence[PersonBox]]


class _Detection(msgspec.Struct):
    image_id: int | str
    bbox: list[float]
    score: float
    category_id: int = _PERSON_ID
    file_name: str | None = None


class _CocoImage(msgspec.Struct):
    id: int | str
    file_name: str


class _CocoImages(msgspec.Struct):
    images: list[_CocoImage]


def read_person_boxes(path: Path, names: Sequence[str], names_file: Path | None = None) -> dict[str, list[PersonBox]]:
    """Read the boxes of people from a file.

    Args:
        path: A list of detections (``image_id``, ``bbox`` as left, top, width and height, ``score``, and maybe
            ``category_id`` and ``file_name``), Scalabel JSON, or COCO JSON.
        names: The images, in order; empty where they are not known before they are read, as those of videos.
        names_file: COCO or Scalabel JSON that says which image an ``image_id`` is. By default the ids are those of
            COCO JSON beside ``path``, or count the images from 1 if there is one for each.

    Returns:
        The boxes of each image, by its name, in the file's order.

    Raises:
        MissingFileError: A file is not there.
        LabelError: A file breaks its format, or is about other images.
    """
    if not exists(path):
        raise MissingFileError(f"{path}: no such file of person boxes (--boxes)")
    if is_file(path) and _is_detection_list(path):
        boxes = _boxes_of_detections(path, names, names_file)
    else:
        boxes = boxes_of_frames(load_any_frames(path))
    if boxes and names and not boxes.keys() & set(names):
        raise LabelError(
            f"{path}: names none of the images ({names[0]}, ...), but {next(iter(boxes))}, ...; give the boxes of these"
        )
    return boxes


def boxes_of_frames(frames: Iterable[Frame], *, labelled: bool = False) -> dict[str, list[PersonBox]]:
    """Return the boxes of pedestrians, without crowds and ignored regions.

    Args:
        frames: Labels or predictions; a box without a score counts as sure.
        labelled: Take only people of whom a joint is labelled, with the box that the original gave them: inside the
            image, and from the middle of its first to that of its last pixel.
    """
    boxes: dict[str, list[PersonBox]] = {}
    for frame in frames:
        size = (frame.size.height, frame.size.width) if frame.size else IMAGE_SIZE
        found = (label_box(label, size) if labelled else _predicted_box(label) for label in frame.labels or ())
        boxes.setdefault(frame.name, []).extend(box for box in found if box is not None)
    return boxes


def _is_pedestrian(label: Label) -> bool:
    category, ignored = canonical_category(label.category)
    return category == "pedestrian" and not ignored and not is_ignored(label)


def _predicted_box(label: Label) -> PersonBox | None:
    box = label.box2d
    if box is None or not _is_pedestrian(label):
        return None
    return PersonBox(box.x1, box.y1, box.x2 + 1, box.y2 + 1, 1.0 if label.score is None else label.score)


def label_box(label: Label, size: tuple[int, int]) -> PersonBox | None:
    """Return the box of a labelled person, or None where there is none to learn from.

    Args:
        label: A label.
        size: (height, width) of the image in pixels.
    """
    box, graph = label.box2d, label.graph
    if box is None or graph is None or not _is_pedestrian(label):
        return None
    if not any(node.visibility in VISIBILITY for node in graph.nodes):
        return None
    height, width = size
    corners = max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, width - 1.0), min(box.y2, height - 1.0)
    return PersonBox(*corners, 1.0) if corners[2] > corners[0] and corners[3] > corners[1] else None


def _is_detection_list(path: Path) -> bool:
    """Tell whether a file is a list whose first entry has an ``image_id``."""
    try:
        with path.open("rb") as file:
            if not file.read(64).lstrip().startswith(b"["):
                return False
        entries = msgspec.json.decode(path.read_bytes(), type=list[dict[str, msgspec.Raw]])
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return bool(entries) and "image_id" in entries[0]


def _boxes_of_detections(path: Path, names: Sequence[str], names_file: Path | None) -> dict[str, list[PersonBox]]:
    try:
        detections = msgspec.json.decode(path.read_bytes(), type=list[_Detection])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: {error}; entries need image_id, bbox (x, y, width, height) and score") from None
    known: Mapping[int | str, str] | None = None
    boxes: dict[str, list[PersonBox]] = {}
    for place, detection in enumerate(detections):
        if detection.category_id != _PERSON_ID:
            continue
        if len(detection.bbox) < 4:
            raise LabelError(f"{path}: entry {place}: bbox has {len(detection.bbox)} numbers; x, y, width and height")
        name = detection.file_name
        if name is None:
            if known is None:
                known = _names_by_id(path, detections, names, names_file)
            name = known.get(detection.image_id)
        if name is None:
            raise LabelError(
                f"{path}: entry {place}: nothing says which image has the id {detection.image_id}; {_NAME_IDS}"
            )
        x, y, width, height = detection.bbox[:4]
        boxes.setdefault(name, []).append(PersonBox(x, y, x + width, y + height, detection.score))
    return boxes


def _names_by_id(
    path: Path, detections: Sequence[_Detection], names: Sequence[str], names_file: Path | None
) -> Mapping[int | str, str]:
    """Return the image that each id of a list of detections means."""
    if names_file is not None:
        if not exists(names_file):
            raise MissingFileError(f"{names_file}: no such file of image ids (--box-images)")
        return _read_ids(names_file)
    wanted = {detection.image_id for detection in detections}
    for candidate in files_in(path.parent, "cocofmt.json"):
        ids = _read_ids(candidate) if is_coco_file(candidate) else {}
        if wanted <= ids.keys() and (not names or set(names) & set(ids.values())):
            return ids
    if wanted != set(range(1, len(names) + 1)):
        return {}
    print(f"{path}: image ids are taken to count the images from 1; if not so, {_NAME_IDS}", file=sys.stderr)
    # in the order of conversions of the labels
    return dict(enumerate(sorted(names), start=1))


def _read_ids(path: Path) -> dict[int | str, str]:
    """Return the name of each image by its id; those of Scalabel JSON count from 1, as the official converter does."""
    if not is_coco_file(path):
        return {number: frame.name for number, frame in enumerate(load_any_frames(path), start=1)}
    try:
        images = msgspec.json.decode(path.read_bytes(), type=_CocoImages).images
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: {error}; this is no COCO JSON with images") from None
    return {image.id: image.file_name for image in images}


def as_regions(boxes: PersonBoxes, least_score: float = 0.0) -> dict[str, list[dict[str, Any]]]:
    """Return what the pipelines of pose models are told about each box whose score is at least ``least_score``."""
    return {
        name: [
            {"bbox": [list(box[:4])], "bbox_score": [box.score], "flip_indices": list(FLIP_INDICES)}
            for box in found
            if box.score >= least_score
        ]
        for name, found in boxes.items()
    }
