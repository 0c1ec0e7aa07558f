"""Copies of the zoo: which there are, in the order in which they are asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bdd100k_models.errors import InputError

#: The file with the user's mirrors, one a line, below their folder of settings.
_FILE = Path("bdd100k-models") / "mirrors"

_preferred: tuple[str, ...] = ()


def mirrors() -> list[str]:
    """Return the mirrors, addresses and folders, in the order in which they are asked.

    First those given on the command line, then those of ``BDD100K_MODELS_MIRRORS`` (separated by blanks or commas),
    then those of the file ``bdd100k-models/mirrors`` in the user's folder of settings (one a line, ``#`` begins a
    remark).

    Raises:
        InputError: An entry is no address; says where it stands.
    """
    places = {
        "--mirror": list(_preferred),
        "BDD100K_MODELS_MIRRORS": os.environ.get("BDD100K_MODELS_MIRRORS", "").replace(",", " ").split(),
        str(mirrors_file()): _lines(mirrors_file()),
    }
    for place, entries in places.items():
        for entry in entries:
            try:
                urlsplit(entry)
            except ValueError as error:
                raise InputError(f"{place}: {entry} is no address ({error}); correct it") from None
    return list(dict.fromkeys(entry for entries in places.values() for entry in entries))


def mirrors_file() -> Path:
    """Return the file with the user's mirrors, which need not be there."""
    given = os.environ.get("XDG_CONFIG_HOME")
    with contextlib.suppress(RuntimeError):  # no home
        return (Path(given) if given else Path.home() / ".config") / _FILE
    return _FILE


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line]
    return []


@contextlib.contextmanager
def preferring(given: Sequence[str]) -> Iterator[None]:
    """Ask these mirrors before all others while the block runs, also from other threads."""
    global _preferred
    before, _preferred = _preferred, tuple(given)
    try:
        yield
    finally:
        _preferred = before
