"""Work done beside the main thread, in its order, which a thread of its own cannot overrun."""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

_WAITING = 8  # what may wait; bounds the memory


class Backlog:
    """Does one thing after the other in another thread, where interruptions do not reach it."""

    def __init__(self) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[concurrent.futures.Future[Any]] = deque()

    def add(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Have something done soon; waits while too much else is to be done.

        Raises:
            Exception: What earlier work raised.
        """
        self._waiting.append(self._pool.submit(work, *arguments))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def __enter__(self) -> Backlog:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the rest; after an error, what has not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for future in self._waiting:
                future.result()
