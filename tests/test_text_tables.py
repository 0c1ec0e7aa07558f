"""Tables of plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bdd100k_models.text_tables import align

WORDS = st.text("abc 1.", max_size=6).map(str.strip)


def test_words_begin_and_figures_end_at_the_same_place() -> None:
    rows = [("task", "model", "AP"), ("det", "a", "7.25"), ("mots", "longer", "12")]
    assert align(rows, figures=2) == ["task  model     AP", "det   a       7.25", "mots  longer    12"]
    assert align([], figures=1) == []


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[WORDS] * width), min_size=1, max_size=5)),
    st.integers(0, 5),
)
def test_every_cell_stands_in_its_column(rows: list[tuple[str, ...]], figures: int) -> None:
    lines = align(rows, figures)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line == line.rstrip()
        start = 0
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            found = line[start : start + width].ljust(width)
            assert found == (cell.rjust(width) if column >= figures else cell.ljust(width))
            start += width + 2
