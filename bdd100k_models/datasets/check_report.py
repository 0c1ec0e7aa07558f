"""What a check of a data root found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bdd100k_models.paths import printable

_NAMES_SHOWN = 3
_FINDINGS_SHOWN = 20
_PIPE_WIDTH = 10_000


class Finding(msgspec.Struct, frozen=True):
    """One thing that was noticed.

    Attributes:
        kind: What sort of thing, in a word or two, such as ``unreadable``.
        where: The folder or file, below the root.
        message: What is wrong and, where it is not plain, what to do.
        files: The files or names concerned, below ``where``.
    """

    kind: str
    where: str
    message: str
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line, with a few of the names."""
        shown = ", ".join(self.files[:_NAMES_SHOWN])
        rest = f" and {len(self.files) - _NAMES_SHOWN} more" if len(self.files) > _NAMES_SHOWN else ""
        return f"{self.where}: {self.message}" + (f": {shown}{rest}" if self.files else "")


def printable_finding(finding: Finding) -> Finding:
    """Return a finding with file names that can be printed, whatever bytes they are made of."""
    return Finding(finding.kind, finding.where, finding.message, tuple(map(printable, finding.files)))


class SplitReport(msgspec.Struct, frozen=True):
    """What there is of one split of one task.

    Attributes:
        task: The task.
        split: The split.
        unit: ``images``, or ``videos`` for tasks of videos; what is counted.
        found: How many there are.
        published: How many were published.
        labels: How many of them each form of labels covers, by its path below the root.
        state: ``complete``; ``partial`` where there are fewer than published; ``no labels`` or ``no images`` where only
            one of the two is there; ``absent``. The labels of test are not public, so it is complete without.
    """

    task: str
    split: str
    unit: str
    found: int
    published: int
    labels: dict[str, int]
    state: str


class CheckReport(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        root: The data root.
        splits: What there is, by task and split.
        problems: What will fail or give wrong results.
        remarks: What is worth knowing and does no harm.
        files: Number of files that were opened.
        seconds: How long it took.
    """

    root: str
    splits: tuple[SplitReport, ...]
    problems: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    files: int
    seconds: float

    def to_json(self) -> str:
        """Return everything as JSON."""
        content: dict[str, Any] = {"ok": not self.problems, **msgspec.to_builtins(self)}
        return msgspec.json.format(msgspec.json.encode(content), indent=1).decode()


_STYLES = {"complete": "green", "partial": "yellow", "no labels": "yellow", "no images": "red", "absent": "dim"}


def print_report(report: CheckReport, *, all_rows: bool, terminal: bool) -> None:
    """Print a report for people.

    Args:
        report: What was found.
        all_rows: Also show splits that are absent.
        terminal: Whether someone watches: the width is then the terminal's, and there are colours.
    """
    console = Console(width=None if terminal else _PIPE_WIDTH, no_color=not terminal, highlight=False)
    rows = [row for row in report.splits if all_rows or row.state != "absent"]
    table = Table(box=None, header_style="bold")
    for heading in ("task", "split", "found", "labels", "state"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        state = f"[{_STYLES[row.state]}]{row.state}[/]"
        table.add_row(row.task, row.split, _count(row), escape(_labels(row)), state)
    console.print(table)
    absent = [task for task in dict.fromkeys(row.task for row in report.splits) if task not in {r.task for r in rows}]
    if absent:
        console.print(f"not there: {', '.join(absent)}")
    _print_findings(console, "problem", "red", report.problems)
    _print_findings(console, "remark", "yellow", report.remarks)
    outcome = f"{len(report.problems)} kinds of problem" if report.problems else "no problems"
    console.print(f"{outcome}; {report.files} files in {report.seconds:.1f} s")


def _count(row: SplitReport) -> str:
    of = "" if row.found == row.published else f" of {row.published}"
    return f"{row.found}{of} {row.unit}"


def _labels(row: SplitReport) -> str:
    return "\n".join(f"{path}: {count}" for path, count in row.labels.items()) or "-"


def _print_findings(console: Console, title: str, style: str, findings: Iterable[Finding]) -> None:
    every = list(findings)
    for finding in every[:_FINDINGS_SHOWN]:
        console.print(f"[{style}]{title}[/] {escape(f'({finding.kind}) {finding}')}", soft_wrap=True)
    if len(every) > _FINDINGS_SHOWN:
        console.print(f"and {len(every) - _FINDINGS_SHOWN} more; --json lists all", style=style)
