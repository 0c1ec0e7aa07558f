"""MD5s of files, and which files were checked before."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from bdd100k_models.errors import OutputError
from bdd100k_models.formats.files import write_bytes

_BLOCK = 1 << 20
_DIGITS = set("0123456789abcdef")


def md5_of(path: Path) -> str:
    """Return a file's MD5 in lower-case hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_md5(path: Path) -> str | None:
    """Return the hash in an MD5 file, alone or before a file's name; None if there is no such file or no hash."""
    with contextlib.suppress(OSError), path.open(encoding="utf-8-sig", errors="replace") as file:
        words = file.read(4096).lower().split()
        if words and len(words[0]) == 32 and set(words[0]) <= _DIGITS:
            return words[0]
    return None


def is_verified(path: Path, md5: str | None = None) -> bool:
    """Tell whether a file was checked before and has kept its size and time since.

    Args:
        path: The file; it may be missing.
        md5: What its MD5 must have been; None if any will do.
    """
    with contextlib.suppress(OSError, ValueError):
        checked, stamp = _sidecar(path).read_text().split(" ", 1)
        return stamp == _stamp(path) and md5 in (None, checked)
    return False


def remember(path: Path, md5: str) -> None:
    """Note that a file has this MD5; in a folder that cannot be written, it will be checked again next time."""
    with contextlib.suppress(OutputError):
        write_bytes(_sidecar(path), f"{md5} {_stamp(path)}".encode())


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def forget(path: Path) -> None:
    """Drop the note of :func:`remember`, where a file is to stand alone."""
    with contextlib.suppress(OSError):
        _sidecar(path).unlink(missing_ok=True)
