"""``bdd100k-models publish``: a checkpoint of a run as the zoo hands it out."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  bdd100k-models publish work_dirs/NAME/epoch_12.pth NAME.pth
  bdd100k-models publish work_dirs/NAME/best_bdd100k_AP_epoch_12.pth out --base-url https://example.org/det/models
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``publish``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "publish",
        help="strip a checkpoint to its weights; write its MD5 and zoo entry",
        description="Strip a training checkpoint to its weights and class names. Beside it come its MD5 and, where it "
        "is named like a config of the zoo, NAME.entry.json: the model's row for zoo/TASK.json.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "destination",
        type=Path,
        metavar="FILE_OR_DIR",
        help="the weight file (NAME.pth), or a folder to name it after its config",
    )
    parser.add_argument("--half", action="store_true", help="store weights in half precision")
    parser.add_argument("--base-url", metavar="URL", help="where the files will be, for the links of the entry")
    parser.add_argument("--scores", type=Path, metavar="FILE", help="scores of eval --out-file on val, for the entry")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    from bdd100k_models.engine.publish import publish

    done = publish(args.checkpoint, args.destination, half=args.half, base_url=args.base_url, scores=args.scores)
    print(f"{done.weights} ({done.weights.stat().st_size / 2**20:.1f} MiB), MD5 {done.md5}")
    if done.entry is not None:
        print(f"entry for zoo/{done.task}.json: {done.weights.with_suffix('.entry.json')}")
    return 0
