"""Writes drawn videos in the layout and formats of the tracking part of the real data set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bdd100k_models.datasets.synth.generate import (
    Summary,
    check_counts,
    known_tasks,
    labels_of,
    mapper,
    processes,
    write_image,
)
from bdd100k_models.datasets.synth.labels import instance_segments
from bdd100k_models.datasets.synth.video import draw_video, video_name
from bdd100k_models.errors import InputError
from bdd100k_models.formats.files import check_empty, make_folder, write_bytes
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.progress import ProgressBar
from bdd100k_models.tasks import get_task

#: Tasks whose labels follow objects through videos.
VIDEO_TASKS = ("mot", "mots")
_MAX_FRAMES = 1000


def generate_videos(
    root: Path,
    videos: Mapping[str, int],
    *,
    frames: int = 40,
    seed: int = 0,
    tasks: Collection[str] = VIDEO_TASKS,
    size: tuple[int, int] = (1280, 720),
    reach: float = math.inf,
    nproc: int | None = None,
    force: bool = False,
) -> Summary:
    """Draw videos below ``root``, in the layout of the real data set.

    Images go to ``images/track`` and ``images/seg_track_20``, a folder a video, boxes to ``labels/box_track_20`` and
    masks to ``labels/seg_track_20/bitmasks`` as PNG and to ``labels/seg_track_20/rles`` as run lengths. A video depends
    on ``seed``, its split, its index, ``frames`` and ``size`` alone. As in the real data set, ``test`` has no labels.

    Args:
        root: The data root; made if needed.
        videos: Number of videos by split; a split with none is left out.
        frames: Frames a video, five a second.
        seed: Not negative.
        tasks: Whose labels are written.
        size: Width and height in pixels.
        reach: In metres; objects that are farther away are not there.
        nproc: Processes; by default one for each core.
        force: Write into a folder that is not empty. Other files there are kept.

    Returns:
        What was written; the number of images is that of frames.

    Raises:
        InputError: An argument is out of range.
        OutputError: ``root`` is not empty and ``force`` is not set, or it cannot be written.
    """
    counts = check_counts(videos, seed, size, nproc)
    check_frames(frames)
    job = _Job(root, known_tasks(tasks, VIDEO_TASKS, "videos"), seed, size, frames, reach)
    if not force:
        check_empty(root)
    make_folder(root)
    summary = Summary(root, {split: count * frames for split, count in counts.items()})
    total = sum(counts.values())
    with (
        ProgressBar(total * frames, "drawing") as bar,
        mapper(nproc or min(total, processes(total * frames)), at_once=1) as run,
    ):
        for split, count in counts.items():
            for counted in run(partial(_write_video, job, split), range(count)):
                summary.labels.update(counted)
                bar.advance(frames)
    return summary


def check_frames(frames: int) -> None:
    """Raise InputError where no video can have so many frames."""
    if not 1 <= frames <= _MAX_FRAMES:
        raise InputError(f"the number of frames must be 1 to {_MAX_FRAMES}, not {frames}")


@dataclass(frozen=True)
class _Job:
    root: Path
    tasks: tuple[str, ...]
    seed: int
    size: tuple[int, int]
    frames: int
    reach: float


def _write_video(job: _Job, split: str, index: int) -> Counter[str]:
    """Draw and write one video; return how many boxes it has, by category."""
    name = video_name(job.seed, split, index)
    labelled = split != "test"
    by_category = get_task("mots").category_ids
    names = {number: category for category, number in by_category.items()}
    boxes: list[Frame] = []
    segments: list[Frame] = []
    for picture in draw_video(job.seed, split, index, job.frames, job.size, job.reach):
        folders = [job.root / get_task(task).image_dir(split) / name for task in job.tasks]
        write_image([folder / picture.frame.name for folder in folders], picture.pixels)
        if not labelled:
            continue
        boxes.append(picture.frame)
        if "mots" in job.tasks:
            found = instance_segments(picture)
            path = job.root / get_task("mots").label_paths(split)[0] / name / picture.frame.name
            write_bytes(path.with_suffix(".png"), found.png())
            labels = found.labels(names)
            segments.append(
                Frame(
                    picture.frame.name,
                    videoName=name,
                    frameIndex=picture.frame.frameIndex,
                    size=picture.frame.size,
                    labels=labels or None,
                )
            )
    for task, frames, form in (("mot", boxes, 0), ("mots", segments, 1)):
        if labelled and task in job.tasks:
            with frame_writer(job.root / get_task(task).label_paths(split)[form] / f"{name}.json", bare=True) as add:
                for frame in frames:
                    add(frame)
    return labels_of(boxes)
