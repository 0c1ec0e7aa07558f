"""``bdd100k-models zoo``: the published models."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from bdd100k_models.commands import site, zoo_check, zoo_mirror
from bdd100k_models.errors import DownloadError
from bdd100k_models.tasks import TASKS
from bdd100k_models.text_tables import align

_EXAMPLES = """\
examples:
  bdd100k-models zoo list --task det --sort "Box AP"
  bdd100k-models zoo list --backbone swin --metric mIoU --at-least 60
  bdd100k-models zoo list --method swin --csv > swin.csv
  bdd100k-models zoo show faster_rcnn_r50_fpn_1x_det_bdd100k
  bdd100k-models zoo download faster_rcnn_r50_fpn_1x_det_bdd100k
  bdd100k-models zoo download faster_rcnn_r50_fpn_1x_det_bdd100k --what preds,scores --dest published
  bdd100k-models zoo mirror /data/zoo --task det --what weights,scores
  bdd100k-models zoo check contributions/my_method --data-root data/bdd100k
"""

#: Columns of text that a table may take where no terminal limits it; lines are only as long as the table needs.
_PIPE_WIDTH = 10_000


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``zoo``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "zoo",
        help="list, show, download, mirror and check the published models",
        description="The published models: list, show, download and mirror them; check contributions; write the tables "
        "of the READMEs.",
        formatter_class=HelpFormatter,
        epilog=_EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)
    _add_show(actions)
    _add_download(actions)
    zoo_mirror.add_action(actions)
    zoo_check.add_action(actions)
    render = actions.add_parser(
        "render", help="write the tables of the READMEs and zoo/models.csv", formatter_class=HelpFormatter
    )
    render.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    render.set_defaults(run=run_render)
    site.add_action(actions)


def _add_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from bdd100k_models.cli import HelpFormatter

    listing = actions.add_parser("list", help="a table of models", formatter_class=HelpFormatter)
    listing.add_argument("--task", choices=tuple(TASKS), help="models of one task")
    listing.add_argument("--method", metavar="TEXT", help="models whose method or name contains this")
    listing.add_argument("--backbone", metavar="TEXT", help="models whose backbone or detector contains this")
    listing.add_argument("--source", choices=("bdd100k", "vis4d"), help="rows of one zoo (default: of both)")
    listing.add_argument("--metric", metavar="COLUMN", help="models with this score, the best first")
    listing.add_argument("--at-least", type=float, metavar="SCORE", help="with --metric: only from this score on")
    listing.add_argument("--sort", metavar="COLUMN", help="sort by a column: the best score first, or by the alphabet")
    listing.add_argument("--reverse", action="store_true", help="sort the other way round")
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")
    listing.set_defaults(run=run_list)


def _add_show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from bdd100k_models.cli import HelpFormatter

    show = actions.add_parser(
        "show",
        help="all about one model",
        description="Scores, links, size and cost of a model, and what its config changes in those it builds on.",
        formatter_class=HelpFormatter,
    )
    show.add_argument("name", metavar="NAME")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=run_show)


def _add_download(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from bdd100k_models.cli import HelpFormatter
    from bdd100k_models.zoo.parts import PARTS

    download = actions.add_parser("download", help="fetch published files", formatter_class=HelpFormatter)
    download.add_argument("names", metavar="NAME", nargs="+")
    download.add_argument(
        "--what", default="weights", metavar="PARTS", help=f"any of {','.join(PARTS)} (default: weights)"
    )
    download.add_argument("--dest", type=Path, metavar="DIR", help="folder of the files (default: the cache)")
    zoo_mirror.add_transfer_arguments(download)
    download.set_defaults(run=run_download)


def run_list(args: argparse.Namespace) -> int:
    """Print models as a table, JSON or CSV."""
    import msgspec

    from bdd100k_models.errors import InputError
    from bdd100k_models.zoo.listing import columns_of, find_column, list_rows, sort_rows, with_score

    if args.at_least is not None and args.metric is None:
        raise InputError("--at-least needs a score to compare with; name it with --metric")
    rows = list_rows(args.task, args.method, args.backbone, args.source)
    # whatever is filtered out, a column of the task's tables is one
    known = columns_of(list_rows(args.task))
    if args.metric:
        metric = find_column(args.metric, known)
        rows = sort_rows(with_score(rows, metric, args.at_least), metric, reverse=args.reverse)
    if args.sort:
        rows = sort_rows(rows, find_column(args.sort, known), reverse=args.reverse)
    columns = columns_of(rows)
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode())
    elif args.csv:
        writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(rows, columns)
    return 0


def _print_table(rows: list[dict[str, str]], columns: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    if len({row["source"] for row in rows}) < 2:
        columns = [column for column in columns if column != "source"]
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    # a pipe or a file gets whole cells on one line each, whatever the terminal's width would be
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(width=width)
    with console.capture() as text:
        console.print(table)
    # not by the console, which ends the program where the reader of a pipe has gone
    print(text.get(), end="")
    print(f"{len(rows)} models")


def run_show(args: argparse.Namespace) -> int:
    """Print one model."""
    import msgspec

    from bdd100k_models.zoo.facts import config_changes
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
    if model.parameters is not None:
        facts["parameters"] = f"{model.parameters / 1e6:.2f} M"
    if model.flops is not None:
        facts["FLOPs"] = f"{model.flops / 1e9:.1f} G for an image of 1280 x 720"
    for speed in model.speed:
        facts[f"speed ({speed.conditions})"] = f"{speed.images_per_second:g} images/s"
    config = config_files(task).get(model.name)
    facts["runs here"] = "no weights are published" if not method.is_ours else "yes" if config else "not yet"
    changes = config_changes(config) if config else []
    if args.json:
        raw = {"source": method.source, "parameters": model.parameters, "flops": model.flops, "speed": model.speed}
        content = {key: value for key, value in facts.items() if key in ("runs here",) or not key.startswith("speed")}
        content.pop("FLOPs", None)
        print(msgspec.json.format(msgspec.json.encode(content | raw | {"config changes": changes}), indent=1).decode())
        return 0
    print("\n".join(align(list(facts.items()), figures=2)))
    if changes:
        print("what its config changes in those it builds on:")
        for change in changes:
            print(f"  {change}")
    return 0


def run_download(args: argparse.Namespace) -> int:
    """Fetch published files and print where they are; what cannot be had is named, the rest still comes."""
    from bdd100k_models.cli import EXIT_ERROR
    from bdd100k_models.zoo import download
    from bdd100k_models.zoo.download.files import in_parallel, obtain
    from bdd100k_models.zoo.parts import kinds_of
    from bdd100k_models.zoo.records import find_model

    kinds = kinds_of(args.what)
    models = [find_model(name)[2] for name in dict.fromkeys(args.names)]
    jobs = zoo_mirror.checked_jobs(args.jobs)
    failed = False
    with download.preferring(args.mirror):
        wanted = [(model, kind) for model in models for kind in kinds]
        for _, outcome in in_parallel(lambda pair: obtain(*pair, args.dest), wanted, jobs):
            try:
                print(outcome.result())
            except DownloadError as error:
                failed = True
                print(f"error: {error}", file=sys.stderr)
    return EXIT_ERROR if failed else 0


def run_render(args: argparse.Namespace) -> int:
    """Write or check what is rendered from the zoo's data."""
    from bdd100k_models.paths import SOURCE_ROOT
    from bdd100k_models.zoo.render import render_all

    changed = render_all(check=args.check)
    for path in changed:
        print(f"{'stale' if args.check else 'written'}: {path.relative_to(SOURCE_ROOT)}")
    if args.check and changed:
        print("run `make render` and commit what it writes", file=sys.stderr)
        return 1
    return 0
