"""Which videos a run is about: their frames in order, with every gap and mix-up noticed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from bdd100k_models.datasets.images import ImageItem, ImageSet, find_labels, images_of_folder, split_images
from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.formats.folders import files_in, folders_in, holds_folders, label_files
from bdd100k_models.formats.scalabel import Frame, load_frames
from bdd100k_models.paths import is_dir
from bdd100k_models.tasks import IMAGE_SIZE, Task


def videos_of_split(task: Task, data_root: Path, split: str) -> ImageSet:
    """Take the videos of a split: those its labels list, or its whole folder where there are none.

    Raises:
        InputError: There is no such split.
        MissingFileError: Neither labels nor images are there.
        LabelError: The labels are broken: frames out of order, twice, or of no video.
    """
    image_dir = split_images(task, data_root, split)
    labels = find_labels(task, data_root, split)
    if labels is None:
        return videos_of_folder(image_dir, IMAGE_SIZE)
    return videos_of_labels(labels, image_dir)


def videos_of_folder(folder: Path, expected_size: tuple[int, int] | None = None) -> ImageSet:
    """Take each sub-folder as a video of its pictures, by name; or the folder itself where it has no sub-folder.

    Where their names count the frames, a missing one leaves the numbers of the others as they are, and is a remark.

    Raises:
        MissingFileError: There is no such folder, or no picture in it or in one of its sub-folders.
    """
    if not is_dir(folder):
        raise MissingFileError(f"{folder}: no such folder of images")
    items: list[ImageItem] = []
    remarks: list[str] = []
    for video in folders_in(folder) or [folder]:
        paths = [item.path for item in images_of_folder(video).items]
        indices, gap = _count_frames([path.name for path in paths])
        name = video.resolve().name if video.name in ("", "..") else video.name
        items += _frames(name or "video", paths, indices)
        if gap is not None:
            remarks.append(
                f"{video}: frames are missing, first between {gap[0]} and {gap[1]}; the others keep their numbers"
            )
    return ImageSet(tuple(items), None, expected_size, str(folder), tuple(remarks))


def refuse_among_videos(images: ImageSet, folder: Path, written: Path, flag: str) -> None:
    """Refuse to write where a later run would take what was written for a video.

    Args:
        images: The frames of the videos of a folder.
        folder: That folder.
        written: The folder of what will be written.
        flag: What chooses it.

    Raises:
        InputError: It is the folder of the videos, or below it and in none of them.
    """
    root, place = folder.resolve(), written.resolve()
    videos = {video.resolve() for video in {item.path.parent for item in images.items}}
    if not place.is_relative_to(root):
        return
    first = next(iter(place.relative_to(root).parts), None)
    if first is None or not (first.startswith(".") or root / first in videos):  # hidden folders are no videos
        raise InputError(
            f"{written}: lies in {folder}, where a later run would take it for a video; choose another folder ({flag})"
        )


def _count_frames(names: Sequence[str]) -> tuple[Sequence[int], tuple[str, str] | None]:
    """Tell which frames of their video files are, and what stands on both sides of the first gap, if there is one.

    Numbers at the ends of the names count the frames where most go up by the same step and the others by a multiple of
    it; the step may be any, as of a video of which each fifth frame was taken. Other files are just counted.
    """
    first = frame_index(names[0]) or 0
    counted = range(first, first + len(names))
    parts = [re.fullmatch(r"(.*?)(\d{1,9})\.\w+", name) for name in names]
    numbers = [int(part[2]) for part in parts if part]
    if len(numbers) < len(names) or len({part[1] for part in parts if part}) > 1:
        return counted, None
    steps = [after - before for before, after in pairwise(numbers)]
    step = min(steps, default=1)
    if step < 1 or 2 * steps.count(step) < len(steps) or any(width % step for width in steps):
        return counted, None
    gaps = [pair for pair, width in zip(pairwise(names), steps, strict=True) if width > step]
    return [first + (number - numbers[0]) // step for number in numbers], gaps[0] if gaps else None


def videos_of_labels(labels: Path, image_dir: Path) -> ImageSet:
    """Take the videos that labels list: JSON files of one video or several, or folders of bitmasks.

    Frames are taken in the order of their ``frameIndex``, in which the files list them.

    Raises:
        MissingFileError: There is nothing at ``labels``.
        LabelError: See :func:`frames_by_video`, :func:`frames_in` and :func:`bitmasks_in`; or the name of a bitmask
            does not tell which frame it is.
    """
    frames: Iterable[Frame]
    if holds_folders(labels):
        frames = (
            Frame(file.with_suffix(".jpg").name, videoName=video, frameIndex=frame_index_of(file))
            for video, files in bitmasks_in(labels)
            for file in files
        )
    else:
        frames = frames_in(labels)
    items: list[ImageItem] = []
    for video, known in frames_by_video(frames, str(labels)).items():
        # labels name frames with or without their video's folder
        paths = [image_dir / video / Path(frame.name).name for frame in known]
        items += _frames(video, paths, [frame.frameIndex or 0 for frame in known])
    return ImageSet(tuple(items), labels, IMAGE_SIZE, str(labels))


def frames_in(labels: Path) -> Iterator[Frame]:
    """Read the frames of labels in JSON, a file of one video or several, or a folder of such files.

    Raises:
        MissingFileError: There is nothing at ``labels``.
        LabelError: A file breaks its format, or holds no frames.
    """
    for file in label_files(labels):
        frames = load_frames(file)
        if not frames:
            raise _no_frames(file)
        yield from frames


def bitmasks_in(labels: Path) -> Iterator[tuple[str, list[Path]]]:
    """List the bitmasks of each video, by name, in a folder of the videos' folders.

    Raises:
        LabelError: A video has none.
    """
    for folder in folders_in(labels):
        files = files_in(folder, ".png")
        if not files:
            raise _no_frames(folder)
        yield folder.name, files


def _no_frames(path: Path) -> LabelError:
    return LabelError(f"{path}: holds no frames; check that these are the labels of the split")


def frames_by_video(frames: Iterable[Frame], where: str) -> Mapping[str, list[Frame]]:
    """Sort frames out by video, in the order in which the videos first occur.

    Args:
        frames: Frames with ``videoName`` and ``frameIndex``.
        where: The labels, for errors.

    Raises:
        LabelError: A frame names no video or no index, an index does not grow, one is left out, or a track is twice in
            a frame.
    """
    videos: dict[str, list[Frame]] = {}
    for frame in frames:
        if frame.videoName is None or frame.frameIndex is None:
            lacking = "videoName" if frame.videoName is None else "frameIndex"
            raise LabelError(f"{where}: frame {frame.name} has no {lacking}; labels of videos need it")
        known = videos.setdefault(frame.videoName, [])
        if known:
            _check_order(known[-1], frame, where)
        _check_tracks(frame, where)
        known.append(frame)
    return videos


def _check_order(before: Frame, frame: Frame, where: str) -> None:
    assert before.frameIndex is not None and frame.frameIndex is not None
    if frame.frameIndex <= before.frameIndex:
        raise LabelError(
            f"{where}: video {frame.videoName}: frameIndex {frame.frameIndex} of {frame.name} comes after "
            f"{before.frameIndex}; sort the frames, bitmasks by name"
        )
    if frame.frameIndex != before.frameIndex + 1:
        raise LabelError(
            f"{where}: video {frame.videoName}: frames {before.frameIndex + 1} to {frame.frameIndex - 1} are missing; "
            "a frame without objects has an empty list of labels"
        )


def _check_tracks(frame: Frame, where: str) -> None:
    ids = [label.id for label in frame.labels or ()]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise LabelError(f"{where}: frame {frame.name}: track {twice} is there twice; a track is once in a frame")


def frame_index(name: str) -> int | None:
    """Return which frame of its video a file is by its name, from 0; None where the name does not tell.

    The files of the data set are called ``VIDEO-0000001.jpg`` and so on.
    """
    match = re.search(r"-(\d{1,7})\.\w+$", name)
    return max(int(match[1]) - 1, 0) if match else None


def frame_number(name: str) -> int | None:
    """Return the number at the end of a name, whatever stands before it; None where there is none."""
    match = re.search(r"(\d+)\.\w+$", name)
    return int(match[1]) if match else None


def frame_index_of(bitmask: Path) -> int:
    """Return which frame of its video a bitmask is of by its name, whose number counts from 1.

    Raises:
        LabelError: Its name has no number.
    """
    number = frame_number(bitmask.name)
    if number is None:
        raise LabelError(f"{bitmask}: the name does not tell which frame this is; call the first VIDEO-0000001.png")
    return number - 1


def _frames(video: str, paths: Sequence[Path], indices: Sequence[int]) -> list[ImageItem]:
    return [
        ImageItem(f"{video}/{path.name}", path, video, index - indices[0], index)
        for path, index in zip(paths, indices, strict=True)
    ]
