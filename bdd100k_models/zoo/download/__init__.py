"""Published weights: from mirrors or their own address, resumed when cut off, always checked against their MD5."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bdd100k_models.errors import DownloadError, OutputError
from bdd100k_models.paths import expand_user, is_file
from bdd100k_models.zoo.download.checked import is_verified, md5_of, read_md5, remember
from bdd100k_models.zoo.download.mirrors import mirrors, preferring
from bdd100k_models.zoo.download.transfer import fetch, host_of

__all__ = ["cache_folder", "fetch", "mirrors", "path_in_zoo", "preferring", "weights_file"]

#: What the zoo's published addresses have in common before the path that a mirror repeats.
_ZOO_PREFIX = "bdd100k/"


def cache_folder() -> Path:
    """Return where downloads are kept: ``BDD100K_MODELS_CACHE``, or the user's cache folder."""
    if given := os.environ.get("BDD100K_MODELS_CACHE"):
        return expand_user(given)
    return expand_user(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "bdd100k-models"


def path_in_zoo(url: str) -> str:
    """Return the path below a mirror of what is published at ``url``: without host and the leading ``bdd100k/``."""
    parts = PurePosixPath(unquote(urlsplit(url).path)).parts
    return "/".join(part for part in parts if part not in ("/", "//", "..")).removeprefix(_ZOO_PREFIX)


def weights_file(url: str, *, md5_url: str | None = None) -> Path:
    """Return a file with the weights published at ``url``, fetching them if they are not at hand.

    Folders among the mirrors are looked into first, then the cache, then every address in order, the published one
    last. A file is used only if its MD5 is the published one; where no MD5 can be had, only a mirror's folder is
    trusted, and that is said.

    Args:
        url: The published address.
        md5_url: The address of its MD5 file; by default that with the suffix ``.md5``.

    Raises:
        DownloadError: Nobody could deliver the file, or its MD5.
        OutputError: The cache cannot be written.
    """
    md5_url = md5_url or f"{url.removesuffix('.pth')}.md5"
    failures: list[str] = []
    try:
        return _from_folder(url, md5_url, failures) or _from_cache(url, md5_url, failures)
    except OutputError as error:
        raise OutputError(f"{error}, or keep downloads elsewhere with BDD100K_MODELS_CACHE=FOLDER") from None


def _from_folder(url: str, md5_url: str, failures: list[str]) -> Path | None:
    """Return the first sound file of the mirrors' folders, where it lies; why not goes to ``failures``."""
    failures += (f"{mirror}: has no {path_in_zoo(url)}" for mirror in _folders() if not any(_inside(mirror, url)))
    for file in _in_folders(url):
        expected = read_md5(file.with_suffix(".md5"))
        if expected is None:
            with contextlib.suppress(OutputError):  # the file can be used without a cache
                expected = _published_md5(md5_url, [])
        if expected is None:
            print(f"warning: {file}: used unchecked, no MD5 is at hand", file=sys.stderr)
            return file
        try:
            if md5_of(file) == expected:
                return file
            failures.append(f"{file}: wrong MD5")
        except OSError as error:
            failures.append(f"{file}: {error.strerror}")
    return None


def _from_cache(url: str, md5_url: str, failures: list[str]) -> Path:
    """Return the file in the cache, after fetching it if it is not there or not as it should be."""
    cached = _cached(url)
    if is_verified(cached):
        return cached
    expected = _published_md5(md5_url, failures)
    if expected is None:
        raise _give_up(url, failures, "its MD5 cannot be had")
    with contextlib.suppress(OSError):
        if md5_of(cached) == expected:
            remember(cached, expected)
            return cached
    for address in _addresses(url):
        try:
            return fetch(address, cached, md5=expected)
        except DownloadError as error:
            failures.append(str(error))
    with contextlib.suppress(OSError):
        _cached(md5_url).unlink()  # it may be out of date: ask for it next time
    raise _give_up(url, failures, "it cannot be had")


def _give_up(url: str, failures: list[str], what: str) -> DownloadError:
    tried = "; ".join(dict.fromkeys(failures))
    return DownloadError(
        f"{path_in_zoo(url).rsplit('/', 1)[-1]}: {what} ({tried}); "
        "give a file with --checkpoint FILE, or a copy of the zoo with BDD100K_MODELS_MIRRORS"
    )


def _cached(url: str) -> Path:
    """Return a file's place in the cache: laid out like a mirror, other hosts' files apart."""
    try:
        below = urlsplit(url)
    except ValueError:
        raise DownloadError(f"{url}: not a usable address") from None
    if below.path.startswith(f"/{_ZOO_PREFIX}"):
        return cache_folder() / path_in_zoo(url)
    return cache_folder() / "elsewhere" / below.netloc.replace(":", "_") / path_in_zoo(url)


def _folders() -> list[str]:
    return [mirror for mirror in mirrors() if "://" not in mirror]


def _inside(folder: str, url: str) -> Iterator[Path]:
    """Yield the places in a mirror's folder that hold a file: where it would be published, or at the top."""
    path = Path(path_in_zoo(url))
    root = expand_user(folder)
    return (file for file in dict.fromkeys((root / path, root / path.name)) if is_file(file))


def _in_folders(url: str) -> Iterator[Path]:
    return (file for folder in _folders() for file in _inside(folder, url))


def _addresses(url: str) -> Iterator[str]:
    for mirror in mirrors():
        if "://" in mirror:
            yield f"{mirror.rstrip('/')}/{path_in_zoo(url)}"
    yield url


def _published_md5(md5_url: str, failures: list[str]) -> str | None:
    """Return the published MD5, from a mirror's folder, the cache or an address; why not goes to ``failures``."""
    cached = _cached(md5_url)
    for file in (*_in_folders(md5_url), cached):
        if md5 := read_md5(file):
            return md5
    for address in _addresses(md5_url):
        try:
            fetch(address, cached)
        except DownloadError as error:
            failures.append(str(error))
            continue
        if md5 := read_md5(cached):
            return md5
        cached.unlink(missing_ok=True)
        failures.append(f"{host_of(address)}: not an MD5 file")
    return None
