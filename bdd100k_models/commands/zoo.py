"""``bdd100k-models zoo``: the published models."""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd100k_models.errors import DownloadError, InputError
from bdd100k_models.tasks import TASKS

if TYPE_CHECKING:
    from bdd100k_models.zoo.records import Model

_EXAMPLES = """\
examples:
  bdd100k-models zoo list --task det --sort "Box AP-val"
  bdd100k-models zoo list --method swin --csv > swin.csv
  bdd100k-models zoo show faster_rcnn_r50_fpn_1x_det_bdd100k
  bdd100k-models zoo download faster_rcnn_r50_fpn_1x_det_bdd100k
  bdd100k-models zoo download faster_rcnn_r50_fpn_1x_det_bdd100k --what preds,scores --dest published
"""

#: Columns of text that a table may take where no terminal limits it; lines are only as long as the table needs.
_PIPE_WIDTH = 10_000

#: What ``download --what`` can name, and the links that each stands for.
_PARTS = {
    "weights": ("weights",),
    "preds": ("preds",),
    "scores": ("scores_val", "scores_test"),
    "visuals": ("visuals",),
}


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
    download = actions.add_parser("download", help="fetch published files", formatter_class=HelpFormatter)
    download.add_argument("names", metavar="NAME", nargs="+")
    download.add_argument(
        "--what", default="weights", metavar="PARTS", help=f"any of {','.join(_PARTS)} (default: weights)"
    )
    download.add_argument("--dest", type=Path, metavar="DIR", help="folder of the files (default: the cache)")
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
    # a pipe or a file gets whole cells on one line each, whatever the terminal's width would be
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
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
    """Fetch published files and print where they are; what cannot be had is named, the rest still comes."""
    from bdd100k_models.cli import EXIT_ERROR
    from bdd100k_models.zoo.records import find_model

    kinds = _kinds(args.what)
    models = [find_model(name)[2] for name in args.names]
    failed = False
    for model in models:
        for kind in kinds:
            try:
                print(_obtain(model, kind, args.dest))
            except DownloadError as error:
                failed = True
                print(f"error: {error}", file=sys.stderr)
    return EXIT_ERROR if failed else 0


def _kinds(what: str) -> list[str]:
    parts = [part.strip() for part in what.split(",")]
    if unknown := [part for part in parts if part not in _PARTS]:
        raise InputError(f"--what {what}: there is no {unknown[0]!r}; give any of {', '.join(_PARTS)}")
    return list(dict.fromkeys(kind for part in parts for kind in _PARTS[part]))


def _obtain(model: Model, kind: str, dest: Path | None) -> Path:
    """Return where a model's file of one kind lies, after fetching it if need be.

    Weights are checked against their MD5 whatever their source. For the other files no MD5 is published: one that is
    there is whole, since files appear only then, and is kept.
    """
    from bdd100k_models.zoo.download import cache_folder, path_in_zoo, weights_file

    url = model.links.get(kind)
    if url is None:
        raise DownloadError(f"{model.name}: no {kind} were published")
    below = path_in_zoo(url)
    if kind == "weights":
        weights = weights_file(url, md5_url=model.links.get("md5"))
        return weights if dest is None else _copy(weights, dest / below)
    path = (dest or cache_folder()) / below
    return path if path.is_file() else _fetch_anywhere(url, path)


def _copy(source: Path, dest: Path) -> Path:
    from bdd100k_models.formats.files import atomic_writer

    if not (dest.exists() and dest.samefile(source)):
        with source.open("rb") as file, atomic_writer(dest) as copy:
            shutil.copyfileobj(file, copy)
    return dest


def _fetch_anywhere(url: str, path: Path) -> Path:
    """Take a file from the first mirror that has it, else from the published address."""
    from bdd100k_models.zoo.download import fetch, mirrors, path_in_zoo

    failures = []
    for mirror in (*mirrors(), ""):
        if mirror and "://" not in mirror:
            if (file := Path(mirror) / path_in_zoo(url)).is_file():
                return _copy(file, path)
            continue
        try:
            return fetch(f"{mirror.rstrip('/')}/{path_in_zoo(url)}" if mirror else url, path)
        except DownloadError as error:
            failures.append(str(error))
    raise DownloadError(f"{url}: {'; '.join(failures)}; name a copy of the zoo in BDD100K_MODELS_MIRRORS")


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
