"""``bdd100k-models data``: make a data root, or check one."""

from __future__ import annotations

import argparse
import math
import re
import sys
from functools import partial
from pathlib import Path

from bdd100k_models.errors import InputError
from bdd100k_models.tasks import SPLITS, TASKS

_EXAMPLES = """\
examples:
  bdd100k-models data synth synthetic --val 20
  bdd100k-models data synth synthetic --val-videos 2 --frames 60
  bdd100k-models data synth synthetic --val 20 --tasks det tagging
  bdd100k-models data synth synthetic --train 1000 --val 100 --test 20 --seed 7
  bdd100k-models test det CONFIG_OR_NAME --data-root synthetic --format-dir out --eval
"""

_CHECK_EXAMPLES = """\
examples:
  bdd100k-models data check data/bdd100k
  bdd100k-models data check data/bdd100k --task det pose --split val --complete
  bdd100k-models data check data/bdd100k --json > report.json

exit status: 0 no problems, 1 problems were found, 2 nothing could be checked
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``data``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "data",
        help="check a data root, or draw a small synthetic one",
        description="Work on data roots.",
        formatter_class=HelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    synth = actions.add_parser(
        "synth",
        help="draw driving scenes with exact labels, in the data set's layout",
        description=(
            "Draw driving scenes with exact labels below ROOT, in the data set's layout: images/100k and images/10k, "
            "and for each task the labels that belong to it (test has none, as in the real data set). The same seed, "
            "split, size and reach, and for videos the same number of frames, always give the same files, however "
            "many are asked for."
        ),
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    synth.add_argument("root", metavar="ROOT", type=Path, help="folder to make; it becomes a data root")
    for split in ("train", "val", "test"):
        synth.add_argument(f"--{split}", type=int, default=0, metavar="N", help=f"pictures in {split} (default: 0)")
    for split in ("train", "val", "test"):
        synth.add_argument(f"--{split}-videos", type=int, default=0, metavar="N", help="videos (default: 0)")
    synth.add_argument("--frames", type=int, default=40, metavar="N", help="frames a video, 5 a second (default: 40)")
    synth.add_argument(
        "--reach",
        type=float,
        default=math.inf,
        metavar="METRES",
        help="leave out objects that are farther away, for models too small to see them (default: no limit)",
    )
    synth.add_argument(
        "--tasks",
        nargs="+",
        metavar="TASK",
        help="whose labels to write (default: all there are)",
    )
    synth.add_argument("--seed", type=int, default=0, metavar="S", help="another number, other scenes (default: 0)")
    synth.add_argument("--size", default="1280x720", metavar="WxH", help="pixels (default: 1280x720)")
    synth.add_argument("--nproc", type=int, metavar="N", help="processes (default: one for each core)")
    synth.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    synth.set_defaults(run=run)
    _register_check(actions)


def _register_check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from bdd100k_models.cli import HelpFormatter

    check = actions.add_parser(
        "check",
        help="say what is missing or broken in a data root",
        description=(
            "Say which splits and labels of the data set are below ROOT, and what is wrong with them: pictures and "
            "masks that cannot be read or have another size or other colours than expected, labels that break their "
            "format, labels without pictures, frames that are missing from videos, pictures that are there twice."
        ),
        formatter_class=HelpFormatter,
        epilog=_CHECK_EXAMPLES,
    )
    check.add_argument(
        "root", metavar="ROOT", nargs="?", help="folder with images/ and labels/ (default: BDD100K_ROOT, data/bdd100k)"
    )
    check.add_argument(
        "--task", nargs="+", default=(), metavar="TASK", help=f"must be there; any of {', '.join(TASKS)}"
    )
    check.add_argument("--split", nargs="+", default=(), metavar="SPLIT", help="train, val, test (default: all)")
    check.add_argument("--complete", action="store_true", help="fewer images than published are a problem")
    check.add_argument("--quick", action="store_true", help="look at headers, do not decode the pixels")
    check.add_argument("--nproc", type=int, metavar="N", help="processes (default: one for each core)")
    check.add_argument("--json", action="store_true", help="print JSON, with every name")
    check.set_defaults(run=run_check)


def run(args: argparse.Namespace) -> int:
    """Draw the data set."""
    size = _parse_size(args.size)
    pictures = {split: getattr(args, split) for split in SPLITS}
    videos = {split: getattr(args, f"{split}_videos") for split in SPLITS}
    if not any(pictures.values()) and not any(videos.values()):
        raise InputError("nothing was asked for; add --train N, --val N or --test N, or videos by --val-videos N")
    if not args.reach > 0:
        raise InputError(f"--reach must be more than 0 metres, not {args.reach:g}")
    from bdd100k_models.datasets.synth import IMAGE_TASKS, VIDEO_TASKS, generate, generate_videos
    from bdd100k_models.datasets.synth.generate import check_counts
    from bdd100k_models.datasets.synth.generate_videos import check_frames

    tasks = args.tasks or [*IMAGE_TASKS, *VIDEO_TASKS]
    if unknown := set(tasks) - {*IMAGE_TASKS, *VIDEO_TASKS}:
        raise InputError(f"there is no task {min(unknown)!r}; the tasks are {', '.join((*IMAGE_TASKS, *VIDEO_TASKS))}")
    # all of it, before anything is drawn
    for option, counts, known in (("--val", pictures, IMAGE_TASKS), ("--val-videos", videos, VIDEO_TASKS)):
        if any(counts.values()):
            if not set(tasks) & set(known):
                raise InputError(f"{option} and its like need one of {', '.join(known)} among --tasks")
            check_counts(counts, args.seed, size, args.nproc)
    if any(videos.values()):
        check_frames(args.frames)
    force = args.force
    draw_videos = partial(generate_videos, frames=args.frames)
    for draw, counts, known in ((generate, pictures, IMAGE_TASKS), (draw_videos, videos, VIDEO_TASKS)):
        chosen = [task for task in tasks if task in known]
        if any(counts.values()):
            summary = draw(
                args.root,
                counts,
                seed=args.seed,
                tasks=chosen,
                size=size,
                reach=args.reach,
                nproc=args.nproc,
                force=force,
            )
            print(summary)
            force = True  # what was just drawn is no stranger's
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Check a data root; 1 where there are problems."""
    from bdd100k_models.cli import EXIT_PROBLEMS
    from bdd100k_models.datasets.check import check_data
    from bdd100k_models.datasets.check_report import print_report
    from bdd100k_models.datasets.images import find_data_root

    report = check_data(
        find_data_root(args.root),
        tasks=args.task,
        splits=args.split,
        complete=args.complete,
        quick=args.quick,
        nproc=args.nproc,
    )
    if args.json:
        print(report.to_json())
    else:
        print_report(report, all_rows=bool(args.task), terminal=sys.stdout.isatty())
    return EXIT_PROBLEMS if report.problems else 0


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if not match:
        raise InputError(f"--size must be WIDTHxHEIGHT in pixels, such as 1280x720, not {text!r}")
    return int(match[1]), int(match[2])
