"""``bdd100k-models predict NAME INPUT...``: any model of the zoo on anything that shows pictures."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd100k_models.commands.limits import check_least, check_share
from bdd100k_models.errors import InputError

if TYPE_CHECKING:
    from bdd100k_models.inference.model import Model
    from bdd100k_models.inference.run import PredictReport
    from bdd100k_models.inference.sources import Source

_KINDS = ("json", "masks", "pictures")
_PROBLEMS_SHOWN = 10
_ALL_READ = 0
_SOME_PROBLEMS = 1

_EXAMPLES = """\
examples:
  bdd100k-models predict faster_rcnn_r50_fpn_1x_det_bdd100k street.jpg
  bdd100k-models predict NAME photos/ 'more/**/*.png' drive.mp4 https://example.com/a.jpg --out predictions
  bdd100k-models predict DETECTOR,DRIVABLE,TAGGER drive.mp4 --every 3 --threshold 0.5 --classes car truck
  bdd100k-models predict qdtrack-frcnn_r50_fpn_12e_mot_bdd100k drive.mp4
  bdd100k-models predict NAME photos/ --checkpoint weights.pth
  bdd100k-models predict DETECTOR drive.mp4 --tracker bytetrack
  bdd100k-models predict NAME 0                  (the first camera, until Ctrl-C)

Written below DIR: MODEL.json (Scalabel), MODEL/masks, MODEL/bitmasks or MODEL/seg_track (PNG), pictures/*.jpg,
videos/*.mp4.
Exit status: 0; 1 if pictures were left out or unusual (see errors.json there); 2 if nothing could be done.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``predict``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "predict",
        help="run models on any images, folders, videos or cameras",
        description="Run one model or several on images, folders, videos, cameras or addresses; no data set needed.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=run)
    parser.add_argument("names", metavar="NAME", help="a model of the zoo, or a config; several with commas between")
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="an image, folder, pattern, video, camera's number, or http(s) address",
    )
    parser.add_argument(
        "-m", "--model", metavar="NAME", action="append", default=[], help="a further model; may be repeated"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        action="append",
        default=[],
        help="weights: a file or URL (default: the zoo's); with several models once each in their order, or NAME=FILE",
    )
    parser.add_argument("--tracker", choices=("bytetrack", "ocsort"), help="follow what models of det or ins_seg find")
    _add_what_arguments(parser)
    _add_people_arguments(parser)
    _add_running_arguments(parser)


def _add_what_arguments(parser: argparse.ArgumentParser) -> None:
    from bdd100k_models.inference.names import THRESHOLD

    group = parser.add_argument_group("what is kept and written")
    group.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("predictions"), help="output folder (default: predictions)"
    )
    group.add_argument(
        "--save", nargs="+", choices=_KINDS, default=_KINDS, metavar="KIND", help="json, masks, pictures (default: all)"
    )
    group.add_argument(
        "--threshold",
        metavar="SCORE",
        type=float,
        default=THRESHOLD,
        help=f"least score of objects, tracks and boxes of people, 0 to 1 (default: {THRESHOLD})",
    )
    group.add_argument("--classes", nargs="+", metavar="CATEGORY", help="keep these categories only")
    group.add_argument("--every", type=int, default=1, metavar="N", help="of videos, each N-th frame (default: 1)")
    group.add_argument("--json", action="store_true", help="print the summary as JSON")


def _add_people_arguments(parser: argparse.ArgumentParser) -> None:
    from bdd100k_models.inference.names import DEFAULT_DETECTOR

    group = parser.add_argument_group("where people are (pose)")
    group.add_argument(
        "--detector",
        metavar="NAME",
        help=f"the model that finds them (default: the first of det among NAME, else {DEFAULT_DETECTOR})",
    )
    group.add_argument("--detector-checkpoint", metavar="FILE", help="its weights (default: the zoo's)")
    group.add_argument(
        "--boxes", metavar="FILE", type=Path, help="their boxes instead: Scalabel or COCO JSON, or a list of detections"
    )


def _add_running_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: the GPU where there is one)")
    group.add_argument("--half", action="store_true", help="reduced precision: bfloat16 on the CPU, float16 on a GPU")
    group.add_argument("--batch", type=int, default=1, metavar="N", help="pictures a forward pass (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    names = [name for name in args.names.split(",") if name] + args.model
    _check_arguments(args, names)
    from bdd100k_models.engine import distributed
    from bdd100k_models.inference.find import find_config
    from bdd100k_models.inference.sources import find_sources
    from bdd100k_models.tasks import get_task

    distributed.choose_device(args.device)
    configs = [find_config(name) for name in names]
    tasks = [task for task, _ in configs]
    stems = [path.stem for _, path in configs]
    if twice := {stem for stem in stems if stems.count(stem) > 1}:
        raise InputError(f"{min(twice)} is named twice, and results are named after their model; name each once")
    _check_flags_of_tasks(args, [task.name for task in tasks])
    if args.classes is not None:
        from bdd100k_models.inference.convert import check_classes
        from bdd100k_models.inference.names import TRACKED

        followed = TRACKED if args.tracker is not None else {}
        check_classes(
            args.classes, [get_task(followed[task.name]) if task.name in followed else task for task in tasks]
        )
    distributed.set_cpu_threads()
    as_videos = args.tracker is not None or any(task.videos for task in tasks)
    with tempfile.TemporaryDirectory(prefix="bdd100k-models-") as folder:
        # what is named must be there before weights are fetched
        sources = find_sources(args.inputs, Path(folder), every=args.every, as_videos=as_videos)
        return _predict(args, names, sources)


def _check_arguments(args: argparse.Namespace, names: Sequence[str]) -> None:
    if not names:
        raise InputError("no model was named; `bdd100k-models zoo list` shows all")
    _checkpoints(names, args.checkpoint)
    check_least(args, 1, "every", "batch")
    check_share(args, "threshold")


def _check_flags_of_tasks(args: argparse.Namespace, tasks: Sequence[str]) -> None:
    from bdd100k_models.inference.names import TRACKED

    given = {"--detector": args.detector, "--detector-checkpoint": args.detector_checkpoint, "--boxes": args.boxes}
    flags = [flag for flag, value in given.items() if value is not None]
    if flags and "pose" not in tasks:
        raise InputError(f"{flags[0]} is for pose models; leave it out")
    if args.tracker is not None and not TRACKED.keys() & set(tasks):
        raise InputError("--tracker follows what models of det and ins_seg find; name one of these")
    if args.boxes is not None and args.detector is not None:
        raise InputError("--boxes and --detector both say where people are; give one of them")
    if args.detector_checkpoint is not None and args.detector is None:
        raise InputError("--detector-checkpoint needs --detector; name the model that the weights are of")


def _predict(args: argparse.Namespace, names: Sequence[str], sources: Sequence[Source]) -> int:
    from bdd100k_models.engine.shards import ERRORS_FILE, write_problems
    from bdd100k_models.formats.files import keep_originals, make_folder
    from bdd100k_models.inference.run import PredictOptions, run_predict
    from bdd100k_models.inference.writers import picture_folders

    keep_originals((path.parent for source in sources for path in source.paths), picture_folders(args.out), "--out")
    make_folder(args.out)
    options = PredictOptions(
        out_dir=args.out,
        threshold=args.threshold,
        classes=args.classes,
        batch_size=args.batch,
        kinds=args.save,
        boxes=_read_boxes(args, sources),
        own_detector=args.detector is not None,
    )
    report = run_predict(_load(args, names), sources, options)
    write_problems(args.out / ERRORS_FILE, report.problems)
    _print_report(report, args)
    if report.interrupted:
        raise KeyboardInterrupt
    return _SOME_PROBLEMS if report.problems else _ALL_READ


def _load(args: argparse.Namespace, names: Sequence[str]) -> list[Model]:
    from bdd100k_models.inference.model import load_model

    detector: Any = args.detector
    if args.detector_checkpoint is not None:
        detector = load_model(args.detector, args.detector_checkpoint, device=args.device, half=args.half)
    checkpoints = _checkpoints(names, args.checkpoint)
    return [
        load_model(
            name,
            checkpoints.get(name),
            device=args.device,
            half=args.half,
            detector=detector,
            tracker=_tracker_of(name, args),
        )
        for name in names
    ]


def _checkpoints(names: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Return the weights of each model that has some: those given for it by ``NAME=FILE``, the others in order.

    Raises:
        InputError: A model would have two, or weights no model.
    """
    own = {Path(name).stem: name for name in names}
    chosen: dict[str, str] = {}
    others: list[str] = []
    for item in given:
        stem, sign, file = item.partition("=")
        if not sign or stem not in own:
            others.append(item)
        elif own[stem] in chosen:
            raise InputError(f"--checkpoint names {stem} twice; give each model its weights once")
        else:
            chosen[own[stem]] = file
    rest = [name for name in names if name not in chosen]
    if len(others) > len(rest):
        raise InputError(f"{len(given)} checkpoints were given for {len(names)} model(s); one a model")
    return chosen | dict(zip(rest, others, strict=False))


def _tracker_of(name: str, args: argparse.Namespace) -> str | None:
    """Return the tracker for a model: beside a detector, models of areas or tags have nothing to follow."""
    from bdd100k_models.inference.find import find_config
    from bdd100k_models.inference.names import TRACKED

    return args.tracker if find_config(name)[0].name in TRACKED else None


def _read_boxes(args: argparse.Namespace, sources: Sequence[Source]) -> Any:
    if args.boxes is None:
        return None
    from bdd100k_models.datasets.person_boxes import read_person_boxes
    from bdd100k_models.inference.sources import ImageFiles

    files = [source for source in sources if isinstance(source, ImageFiles)]
    # how many frames videos have, and with them their names, is not known before they are read
    names = [name for source in files for name, _ in source.files] if len(files) == len(sources) else []
    return read_person_boxes(args.boxes, names)


def _print_report(report: PredictReport, args: argparse.Namespace) -> None:
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        kind = "warning" if problem.predicted else "error"
        print(f"{kind}: {problem.name}: {problem.message}", file=sys.stderr)
    if len(report.problems) > _PROBLEMS_SHOWN:
        print(f"... and {len(report.problems) - _PROBLEMS_SHOWN} more", file=sys.stderr)
    if args.json:
        import json

        summary = {"pictures": report.pictures, "found": report.found, "seconds": round(report.seconds, 3)}
        print(json.dumps(summary | {"problems": len(report.problems), "out": str(args.out)}))
        return
    speed = f", {report.pictures / report.seconds:.2f}/s" if report.seconds else ""
    print(f"{report.pictures} pictures{speed}: {args.out}")
    for name, count in report.found.items():
        print(f"  {name}: {count}")
