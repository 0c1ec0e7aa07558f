"""Plots of a report, as SVG markup to stand inside a page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bdd100k_models.evaluation.coco import RECALL_THRESHOLDS, Floats
from bdd100k_models.evaluation.parts import Confusion

#: With more rows or columns than this, cells of a table of confusion carry no numbers.
_NUMBERED = 24

#: Pixels that a point of a plot may grow to.
_ZOOM = 1.7

_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 9, "font.family": "sans-serif"}


def _finish(figure: Figure) -> str:
    """Return a figure as SVG without the head of a file, so that it can stand in a page."""
    stream = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata=none)
    text = stream.getvalue().decode()
    drawing = text[text.index("<svg") :]
    # as wide as the page allows, but not so wide that letters grow beyond those of the page
    head = re.match(r"<svg[^>]*>", drawing)
    assert head is not None
    width = re.search(r' width="([\d.]+)pt"', head.group())
    assert width is not None
    bare = re.sub(r' (?:width|height)="[^"]*"', "", head.group())
    style = f'<svg style="max-width: {_ZOOM * float(width.group(1)):.0f}px"'
    return style + bare.removeprefix("<svg") + drawing[head.end() :]


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def precision_plot(curves: Mapping[str, Floats], mean: Floats) -> str:
    """Draw precision against recall.

    Args:
        curves: By category, precision at the 101 recalls of COCO, float64 (R,).
        mean: The average of them, float64 (R,).
    """
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _axes(4.8, 3.4)
        colours = matplotlib.colormaps["tab20"]
        for place, (name, values) in enumerate(curves.items()):
            label = f"{name} {100 * float(values.mean()):.1f}"
            axes.plot(RECALL_THRESHOLDS, values, color=colours(place % 20), linewidth=1.2, label=label)
        if len(curves) > 1:
            label = f"mean {100 * float(mean.mean()):.1f}"
            axes.plot(RECALL_THRESHOLDS, mean, color="black", linewidth=2.2, label=label)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.grid(alpha=0.25)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, ncols=3, fontsize=8)
        return _finish(figure)


def confusion_plot(table: Confusion) -> str:
    """Draw a table of confusion: shares of each row, rows and columns without any count left out."""
    counts = table.counts
    rows, columns = np.flatnonzero(counts.sum(axis=1)), np.flatnonzero(counts.sum(axis=0))
    # a category on one side only keeps its place on both, so that the diagonal stays one
    if list(table.rows) == list(table.columns):
        rows = columns = np.union1d(rows, columns)
    part = counts[np.ix_(rows, columns)]
    total = part.sum(axis=1, keepdims=True)
    shares = np.divide(part, total, out=np.zeros(part.shape), where=total > 0)
    side = 1.8 + 0.34 * max(len(rows), len(columns), 6)
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _axes(side, side * 0.9)
        # cells as shapes, where imshow would embed a bitmap
        edges = (np.arange(number + 1) - 0.5 for number in (len(columns), len(rows)))
        axes.pcolormesh(*edges, shares, cmap="Blues", vmin=0, vmax=1)
        axes.invert_yaxis()
        axes.set_xticks(range(len(columns)), [table.columns[i] for i in columns.tolist()], rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), [f"{table.rows[i]} ({counts[i].sum()})" for i in rows.tolist()])
        axes.set(xlabel="predicted", ylabel="labelled")
        if max(shares.shape, default=0) <= _NUMBERED:
            _write_shares(axes, shares)
        return _finish(figure)


def _write_shares(axes: Axes, shares: npt.NDArray[np.float64]) -> None:
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        value = float(shares[row, column])
        ink = "white" if value > 0.55 else "black"
        axes.text(int(column), int(row), f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize=7)


def bar_plot(bars: Sequence[tuple[str, float]], whole: float, metric: str) -> str:
    """Draw scores as horizontal bars, and the score of everything as a line across.

    Args:
        bars: Names and scores in percent; NaN draws no bar.
        whole: The score of everything.
        metric: Its name.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _axes(4.4, 0.8 + 0.28 * len(bars))
        values = [value if np.isfinite(value) else 0.0 for _, value in bars]
        axes.barh(range(len(bars)), values, color="#3a8f8f", height=0.65)
        axes.set_yticks(range(len(bars)), [name for name, _ in bars])
        axes.invert_yaxis()
        for place, (_, value) in enumerate(bars):
            text = f" {value:.1f}" if np.isfinite(value) else " -"
            axes.text(max(value, 0.0) if np.isfinite(value) else 0.0, place, text, va="center", fontsize=8)
        if np.isfinite(whole):
            axes.axvline(whole, color="black", linewidth=1, linestyle="--", label=f"all: {whole:.1f}")
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, borderpad=0)
        axes.set(xlabel=metric, xlim=(0, 1.15 * max(1.0, *values, whole if np.isfinite(whole) else 0)))
        return _finish(figure)


def stack_plot(names: Sequence[str], parts: Mapping[str, tuple[Sequence[float], str]], unit: str) -> str:
    """Draw counts by category as stacked bars, as shares of all of a category.

    Args:
        names: The categories.
        parts: By what is counted, its numbers by category and its colour.
        unit: What is counted.
    """
    totals = np.sum([numbers for numbers, _ in parts.values()], axis=0)
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _axes(4.4, 1.2 + 0.3 * len(names))
        start = np.zeros(len(names))
        for title, (numbers, colour) in parts.items():
            shares = np.divide(
                100 * np.asarray(numbers, np.float64), totals, out=np.zeros(len(names)), where=totals > 0
            )
            axes.barh(range(len(names)), shares, left=start, color=colour, height=0.65, label=title)
            start += shares
        axes.set_yticks(range(len(names)), [f"{name} ({int(n)})" for name, n in zip(names, totals, strict=True)])
        axes.invert_yaxis()
        axes.set(xlabel=f"% of {unit}", xlim=(0, 100))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=len(parts), borderpad=0)
        return _finish(figure)
