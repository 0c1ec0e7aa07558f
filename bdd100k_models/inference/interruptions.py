"""Interruptions (Ctrl-C, SIGTERM) that wait until files are whole."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold interruptions back to the end of the block; in other threads than the main one, which gets them, do nothing.

    Raises:
        KeyboardInterrupt: One came, and the block ended without an error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def remember(signum: int, frame: object) -> None:
        nonlocal came
        if not came:
            print("finishing the files; this takes a moment", file=sys.stderr)
        came = True

    before = {number: signal.signal(number, remember) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
