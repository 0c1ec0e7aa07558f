"""The published files of models: from mirrors in their order, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

from bdd100k_models.errors import DownloadError
from bdd100k_models.formats.files import atomic_writer
from bdd100k_models.paths import expand_user, is_file
from bdd100k_models.zoo import download
from bdd100k_models.zoo.download import transfer
from bdd100k_models.zoo.download.checked import md5_of
from bdd100k_models.zoo.download.index import index_of
from bdd100k_models.zoo.records import Model

#: Bytes that are copied at a time.
_BLOCK = 1 << 20

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


def obtain(model: Model, kind: str, dest: Path | None) -> Path:
    """Return where a model's file of one kind lies, after fetching it if need be.

    Weights are checked against their MD5 whatever their source. For the other files no MD5 is published: one that is
    there is whole, since files appear only then, and is kept.

    Args:
        model: The model.
        kind: One of the links of :data:`bdd100k_models.zoo.parts.PARTS`.
        dest: The folder for it; None for the cache.

    Raises:
        DownloadError: It was not published, or nobody delivers it.
        OutputError: It cannot be written.
    """
    url = model.links.get(kind)
    if url is None:
        raise DownloadError(
            f"{model.name}: no {kind} were published; `bdd100k-models zoo show {model.name}` has all links"
        )
    below = download.path_in_zoo(url)
    if kind == "weights":
        weights = download.weights_file(url, md5_url=model.links.get("md5"))
        return weights if dest is None else copy_file(weights, dest / below)
    path = (dest or download.cache_folder()) / below
    return path if path.is_file() else fetch_anywhere(url, path)


def copy_file(source: Path, dest: Path) -> Path:
    """Copy a file, whole or not at all.

    Raises:
        DownloadError: It cannot be read.
        OutputError: The copy cannot be written.
    """
    if not (dest.exists() and dest.samefile(source)):
        with atomic_writer(dest) as copy:
            for block in _blocks(source):
                copy.write(block)
    return dest


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise _unreadable(source, error) from None


def _unreadable(file: Path, error: OSError) -> DownloadError:
    return DownloadError(f"{file}: cannot be read ({error.strerror or error})")


def fetch_anywhere(url: str, path: Path, md5: str | None = None) -> Path:
    """Take a file from the first mirror that has it, else from the published address.

    Where no MD5 is known, that of the mirror's index is asked of what the mirror serves; a mirror that lacks the file
    by its index is not asked for it.

    Args:
        url: The published address.
        path: Where to write it.
        md5: What its MD5 must be; None for any.

    Raises:
        DownloadError: Nobody delivers it; names who was asked and why not.
        OutputError: It cannot be written.
    """
    failures = []
    for mirror in (*download.mirrors(), ""):
        try:
            return _from_mirror(mirror, url, path, md5) if mirror else download.fetch(url, path, md5=md5)
        except DownloadError as error:
            failures.append(str(error))
    raise DownloadError(f"{url}: {'; '.join(failures)}; name a copy of the zoo with --mirror or BDD100K_MODELS_MIRRORS")


def _from_mirror(mirror: str, url: str, path: Path, md5: str | None) -> Path:
    below = download.path_in_zoo(url)
    index = index_of(mirror)
    if below in index.lacks and below not in index.files:
        raise DownloadError(f"{mirror}: lacks {below} by its index")
    expected = md5 or (index.files[below].md5 if below in index.files else None)
    if "://" in mirror:
        return download.fetch(f"{mirror.rstrip('/')}/{below}", path, md5=expected)
    file = expand_user(mirror) / below
    if not is_file(file):
        raise DownloadError(f"{mirror}: has no {below}")
    try:
        found = expected and md5_of(file)
    except OSError as error:
        raise _unreadable(file, error) from None
    if found != expected:
        raise DownloadError(f"{file}: another MD5 than it should have")
    return copy_file(file, path)


def in_parallel(
    function: Callable[[_Item], _Outcome], items: Sequence[_Item], jobs: int
) -> Iterator[tuple[_Item, Future[_Outcome]]]:
    """Apply a function to items in threads; yield each with its outcome, in the order of the items.

    When the caller stops, as after Ctrl-C, items that have not begun are left out and downloads break off; what they
    have brought is kept for the next time.
    """
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        waiting = [pool.submit(function, item) for item in items]
        try:
            yield from zip(items, waiting, strict=True)
        except BaseException:
            for future in waiting:
                future.cancel()
            with transfer.breaking_off():
                wait(waiting)
            raise
