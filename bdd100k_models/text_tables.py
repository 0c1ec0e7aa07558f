"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], figures: int) -> list[str]:
    """Return one line for each row, columns two spaces apart.

    Args:
        rows: Cells, as many in each row.
        figures: The first column of figures: from there on cells end at the right of their column, before it they begin
            at the left.

    Returns:
        Lines without spaces at the end; none for no rows.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column >= figures else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
