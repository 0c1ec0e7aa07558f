"""``bdd100k-models zoo mirror``: a complete copy of the zoo, made and verified."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bdd100k_models.errors import InputError
from bdd100k_models.tasks import TASKS

_EXAMPLES = """\
examples:
  bdd100k-models zoo mirror /data/zoo                              # everything; run again to continue
  bdd100k-models zoo mirror /data/zoo --task det,pose --what weights
  bdd100k-models zoo mirror /data/zoo --verify                     # read all files, compare their MD5
  bdd100k-models zoo mirror https://mirror.example/zoo --verify    # what does it lack, by its index?

What is in a mirror is used by BDD100K_MODELS_MIRRORS=/data/zoo, by --mirror /data/zoo, or by a line with its folder
or address in bdd100k-models/mirrors in the folder of settings (~/.config).
"""

_LACKS_SHOWN = 20


def add_transfer_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of everything that downloads."""
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="WHERE",
        help="address or folder with a copy of the zoo, asked before all others; may be repeated",
    )
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="files at a time (default: 4)")


def checked_jobs(jobs: int) -> int:
    """Return a number of jobs that is one."""
    if not 1 <= jobs <= 64:
        raise InputError(f"--jobs {jobs}: give a number from 1 to 64")
    return jobs


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action ``mirror``."""
    from bdd100k_models.cli import HelpFormatter
    from bdd100k_models.zoo.parts import PARTS

    parser = actions.add_parser(
        "mirror",
        help="make or verify a complete copy of the zoo",
        description="Make a complete copy of the zoo in a folder, continue it, or say what it lacks.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.add_argument("where", metavar="DIR", help="the folder; with --verify also an address")
    parser.add_argument("--verify", action="store_true", help="fetch nothing; exit with 1 if something is not right")
    parser.add_argument("--task", metavar="TASKS", help=f"any of {','.join(TASKS)} (default: all)")
    parser.add_argument("--what", default=",".join(PARTS), metavar="PARTS", help="which files (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_transfer_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make or verify a mirror; 1 if it lacks something."""
    import msgspec

    from bdd100k_models.cli import EXIT_PROBLEMS
    from bdd100k_models.zoo import download, mirror
    from bdd100k_models.zoo.parts import kinds_of

    jobs = checked_jobs(args.jobs)
    wanted = mirror.wanted_files(_tasks(args.task), kinds_of(args.what))
    if "://" in args.where:
        if not args.verify:
            raise InputError(f"{args.where}: a mirror is made in a folder; give one, or --verify")
        with tempfile.TemporaryDirectory() as scratch:
            lacks = mirror.lacking_at(args.where, wanted, Path(scratch))
        report = mirror.MirrorReport(len(wanted), kept=len(wanted) - len(lacks), lacks=lacks)
    elif args.verify:
        if not Path(args.where).is_dir():
            raise InputError(f"{args.where}: no such folder; make the mirror first, without --verify")
        report = mirror.verify_mirror(Path(args.where), wanted, jobs)
        if report.lacks:
            print("remove what is damaged, then make the mirror again; what is there is kept", file=sys.stderr)
    else:
        with download.preferring(args.mirror):
            report = mirror.make_mirror(Path(args.where), wanted, jobs, lambda line: print(line, file=sys.stderr))
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=1).decode())
    else:
        _print(report, shown=args.verify)
    return EXIT_PROBLEMS if report.lacks else 0


def _tasks(given: str | None) -> list[str] | None:
    if given is None:
        return None
    from bdd100k_models.tasks import get_task

    return [get_task(name.strip()).name for name in given.split(",")]


def _print(report: object, *, shown: bool) -> None:
    from bdd100k_models.zoo.mirror import MirrorReport

    assert isinstance(report, MirrorReport)
    if shown:
        for path, reason in list(report.lacks.items())[:_LACKS_SHOWN]:
            print(f"{path}: {reason}")
        if len(report.lacks) > _LACKS_SHOWN:
            print(f"... and {len(report.lacks) - _LACKS_SHOWN} more; --json has all")
    there = report.kept + len(report.fetched)
    size = f" ({report.size / 2**20:.1f} MiB)" if report.size else ""
    print(f"{there} of {report.wanted} files are there{size}, {len(report.fetched)} came now, {len(report.lacks)} lack")
