"""What testing a pose model needs beside images: where the people are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bdd100k_models.errors import InputError
from bdd100k_models.tasks import Task, get_task

if TYPE_CHECKING:
    from mmengine.config import Config

    from bdd100k_models.datasets.images import ImageSet
    from bdd100k_models.datasets.loader import Regions
    from bdd100k_models.datasets.person_boxes import PersonBox
    from bdd100k_models.engine.test import TestOptions

_DETECTIONS = "detector"  # folder of the detector's results, below that of the poses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that pose models alone have."""
    group = parser.add_argument_group("person boxes (pose)")
    group.add_argument(
        "--boxes",
        metavar="FILE",
        type=Path,
        help="boxes of people: Scalabel or COCO JSON, or a list of image_id, bbox (x, y, w, h) and score "
        "(default: the config's bbox_file in the data root, or the labels' boxes)",
    )
    group.add_argument(
        "--box-images", metavar="FILE", type=Path, help="COCO JSON that says which image each image_id of --boxes is"
    )
    group.add_argument("--box-score-thr", metavar="SCORE", type=float, help="least score of a box (default: 0)")
    group.add_argument(
        "--detector", metavar="CONFIG_OR_NAME", help="find people with this detection model of the zoo first"
    )
    group.add_argument(
        "--detector-checkpoint", metavar="FILE", help="its weights: a file or URL (default: those of the zoo)"
    )


def check_arguments(task: Task, args: argparse.Namespace) -> None:
    """Refuse flags that do not fit the task or each other.

    Raises:
        InputError: They do not.
    """
    given = {
        "--boxes": args.boxes,
        "--box-images": args.box_images,
        "--box-score-thr": args.box_score_thr,
        "--detector": args.detector,
        "--detector-checkpoint": args.detector_checkpoint,
    }
    flags = [flag for flag, value in given.items() if value is not None]
    if flags and task.name != "pose":
        raise InputError(f"{flags[0]} is for pose models; leave it out for {task.name}")
    if args.boxes is not None and args.detector is not None:
        raise InputError("--boxes and --detector both say where people are; give one of them")
    if args.box_images is not None and args.boxes is None:
        raise InputError("--box-images explains the ids of --boxes; give that too")
    if args.detector_checkpoint is not None and args.detector is None:
        raise InputError("--detector-checkpoint needs --detector; name the model that the weights are of")


def choose_regions(args: argparse.Namespace, config: Config, images: ImageSet, options: TestOptions) -> Regions:
    """Return the boxes in which a pose model looks for people.

    Args:
        args: The command's flags.
        config: The pose model's config.
        images: The run's images.
        options: How the pose model will run; a detector runs likewise, and writes into a folder below ``out_dir``.

    Raises:
        InputError: Nothing says where people are.
        LabelError, MissingFileError: The boxes cannot be read.
        ConfigError, CheckpointError: The detector cannot be used.
    """
    from bdd100k_models.datasets.person_boxes import as_regions

    dataset = config.test_dataloader.dataset
    least = args.box_score_thr
    if least is None:
        least = (dataset.get("filter_cfg") or {}).get("bbox_score_thr", 0.0)
    return as_regions(_find_boxes(args, config, images, options), least)


def _find_boxes(
    args: argparse.Namespace, config: Config, images: ImageSet, options: TestOptions
) -> dict[str, list[PersonBox]]:
    from bdd100k_models.datasets.person_boxes import boxes_of_frames, read_person_boxes
    from bdd100k_models.engine.config import data_root_of
    from bdd100k_models.formats.coco import load_any_frames

    names = [item.name for item in images.items]
    if args.detector is not None:
        return read_person_boxes(_detect(args, images, options), names)
    path = args.boxes
    dataset = config.test_dataloader.dataset
    if path is None and args.images is None and dataset.get("bbox_file"):
        split = args.split or "val"
        name = dataset.bbox_file.replace("_val.", f"_{split}.")
        published = data_root_of(config, dataset, args.data_root) / name
        path = published if published.is_file() else None
    if path is not None:
        return read_person_boxes(path, names, args.box_images or images.label_file)
    if images.label_file is not None:
        return boxes_of_frames(load_any_frames(images.label_file), labelled=True)
    raise InputError(
        f"{images.source}: nothing says where the people are; "
        "give their boxes with --boxes FILE, or a detection model with --detector NAME"
    )


def _detect(args: argparse.Namespace, images: ImageSet, options: TestOptions) -> Path:
    """Run a detection model over the images and return its predictions."""
    import dataclasses

    from bdd100k_models.engine import distributed
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.test import format_of, run_test
    from bdd100k_models.engine.weights import find_weights
    from bdd100k_models.zoo.records import resolve_config

    task = get_task("det")
    config = load_config(resolve_config(task.name, args.detector))
    own = dataclasses.replace(
        options,
        out_dir=options.out_dir / _DETECTIONS,
        weights=distributed.on_main(lambda: find_weights(args.detector_checkpoint, config)),
        show_dir=None,
        raw_file=None,
        outputs=None,
        regions=None,
    )
    run_test(task, config, images, own)
    # its file is written by the first process
    distributed.barrier()
    return format_of(task, config).result_path(own.out_dir)
