"""Published weights: from mirrors or their own address, resumed when cut off, always checked against their MD5."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from bdd100k_models.errors import DownloadError, OutputError
from bdd100k_models.paths import expand_user, is_file
from bdd100k_models.zoo.download.checked import is_verified, md5_of, read_md5, remember
from bdd100k_models.zoo.download.mirrors import mirrors, preferring
from bdd100k_models.zoo.download.transfer import fetch, host_of
from bdd100k_models.zoo.records import all_models

__all__ = ["cache_folder", "fetch", "mirrors", "path_in_zoo", "preferring", "weights_file"]

#: What the zoo's published addresses have in common before the path that a mirror repeats: servers and a folder.
ZOO_SERVERS = frozenset({"dl.cv.ethz.ch"})
_ZOO_PREFIX = "bdd100k/"
#: The folder, in a mirror and in the cache, of what is published at other addresses.
_ELSEWHERE = "elsewhere"


def cache_folder() -> Path:
    """Return where downloads are kept: ``BDD100K_MODELS_CACHE``, or the user's cache folder."""
    if given := os.environ.get("BDD100K_MODELS_CACHE"):
        return expand_user(given)
    return expand_user(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "bdd100k-models"


def path_in_zoo(url: str) -> str:
    """Return the path, below a mirror or in the cache, of what is published at ``url``.

    That of the zoo's own files is without host and the leading ``bdd100k/``. Others lie apart, each in a folder of its
    own: their hosts may tell them from each other by the query alone.

    Raises:
        DownloadError: It is no address.
    """
    parts = _split(url)
    path = PurePosixPath(unquote(parts.path))
    if parts.hostname in ZOO_SERVERS and not parts.query and parts.path.startswith(f"/{_ZOO_PREFIX}"):
        return "/".join(part for part in path.parts if part not in ("/", "//", "..")).removeprefix(_ZOO_PREFIX)
    digest = hashlib.sha256(f"{parts.netloc}{parts.path}?{parts.query}".encode()).hexdigest()[:16]
    name = re.sub(r"[^\w.+-]|^\.+", "_", path.name, flags=re.ASCII)[-100:]
    return f"{_ELSEWHERE}/{digest}/{name or 'file'}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise DownloadError(f"{url}: not a usable address") from None


def weights_file(url: str, *, md5_url: str | None = None) -> Path:
    """Return a file with the weights published at ``url``, fetching them if they are not at hand.

    Folders among the mirrors are looked into first, then the cache, then every address in order, the published one
    last. A file is used only if its MD5 is the published one; where no MD5 can be had, only a mirror's folder is
    trusted, and that is said.

    Args:
        url: The published address.
        md5_url: The address of its MD5 file; by default that of the zoo's record, else that with the suffix ``.md5``.

    Raises:
        DownloadError: Nobody could deliver the file, or its MD5.
        OutputError: The cache cannot be written.
    """
    md5_url = md5_url or _recorded_md5(url) or _beside(url)
    failures: list[str] = []
    try:
        return _from_folder(url, md5_url, failures) or _from_cache(url, md5_url, failures)
    except OutputError as error:
        raise OutputError(f"{error}, or keep downloads elsewhere with BDD100K_MODELS_CACHE=FOLDER") from None


def _recorded_md5(url: str) -> str | None:
    """Return the address that the zoo names for the MD5 of a model's weights."""
    links = (model.links for _, _, model in all_models().values())
    return next((found["md5"] for found in links if found.get("weights") == url and "md5" in found), None)


def _beside(url: str) -> str:
    parts = _split(url)
    return parts._replace(path=f"{parts.path.removesuffix('.pth')}.md5").geturl()


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
    # of what is at hand: what was checked once can be used without a network
    if is_verified(cached, read_md5(_cached(md5_url))):
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
    """Return a file's place in the cache, which is laid out like a mirror."""
    return cache_folder() / path_in_zoo(url)


def _folders() -> list[str]:
    return [mirror for mirror in mirrors() if "://" not in mirror]


def _inside(folder: str, url: str) -> Iterator[Path]:
    """Yield the places in a mirror's folder that hold a file: where it would be published, or at the top.

    Only the zoo's own files are looked for at the top: names of others may mean nothing, or the same.
    """
    path = Path(path_in_zoo(url))
    root = expand_user(folder)
    places = [root / path] if path.parts[0] == _ELSEWHERE else [root / path, root / path.name]
    return (file for file in dict.fromkeys(places) if is_file(file))


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
