"""The command ``bdd100k-models VERB``."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from bdd100k_models import __version__
from bdd100k_models.errors import ZooError

#: Modules of ``bdd100k_models.commands``, in the order of the help.
VERBS = ("test", "train", "eval", "publish", "predict", "vis", "export", "zoo", "data", "demo")

EXIT_PROBLEMS = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples and gives flags room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=min(110, shutil.get_terminal_size((110, 24)).columns))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="bdd100k-models",
        description="Test, train, evaluate and export the models of the BDD100K zoo, and predict with them.",
        formatter_class=HelpFormatter,
        epilog=(
            "examples:\n"
            "  bdd100k-models test det faster_rcnn_r50_fpn_1x_det_bdd100k --data-root ROOT --format-dir out --eval\n"
            "  bdd100k-models eval -t det -g data/bdd100k/labels/det_20/det_val.json -r out/det.json\n"
            "  bdd100k-models zoo list --task det\n"
            "  bdd100k-models data synth synthetic --val 20\n\n"
            "bdd100k-models VERB --help says more."
        ),
    )
    parser.add_argument("--version", action="version", version=f"bdd100k-models {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        importlib.import_module(f"bdd100k_models.commands.{verb}").register(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, 1 (done, but look at the problems named), or 2 (an error)."""
    return run_command(build_parser(), arguments)


def run_command(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse and run; an error of the user's is one line on stderr, an interruption says so."""
    args = parser.parse_args(arguments)
    work: Callable[[argparse.Namespace], int] = args.run
    signal.signal(signal.SIGTERM, _interrupt)
    # remarks of the libraries to their own developers; ours are printed, not warned
    warnings.filterwarnings("ignore", module=r"(mm(engine|cv|det|seg|pretrain|pose)|torch)\b")
    try:
        return work(args)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        hint = "; run again with --resume to go on" if hasattr(args, "resume") else ""
        print(f"interrupted: what was written is kept{hint}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader of a pipe has gone, as `| head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        return 0


def _interrupt(signum: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
