"""Zips of pictures, looked at without unpacking them to the disk."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from bdd100k_models.datasets.images import IMAGE_SUFFIXES
from bdd100k_models.errors import first_line

#: Bounds of an honest archive: entries, bytes unpacked of all and of one, and how much smaller packing makes it.
MAX_ENTRIES = 100_000
MAX_TOTAL = 64 << 30
MAX_ONE = 1 << 30
MAX_RATIO = 200
#: How many pictures are opened, spread over the archive.
OPENED = 24
#: Pixels of a picture at most: the data set's have fewer than a million.
MAX_PIXELS = 64_000_000

_MOVIE_SUFFIXES = (".mp4", ".avi", ".mov", ".webm")
_MOVIE_MARKS = (b"ftyp", b"RIFF", b"\x1a\x45\xdf\xa3", b"moov", b"mdat")


def zip_problems(path: Path, *, movies: bool = False) -> Iterator[str]:
    """Yield what is wrong with a zip of pictures, one line each.

    Nothing is unpacked to the disk, and nothing large into memory.

    Args:
        path: The archive.
        movies: Whether movies may stand for pictures, as in the tasks of tracking.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            problems = list(_structure(entries, path.stat().st_size, movies))
            yield from problems
            if not problems:
                yield from _contents(archive, entries)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, struct.error, UnicodeError) as error:
        yield f"is no readable zip ({first_line(error)})"
    except (NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        yield f"cannot be unpacked ({first_line(error)})"


def picture_names(path: Path) -> set[str]:
    """Return the names of a sound archive's files and folders, without suffixes."""
    with zipfile.ZipFile(path) as archive:
        paths = [PurePosixPath(entry.filename) for entry in archive.infolist()]
    return {part for path in paths for part in (*path.parts[:-1], path.stem)}


def _structure(entries: list[zipfile.ZipInfo], size: int, movies: bool) -> Iterator[str]:
    """Look at the table of contents alone; one line a kind of problem, with the first entry that has it."""
    found: dict[str, str] = {}
    names: set[str] = set()
    for entry in entries:
        for problem in _entry_problems(entry, movies):
            found.setdefault(problem, entry.filename)
        folded = entry.filename.casefold()
        if folded in names:
            found.setdefault("stands in it twice", entry.filename)
        names.add(folded)
    yield from (f"{_shown(name)} {problem}" for problem, name in found.items())
    if len(entries) > MAX_ENTRIES:
        yield f"holds {len(entries)} entries, more than {MAX_ENTRIES}"
    total = sum(entry.file_size for entry in entries)
    if total > MAX_TOTAL:
        yield f"unpacks to {total} bytes, more than {MAX_TOTAL}"
    elif total > MAX_RATIO * max(size, 1):
        yield f"unpacks to {total // max(size, 1)} times its size, more than {MAX_RATIO}"
    if sum(entry.compress_size for entry in entries) > size:
        yield "its entries overlap: together they are larger than the file"
    if not any(not entry.is_dir() for entry in entries):
        yield "holds no pictures"


def _entry_problems(entry: zipfile.ZipInfo, movies: bool) -> Iterator[str]:
    # the name as it was stored: the library cuts it at a NUL and turns backslashes
    name = entry.orig_filename
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if path.is_absolute() or re.match(r"[A-Za-z]:|[\\~]", name):
        yield "has an absolute path"
    if ".." in re.split(r"[/\\]", name):
        yield "leads out of the folder (..)"
    elif "\\" in name or any(ord(character) < 32 for character in name):
        yield "has a name that no system can write"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        yield "is a link or a device, not a file"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield "is packed in another way than zips of pictures are (deflated or not at all)"
    if entry.flag_bits & 1:
        yield "needs a password"
    if entry.file_size > MAX_ONE:
        yield f"unpacks to more than {MAX_ONE} bytes"
    elif entry.file_size > MAX_RATIO * max(entry.compress_size, 1 << 12):
        yield f"is packed more than {MAX_RATIO} times smaller"
    suffixes = (*IMAGE_SUFFIXES, *_MOVIE_SUFFIXES) if movies else IMAGE_SUFFIXES
    if not entry.is_dir() and path.suffix.lower() not in suffixes:
        yield "is no picture"


def _contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    """Open some of the files, spread evenly."""
    files = [entry for entry in entries if not entry.is_dir()]
    step = max(1, -(-len(files) // OPENED))
    for entry in files[::step]:
        if problem := _content_problem(archive, entry):
            yield f"{_shown(entry.filename)} {problem}"


def _content_problem(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    movie = PurePosixPath(entry.filename).suffix.lower() in _MOVIE_SUFFIXES
    with archive.open(entry) as file:
        # one byte more than announced: who lies about the length is stopped by the library
        data = file.read(64 if movie else entry.file_size + 1)
    if movie:
        return "" if any(mark in data[:64] for mark in _MOVIE_MARKS) else "is no movie"
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return f"has {picture.width} x {picture.height} pixels"
            picture.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"is no readable picture ({type(error).__name__})"
    return ""


def _shown(name: str) -> str:
    return ascii(name[:100])[1:-1]
