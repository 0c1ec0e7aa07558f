"""The zoo's rows for a terminal or a script: filtered, sorted, with one vocabulary of columns."""

from __future__ import annotations

from collections.abc import Sequence

from bdd100k_models.errors import InputError
from bdd100k_models.zoo.records import all_models

#: A row: what it is, then its cells.
Row = dict[str, str]

#: Columns that say what a model is built on.
_BACKBONES = ("Backbone", "Base Network", "Detector")
#: Scores of which less is better.
_LOWER_IS_BETTER = ("ID Sw.",)


def list_rows(
    task: str | None = None, method: str | None = None, backbone: str | None = None, source: str | None = None
) -> list[Row]:
    """Return the rows that fit everything given, in the order of the tables.

    Args:
        task: Name of a task.
        method: Part of a method's or a model's name, in any case.
        backbone: Part of what the model is built on, in any case.
        source: ``bdd100k`` or ``vis4d``.
    """
    wanted, built_on = (method or "").lower(), (backbone or "").lower()
    return [
        {"task": name, "source": found.source, "method": found.method, "name": model.name, **model.columns}
        for name, found, model in all_models().values()
        if task in (None, name)
        and source in (None, found.source)
        and wanted in f"{found.method}\n{model.name}".lower()
        and built_on in "\n".join(model.columns.get(column, "") for column in _BACKBONES).lower()
    ]


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return all columns of some rows, in the order in which they first appear."""
    return list(dict.fromkeys(key for row in rows for key in row))


def find_column(name: str, columns: Sequence[str]) -> str:
    """Return the column that a user means: in any case, and with ``-val`` understood.

    Raises:
        InputError: There is none, or several; the message lists the columns.
    """
    folded = {column.lower(): column for column in columns}
    for key in (name.lower(), f"{name.lower()}-val"):
        if key in folded:
            return folded[key]
    raise InputError(f"there is no column {name!r}; the columns are {', '.join(columns)}")


def with_score(rows: Sequence[Row], column: str, at_least: float | None = None) -> list[Row]:
    """Return the rows that have a score in a column, and at least this one."""
    return [
        row
        for row in rows
        if (score := _number(row.get(column, ""))) is not None and (at_least is None or score >= at_least)
    ]


def sort_rows(rows: Sequence[Row], column: str, *, reverse: bool = False) -> list[Row]:
    """Return rows sorted by a column: numbers with the best first, then text by the alphabet, then empty cells.

    Args:
        rows: The rows.
        column: The column.
        reverse: The worst first, and text from the end of the alphabet; empty cells stay last.
    """
    sign = 1 if column.startswith(_LOWER_IS_BETTER) else -1
    numbers, texts, empty = [], [], []
    for row in rows:
        cell = row.get(column, "")
        number = _number(cell)
        if number is not None:
            numbers.append((sign * number, row))
        elif cell:
            texts.append((cell, row))
        else:
            empty.append(row)
    numbers.sort(key=lambda pair: pair[0], reverse=reverse)
    texts.sort(key=lambda pair: pair[0], reverse=reverse)
    return [row for _, row in numbers] + [row for _, row in texts] + empty


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
