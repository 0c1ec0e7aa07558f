"""``bdd100k-models vis TASK``, and the ``vis.py`` of the task folders that had one: pictures of labels and results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd100k_models.commands.limits import check_least, check_share
from bdd100k_models.commands.task_verb import TaskVerb
from bdd100k_models.errors import InputError, MissingFileError
from bdd100k_models.inference.names import THRESHOLD
from bdd100k_models.tasks import SPLITS, Task, get_task

if TYPE_CHECKING:
    from bdd100k_models.visualization.jobs import Drawn, DrawOptions

_PROBLEMS_SHOWN = 10
_FORMAT = "jpg"
_SHEET_COLUMNS, _SHEET_ROWS, _SHEET_WIDTH = 4, 6, 2400

_EXAMPLES = """\
examples:
  {call} -i images/100k/val -l labels/det_20/det_val.json -o drawn
  {call} --data-root data/bdd100k --split val -n 50 -o drawn
  {call} --data-root data/bdd100k -l out/RESULT --beside-labels --sheet -o compared
  {call} -l out/masks --color-map -o colors
  {call} -i images/10k/val -c colors -o overlays --nproc 8
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every task has."""
    parser.set_defaults(run=run)
    group = parser.add_argument_group("what is drawn")
    group.add_argument("-i", "--image", "--images", metavar="DIR", type=Path, help="folder of the images")
    group.add_argument(
        "-l",
        "--labels",
        metavar="PATH",
        type=Path,
        help="labels or predictions: Scalabel or COCO JSON, or a folder of JSON, masks or bitmasks",
    )
    group.add_argument("-c", "--color", metavar="DIR", type=Path, help="lay these colour maps over the images instead")
    group.add_argument(
        "--data-root", metavar="ROOT", help="folder with images/ and labels/, where -i or -l is left out"
    )
    group.add_argument("--split", choices=SPLITS, help="split of the data set (default: val)")
    group.add_argument("--threshold", metavar="SCORE", type=float, help=f"least score (default: {THRESHOLD})")
    group.add_argument("-n", "--num-samples", metavar="N", type=int, default=-1, help="draw the first N (-1: all)")
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the pictures")
    group.add_argument("--color-map", action="store_true", help="the colours alone, without the images (.png)")
    group.add_argument("--beside", metavar="PATH", type=Path, help="draw these labels on the right of the others")
    group.add_argument("--beside-labels", action="store_true", help="draw the labels of the split on the right")
    group.add_argument("--sheet", action="store_true", help="also put the pictures on contact sheets")
    group.add_argument("--columns", metavar="N", type=int, help=f"of a sheet (default: {_SHEET_COLUMNS})")
    group.add_argument("--movies", action="store_true", help="of videos: also a film each, 5 frames a second")
    group.add_argument("--format", choices=("jpg", "png"), help="of the pictures (default: jpg)")
    group.add_argument("--nproc", metavar="N", type=int, help="processes (default: one for each core)")


_VERB = TaskVerb(
    name="vis",
    help="draw labels or predictions of any task over their images",
    description="Draw labels or predictions of any task over their images, in the official colours.",
    script="Draw labels or predictions of {} over their images.",
    examples=_EXAMPLES,
    example="TASK",
    add_arguments=add_arguments,
)
register, main = _VERB.register, _VERB.main


def run(args: argparse.Namespace) -> int:
    """Run the verb; 0, or 1 when some images could not be drawn."""
    task = get_task(args.task)
    _check_arguments(args)
    from bdd100k_models.formats.files import keep_originals, make_folder
    from bdd100k_models.inference.labels import WITH_MASKS

    if args.color_map and task.name not in WITH_MASKS:
        raise InputError(f"{task.name} has no masks to paint; leave out --color-map")

    read = [path for path in (args.color, args.labels, args.beside) if path is not None and path.is_dir()]
    keep_originals(read, [args.output], "-o")
    if args.color is not None:
        jobs, work = _overlays(task, args)
    else:
        jobs, work = _drawings(task, args)
    make_folder(args.output)
    files, problems = _draw(jobs, work, args)
    if args.sheet and files:
        _write_sheets(files, args)
    for name, problem in problems[:_PROBLEMS_SHOWN]:
        print(f"error: {name}: {problem}", file=sys.stderr)
    if len(problems) > _PROBLEMS_SHOWN:
        print(f"... and {len(problems) - _PROBLEMS_SHOWN} more", file=sys.stderr)
    if problems and not files:
        raise InputError(f"none of {len(problems)} images could be drawn; check -i and -l")
    print(f"{len(files)} pictures: {args.output}")
    return 1 if problems else 0


def _check_arguments(args: argparse.Namespace) -> None:
    if args.color is not None and (args.labels is not None or args.color_map):
        raise InputError("-c lays colour maps over images; leave out -l and --color-map")
    given = {
        "--beside": args.beside,
        "--beside-labels": args.beside_labels,
        "--movies": args.movies,
        "--threshold": args.threshold,
        "--format": args.format,
    }
    for flag in [flag for flag, value in given.items() if value not in (None, False)]:
        if args.color is not None:
            raise InputError(f"{flag} is for drawings of labels, and -c lays colour maps over images; leave it out")
    if args.color_map and args.format is not None:
        raise InputError("--format is for drawings, and colour maps are PNG; leave it out")
    if args.columns is not None and not args.sheet:
        raise InputError("--columns is of contact sheets; add --sheet, or leave it out")
    if args.beside is not None and args.beside_labels:
        raise InputError("--beside and --beside-labels both say what is on the right; give one of them")
    if args.num_samples < -1 or args.num_samples == 0:
        raise InputError(f"--num-samples must be at least 1, or -1 for all, not {args.num_samples}")
    if args.threshold is not None:
        check_share(args, "threshold")
    check_least(args, 1, "columns", "nproc")


def _overlays(task: Task, args: argparse.Namespace) -> tuple[Sequence[Any], Callable[[Any], Drawn]]:
    from bdd100k_models.datasets.images import IMAGE_SUFFIXES
    from bdd100k_models.visualization.jobs import Overlay, distinct_names, draw_overlay

    images = _images(task, args)
    if not args.color.is_dir():
        raise MissingFileError(f"{args.color}: no such folder of colour maps; make them with --color-map")
    files = sorted(path for path in images.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    jobs = []
    for path, name in zip(files, distinct_names([path.relative_to(images) for path in files]), strict=True):
        # of images that differ in their suffix alone, each may have a map of its own, as --color-map writes them
        places = name.with_name(f"{name.name}.png"), path.relative_to(images).with_suffix(".png")
        if colours := next((args.color / place for place in places if (args.color / place).is_file()), None):
            jobs.append(Overlay(path, colours, args.output / places[0]))
    if not jobs:
        raise MissingFileError(f"{args.color}: no colour map (.png) of an image in {images}; check -i and -c")
    return _first(jobs, args.num_samples), draw_overlay


def _drawings(task: Task, args: argparse.Namespace) -> tuple[Sequence[Any], Callable[[Any], Drawn]]:
    from bdd100k_models.formats.files import keep_originals
    from bdd100k_models.inference.labels import find_labels
    from bdd100k_models.visualization.jobs import draw_job, make_jobs

    labels = args.labels or _labels_of_split(task, args)
    images = _first(find_labels(labels, task), args.num_samples)
    options = _options(task, args)
    if options.images is not None:
        read = {options.images, *(options.images / (image.video or "") for image in images)}
        keep_originals(read, {(args.output / image.place).parent for image in images}, "-o")
    right = _labels_of_split(task, args) if args.beside_labels else args.beside
    others = None if right is None else find_labels(right, task)
    if right is not None:
        options = replace(options, titles=(labels.name, right.name))
    return make_jobs(images, others, options), draw_job


def _options(task: Task, args: argparse.Namespace) -> DrawOptions:
    from bdd100k_models.visualization.jobs import DrawOptions

    needs_images = not args.color_map
    given = args.image is not None or args.data_root is not None
    return DrawOptions(
        task=task,
        images=_images(task, args) if needs_images or given else None,
        out_dir=args.output,
        suffix=".png" if args.color_map else f".{args.format or _FORMAT}",
        threshold=THRESHOLD if args.threshold is None else args.threshold,
        colours=args.color_map,
        movies=args.movies,
    )


def _first(items: Sequence[Any], count: int) -> Sequence[Any]:
    return items if count < 0 else items[:count]


def _images(task: Task, args: argparse.Namespace) -> Path:
    from bdd100k_models.datasets.images import find_data_root, split_images
    from bdd100k_models.formats.files import keep_originals

    if args.image is not None and not args.image.is_dir():
        raise MissingFileError(f"{args.image}: no such folder of images (-i)")
    images: Path = args.image or split_images(task, find_data_root(args.data_root), args.split or "val")
    keep_originals([images], [args.output], "-o")
    return images


def _labels_of_split(task: Task, args: argparse.Namespace) -> Path:
    from bdd100k_models.datasets.images import find_data_root, find_labels

    root, split = find_data_root(args.data_root), args.split or "val"
    if (found := find_labels(task, root, split)) is None:
        forms = ", ".join(task.label_paths(split))
        raise MissingFileError(f"{root}: has no labels of {task.name} {split} ({forms}); name labels with -l")
    return found


def _draw(
    jobs: Sequence[Any], work: Callable[[Any], Drawn], args: argparse.Namespace
) -> tuple[list[Path], list[tuple[str, str]]]:
    from bdd100k_models.evaluation.masks import map_images
    from bdd100k_models.processes import cores
    from bdd100k_models.progress import ProgressBar

    files: list[Path] = []
    problems: list[tuple[str, str]] = []
    total = sum(len(getattr(job, "images", [job])) for job in jobs)
    with ProgressBar(total, "vis") as bar:
        for drawn in map_images(work, jobs, args.nproc or cores(), images_each=max(1, total // max(1, len(jobs)))):
            files += drawn.files
            problems += drawn.problems
            bar.advance(len(drawn.files) + len(drawn.problems))
    return files, problems


def _write_sheets(files: Sequence[Path], args: argparse.Namespace) -> None:
    from bdd100k_models.visualization.drawing import save_picture
    from bdd100k_models.visualization.layout import contact_sheets

    for number, sheet in enumerate(contact_sheets(files, args.columns or _SHEET_COLUMNS, _SHEET_ROWS, _SHEET_WIDTH), 1):
        path = args.output / f"sheet-{number:03d}.{args.format or _FORMAT}"
        save_picture(path, sheet)
        print(f"sheet: {path}")
