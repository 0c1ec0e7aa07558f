"""What is written from the zoo's data: tables between the markers of pages, and one CSV of everything.

A block is ``<!-- zoo:begin NAME -->`` ... ``<!-- zoo:end NAME -->``: ``tasks`` on the front page, ``contents`` and
``methods`` in a task's README, ``template_TASK`` and ``example_TASK`` in the guide for contributions.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bdd100k_models.errors import ConfigError, MissingFileError
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.paths import SOURCE_ROOT
from bdd100k_models.tasks import TASKS, Task
from bdd100k_models.zoo.records import LINKS, Method, Model, all_models, load_zoo, published
from bdd100k_models.zoo.tables import contents_list, example_method, methods_sections, results_table, template_table

__all__ = ["models_csv", "render_all", "results_table", "tasks_table"]

_BLOCK = re.compile(r"(<!-- zoo:begin (\w+) -->\n).*?(<!-- zoo:end \2 -->)", re.DOTALL)
_MARKER = re.compile(r"<!-- zoo:(?:begin|end)\b")

#: Where the CSV of all rows stands, below the source tree.
CSV_FILE = Path("zoo/models.csv")

#: The CSV's first columns.
FACTS = (
    "task",
    "source",
    "group",
    "method",
    "name",
    "venue",
    "paper",
    "paper_url",
    "code",
    "parameters",
    "flops",
    "speed",
)

_Blocks = Mapping[str, Callable[[], str]]


def render_all(root: Path = SOURCE_ROOT, *, check: bool = False) -> list[Path]:
    """Write every page's blocks and the CSV.

    Args:
        root: The source tree; the CSV is written where it has a folder ``zoo``.
        check: Only look, write nothing.

    Returns:
        The files that were (or, with ``check``, would be) changed.

    Raises:
        ConfigError: A page has a block of unknown name, or a marker without its counterpart.
        MissingFileError: The front page is not there, as in an installed package.
    """
    if not (root / "README.md").is_file():
        raise MissingFileError(f"{root}: no README.md to render; run this in a checkout of the source tree")
    wanted = {path: _rendered(path, blocks) for path, blocks in _pages(root).items()}
    if (root / CSV_FILE).parent.is_dir():
        wanted[root / CSV_FILE] = models_csv()
    changed = [path for path, text in wanted.items() if not path.is_file() or path.read_bytes() != text.encode()]
    if not check:
        for path in changed:
            write_bytes(path, wanted[path].encode())
    return changed


def _rendered(path: Path, blocks: _Blocks) -> str:
    text = path.read_bytes().decode()
    if len(_MARKER.findall(text)) != 2 * len(_BLOCK.findall(text)):
        raise ConfigError(f"{path}: a zoo:begin or zoo:end stands alone or names another block; pair them")
    return _BLOCK.sub(functools.partial(_fill, blocks=blocks, path=path), text)


def _pages(root: Path) -> dict[Path, _Blocks]:
    pages: dict[Path, _Blocks] = {root / "README.md": {"tasks": lambda: tasks_table(root)}}
    pages |= {root / task.name / "README.md": _task_blocks(task) for task in TASKS.values()}
    pages[root / "doc" / "CONTRIBUTING.md"] = {
        f"{kind}_{task}": functools.partial(make, task)
        for task in TASKS
        for kind, make in (("template", template_table), ("example", example_method))
    }
    return {path: blocks for path, blocks in pages.items() if path.is_file()}


def _task_blocks(task: Task) -> _Blocks:
    return {
        "contents": lambda: contents_list(load_zoo(task.name)),
        "methods": lambda: methods_sections(load_zoo(task.name)),
    }


def _fill(match: re.Match[str], blocks: _Blocks, path: Path) -> str:
    begin, name, end = match.groups()
    if name not in blocks:
        raise ConfigError(f"{path}: there is no block {name!r}; the blocks are {', '.join(blocks)}")
    return f"{begin}{blocks[name]()}{end}"


def tasks_table(root: Path) -> str:
    """Return the front page's table: tasks, what they are, how many models, the best published score."""
    lines = ["| Task | Data | Published models | Best on val | Runs here |", "| :- | :- | -: | :- | :-: |"]
    total = 0
    for task in TASKS.values():
        methods = published(task.name)
        count = sum(len(method.models) for method in methods)
        total += count
        ready = (root / task.name / "README.md").is_file()
        title = f"[{task.title}]({task.name}/README.md)" if ready else task.title
        lines.append(f"| {title} | {task.description} | {count} | {_best(methods)} | {'✓' if ready else 'planned'} |")
    lines.append(f"| | | **{total}** | | |")
    return "\n".join(lines) + "\n"


def _best(methods: tuple[Method, ...]) -> str:
    """Return the best published score on val, as published; one for each group where a task has several."""
    column, _ = methods[0].models[0].headline
    best: dict[str, tuple[float, str, Method]] = {}
    for method in methods:
        for model in method.models:
            score = model.columns[column]
            # of equals, the first
            if method.group not in best or float(score) > best[method.group][0]:
                best[method.group] = (float(score), score, method)
    metric = column.removesuffix("-val")
    if len(best) == 1:
        return "".join(f"{score} {metric} ({method.method})" for _, score, method in best.values())
    return "; ".join(f"{group}: {score} {metric} ({method.method})" for group, (_, score, method) in best.items())


def models_csv() -> str:
    """Return every row of every zoo as CSV: what it is, the columns of all tables, links, and what was counted here."""
    rows = [_csv_row(*row) for row in all_models().values()]
    columns = dict.fromkeys(column for _, _, model in all_models().values() for column in model.columns)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*FACTS, *columns, *LINKS], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(task: str, method: Method, model: Model) -> dict[str, str]:
    facts = (
        *(task, method.source, method.group, method.method, model.name),
        *(method.venue, method.paper.title, method.paper.url, method.code),
        *("" if count is None else str(count) for count in (model.parameters, model.flops)),
        "; ".join(f"{speed.images_per_second:g} images/s on {speed.conditions}" for speed in model.speed),
    )
    return dict(zip(FACTS, facts, strict=True)) | model.columns | model.links
