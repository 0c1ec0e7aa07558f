"""A complete copy of the zoo in a folder: made, continued, verified.

The folder is laid out as the published zoo below its first folder (``det/models/NAME.pth``), so it serves as a mirror
as it is, from a disk or a web server. ``index.json`` says what is in it, with length and MD5, and what is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bdd100k_models.errors import DownloadError
from bdd100k_models.formats.files import make_folder, write_bytes
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo import download
from bdd100k_models.zoo.download.checked import forget, md5_of, read_md5
from bdd100k_models.zoo.download.files import fetch_anywhere, in_parallel
from bdd100k_models.zoo.download.index import INDEX, Index, Stored, read_index
from bdd100k_models.zoo.records import published

#: Files between two writings of the index.
_SAVE_EVERY = 20


@dataclass(frozen=True)
class Wanted:
    """A file that a complete mirror has.

    Attributes:
        path: Its path in the mirror.
        url: Its published address.
        md5: The path of its MD5 file, if one is published.
        is_md5: Whether it is such a file.
    """

    path: str
    url: str
    md5: str | None = None
    is_md5: bool = False


@dataclass
class MirrorReport:
    """What became of a mirror.

    Attributes:
        wanted: How many files it should have.
        fetched: Those that came now.
        kept: How many were there.
        lacks: Why a file is not there, or not as it should be, by path.
        size: Bytes of the files that are there.
    """

    wanted: int
    fetched: list[str] = field(default_factory=list)
    kept: int = 0
    lacks: dict[str, str] = field(default_factory=dict)
    size: int = 0


def wanted_files(tasks: Sequence[str] | None, kinds: Sequence[str]) -> list[Wanted]:
    """Return the files of a complete mirror; an MD5 file comes before what it belongs to.

    Args:
        tasks: Names of tasks; None for all.
        kinds: Links of :data:`bdd100k_models.zoo.records.LINKS`; weights bring their MD5 files.
    """
    files: dict[str, Wanted] = {}
    for task in tasks or TASKS:
        for method in published(task):
            for model in method.models:
                md5_url = model.links.get("md5")
                for kind in kinds:
                    url = model.links.get(kind)
                    if url is None or "://" not in url:
                        continue
                    md5 = download.path_in_zoo(md5_url) if kind == "weights" and md5_url else None
                    if md5 and md5_url:
                        files.setdefault(md5, Wanted(md5, md5_url, is_md5=True))
                    path = download.path_in_zoo(url)
                    files.setdefault(path, Wanted(path, url, md5))
    return list(files.values())


def make_mirror(folder: Path, wanted: Sequence[Wanted], jobs: int, told: Callable[[str], None]) -> MirrorReport:
    """Fetch what a mirror lacks; what is there with the length of the index stays as it is.

    An interrupted run is continued by the next, in the middle of a file where the server allows it. The index is
    written now and then and at the end.

    Args:
        folder: The mirror.
        wanted: What it should have.
        jobs: Files at a time.
        told: Called with a line for each file that came or could not be had.

    Raises:
        LabelError: The folder's index is none.
        OutputError: The folder cannot be written.
    """
    make_folder(folder)
    index = read_index(folder)
    report = MirrorReport(len(wanted))
    try:
        # hashes first: each weight file is checked against its own
        for hashes in (True, False):
            batch = [file for file in wanted if file.is_md5 == hashes]
            for number, (file, outcome) in enumerate(
                in_parallel(lambda f: _keep_or_fetch(folder, f, index), batch, jobs)
            ):
                try:
                    stored, fetched = outcome.result()
                except DownloadError as error:
                    index.files.pop(file.path, None)
                    index.lacks[file.path] = report.lacks[file.path] = str(error)
                    told(f"lacks {file.path}: {error}")
                    continue
                index.files[file.path] = stored
                index.lacks.pop(file.path, None)
                report.size += stored.size
                if fetched:
                    report.fetched.append(file.path)
                    told(f"fetched {file.path}")
                else:
                    report.kept += 1
                if number % _SAVE_EVERY == _SAVE_EVERY - 1:
                    _write_index(folder, index)
    finally:
        _write_index(folder, index)
    return report


def _write_index(folder: Path, index: Index) -> None:
    ordered = Index(dict(sorted(index.files.items())), dict(sorted(index.lacks.items())))
    write_bytes(folder / INDEX, msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")


def _keep_or_fetch(folder: Path, file: Wanted, index: Index) -> tuple[Stored, bool]:
    """Return a file's length and hash, and whether it had to be fetched."""
    path = folder / file.path
    expected = read_md5(folder / file.md5) if file.md5 else None
    known = index.files.get(file.path)
    with contextlib.suppress(OSError):
        size = path.stat().st_size
        # a file of hashes is read again: if it were damaged, what it is for would never be right
        unread = known is not None and known.size == size and not file.is_md5
        if known is not None and unread and expected in (None, known.md5):
            return known, False
        if not unread and (md5 := md5_of(path)) == (expected or (known.md5 if known else md5)):
            return Stored(size, md5), False
    if file.md5 and expected is None:
        raise DownloadError(f"{file.md5}: its MD5 is not there, so it could not be checked")
    fetch_anywhere(file.url, path, md5=expected)
    forget(path)
    return Stored(path.stat().st_size, md5_of(path)), True


def verify_mirror(folder: Path, wanted: Sequence[Wanted], jobs: int) -> MirrorReport:
    """Read every file of a mirror and compare it with the index and the published MD5s; nothing is changed.

    Raises:
        LabelError: The folder's index is none.
    """
    index = read_index(folder)
    report = MirrorReport(len(wanted))
    for file, outcome in in_parallel(lambda f: _verify(folder, f, index), wanted, jobs):
        size, problem = outcome.result()
        if problem:
            report.lacks[file.path] = problem
        else:
            report.kept += 1
            report.size += size
    return report


def _verify(folder: Path, file: Wanted, index: Index) -> tuple[int, str]:
    path = folder / file.path
    try:
        size, md5 = path.stat().st_size, md5_of(path)
    except FileNotFoundError:
        return 0, "not there"
    except OSError as error:
        return 0, f"cannot be read ({error.strerror})"
    known = index.files.get(file.path)
    if file.md5:
        expected = read_md5(folder / file.md5)
        if expected is None:
            return size, "its MD5 file is not there"
        if expected != md5:
            return size, "another MD5 than published"
    if known is None:
        return size, "not in the index"
    if known != Stored(size, md5):
        return size, f"changed: the index has {known.size} bytes with the MD5 {known.md5}"
    return size, ""


def lacking_at(address: str, wanted: Sequence[Wanted], scratch: Path) -> dict[str, str]:
    """Return what a mirror on a web server lacks by its index, with the reason, by path.

    Args:
        address: The mirror's address.
        wanted: What it should have.
        scratch: A folder for the index.

    Raises:
        DownloadError: It has no index.
        LabelError: Its index is none.
    """
    download.fetch(f"{address.rstrip('/')}/{INDEX}", scratch / INDEX)
    index = read_index(scratch)
    return {f.path: index.lacks.get(f.path, "not in its index") for f in wanted if f.path not in index.files}
