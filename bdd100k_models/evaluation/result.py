"""The scores of an evaluation, in the shape of the official tool's results."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bdd100k_models.errors import OutputError

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
        notes: What the user should know about these numbers, one sentence each.
    """

    task: str
    scores: Mapping[str, Groups | float]
    detail: Mapping[str, int] = field(default_factory=dict)
    prefix: str = ""
    notes: tuple[str, ...] = ()

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
        flat: dict[str, float] = {}
        for metric, groups in self.scores.items():
            if isinstance(groups, (int, float)):
                flat[metric] = groups
            else:
                last = groups[-1]
                flat[self.prefix + metric] = last[OVERALL] if OVERALL in last else last[AVERAGE]
        for metric, index in self.detail.items():
            groups = self.scores[metric]
            if not isinstance(groups, (int, float)):
                flat.update({f"{metric}/{row}": score for row, score in groups[index].items()})
        return flat

    def table(self) -> str:
        """Return the official tool's table: rows are categories, columns metrics, one decimal, `` - `` for NaN."""
        columns = {name: groups for name, groups in self.scores.items() if not isinstance(groups, (int, float))}
        if not columns:
            return ""
        groups = next(iter(columns.values()))
        rows = [row for group in groups for row in group]
        cells = [[row for group in groups for row in group.values()] for groups in columns.values()]
        index_width = max(map(len, rows))
        texts = [[_cell(value) for value in column] for column in cells]
        widths = [max(len(name), *map(len, text)) for name, text in zip(columns, texts, strict=True)]
        header = " ".join([" " * index_width, *(n.rjust(w) for n, w in zip(columns, widths, strict=True))])
        rule = "-" * len(header)
        lines = [header]
        start = 0
        for group in groups:
            lines.append(rule)
            for number, row in enumerate(group, start):
                values = (text[number].rjust(width) for text, width in zip(texts, widths, strict=True))
                lines.append(" ".join([row.ljust(index_width), *values]))
            start += len(group)
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Return the text the official tool writes with ``--out-file``; NaN is written as ``NaN``, as it does."""
        content = {
            name: groups if isinstance(groups, (int, float)) else [dict(group) for group in groups]
            for name, groups in self.scores.items()
        }
        return json.dumps(content, indent=2)

    def to_strict_json(self) -> str:
        """Return task, summary, scores and notes as standard JSON: null stands for NaN."""
        scores = {
            name: _strict(groups) if isinstance(groups, (int, float)) else [_strict_rows(group) for group in groups]
            for name, groups in self.scores.items()
        }
        content = {
            "task": self.task,
            "summary": _strict_rows(self.summary()),
            "scores": scores,
            "notes": list(self.notes),
        }
        return json.dumps(content, indent=2, allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`to_json` to ``path``, whole or not at all; missing folders are made.

        Raises:
            OutputError: The file cannot be written.
        """
        target = Path(path)
        temporary = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
            ) as stream:
                temporary = stream.name
                stream.write(self.to_json())
            Path(temporary).replace(target)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise OutputError(f"{target}: cannot be written ({error.strerror}); choose another --out-file") from None


def _cell(value: float) -> str:
    """Format a cell: integers whole, NaN as the official tool's `` - ``."""
    if isinstance(value, int):
        return str(value)
    return " - " if math.isnan(value) else f"{value:.1f}"


def _strict(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _strict_rows(rows: Mapping[str, float]) -> dict[str, float | None]:
    return {row: _strict(value) for row, value in rows.items()}
