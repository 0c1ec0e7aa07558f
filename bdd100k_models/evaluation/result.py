"""The scores of an evaluation, in the shape of the official tool's results."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bdd100k_models.formats.files import write_bytes

OVERALL = "OVERALL"
AVERAGE = "AVERAGE"

#: Scores of one metric: one dict for each group of rows (categories, then perhaps groups of them, then the averages).
Groups: TypeAlias = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Result:
    """The scores of one evaluation.

    Attributes:
        task: The task's name.
        scores: By metric, either its groups of rows (the same rows in every metric) or a single number. NaN where a
            category does not occur in the ground truth.
        detail: By metric, which group the summary lists as ``metric/row``; the official tool lists some.
        prefix: What the summary puts before a metric that has rows.
        detail_first: Whether the summary lists each metric's details right before it, instead of all at the end.
        notes: What the user should know about these numbers, one sentence each.
        extras: What the files hold beside the official keys, by key; any JSON, and NaN.
    """

    task: str
    scores: Mapping[str, Groups | float]
    detail: Mapping[str, int] = field(default_factory=dict)
    prefix: str = ""
    detail_first: bool = False
    notes: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)

    def score(self, metric: str, row: str = OVERALL) -> float:
        """Return one score: ``metric`` of the category or average called ``row``.

        Raises:
            KeyError: There is no such metric or row.
        """
        groups = self.scores[metric]
        if isinstance(groups, (int, float)):
            return groups
        for group in groups:
            if row in group:
                return group[row]
        raise KeyError(row)

    def summary(self) -> dict[str, float]:
        """Return the averages by metric, and the detailed scores as ``metric/row``, flat."""
        averages: dict[str, float] = {}
        details: dict[str, float] = {}
        for metric, groups in self.scores.items():
            if isinstance(groups, (int, float)):
                averages[metric] = groups
                continue
            listed = groups[self.detail[metric]].items() if metric in self.detail else ()
            into = averages if self.detail_first else details
            into.update({f"{metric}/{row}": score for row, score in listed})
            last = groups[-1]
            averages[self.prefix + metric] = last[OVERALL] if OVERALL in last else last[AVERAGE]
        return averages | details

    def rows(self, metrics: Sequence[str] | None = None) -> list[list[str]]:
        """Return the table's rows as text: the name, then one cell a metric.

        Args:
            metrics: Which metrics, in order; by default all that have rows.

        Raises:
            KeyError: A metric does not exist or has no rows.
        """
        tabular = {name: groups for name, groups in self.scores.items() if not isinstance(groups, (int, float))}
        columns = [[row for group in tabular[name] for row in group.items()] for name in metrics or tabular]
        return [[cells[0][0], *(format_score(value) for _, value in cells)] for cells in zip(*columns, strict=True)]

    def table(self) -> str:
        """Return the official tool's table: rows are categories, columns metrics, one decimal, `` - `` for NaN."""
        tabular = {name: groups for name, groups in self.scores.items() if not isinstance(groups, (int, float))}
        if not tabular:
            return ""
        rows = self.rows()
        index_width = max(len(row[0]) for row in rows)
        # the official table comes from pandas, which leaves a space before the name of a numeric column
        widths = [max(len(name) + 1, *(len(row[i]) for row in rows)) for i, name in enumerate(tabular, 1)]
        header = " ".join([" " * index_width, *(n.rjust(w) for n, w in zip(tabular, widths, strict=True))])
        rule = "-" * len(header)
        lines = [header]
        start = 0
        for group in next(iter(tabular.values())):
            lines.append(rule)
            for name, *cells in rows[start : start + len(group)]:
                padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
                lines.append(" ".join([name.ljust(index_width), *padded]))
            start += len(group)
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Return the text the official tool writes with ``--out-file``; NaN is written as ``NaN``, as it does."""
        content = {
            name: groups if isinstance(groups, (int, float)) else [dict(group) for group in groups]
            for name, groups in self.scores.items()
        }
        return json.dumps(content | dict(self.extras), indent=2)

    def to_strict_json(self) -> str:
        """Return task, summary, scores and notes as standard JSON: null stands for NaN."""
        scores = {
            name: groups if isinstance(groups, (int, float)) else [dict(group) for group in groups]
            for name, groups in self.scores.items()
        }
        content = {"task": self.task, "summary": self.summary(), "scores": scores, "notes": list(self.notes)}
        return strict_json(content | dict(self.extras))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_json` to ``path``, whole or not at all; missing folders are made.

        Raises:
            OutputError: The file cannot be written.
        """
        write_bytes(Path(path), self.to_json().encode())


def task_result(task: str, scores: Mapping[str, Groups | float], notes: Sequence[str] = ()) -> Result:
    """Return the result of a task, with the summary that the official tool gives for it.

    Args:
        task: The official name, or ``tagging``.
        scores: By metric.
        notes: What the user should know about them.
    """
    if task in ("det", "ins_seg"):
        return Result(task, scores, detail={"AP": 0}, notes=tuple(notes))
    if task == "pan_seg":
        return Result(task, scores, detail=dict.fromkeys(scores, 1), detail_first=True, notes=tuple(notes))
    if task in ("lane_mark", "tagging"):
        return Result(task, scores, detail=dict.fromkeys(scores, -2), detail_first=True, notes=tuple(notes))
    prefix = "m" if task in ("sem_seg", "drivable") else ""
    return Result(task, scores, prefix=prefix, notes=tuple(notes))


def format_score(value: float) -> str:
    """Format a cell: integers whole and with room for a sign, NaN as a dash between spaces, as officially."""
    if isinstance(value, int):
        return f"{value: d}"
    return " - " if math.isnan(value) else f"{value:.1f}"


def strict_json(content: Any) -> str:
    """Return standard JSON of dicts, lists, texts and numbers: null stands for NaN and infinities."""
    return json.dumps(_strict(content), indent=2, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
