"""Progress on the terminal: a bar where someone watches, a line now and then where the output is kept."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_LINE_EVERY = 30.0  # seconds between lines when the output is not a terminal


class _Speed(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.2f} {self.unit}/s" if speed else f"- {self.unit}/s")


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
        self._bar: Progress | None = None
        if visible and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Speed(unit),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(description, total=total, completed=int(done))

    def advance(self, count: float = 1) -> None:
        """Say that ``count`` more are done."""
        self._count = min(self._count + count, self.total)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._count)
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
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()
