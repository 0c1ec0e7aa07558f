"""The worst images of a report, with labels beside predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from bdd100k_models.datasets.images import read_image
from bdd100k_models.errors import ZooError
from bdd100k_models.evaluation.clear_mot import count_clear
from bdd100k_models.evaluation.config import EvalConfig, Options, default_config
from bdd100k_models.evaluation.masks import has_masks
from bdd100k_models.evaluation.run import settings_of
from bdd100k_models.evaluation.tracking import split_categories
from bdd100k_models.evaluation.tracking_frames import (
    FrameOverlap,
    compare_bitmask_files,
    compare_box_frames,
    compare_region_frames,
)
from bdd100k_models.evaluation.tracking_videos import VideoPairs, pair_mask_videos
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.formats.stream import stream_frames
from bdd100k_models.inference.labels import LabelledImage, find_labels, read_labels
from bdd100k_models.tasks import TASKS, Task
from bdd100k_models.visualization.drawing import Pixels
from bdd100k_models.visualization.jobs import find_image
from bdd100k_models.visualization.results import draw_results

#: Columns of a picture in the page, and its JPEG quality.
_WIDTH, _QUALITY = 960, 82

_OVERLAP = 0.5


@dataclass(frozen=True)
class Sources:
    """The files that a report is about.

    Attributes:
        truth: Labels, as they were evaluated.
        result: Predictions likewise.
        images: Folder of the pictures, or None to do without.
        config: A config file of the official tool, or None for the task's own settings.
    """

    truth: Path
    result: Path
    images: Path | None = None
    config: str | None = None


@dataclass(frozen=True)
class Pair:
    """One image of a report.

    Attributes:
        name: Its name; in tracking that of the frame.
        labels: The picture with its labels, JPEG; None where it could not be drawn.
        predictions: Likewise with its predictions.
        problem: Why there is no picture; empty if there is.
    """

    name: str
    labels: bytes | None = None
    predictions: bytes | None = None
    problem: str = ""


class _Key(msgspec.Struct):
    name: str | int
    videoName: str | None = None


_DECODER = msgspec.json.Decoder(Frame)


def task_of(official: str) -> Task | None:
    """Return the task with this official name, or None: lane markings are none of the nine."""
    return next((task for task in TASKS.values() if official in (task.official, task.name)), None)


def draw_worst(official: str, names: Sequence[str], sources: Sources, threshold: float) -> list[Pair]:
    """Draw images with their labels and their predictions.

    Args:
        official: The official name of the task.
        names: The images, as the units of the evaluation are called; in tracking the videos, of each of which the frame
            with the most faults is drawn.
        sources: The files.
        threshold: Least score that is drawn.

    Returns:
        A pair of pictures for each name, or why there is none.
    """
    if sources.images is None:
        return [Pair(name, problem="no pictures were given") for name in names]
    task = task_of(official)
    if task is None or not names:
        return [Pair(name, problem="lane markings are not drawn") for name in names]
    places = _worst_frames(task, names, sources) if task.videos else [("", Path(name).stem) for name in names]
    sides = [_pick(path, task, places) for path in (sources.truth, sources.result)]
    return [_draw(task, place, sides, sources.images, threshold) for place in places]


def _draw(
    task: Task,
    place: tuple[str, str],
    sides: Sequence[dict[tuple[str, str], LabelledImage]],
    folder: Path,
    threshold: float,
) -> Pair:
    labels, predictions = (side.get(place) for side in sides)
    name = "/".join(filter(None, place))
    if labels is None:
        return Pair(name, problem="its labels were not found again")
    try:
        pixels, _ = read_image(find_image(folder, labels))
        drawn = [_over(pixels, side, task, threshold) for side in (labels, predictions)]
    except ZooError as error:
        return Pair(name, problem=str(error))
    return Pair(name, labels=drawn[0], predictions=drawn[1])


def _over(pixels: Pixels, image: LabelledImage | None, task: Task, threshold: float) -> bytes:
    """Return a JPEG of an image with what stands in a file drawn over it; None draws nothing."""
    drawing = pixels.copy()
    if image is not None:
        draw_results(read_labels(image, task, (pixels.shape[0], pixels.shape[1])), drawing, threshold)
    if drawing.shape[1] > _WIDTH:
        height = max(1, round(drawing.shape[0] * _WIDTH / drawing.shape[1]))
        drawing = np.asarray(cv2.resize(drawing, (_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", drawing, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()


def _pick(path: Path, task: Task, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], LabelledImage]:
    """Find images in a file or folder, by video (or an empty name) and stem; only these are kept."""
    wanted = set(places)
    if not holds_json(path):
        images: Iterable[LabelledImage] = find_labels(path, task)
        keyed = (((image.video or "" if task.videos else "", Path(image.name).stem), image) for image in images)
        return {key: image for key, image in keyed if key in wanted}
    found = {}
    for file, text, key in stream_frames(path, _Key):
        place = (key.videoName or "" if task.videos else "", Path(str(key.name)).stem)
        if place in wanted:
            frame = _frame_of(text, key)
            found[place] = LabelledImage(Path(str(key.name)).name, key.videoName, frame.frameIndex, frame, None, file)
    return found


def _frame_of(text: bytes, key: _Key) -> Frame:
    """Decode a frame; what evaluations accept and drawing does not leaves it without labels."""
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError:
        return Frame(name=str(key.name), videoName=key.videoName)


def _worst_frames(task: Task, videos: Sequence[str], sources: Sources) -> list[tuple[str, str]]:
    """Return video and stem of the frame with the most missed and wrong objects of each video."""
    official = str(task.official)
    config = settings_of(official, Options(config=sources.config))
    frames: Sequence[Any]
    if task.name == "mots" and has_masks(sources.truth, sources.result):
        folders = pair_mask_videos(sources.truth, sources.result)
        config = default_config(official)
        frames, names, lengths = folders.pairs, folders.names, folders.lengths
        stems = [truth.stem for truth, _ in folders.pairs]
    else:
        pairs = VideoPairs(sources.truth, sources.result)
        frames, names, lengths = pairs, tuple(pairs.units().names), tuple(pairs.lengths)
        stems = pairs.stems()
    worst = []
    for video in videos:
        place = names.index(video)
        first = sum(lengths[:place])
        faults = [_faults(_compare(task, frame, config), config) for frame in frames[first : first + lengths[place]]]
        worst.append((video, stems[first + int(np.argmax(faults))]))
    return worst


def _compare(task: Task, frame: Any, config: EvalConfig) -> FrameOverlap:
    if isinstance(frame, tuple):
        return compare_bitmask_files(frame, len(config.categories))
    if task.name == "mot":
        return compare_box_frames(frame, config)
    ((official, parted),) = compare_region_frames([frame], config)
    return parted or official


def _faults(frame: FrameOverlap, config: EvalConfig) -> int:
    parts = split_categories([frame], len(config.categories), _OVERLAP, _OVERLAP)
    counts = [count_clear(part, _OVERLAP) for part in parts]
    return sum(one.objects + one.predictions - 2 * one.detected for one in counts)
