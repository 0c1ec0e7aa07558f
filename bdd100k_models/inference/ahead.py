"""Reading ahead: the next pictures are decoded while a model works on these."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_LOOK = 0.1  # seconds between looks whether anyone still waits


def read_ahead(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Yield items that a thread of its own takes from an iterable, at most ``depth`` ahead.

    What the iterable raises is raised here, after the items before it. The thread ends with the iterator.
    """
    waiting: queue.Queue[tuple[list[Item], BaseException | None]] = queue.Queue(maxsize=max(1, depth))
    stopped = threading.Event()

    def put(found: list[Item], error: BaseException | None = None) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((found, error), timeout=_LOOK)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put([item]):
                    return
        except BaseException as error:  # it is raised again where the items are used
            put([], error)
        else:
            put([])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            found, error = waiting.get()
            if error is not None:
                raise error
            if not found:  # the end
                return
            yield from found
    finally:
        stopped.set()
        thread.join()
