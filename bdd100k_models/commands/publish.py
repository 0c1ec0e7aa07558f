"""``bdd100k-models publish``: a checkpoint of a run as the zoo hands it out."""

from __future__ import annotations

import argparse
from pathlib import Path


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``publish``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "publish",
        help="strip a checkpoint to its weights and write its MD5",
        description="Strip a training checkpoint to its weights and class names; write its MD5 beside it.",
        formatter_class=HelpFormatter,
        epilog="examples:\n  bdd100k-models publish work_dirs/NAME/epoch_12.pth NAME.pth",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("destination", type=Path, metavar="FILE", help="the weight file, named like its config")
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    from bdd100k_models.engine.train import publish
    from bdd100k_models.formats.files import write_bytes
    from bdd100k_models.zoo.download.checked import md5_of

    publish(args.checkpoint, args.destination, half=args.half)
    digest = md5_of(args.destination)
    write_bytes(args.destination.with_suffix(".md5"), f"{digest}  {args.destination.name}\n".encode())
    print(f"{args.destination} ({args.destination.stat().st_size / 2**20:.1f} MiB), MD5 {digest}")
    return 0
