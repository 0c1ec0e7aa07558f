"""Writes a drawn data set in the layout and formats of the real one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import msgspec

from bdd100k_models.datasets.synth.picture import draw_picture
from bdd100k_models.errors import InputError, OutputError
from bdd100k_models.formats.files import atomic_writer, make_folder, output_error, write_bytes
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.progress import ProgressBar
from bdd100k_models.tasks import SPLITS, get_task

#: Least and greatest width and height of pictures, in pixels.
SIZE_RANGE = (64, 4096)
_JPEG_QUALITY = 90
_MAX_COUNT = 1_000_000
_LEAST_A_PROCESS = 10


@dataclass
class Summary:
    """What was written.

    Attributes:
        root: The data root.
        images: Pictures by split.
        labels: Labels by category.
        unlabelled: Frames without a label.
    """

    root: Path
    images: dict[str, int] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0

    def add(self, frame: Frame) -> None:
        """Count the labels of a frame."""
        self.labels.update(label.category or "" for label in frame.labels or [])
        self.unlabelled += not frame.labels

    def __str__(self) -> str:
        """Return one line with counts and the path."""
        images = ", ".join(f"{count} {split}" for split, count in self.images.items())
        return f"{sum(self.images.values())} images ({images}), {self.labels.total()} labels: {self.root}"


def generate(
    root: Path,
    splits: Mapping[str, int],
    *,
    seed: int = 0,
    size: tuple[int, int] = (1280, 720),
    nproc: int | None = None,
    force: bool = False,
    start: int = 0,
) -> Summary:
    """Draw a data set below ``root``: ``images/100k/SPLIT/*.jpg`` and ``labels/det_20/det_SPLIT.json``.

    Picture ``i`` of a split depends on ``seed``, the split, ``i`` and ``size`` alone, and so do its bytes. As in the
    real data set, ``test`` has no labels.

    Args:
        root: The data root; made if needed.
        splits: Number of pictures by split; a split with none is left out.
        seed: Not negative.
        size: Width and height in pixels.
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
    counts = _checked(splits, seed, size, nproc, start)
    if not force:
        _check_empty(root)
    make_folder(root)
    summary = Summary(root, counts)
    task = get_task("det")
    with ProgressBar(sum(counts.values()), "drawing") as bar, _mapper(nproc or _processes(sum(counts.values()))) as run:
        for split, count in counts.items():
            folder = root / task.image_dir(split)
            make_folder(folder)
            frames = run(partial(_write_picture, folder, seed, split, size), range(start, start + count))
            if split == "test":
                for _ in frames:
                    bar.advance()
                continue
            with atomic_writer(root / task.label_path(split)) as file:
                for index, frame in enumerate(frames):
                    file.write(b"," if index else b"[")
                    file.write(msgspec.json.encode(frame))
                    summary.add(frame)
                    bar.advance()
                file.write(b"]")
    return summary


def _check_empty(root: Path) -> None:
    """Raise if there is something in ``root``, or if it cannot be told."""
    try:
        empty = not root.is_dir() or next(root.iterdir(), None) is None
    except OSError as error:
        raise output_error(root, error) from None
    if not empty:
        raise OutputError(f"{root}: this folder is not empty; choose another, or add --force to write into it")


def _checked(
    splits: Mapping[str, int], seed: int, size: tuple[int, int], nproc: int | None, start: int
) -> dict[str, int]:
    """Return the splits that have pictures, in the usual order."""
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


def _processes(count: int) -> int:
    """Return how many processes are worth their start for so many pictures."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, count // _LEAST_A_PROCESS))


@contextlib.contextmanager
def _mapper(nproc: int) -> Iterator[Callable[[Callable[[int], Frame], Iterable[int]], Iterator[Frame]]]:
    """Yield a ``map`` that keeps the order, in this process or in several."""
    if nproc == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield map
        finally:
            cv2.setNumThreads(threads)
        return
    # forked children of a process that runs threads can hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(nproc, context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        yield partial(pool.map, chunksize=4)
    except BrokenProcessPool:
        raise OutputError("a process that draws was killed, perhaps for want of memory; set a lower nproc") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _write_picture(folder: Path, seed: int, split: str, size: tuple[int, int], index: int) -> Frame:
    """Draw and write one picture, and return its frame."""
    picture = draw_picture(seed, split, index, size)
    done, data = cv2.imencode(".jpg", picture.pixels, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    assert done
    write_bytes(folder / picture.frame.name, data.tobytes())
    return picture.frame
