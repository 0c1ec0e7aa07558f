"""Work spread over processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

import cv2

from bdd100k_models.errors import ZooError
from bdd100k_models.memory import keep_freed_memory

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


#: Bytes of freed memory that stay with a process that works on one image after another.
KEPT_MEMORY = 1 << 28


class Map(Protocol):
    """What applies a function to items; outcomes come in order."""

    def __call__(self, function: Callable[[_Item], _Outcome], items: Iterable[_Item], /) -> Iterator[_Outcome]:
        """Yield the outcome of each item."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def process_pool(count: int, killed: ZooError) -> Iterator[ProcessPoolExecutor]:
    """Start processes of one thread each that use freed memory again; at the end what they have not begun is dropped.

    They are started afresh, so what they do must be functions that can be imported, and so must the main module.

    Args:
        count: How many.
        killed: What to raise where one of them was killed.
    """
    # forked children of a process that runs threads can hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_start)
    try:
        yield pool
    except BrokenProcessPool:
        raise killed from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its workers
    cv2.setNumThreads(1)
    keep_freed_memory(KEPT_MEMORY)


@contextlib.contextmanager
def ordered_map(count: int, at_once: int, killed: ZooError) -> Iterator[Map]:
    """Yield a ``map`` in this process or, as :func:`process_pool` says, in several that take ``at_once`` items."""
    if count == 1:
        keep_freed_memory(KEPT_MEMORY)
        yield map
        return
    with process_pool(count, killed) as pool:

        def run(function: Callable[[_Item], _Outcome], items: Iterable[_Item]) -> Iterator[_Outcome]:
            return pool.map(function, items, chunksize=at_once)

        yield run
