"""``bdd100k-models zoo``: the published models."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from bdd100k_models.errors import InputError
from bdd100k_models.tasks import TASKS

_EXAMPLES = """\
examples:
  bdd100k-models zoo list --task det --sort "Box AP-val"
  bdd100k-models zoo list --method swin --csv > swin.csv
  bdd100k-models zoo show faster_rcnn_r50_fpn_1x_det_bdd100k
  bdd100k-models zoo download faster_rcnn_r50_fpn_1x_det_bdd100k
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``zoo``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "zoo",
        help="list, show and download the published models",
        description="The published models: list, show and download them; write the tables of the READMEs.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="a table of models", formatter_class=HelpFormatter)
    listing.add_argument("--task", choices=tuple(TASKS), help="models of one task")
    listing.add_argument("--method", metavar="TEXT", help="models whose method or name contains this")
    listing.add_argument("--sort", metavar="COLUMN", help="sort by a column, the highest first")
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="all about one model", formatter_class=HelpFormatter)
    show.add_argument("name", metavar="NAME")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_show)
    download = actions.add_parser("download", help="fetch weights into the cache", formatter_class=HelpFormatter)
    download.add_argument("names", metavar="NAME", nargs="+")
    download.set_defaults(run=run_download)
    render = actions.add_parser("render", help="write the tables of the READMEs", formatter_class=HelpFormatter)
    render.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a table is stale")
    render.set_defaults(run=run_render)


def run_list(args: argparse.Namespace) -> int:
    """Print models as a table, JSON or CSV."""
    import msgspec

    rows = _rows(args.task, args.method)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if args.sort:
        rows = _sorted(rows, args.sort, columns)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode())
    elif args.csv:
        writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(rows, columns)
    return 0


def _rows(task: str | None, text: str | None) -> list[dict[str, str]]:
    from bdd100k_models.zoo.records import all_models

    wanted = (text or "").lower()
    return [
        {"task": name, "method": method.method, "name": model.name, **model.columns}
        for name, method, model in all_models().values()
        if task in (None, name) and wanted in f"{method.method} {model.name}".lower()
    ]


def _sorted(rows: list[dict[str, str]], column: str, columns: list[str]) -> list[dict[str, str]]:
    if rows and column not in columns:
        raise InputError(f"there is no column {column!r}; the columns are {', '.join(columns)}")

    def key(row: dict[str, str]) -> tuple[bool, float, str]:
        value = row.get(column, "")
        try:
            return False, -float(value), value
        except ValueError:
            return True, 0.0, value

    return sorted(rows, key=key)


def _print_table(rows: list[dict[str, str]], columns: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    # a pipe or a file gets whole lines, whatever the terminal's width would be
    width = None if sys.stdout.isatty() else 400
    Console(width=width).print(table)
    print(f"{len(rows)} models")


def run_show(args: argparse.Namespace) -> int:
    """Print one model."""
    import msgspec

    from bdd100k_models.zoo.records import config_files, find_model

    task, method, model = find_model(args.name)
    facts: dict[str, Any] = {
        "name": model.name,
        "task": task,
        "method": method.method,
        "paper": f"{method.paper.title} ({method.venue}) {method.paper.url}",
        "code": method.code,
        **model.columns,
        **model.links,
    }
    facts["runs here"] = "yes" if model.name in config_files(task) else "not yet"
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(facts), indent=1).decode())
        return 0
    width = max(map(len, facts))
    for key, value in facts.items():
        print(f"{key.ljust(width)}  {value}")
    return 0


def run_download(args: argparse.Namespace) -> int:
    """Fetch weights and print where they are."""
    from bdd100k_models.zoo.download import weights_file
    from bdd100k_models.zoo.records import find_model

    models = [find_model(name)[2] for name in args.names]
    for model in models:
        path: Path = weights_file(model.links["weights"], md5_url=model.links.get("md5"))
        print(path)
    return 0


def run_render(args: argparse.Namespace) -> int:
    """Write or check the tables of the READMEs."""
    from bdd100k_models.paths import SOURCE_ROOT
    from bdd100k_models.zoo.render import render_all

    changed = render_all(check=args.check)
    for path in changed:
        print(f"{'stale' if args.check else 'written'}: {path.relative_to(SOURCE_ROOT)}")
    if args.check and changed:
        print("run `make render` and commit what it writes", file=sys.stderr)
        return 1
    return 0
