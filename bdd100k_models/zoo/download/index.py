"""The index of a copy of the zoo: which files it holds, how they can be recognised, and which it lacks."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import msgspec

from bdd100k_models.errors import DownloadError, LabelError
from bdd100k_models.paths import expand_user
from bdd100k_models.zoo import download

#: The index's name in the folder, or below the address, of a copy.
INDEX = "index.json"


class Stored(msgspec.Struct, frozen=True):
    """A file of a mirror: its length in bytes and its MD5 in lower-case hexadecimal."""

    size: int
    md5: str


class Index(msgspec.Struct):
    """What a mirror holds and what it lacks.

    Attributes:
        files: Its files by path.
        lacks: Why a file is not there, by path.
    """

    files: dict[str, Stored] = {}
    lacks: dict[str, str] = {}


def read_index(folder: Path) -> Index:
    """Return the index in a folder; an empty one where there is none.

    Raises:
        LabelError: The file is no index.
    """
    path = folder / INDEX
    try:
        return msgspec.json.decode(path.read_bytes(), type=Index)
    except FileNotFoundError:
        return Index()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: no index of a mirror ({error}); remove it, the next run writes it anew") from None


@functools.cache
def index_of(mirror: str) -> Index:
    """Return the index of a mirror, a folder or an address, asked for once; an empty one where there is none."""
    try:
        if "://" not in mirror:
            return read_index(expand_user(mirror))
        folder = download.cache_folder() / "indices" / hashlib.sha256(mirror.encode()).hexdigest()[:16]
        # the mirror may have grown since
        (folder / INDEX).unlink(missing_ok=True)
        download.fetch(f"{mirror.rstrip('/')}/{INDEX}", folder / INDEX)
        return read_index(folder)
    except (DownloadError, LabelError, OSError):
        return Index()
