"""Looks into one file of a data root: a picture, a mask, or a file of frames."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from kornia_rs import io as rust
from PIL import Image

from bdd100k_models.datasets.images import open_image, remarks_on
from bdd100k_models.datasets.video_images import frames_by_video
from bdd100k_models.errors import ImageError, LabelError, MissingFileError
from bdd100k_models.evaluation.config import default_config
from bdd100k_models.formats.bitmask import check_classes, read_mask, read_packed, unpack
from bdd100k_models.formats.rle import decode_runs
from bdd100k_models.formats.scalabel import Frame, Label, Poly2D
from bdd100k_models.formats.stream import stream_frames
from bdd100k_models.tasks import IMAGE_SIZE, JOINTS, TAGS, TASKS

#: What each task's evaluation counts, and which categories it refuses.
_EVALUATIONS = {name: default_config(task) for name, task in TASKS.items()}

#: Tasks whose polygons become masks.
_PAINTED = frozenset({"ins_seg", "sem_seg", "drivable", "pan_seg"})

#: What Pillow calls the pixels of labels.
_MODES = {"mask": ("L", "P"), "bitmask": ("RGBA",)}


@dataclass(frozen=True)
class Job:
    """A file to look into.

    Attributes:
        kind: What it should be.
        path: The file.
        task: The task that it is read for; "" for pictures, which several tasks share.
        quick: Do not decode pixels.
    """

    kind: Literal["image", "mask", "bitmask", "frames"]
    path: Path
    task: str = ""
    quick: bool = False


@dataclass(frozen=True)
class Inspection:
    """What a file turned out to be.

    Attributes:
        problems: Kind and message of each thing that is wrong.
        size: (height, width) of a picture or mask that could be read.
        digest: Fingerprint of a picture's bytes.
        names: The images that a file of frames labels: names, below their video's name where they have one.
    """

    problems: tuple[tuple[str, str], ...] = ()
    size: tuple[int, int] | None = None
    digest: bytes = b""
    names: tuple[str, ...] = ()


def inspect(job: Job) -> Inspection:
    """Look into a file; whatever is wrong with it is part of the answer, not raised."""
    if job.kind == "image":
        return _inspect_image(job.path, job.quick)
    if job.kind == "frames":
        return _inspect_frames(job.path, job.task)
    try:
        return _inspect_mask(job)
    except (LabelError, MissingFileError) as error:
        return Inspection((("unreadable", _without_path(str(error), job.path)),))


def _inspect_image(path: Path, quick: bool) -> Inspection:
    try:
        data, header = open_image(path)
        if not quick:
            _decode_strictly(data, header)
    except ImageError as error:
        return Inspection((("unreadable", str(error)),))
    size = (header.height, header.width)
    problems = tuple(("unusual", remark) for remark in remarks_on(data, header, size, IMAGE_SIZE))
    return Inspection(problems, size, hashlib.blake2b(data, digest_size=16).digest())


def _decode_strictly(data: bytes, header: Image.Image) -> None:
    """Decode all pixels; damage inside a JPEG, which most decoders paint over, is an error.

    Raises:
        ImageError: The pixels are damaged.
    """
    try:
        if header.format == "JPEG" and header.mode in ("RGB", "L"):
            rust.ImageDecoder().decode_gray8(data)
        else:
            header.load()
    except Exception as error:  # the decoder raises nothing more special
        raise ImageError(f"the pixels are damaged ({error}); copy or download it again") from None


def _inspect_mask(job: Job) -> Inspection:
    """Read a mask or bitmask.

    Raises:
        MissingFileError, LabelError: It cannot be read, or holds a class that the task does not have.
    """
    if job.quick:
        return _inspect_header(job)
    count = len(TASKS[job.task].categories)
    if job.kind == "mask":
        classes = read_mask(job.path)
        check_classes(classes, count, str(job.path))
        return Inspection(size=(classes.shape[0], classes.shape[1]))
    packed = read_packed(job.path)
    size = (packed.shape[0], packed.shape[1])
    # the third of the four bytes; a view, since copies of so many pixels would take most of the time
    highest = int(packed.view(np.uint8).reshape(*size, 4)[..., 2].max(initial=0))
    if highest > count:
        return Inspection((("classes", f"category {highest}; the categories are 1 to {count}"),), size)
    if twice := _ids_of_two_objects(packed):
        return Inspection((("classes", f"object {twice[0]} has pixels of different categories or attributes"),), size)
    return Inspection(size=size)


def _ids_of_two_objects(packed: npt.NDArray[np.uint32]) -> list[int]:
    """Return the ids of a bitmask whose pixels are of more than one category, or sum of attributes."""
    flat = packed.ravel()
    begins = np.flatnonzero(flat[1:] != flat[:-1]) + 1  # of runs, which are few, as sorting all pixels would take long
    found = unpack(np.unique(flat[np.concatenate([[0], begins])[: len(flat)]]))
    ids, counts = np.unique(found.ids, return_counts=True)
    return [int(number) for number in ids[(counts > 1) & (ids > 0)]]


def _inspect_header(job: Job) -> Inspection:
    """Look at the header of a mask or bitmask alone."""
    try:
        _, header = open_image(job.path)
    except ImageError as error:
        return Inspection((("unreadable", str(error)),))
    size, modes = (header.height, header.width), _MODES[job.kind]
    if header.mode in modes:
        return Inspection(size=size)
    return Inspection((("unreadable", f"{header.mode} pixels, but these labels are {' or '.join(modes)}"),), size)


def _inspect_frames(path: Path, task: str) -> Inspection:
    """Read a file of frames, one at a time."""
    names: list[str] = []
    problems: list[tuple[str, str]] = []
    try:
        for frame in _frames(path, TASKS[task].videos):
            names.append(_full_name(frame, TASKS[task].videos))
            problems += _frame_problems(frame, task)
    except (LabelError, MissingFileError) as error:
        problems.append(("labels", _without_path(str(error), path)))
    if not names and not problems:
        problems.append(("labels", "holds no frames; check that it is the label file of the split"))
    twice = (name for name, count in Counter(names).items() if count > 1)
    problems += [("duplicate label", f"frame {name} is there several times; keep one of them") for name in twice]
    return Inspection(tuple(problems), names=tuple(names))


def _frames(path: Path, videos: bool) -> Iterator[Frame]:
    """Read frames; those of videos, whose files are small, with their order checked."""
    frames = (frame for _, _, frame in stream_frames(path, Frame))
    if not videos:
        return frames
    return (frame for video in frames_by_video(frames, str(path)).values() for frame in video)


def _full_name(frame: Frame, videos: bool) -> str:
    return f"{frame.videoName}/{Path(frame.name).name}" if videos else frame.name


def _frame_problems(frame: Frame, task: str) -> Iterator[tuple[str, str]]:
    """Say what is wrong with a frame and its labels."""
    if task == "tagging":
        for tag, values in TAGS.items():
            value = (frame.attributes or {}).get(tag)
            if value is not None and value not in values:
                yield "tags", f"frame {frame.name}: {tag} is {value!r}; it can be {', '.join(values)}"
        return
    if frame.size is not None and (frame.size.height, frame.size.width) != IMAGE_SIZE:
        yield "labels", f"frame {frame.name}: {_other_size(frame.size.width, frame.size.height)}"
    for label in frame.labels or ():
        yield from (
            ("labels", f"frame {frame.name}, label {label.id}: {text}") for text in _label_problems(label, task)
        )


def _label_problems(label: Label, task: str) -> Iterator[str]:
    if _EVALUATIONS[task].meaning(label.category) is None:
        yield f"unknown category {label.category!r}"
    box = label.box2d
    if box is not None and (box.x2 < box.x1 or box.y2 < box.y1):
        yield f"the box ends before it begins ({box.x1:g}, {box.y1:g}, {box.x2:g}, {box.y2:g})"
    if label.rle is not None and tuple(label.rle.size) != IMAGE_SIZE:
        yield f"the mask has {_other_size(label.rle.size[1], label.rle.size[0])}"
    elif label.rle is not None:
        try:
            decode_runs(label.rle, "the mask")
        except LabelError as error:
            yield str(error)
    elif label.poly2d and task in _PAINTED:
        yield from _polygon_problems(label.poly2d)
    if task == "pose" and label.graph is not None and len(label.graph.nodes) != len(JOINTS):
        yield f"{len(label.graph.nodes)} joints instead of {len(JOINTS)}"


def _polygon_problems(polygons: Sequence[Poly2D]) -> Iterator[str]:
    from bdd100k_models.formats.polygons import check_polygon  # matplotlib takes its time

    for polygon in polygons:
        try:
            check_polygon(polygon, "the mask")
        except LabelError as error:
            yield str(error)


def _other_size(width: int, height: int) -> str:
    return f"{width}x{height} pixels instead of {IMAGE_SIZE[1]}x{IMAGE_SIZE[0]}"


def _without_path(message: str, path: Path) -> str:
    return message.removeprefix(f"{path}: ")
