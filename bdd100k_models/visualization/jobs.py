"""Drawing of labels and predictions in files over their images, an image or a video at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from bdd100k_models.datasets.images import IMAGE_SUFFIXES, read_image
from bdd100k_models.errors import ImageError, InputError, LabelError
from bdd100k_models.inference.labels import LabelledImage, read_labels
from bdd100k_models.inference.results import Result
from bdd100k_models.tasks import Task
from bdd100k_models.visualization.colour_maps import colour_map
from bdd100k_models.visualization.drawing import OPACITY, Pixels, save_picture
from bdd100k_models.visualization.layout import beside
from bdd100k_models.visualization.movie import Movie
from bdd100k_models.visualization.results import draw_results
from bdd100k_models.visualization.tracks import Trails


@dataclass(frozen=True)
class DrawOptions:
    """How to draw.

    Attributes:
        task: The task.
        images: Folder of the images; None for colour maps, which need none.
        out_dir: Where the pictures go.
        suffix: ``.jpg`` or ``.png``.
        threshold: Least score that is drawn.
        colours: Paint colour maps instead of drawing over the images.
        movies: Also make a film of each video.
        titles: What is on the left and on the right, where two are drawn side by side.
    """

    task: Task
    images: Path | None
    out_dir: Path
    suffix: str = ".jpg"
    threshold: float = 0.0
    colours: bool = False
    movies: bool = False
    titles: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Job:
    """What is drawn together: one image, or the frames of a video in their order.

    Attributes:
        options: How.
        images: The labels of each image.
        others: What is drawn beside each, None where there is nothing; as many as images, or empty.
        files: Where the picture of each goes.
    """

    options: DrawOptions
    images: Sequence[LabelledImage]
    others: Sequence[LabelledImage | None]
    files: Sequence[Path]


@dataclass
class Drawn:
    """What came of a job.

    Attributes:
        files: The pictures.
        problems: Name and fault of each image that could not be drawn.
    """

    files: list[Path] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def make_jobs(
    images: Sequence[LabelledImage], others: Sequence[LabelledImage] | None, options: DrawOptions
) -> list[Job]:
    """Cut the work up: frames of a video stay together where tracks have trails, or they become a film.

    Args:
        images: What is drawn, in order.
        others: What is drawn beside it, in any order; None for nothing.
        options: How.
    """
    names = distinct_names([image.path for image in images])
    files = [options.out_dir / name.with_name(name.name + options.suffix) for name in names]
    # masks do not say what suffix their image has
    known = {image.place: image for image in others or ()} | {image.path: image for image in others or ()}
    partners = [known.get(image.path, known.get(image.place)) for image in images]
    together = options.task.videos or options.movies
    groups: dict[object, list[int]] = {}
    for number, image in enumerate(images):
        groups.setdefault(image.video if together and image.video is not None else number, []).append(number)
    return [
        Job(
            options,
            [images[number] for number in members],
            [] if others is None else [partners[number] for number in members],
            [files[number] for number in members],
        )
        for members in groups.values()
    ]


def distinct_names(images: Sequence[Path]) -> list[Path]:
    """Return what the pictures of images are called, without suffix; no two alike.

    Args:
        images: Where the images lie below their folder.

    Returns:
        The stem of each, in its folder; where an earlier one has that, the whole name, and then with a number.
    """
    names: dict[Path, None] = {}
    for image in images:
        numbered = (f"{image.name}-{number}" for number in itertools.count(2))
        candidates = map(image.with_name, itertools.chain((image.stem, image.name), numbered))
        names[next(name for name in candidates if name not in names)] = None
    return list(names)


def draw_job(job: Job) -> Drawn:
    """Draw the pictures of a job.

    Raises:
        OutputError: A picture cannot be written.
    """
    drawn, options = Drawn(), job.options
    movie = None
    if options.movies and job.images[0].video is not None:
        movie = Movie(options.out_dir / f"{job.images[0].video}.mp4")
    pictures = _pictures(job, drawn)
    if movie is None:
        for file, pixels in pictures:
            save_picture(file, pixels)
            drawn.files.append(file)
        return drawn
    with movie:
        for file, pixels in pictures:
            save_picture(file, pixels)
            drawn.files.append(file)
            movie.add(pixels)
    return drawn


def _pictures(job: Job, drawn: Drawn) -> Iterator[tuple[Path, Pixels]]:
    options = job.options
    left: dict[int, Trails] = {}
    right: dict[int, Trails] = {}
    others = job.others or [None] * len(job.images)
    for image, other, file in zip(job.images, others, job.files, strict=True):
        try:
            pixels = None if options.images is None else _read(options.images, image)
            picture = _draw(image, pixels, options, left)
            if job.others:
                empty = np.zeros_like(picture) if options.colours or pixels is None else pixels
                second = empty if other is None else _draw(other, pixels, options, right)
                if second.shape != picture.shape:
                    raise LabelError(f"{_size(picture)} pixels on the left, {_size(second)} on the right")
                picture = beside(picture, second, options.titles)
        except (ImageError, InputError, LabelError) as error:
            drawn.problems.append((str(image.place), str(error)))
            continue
        yield file, picture


def _draw(image: LabelledImage, pixels: Pixels | None, options: DrawOptions, trails: dict[int, Trails]) -> Pixels:
    size = None if pixels is None else (pixels.shape[0], pixels.shape[1])
    results = read_labels(image, options.task, size)
    if options.colours:
        return colour_map(_only(results), options.threshold)
    assert pixels is not None, "only colour maps need no image"
    drawing = pixels.copy()
    draw_results(results, drawing, options.threshold, trails)
    return drawing


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _only(results: Sequence[Result]) -> Result:
    (result,) = results
    return result


def _read(folder: Path, image: LabelledImage) -> Pixels:
    return read_image(find_image(folder, image))[0]


def find_image(folder: Path, image: LabelledImage) -> Path:
    """Return the file of an image: below its video's folder or not, with its own suffix or another.

    Raises:
        ImageError: There is none.
    """
    for path in (folder / (image.video or "") / image.name, folder / image.name):
        for candidate in (path, *(path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)):
            if candidate.is_file():
                return candidate
    raise ImageError(f"no image of this name in {folder}")


@dataclass(frozen=True)
class Overlay:
    """A colour map to be laid over its image.

    Attributes:
        image: The image.
        colours: The colour map.
        target: The picture.
    """

    image: Path
    colours: Path
    target: Path


def draw_overlay(overlay: Overlay) -> Drawn:
    """Lay a colour map half transparent over its image, as the original's ``vis.py`` did; black is left as it is.

    Raises:
        OutputError: The picture cannot be written.
    """
    drawn = Drawn()
    try:
        pixels, colours = read_image(overlay.image)[0], read_image(overlay.colours)[0]
    except ImageError as error:
        drawn.problems.append((overlay.target.stem, str(error)))
        return drawn
    if pixels.shape != colours.shape:
        size = f"{colours.shape[1]}x{colours.shape[0]}"
        problem = f"the colour map has {size} pixels, the image {pixels.shape[1]}x{pixels.shape[0]}"
        drawn.problems.append((overlay.target.stem, problem))
        return drawn
    mixed = cv2.addWeighted(pixels, 1 - OPACITY, colours, OPACITY, 0)
    np.copyto(pixels, mixed, where=(colours.max(axis=2) > 0)[..., None])
    save_picture(overlay.target, pixels)
    drawn.files.append(overlay.target)
    return drawn
