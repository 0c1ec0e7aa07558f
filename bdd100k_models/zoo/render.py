"""README tables, written from the zoo's data between markers.

A block is ``<!-- zoo:begin NAME -->`` ... ``<!-- zoo:end NAME -->``: ``tasks`` on the front page, ``contents`` and
``methods`` in a task's README.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bdd100k_models.errors import ConfigError, MissingFileError
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.paths import SOURCE_ROOT
from bdd100k_models.tasks import TASKS, Task
from bdd100k_models.zoo.records import Method, Model, load_zoo

_BLOCK = re.compile(r"(<!-- zoo:begin (\w+) -->\n).*?(<!-- zoo:end \2 -->)", re.DOTALL)
_MARKER = re.compile(r"<!-- zoo:(?:begin|end)\b")

#: Where a link's column stands: behind the score column that ends so, or at the end of the row.
_SCORE_LINKS = {"-val": "scores_val", "-test": "scores_test"}
_HEADINGS = {"scores_val": "Scores-val", "scores_test": "Scores-test"}


def render_all(root: Path = SOURCE_ROOT, *, check: bool = False) -> list[Path]:
    """Write every README's blocks.

    Args:
        root: The source tree.
        check: Only look, write nothing.

    Returns:
        The files that were (or, with ``check``, would be) changed.

    Raises:
        ConfigError: A README has a block of unknown name, or a marker without its counterpart.
        MissingFileError: The front page is not there, as in an installed package.
    """
    if not (root / "README.md").is_file():
        raise MissingFileError(f"{root}: no README.md to render; run this in a checkout of the source tree")
    changed = []
    for path, blocks in _pages(root):
        text = path.read_text(encoding="utf-8")
        if len(_MARKER.findall(text)) != 2 * len(_BLOCK.findall(text)):
            raise ConfigError(f"{path}: a zoo:begin or zoo:end stands alone or names another block; pair them")
        rendered = _BLOCK.sub(functools.partial(_fill, blocks=blocks, path=path), text)
        if rendered != text:
            changed.append(path)
            if not check:
                write_bytes(path, rendered.encode())
    return changed


def _pages(root: Path) -> list[tuple[Path, Mapping[str, Callable[[], str]]]]:
    pages: list[tuple[Path, Mapping[str, Callable[[], str]]]] = [
        (root / "README.md", {"tasks": lambda: tasks_table(root)})
    ]
    for task in TASKS.values():
        path = root / task.name / "README.md"
        if path.is_file():
            pages.append((path, _task_blocks(task)))
    return pages


def _task_blocks(task: Task) -> Mapping[str, Callable[[], str]]:
    return {
        "contents": lambda: contents_list(load_zoo(task.name)),
        "methods": lambda: methods_sections(load_zoo(task.name)),
    }


def contents_list(methods: Sequence[Method]) -> str:
    """Return links to the methods' sections, below their groups where a task has several."""
    groups = _groups(methods)
    taken: Counter[str] = Counter()
    lines = []
    for group, members in groups.items():
        if len(groups) > 1:
            lines.append(f"- [{group}](#{_anchor(group, taken)})\n")
        indent = "  " * (len(groups) > 1)
        lines += [f"{indent}- [{method.method}](#{_anchor(method.method, taken)})\n" for method in members]
    return "".join(lines)


def methods_sections(methods: Sequence[Method]) -> str:
    """Return all methods' sections, each group under a heading where a task has several."""
    groups = _groups(methods)
    if len(groups) == 1:
        return "\n---\n\n".join(render_method(method) for method in methods)
    return "\n".join(
        f"### {group}\n\n" + "\n---\n\n".join(render_method(method, level=4) for method in members)
        for group, members in groups.items()
    )


def _groups(methods: Sequence[Method]) -> dict[str, list[Method]]:
    groups: dict[str, list[Method]] = {}
    for method in methods:
        groups.setdefault(method.group, []).append(method)
    return groups


def _fill(match: re.Match[str], blocks: Mapping[str, Callable[[], str]], path: Path) -> str:
    begin, name, end = match.groups()
    if name not in blocks:
        raise ConfigError(f"{path}: there is no block {name!r}; the blocks are {', '.join(blocks)}")
    return f"{begin}{blocks[name]()}{end}"


def tasks_table(root: Path) -> str:
    """Return the front page's table: tasks, what they are, how many models, the best published score."""
    lines = ["| Task | Data | Published models | Best on val | Runs here |", "| :- | :- | -: | :- | :-: |"]
    total = 0
    for task in TASKS.values():
        methods = load_zoo(task.name)
        count = sum(len(method.models) for method in methods)
        total += count
        ready = (root / task.name / "README.md").is_file()
        title = f"[{task.title}]({task.name}/README.md)" if ready else task.title
        lines.append(f"| {title} | {task.description} | {count} | {_best(methods)} | {'✓' if ready else 'planned'} |")
    lines.append(f"| | | **{total}** | | |")
    return "\n".join(lines) + "\n"


def _best(methods: tuple[Method, ...]) -> str:
    """Return the best published score on val, as published; one for each group where a task has several."""
    column = next(name for name in methods[0].models[0].columns if name.endswith("-val"))
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


def render_method(method: Method, level: int = 3) -> str:
    """Return a method's section, headed at ``level``: paper, authors, summary, results, code."""
    authors = ", ".join(f"[{author.name}]({author.url})" if author.url else author.name for author in method.authors)
    parts = [
        f"{'#' * level} {method.method}\n",
        f"[{method.paper.title}]({method.paper.url}) [{method.venue}]\n",
        f"Authors: {authors}\n",
        f"{method.summary}\n" if method.summary else "",
        f"{'#' * (level + 1)} Results\n",
        results_table(method),
        f"[[Code]({method.code})] [[Usage](#usage)]\n",
    ]
    return "\n".join(part for part in parts if part)


def results_table(method: Method) -> str:
    """Return a method's results as a Markdown table, with every published column and link."""
    columns = list(method.models[0].columns)
    header: list[str] = []
    for column in columns:
        header.append(column)
        link = _score_link(column, columns)
        if link:
            header.append(_HEADINGS[link])
    header += ["Config", "Weights", "Preds", "Visuals"]
    rows = [_row(model, columns) for model in method.models]
    lines = [header, [":-:"] * len(header), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _score_link(column: str, columns: list[str]) -> str | None:
    """Return which scores file belongs behind a column: the last of those of its split."""
    for ending, link in _SCORE_LINKS.items():
        if column.endswith(ending):
            last = [name for name in columns if name.endswith(ending)][-1]
            return link if column == last else None
    return None


def _row(model: Model, columns: list[str]) -> list[str]:
    cells: list[str] = []
    for column in columns:
        cells.append(model.columns[column])
        link = _score_link(column, columns)
        if link:
            cells.append(_link("scores", model.links.get(link)))
    weights = _link("model", model.links.get("weights"))
    if "md5" in model.links:
        weights += f" \\| {_link('MD5', model.links['md5'])}"
    config = _link("config", model.links.get("config"))
    return [
        *cells,
        config,
        weights,
        _link("preds", model.links.get("preds")),
        _link("visuals", model.links.get("visuals")),
    ]


def _link(text: str, url: str | None) -> str:
    return f"[{text}]({url})" if url else ""


def _anchor(heading: str, taken: Counter[str]) -> str:
    """Return the anchor that GitHub gives a heading; ``taken`` counts equal ones, which it numbers."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    taken[anchor] += 1
    return anchor if taken[anchor] == 1 else f"{anchor}-{taken[anchor] - 1}"
