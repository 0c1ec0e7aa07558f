"""``bdd100k-models data``: make a data root."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from bdd100k_models.errors import InputError

_EXAMPLES = """\
examples:
  bdd100k-models data synth synthetic --val 20
  bdd100k-models data synth synthetic --val 20 --tasks det tagging
  bdd100k-models data synth synthetic --train 1000 --val 100 --test 20 --seed 7
  bdd100k-models test det CONFIG_OR_NAME --data-root synthetic --format-dir out --eval
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``data``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "data",
        help="draw a small synthetic data set",
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
            "split and size always give the same files, whatever the counts."
        ),
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    synth.add_argument("root", metavar="ROOT", type=Path, help="folder to make; it becomes a data root")
    for split in ("train", "val", "test"):
        synth.add_argument(f"--{split}", type=int, default=0, metavar="N", help=f"pictures in {split} (default: 0)")
    synth.add_argument(
        "--tasks", nargs="+", metavar="TASK", help="whose labels to write (default: all tasks on single images)"
    )
    synth.add_argument("--seed", type=int, default=0, metavar="S", help="another number, other scenes (default: 0)")
    synth.add_argument("--size", default="1280x720", metavar="WxH", help="pixels (default: 1280x720)")
    synth.add_argument("--nproc", type=int, metavar="N", help="processes (default: one for each core)")
    synth.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    synth.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw the data set."""
    size = _parse_size(args.size)
    splits = {"train": args.train, "val": args.val, "test": args.test}
    if not any(splits.values()):
        raise InputError("no images were asked for; add --train N, --val N or --test N")
    from bdd100k_models.datasets.synth import IMAGE_TASKS, generate

    tasks = args.tasks or IMAGE_TASKS
    print(generate(args.root, splits, seed=args.seed, tasks=tasks, size=size, nproc=args.nproc, force=args.force))
    return 0


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    if not match:
        raise InputError(f"--size must be WIDTHxHEIGHT in pixels, such as 1280x720, not {text!r}")
    return int(match[1]), int(match[2])
