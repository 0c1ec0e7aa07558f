"""Writes a drawn data set in the layout and formats of the real one."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.labels import FRAMES, MASKS
from bdd100k_models.datasets.synth.picture import draw_picture
from bdd100k_models.errors import InputError, OutputError
from bdd100k_models.formats.files import check_empty, make_folder, write_bytes, write_copies
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.processes import Map, cores, ordered_map
from bdd100k_models.progress import ProgressBar
from bdd100k_models.tasks import SPLITS, get_task

#: Least and greatest width and height of pictures, in pixels.
SIZE_RANGE = (64, 4096)
#: Tasks with labels of single images. Those of tagging are part of the detection labels.
IMAGE_TASKS = ("det", "ins_seg", "sem_seg", "drivable", "pan_seg", "tagging", "pose")
_JPEG_QUALITY = 90
_MAX_COUNT = 1_000_000
_LEAST_A_PROCESS = 10


@dataclass(frozen=True)
class _Written:
    """What a process says of a picture that it wrote: as text, which costs the main process least.

    Attributes:
        frames: The JSON of its frame in each label file, by the file's path below the root.
        labels: How many labels there are in them, by category.
    """

    frames: dict[str, bytes]
    labels: Counter[str]


@dataclass
class Summary:
    """What was written.

    Attributes:
        root: The data root.
        images: Pictures by split.
        labels: Labels of all tasks by category.
    """

    root: Path
    images: dict[str, int] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Return one line with counts and the path."""
        images = ", ".join(f"{count} {split}" for split, count in self.images.items())
        return f"{sum(self.images.values())} images ({images}), {self.labels.total()} labels: {self.root}"


def generate(
    root: Path,
    splits: Mapping[str, int],
    *,
    seed: int = 0,
    tasks: Collection[str] = IMAGE_TASKS,
    size: tuple[int, int] = (1280, 720),
    reach: float = math.inf,
    nproc: int | None = None,
    force: bool = False,
    start: int = 0,
) -> Summary:
    """Draw a data set of single images below ``root``, in the layout of the real one.

    Images go to ``images/100k`` and ``images/10k``, as the tasks have it (the same files under two names), boxes and
    tags to ``labels/det_20``, joints to ``labels/pose_21``, and masks to ``labels/TASK/bitmasks`` or ``masks`` as PNG
    and to ``labels/TASK/rles`` as run lengths. Picture ``i`` of a split depends on ``seed``, the split, ``i`` and
    ``size`` alone, and so do its bytes. As in the real data set, ``test`` has no labels.

    Args:
        root: The data root; made if needed.
        splits: Number of pictures by split; a split with none is left out.
        seed: Not negative.
        tasks: Whose labels are written.
        size: Width and height in pixels.
        reach: In metres; objects that are farther away are not there, so that small models can find them all.
        nproc: Processes; by default one for each core, fewer for a few pictures. More than one need a main module
            that can be imported, as always with :mod:`multiprocessing`.
        force: Write into a folder that is not empty. Other files there are kept.
        start: Index of the first picture of each split.

    Returns:
        What was written.

    Raises:
        InputError: An argument is out of range.
        OutputError: ``root`` is not empty and ``force`` is not set, or it cannot be written.
    """
    counts = check_counts(splits, seed, size, nproc, start)
    job = _Job(root, known_tasks(tasks, IMAGE_TASKS, "single images"), seed, size, reach)
    if not force:
        check_empty(root)
    make_folder(root)
    summary = Summary(root, counts)
    with ProgressBar(sum(counts.values()), "drawing") as bar, mapper(nproc or processes(sum(counts.values()))) as run:
        for split, count in counts.items():
            for folder in job.folders(split):
                make_folder(folder)
            with contextlib.ExitStack() as stack:
                files = {
                    path: stack.enter_context(frame_writer(root / path, bare=True)) for path in job.label_files(split)
                }
                for written in run(partial(_write_picture, job, split), range(start, start + count)):
                    for path, frame in written.frames.items():
                        files[path](msgspec.Raw(frame))
                    summary.labels.update(written.labels)
                    bar.advance()
    return summary


@dataclass(frozen=True)
class _Job:
    """What each process needs to know."""

    root: Path
    tasks: tuple[str, ...]
    seed: int
    size: tuple[int, int]
    reach: float

    def image_folders(self, split: str) -> list[Path]:
        """Return where the images of a split go; the same ones into each."""
        return [self.root / folder for folder in sorted({get_task(task).image_dir(split) for task in self.tasks})]

    def folders(self, split: str) -> list[Path]:
        """Return all folders of a split that hold a file an image."""
        masks = [] if split == "test" else [self.root / get_task(t).label_path(split) for t in self.tasks if t in MASKS]
        return self.image_folders(split) + masks

    def label_files(self, split: str) -> dict[str, str]:
        """Return the JSON files of a split below the root, each with its task."""
        if split == "test":
            return {}
        paths = {task: get_task(task).label_paths(split)[1 if task in MASKS else 0] for task in self.tasks}
        return {path: task for task, path in paths.items()}


def check_counts(
    splits: Mapping[str, int], seed: int, size: tuple[int, int], nproc: int | None, start: int = 0
) -> dict[str, int]:
    """Return the splits that have pictures or videos, in the usual order; raise InputError for what is out of range."""
    for split, count in splits.items():
        if split not in SPLITS:
            raise InputError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
        if not 0 <= count <= _MAX_COUNT:
            raise InputError(f"the number of {split} images must be 0 to {_MAX_COUNT}, not {count}")
    if not any(splits.values()):
        raise InputError("no images were asked for; give a number for train, val or test")
    if seed < 0 or start < 0:
        raise InputError(f"seed and start must not be negative, but they are {seed} and {start}")
    if nproc is not None and nproc < 1:
        raise InputError(f"nproc must be at least 1, not {nproc}")
    low, high = SIZE_RANGE
    if not all(low <= side <= high for side in size):
        raise InputError(f"width and height must be {low} to {high} pixels, not {size[0]}x{size[1]}")
    return {split: splits[split] for split in SPLITS if splits.get(split)}


def processes(count: int) -> int:
    """Return how many processes are worth their start for so many pictures."""
    return max(1, min(cores(), count // _LEAST_A_PROCESS))


@contextlib.contextmanager
def mapper(nproc: int, at_once: int = 4) -> Iterator[Map]:
    """Yield a ``map`` that keeps the order, in this process or in several, each of which takes ``at_once`` items."""
    killed = OutputError("a process that draws was killed, perhaps for want of memory; set a lower nproc")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ordered_map(nproc, at_once, killed) as run:
            yield run
    finally:
        cv2.setNumThreads(threads)


def write_image(paths: Sequence[Path], pixels: NDArray[np.uint8]) -> None:
    """Write the same JPEG at several places; see :func:`write_copies` for what is raised."""
    done, data = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    assert done
    write_copies(paths, data.tobytes())


def labels_of(frames: Iterable[Frame]) -> Counter[str]:
    """Return how many labels frames have, by category."""
    return Counter(label.category or "" for frame in frames for label in frame.labels or ())


def _write_picture(job: _Job, split: str, index: int) -> _Written:
    """Draw and write one picture and its masks; its frames are left to be written."""
    picture = draw_picture(job.seed, split, index, job.size, job.reach)
    name = Path(picture.frame.name)
    write_image([folder / name for folder in job.image_folders(split)], picture.pixels)
    frames: dict[str, Frame] = {}
    for path, task in job.label_files(split).items():
        if task in MASKS:
            png, labels = MASKS[task](picture)
            write_bytes(job.root / get_task(task).label_path(split) / name.with_suffix(".png"), png)
            frames[path] = Frame(picture.frame.name, size=picture.frame.size, labels=labels or None)
        else:
            frames[path] = FRAMES[task](picture)
    texts = {path: msgspec.json.encode(frame) for path, frame in frames.items()}
    return _Written(texts, labels_of(frames.values()))


def known_tasks(tasks: Collection[str], known: Sequence[str], of: str) -> tuple[str, ...]:
    """Return the tasks in the usual order; raise InputError where there is none or an unknown one."""
    if unknown := [task for task in tasks if task not in known]:
        raise InputError(f"{unknown[0]} has no labels of {of}; the tasks that do are {', '.join(known)}")
    if not tasks:
        raise InputError("no task was named; name at least one")
    return tuple(task for task in known if task in tasks)
