"""Scalabel JSON, written one frame at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bdd100k_models.formats.files import atomic_writer


@contextlib.contextmanager
def frame_writer(path: Path, *, bare: bool = False) -> Iterator[Callable[[msgspec.Struct | msgspec.Raw], None]]:
    """Open a file of frames; it appears when the block ends without an error.

    Args:
        path: The JSON file; its folder is made if needed.
        bare: Write a bare list, instead of the object with ``frames``, ``groups`` and ``config`` that
            ``scalabel.label.io.save`` writes.

    Yields:
        A function that takes the next frame, or its JSON.

    Raises:
        OutputError: The file cannot be written; an older one is left as it was.
    """
    encoder = msgspec.json.Encoder()
    count = 0
    with atomic_writer(path) as file:

        def add(frame: msgspec.Struct | msgspec.Raw) -> None:
            nonlocal count
            file.write(b",\n" if count else b"\n")
            file.write(encoder.encode(frame))
            count += 1

        file.write(b"[" if bare else b'{"frames":[')
        yield add
        file.write(b"\n]\n" if bare else b'\n],"groups":null,"config":null}\n')
