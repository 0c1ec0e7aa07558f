"""Progress on the terminal: a bar where someone watches, a line now and then where the output is kept."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_LINE_EVERY = 30.0  # seconds between lines when the output is not a terminal


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed, unit = task.finished_speed or task.speed, task.fields["unit"]
        return Text(f"{speed:.2f} {unit}/s" if speed else f"- {unit}/s")


class _Screen:
    """The terminal, of which the bars of all threads share one part; what else is printed stands above it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._shown = 0

    def show(self, description: str, total: float, done: float, unit: str) -> tuple[Progress, TaskID]:
        """Add a bar."""
        with self._lock:
            if self._progress is None:
                progress = Progress(
                    TextColumn("{task.description}", markup=False),
                    BarColumn(),
                    MofNCompleteColumn(),
                    _Speed(),
                    TextColumn("left"),
                    TimeRemainingColumn(),
                    console=Console(stderr=True),
                    # output that goes elsewhere has to arrive there
                    redirect_stdout=sys.stdout.isatty(),
                )
                progress.start()
                self._progress = progress
            self._shown += 1
            return self._progress, self._progress.add_task(description, total=total, completed=int(done), unit=unit)

    def leave(self, task: TaskID) -> None:
        """Drop a bar; the last one of all stays to be read."""
        with self._lock:
            assert self._progress is not None
            self._shown -= 1
            if self._shown:
                self._progress.remove_task(task)
            else:
                self._progress.stop()
                self._progress = None


_screen = _Screen()


class ProgressBar:
    """Counts work done; shows rate and time left.

    Args:
        total: How much there is to do.
        description: What is being done.
        unit: What is counted, in the plural.
        done: How much was done before.
        visible: False for ranks other than the first.
    """

    def __init__(
        self, total: float, description: str, unit: str = "images", done: float = 0, visible: bool = True
    ) -> None:
        self.total, self.description, self.unit = total, description, unit
        self._base = self._count = done
        self._started = self._last_line = time.monotonic()
        self._visible = visible
        self._bar: tuple[Progress, TaskID] | None = None

    def advance(self, count: float = 1) -> None:
        """Say that ``count`` more are done."""
        self._count = min(self._count + count, self.total)
        if self._bar is not None:
            progress, task = self._bar
            progress.update(task, completed=self._count)
        elif self._visible and time.monotonic() - self._last_line > _LINE_EVERY:
            self._last_line = time.monotonic()
            rate = (self._count - self._base) / (self._last_line - self._started)
            left = (self.total - self._count) / rate if rate else float("inf")
            print(
                f"{self.description}: {self._count:.0f}/{self.total:.0f} {self.unit}, {rate:.2f}/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def __enter__(self) -> ProgressBar:
        """Show the bar."""
        if self._visible and sys.stderr.isatty():
            self._bar = _screen.show(self.description, self.total, self._count, self.unit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it is, if no other one is shown."""
        if self._bar is not None:
            _screen.leave(self._bar[1])
            self._bar = None
