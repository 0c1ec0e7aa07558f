"""``bdd100k-models zoo check``: a contribution, verified as a maintainer would."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bdd100k_models.errors import ConfigError, InputError, MissingFileError

_EXAMPLES = """\
examples:
  bdd100k-models zoo check contributions/my_method --data-root data/bdd100k
  bdd100k-models zoo check contributions/my_method/entry.json --offline
  bdd100k-models zoo check contributions/my_method --data-root data/bdd100k --write
  bdd100k-models zoo check det/configs/det/my_method.py                       # a config alone: is it plain data?

The folder holds entry.json and, unless they are to be fetched from its links, configs/NAME.py, models/NAME.pth and
NAME.md5, preds/NAME.json, scores-val/NAME.json, scores-test/NAME.json and visuals/NAME.zip. Nothing in them is run.
Exit status: 0 if nothing is wrong (see --strict), 1 if something is, 2 if there is no entry to check.
"""


def add_action(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action ``check``."""
    from bdd100k_models.cli import HelpFormatter

    parser = actions.add_parser(
        "check",
        help="verify a contribution and fill in its checklist",
        description="Verify a contribution: fields, links, config, weights, predictions, scores, visuals. Prints the "
        "checklist filled in, and the rows of the table.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.add_argument("entry", type=Path, metavar="ENTRY", help="a contribution's folder or entry.json; or a config")
    parser.add_argument("--data-root", type=Path, metavar="ROOT", help="the data set, to compare with its val labels")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels to compare with instead (file or folder)")
    parser.add_argument("--root", type=Path, metavar="DIR", help="checkout with the zoo's configs (default: this one)")
    parser.add_argument(
        "--offline", action="store_true", help="open no link, fetch no file: what needs it is not checked"
    )
    parser.add_argument("--private-links", action="store_true", help="let links lead into the own network")
    parser.add_argument("--strict", action="store_true", help="exit with 1 also where something was not checked")
    parser.add_argument("--write", action="store_true", help="if nothing is wrong, add the rows to zoo/TASK.json")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check a contribution, print its checklist, write its rows if asked."""
    import msgspec

    from bdd100k_models.cli import EXIT_PROBLEMS
    from bdd100k_models.zoo.check import CheckOptions, check_entry

    if args.data_root is not None and args.labels is not None:
        raise InputError("--data-root and --labels both name labels; give one of them")
    for flag, folder in (("--data-root", args.data_root), ("--root", args.root)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{flag} {folder}: no such folder; correct it")
    if args.entry.suffix == ".py" and not args.entry.is_dir():
        flags = ("data_root", "labels", "offline", "private_links", "strict", "write", "json")
        if given := [flag for flag in flags if getattr(args, flag)]:
            raise InputError(f"--{given[0].replace('_', '-')} is for contributions; of a config alone leave it out")
        return _check_config(args.entry, args.root)
    options = CheckOptions(
        offline=args.offline, data_root=args.data_root, labels=args.labels, root=args.root, private=args.private_links
    )
    report, entry = check_entry(args.entry, options)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(report.to_json()), indent=1).decode())
    else:
        print("\n".join(report.lines()))
        if report.row:
            print(f"\n{report.row}", end="")
        print(f"\n{len(report.problems)} problems, {report.unchecked} of {len(report.items)} points not checked")
    if report.problems:
        if args.write:
            print("nothing was written; mend the problems first", file=sys.stderr)
        return EXIT_PROBLEMS
    if args.write and entry is not None:
        from bdd100k_models.paths import SOURCE_ROOT
        from bdd100k_models.zoo.check.write import write_rows

        path = write_rows(entry, args.root or SOURCE_ROOT)
        print(f"written: {path}; now run `make render`", file=sys.stderr)
    return EXIT_PROBLEMS if args.strict and report.unchecked else 0


def _check_config(path: Path, root: Path | None) -> int:
    """Say whether a config, and all that it builds on, is plain data."""
    from bdd100k_models.cli import EXIT_PROBLEMS
    from bdd100k_models.paths import resource_root
    from bdd100k_models.zoo.check.plain_config import read_config
    from bdd100k_models.zoo.check.report import one_line

    try:
        read_config(path, root or resource_root())
    except (ConfigError, MissingFileError) as error:
        print(one_line(f"wrong: {error}"))
        return EXIT_PROBLEMS
    print(one_line(f"plain data: {path}"))
    return 0
