"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from bdd100k_models.errors import InputError, OutputError

_LONGEST_KEPT = 200  # bytes of a name that a temporary one repeats


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name only when the block ends without an error.

    A link stays one: the file that it leads to is replaced. What is no regular file, such as a device or a pipe, cannot
    be replaced, and is written at once.

    Args:
        path: The final name; its folder is made if needed.

    Yields:
        A binary file, under a temporary name in the folder of the final one unless it is written at once.

    Raises:
        OutputError: The folder or file cannot be written, or the disk is full. A regular file that stood at
            ``path`` is untouched.
    """
    with _explained(path):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        direct = target.exists() and not target.is_file()
        temporary = target if direct else temporary_path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with io.BufferedWriter(_Output(temporary, path), 1 << 20) as file:
            yield file
        if not direct:
            with _explained(path):
                temporary.replace(target)
    finally:
        if not direct:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """Return where this process writes a file before it takes its name: beside it, hidden."""
    name = os.fsencode(path.name)
    # file systems take names of 255 bytes
    kept = path.name if len(name) <= _LONGEST_KEPT else f"{zlib.crc32(name):08x}"
    return path.with_name(f".{kept}.{os.getpid()}.tmp")


class _Output(io.FileIO):
    """A file under a temporary name whose errors name the final one."""

    def __init__(self, file: Path, path: Path) -> None:
        self._path = path
        with _explained(path):
            super().__init__(file, "wb")

    def write(self, data: Any) -> int:
        with _explained(self._path):
            return super().write(data)

    def close(self) -> None:
        with _explained(self._path):
            super().close()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of the system into those that say what to do."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads a pipe may go
    except OSError as error:
        raise output_error(path, error) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file at once; see :func:`atomic_writer` for what is raised."""
    with atomic_writer(path) as file:
        file.write(data)


def write_copies(paths: Sequence[Path], data: bytes) -> None:
    """Write the same file at several places, once: the others become hard links to it where the file system has them.

    Raises:
        OutputError: See :func:`atomic_writer`.
    """
    first, *others = dict.fromkeys(paths)
    write_bytes(first, data)
    for path in others:
        if not _linked(first, path):
            write_bytes(path, data)


def _linked(source: Path, path: Path) -> bool:
    """Give a file a second name, and tell whether that could be done; a symbolic link stays one."""
    if path.is_symlink():
        return False
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, temporary, follow_symlinks=False)
        temporary.replace(path)
    except (OSError, NotImplementedError):
        return False
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Raises:
        OutputError: It cannot be made, or is there and cannot be written into.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-test.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise output_error(path, error) from None


def check_empty(root: Path) -> None:
    """Check that nothing would be mixed with what is to be written.

    Raises:
        OutputError: There is something in ``root``, or it cannot be told.
    """
    try:
        empty = not root.is_dir() or next(root.iterdir(), None) is None
    except OSError as error:
        raise output_error(root, error) from None
    if not empty:
        raise OutputError(f"{root}: this folder is not empty; choose another, or add --force to write into it")


def output_error(path: Path, error: OSError, *, resumable: bool = False) -> OutputError:
    """Say in one line why ``path`` could not be written and what to do.

    Args:
        path: The file or folder.
        error: What the system said.
        resumable: Whether the work can go on with ``--resume``.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        again = "run again with --resume" if resumable else "run it again"
        return OutputError(f"{path}: the disk is full; free some space, then {again}")
    return OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another output folder")


def keep_originals(read: Iterable[Path], written: Iterable[Path], flag: str) -> None:
    """Refuse to write into a folder that is read from, where a file would replace the original of the same name.

    Args:
        read: Folders of what is read.
        written: Folders of what will be written.
        flag: What chooses them.

    Raises:
        InputError: A folder is both.
    """
    originals = {folder.resolve() for folder in set(read)}
    for folder in dict.fromkeys(written):
        if folder.resolve() in originals:
            raise InputError(f"{folder}: what is written would replace the originals there; choose another ({flag})")
