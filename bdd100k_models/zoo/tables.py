"""Markdown of the zoo's data: a method's section, its table of results, the templates for contributions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from bdd100k_models.zoo.records import LINKS, Method, Model, load_zoo, published

#: Where a link's column stands: behind the score column that ends so, or at the end of the row.
_SCORE_LINKS = {"-val": "scores_val", "-test": "scores_test"}
_HEADINGS = {"scores_val": "Scores-val", "scores_test": "Scores-test"}

#: The last columns of a table, and the link in each.
_LAST = {"Config": "config", "Weights": "weights", "Preds": "preds", "Visuals": "visuals"}

#: The heading above the rows of another zoo, and what a reader should know of them.
_OTHER_ZOOS: Mapping[str, tuple[str, str]] = {
    "vis4d": (
        "Models of the Vis4D zoo",
        "Reported by the [BDD100K models of Vis4D](https://github.com/SysCV/vis4d/tree/main/vis4d/zoo/bdd100k), which "
        "were trained with another code base. Its tables link no weights, so they are not counted among the published "
        "models; a config that lies here is for training.",
    ),
}


def contents_list(methods: Sequence[Method]) -> str:
    """Return links to the methods' sections, below their groups where a task has several."""
    groups = _groups([method for method in methods if method.is_ours])
    taken: Counter[str] = Counter()
    lines = []
    for group, members in groups.items():
        if len(groups) > 1:
            lines.append(f"- [{group}](#{_anchor(group, taken)})\n")
        indent = "  " * (len(groups) > 1)
        lines += [f"{indent}- [{method.method}](#{_anchor(method.method, taken)})\n" for method in members]
    lines += [f"- [{heading}](#{_anchor(heading, taken)})\n" for heading in _other_headings(methods)]
    return "".join(lines)


def methods_sections(methods: Sequence[Method]) -> str:
    """Return all methods' sections, each group under a heading where a task has several; other zoos' rows come last."""
    groups = _groups([method for method in methods if method.is_ours])
    if len(groups) == 1:
        parts = ["\n---\n\n".join(render_method(method) for members in groups.values() for method in members)]
    else:
        parts = [
            f"### {group}\n\n" + "\n---\n\n".join(render_method(method, level=4) for method in members)
            for group, members in groups.items()
        ]
    for source, (heading, about) in _OTHER_ZOOS.items():
        sections = [render_method(method, level=4) for method in methods if method.source == source]
        if sections:
            parts.append("\n".join([f"---\n\n### {heading}\n\n{about}\n", *sections]))
    return "\n".join(parts)


def _other_headings(methods: Sequence[Method]) -> list[str]:
    return [heading for source, (heading, _) in _OTHER_ZOOS.items() if any(m.source == source for m in methods)]


def _groups(methods: Sequence[Method]) -> dict[str, list[Method]]:
    groups: dict[str, list[Method]] = {}
    for method in methods:
        groups.setdefault(method.group, []).append(method)
    return groups


def render_method(method: Method, level: int = 3) -> str:
    """Return a method's section, headed at ``level``: paper, authors, summary, abstract, results, code."""
    authors = ", ".join(f"[{author.name}]({author.url})" if author.url else author.name for author in method.authors)
    usage = f" [[Usage]({method.usage or '#usage'})]" if method.is_ours else ""
    parts = [
        f"{'#' * level} {method.method}\n",
        f"[{method.paper.title}]({method.paper.url}) [{method.venue}]\n",
        f"Authors: {authors}\n",
        f"{method.summary}\n" if method.summary else "",
        _folded("Abstract", method.abstract) if method.abstract else "",
        f"{'#' * (level + 1)} Results\n",
        results_table(method),
        f"[[Code]({method.code})]{usage}\n",
    ]
    return "\n".join(part for part in parts if part)


def _folded(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>\n"


def results_table(method: Method) -> str:
    """Return a method's results as a Markdown table, with every published column and link."""
    columns = list(method.models[0].columns)
    # what none of the rows has gets no column
    linked = {kind for kind in LINKS if any(model.links.get(kind) for model in method.models)}
    return _table(_header(columns, linked), [_row(model, columns, linked) for model in method.models])


def template_table(task: str) -> str:
    """Return the empty table that a contribution to ``task`` fills in; see :func:`template_columns`."""
    columns = template_columns(task)
    empty = Model(name="", columns=dict.fromkeys(columns, ""), links=dict.fromkeys(LINKS, ""))
    return _table(_header(columns, set(LINKS)), [_row(empty, columns, set(LINKS), blank="{}()")])


def template_columns(task: str) -> list[str]:
    """Return the columns that a table of a task has: those that all published ones have, then every score, val first.

    A score that is missing in some tables is one all the same: not every task's test set can be scored by everybody.
    """
    tables = [list(method.models[0].columns) for method in published(task)]
    every = dict.fromkeys(column for table in tables for column in table)
    described = [column for column in every if not is_score(column) and all(column in table for table in tables)]
    return described + sorted(filter(is_score, every), key=lambda column: column.endswith("-test"))


def is_score(column: str) -> bool:
    """Tell whether a column holds a score of one of the two sets."""
    return column.endswith(tuple(_SCORE_LINKS))


def example_method(task: str) -> str:
    """Return the section of the first published method of a task, with three rows at most, as an example."""
    method = load_zoo(task)[0]
    first = {field: getattr(method, field) for field in method.__struct_fields__} | {"models": method.models[:3]}
    return (
        render_method(Method(**first), level=4)
        .replace("(#usage)", f"(../{task}/README.md#usage)")
        .replace("](./configs/", f"](../{task}/configs/")
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, [":-:"] * len(header), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _header(columns: list[str], linked: set[str]) -> list[str]:
    header: list[str] = []
    for column in columns:
        header.append(column)
        link = _score_link(column, columns)
        if link in linked:
            header.append(_HEADINGS[link])
    return header + [heading for heading, kind in _LAST.items() if kind in linked]


def _score_link(column: str, columns: list[str]) -> str:
    """Return which scores file belongs behind a column: the last of those of its split; else ""."""
    for ending, link in _SCORE_LINKS.items():
        if column.endswith(ending):
            last = [name for name in columns if name.endswith(ending)][-1]
            return link if column == last else ""
    return ""


def _row(model: Model, columns: list[str], linked: set[str], blank: str = "") -> list[str]:
    """Return a row's cells; ``blank`` is what stands for a link that is not there, around its text."""

    def link(text: str, kind: str) -> str:
        url = model.links.get(kind)
        return f"[{text}]({url})" if url else blank.format(f"[{text}]")

    cells: list[str] = []
    for column in columns:
        cells.append(model.columns[column])
        kind = _score_link(column, columns)
        if kind in linked:
            cells.append(link("scores", kind))
    for heading, kind in _LAST.items():
        if kind in linked:
            text = link("model" if kind == "weights" else heading.lower(), kind)
            cells.append(f"{text} \\| {link('MD5', 'md5')}" if kind == "weights" and "md5" in linked else text)
    return cells


def _anchor(heading: str, taken: Counter[str]) -> str:
    """Return the anchor that GitHub gives a heading; ``taken`` counts equal ones, which it numbers."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    taken[anchor] += 1
    return anchor if taken[anchor] == 1 else f"{anchor}-{taken[anchor] - 1}"
