"""Published weights: from mirrors or their own address, resumed when cut off, always checked against their MD5."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bdd100k_models.errors import DownloadError, OutputError
from bdd100k_models.formats.files import output_error, write_bytes
from bdd100k_models.progress import ProgressBar

#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10.0, 60.0)
#: How often one address is tried, and the first pause between tries in seconds; each further one is twice as long.
TRIES = 4
PAUSE = 1.0
#: The longest pause that a server's ``Retry-After`` can ask for.
LONGEST_PAUSE = 30.0

_PASSING = {408, 429, 500, 502, 503, 504}
_MIB = 1 << 20
#: What is written at a time, so what a broken connection can cost.
_BLOCK = 1 << 16


class _Unavailable(Exception):
    """One address did not deliver; the message says why."""


class _TryAgain(_Unavailable):
    """As above, but another try may help."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


def cache_folder() -> Path:
    """Return where downloads are kept: ``BDD100K_MODELS_CACHE``, or the user's cache folder."""
    if given := os.environ.get("BDD100K_MODELS_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bdd100k-models"


def mirrors() -> list[str]:
    """Return the entries of ``BDD100K_MODELS_MIRRORS``: addresses and folders, in order."""
    return os.environ.get("BDD100K_MODELS_MIRRORS", "").replace(",", " ").split()


def path_in_zoo(url: str) -> str:
    """Return the path below a mirror of what is published at ``url``: without host and the leading ``bdd100k/``."""
    return urlsplit(url).path.lstrip("/").removeprefix("bdd100k/")


def weights_file(url: str, *, md5_url: str | None = None) -> Path:
    """Return a file with the weights published at ``url``, fetching them if they are not at hand.

    Folders among the mirrors are looked into first, then the cache, then every address. A file is used only if its MD5
    is the published one; where no MD5 can be had, only a mirror's folder is trusted, and that is said.

    Args:
        url: The published address.
        md5_url: The address of its MD5 file; by default that with the suffix ``.md5``.

    Raises:
        DownloadError: Nobody could deliver the file, or its MD5.
        OutputError: The cache cannot be written.
    """
    md5_url = md5_url or f"{url.removesuffix('.pth')}.md5"
    failures: list[str] = []
    for file in _in_folders(url):
        expected = _folder_md5(file) or _published_md5(md5_url, [])
        if expected is None:
            print(f"warning: {file}: used unchecked, no MD5 is at hand", file=sys.stderr)
            return file
        if md5_of(file) == expected:
            return file
        failures.append(f"{file}: wrong MD5")
    cached = cache_folder() / path_in_zoo(url)
    if _is_verified(cached):
        return cached
    expected = _published_md5(md5_url, failures)
    if expected is None:
        raise _give_up(url, failures, "its MD5 cannot be had")
    if cached.is_file() and md5_of(cached) == expected:
        _remember(cached, expected)
        return cached
    for address in _addresses(url):
        try:
            return fetch(address, cached, md5=expected)
        except DownloadError as error:
            failures.append(str(error))
    raise _give_up(url, failures, "it cannot be had")


def _give_up(url: str, failures: list[str], what: str) -> DownloadError:
    tried = "; ".join(dict.fromkeys(failures)) or "no address was tried"
    return DownloadError(
        f"{url.rsplit('/', 1)[-1]}: {what} ({tried}); "
        "give a file with --checkpoint FILE, or a copy of the zoo with BDD100K_MODELS_MIRRORS"
    )


def _in_folders(url: str) -> Iterator[Path]:
    path = Path(path_in_zoo(url))
    for mirror in mirrors():
        if "://" not in mirror:
            for candidate in (Path(mirror) / path, Path(mirror) / path.name):
                if candidate.is_file():
                    yield candidate


def _addresses(url: str) -> Iterator[str]:
    for mirror in mirrors():
        if "://" in mirror:
            yield f"{mirror.rstrip('/')}/{path_in_zoo(url)}"
    yield url


def _folder_md5(file: Path) -> str | None:
    with contextlib.suppress(OSError):
        return _parse_md5(file.with_suffix(".md5").read_text())
    return None


def _published_md5(md5_url: str, failures: list[str]) -> str | None:
    """Return the published MD5, from a mirror's folder, the cache or an address; why not goes to ``failures``."""
    cached = cache_folder() / path_in_zoo(md5_url)
    for file in (*_in_folders(md5_url), cached):
        with contextlib.suppress(OSError):
            if md5 := _parse_md5(file.read_text()):
                return md5
    for address in _addresses(md5_url):
        try:
            fetch(address, cached)
        except DownloadError as error:
            failures.append(str(error))
            continue
        if md5 := _parse_md5(cached.read_text(errors="replace")):
            return md5
        cached.unlink()
        failures.append(f"{_host(address)}: not an MD5 file")
    return None


def _parse_md5(text: str) -> str | None:
    """Return the hash of an MD5 file, alone or before a file name, or None."""
    word = text.split()[0].lower() if text.split() else ""
    return word if len(word) == 32 and set(word) <= set("0123456789abcdef") else None


def md5_of(path: Path) -> str:
    """Return a file's MD5 in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_MIB):
            digest.update(block)
    return digest.hexdigest()


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _is_verified(path: Path) -> bool:
    """Tell whether a cached file was checked before and has not changed since."""
    with contextlib.suppress(OSError):
        return _sidecar(path).read_text().split(" ", 1)[1] == _stamp(path)
    return False


def _remember(path: Path, md5: str) -> None:
    write_bytes(_sidecar(path), f"{md5} {_stamp(path)}".encode())


def fetch(url: str, dest: Path, *, md5: str | None = None) -> Path:
    """Download one address to a file, which appears only when it is whole.

    What a broken connection left is kept as ``.part`` and continued, also by a later call. Several processes may fetch
    the same file: one does, the others wait.

    Args:
        url: The address.
        dest: The file.
        md5: What its MD5 must be.

    Raises:
        DownloadError: The address does not deliver, or something else than ``md5`` says; names the host and why.
        OutputError: The file cannot be written.
    """
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(dest):
            if md5 is not None and _is_verified(dest) and _sidecar(dest).read_text().startswith(md5):
                return dest  # another process was faster
            return _fetch_patiently(url, dest, md5)
    except (DownloadError, OutputError):
        raise
    except OSError as error:
        raise output_error(dest, error) from None


@contextlib.contextmanager
def _only_one(dest: Path) -> Iterator[None]:
    """Hold a lock on a file to be written, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with dest.with_name(f".{dest.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_patiently(url: str, dest: Path, md5: str | None) -> Path:
    part = dest.with_name(f"{dest.name}.part")
    pause = PAUSE
    for attempt in range(TRIES):
        resumed = part.exists()
        try:
            _receive(url, part)
            if md5 is None or md5_of(part) == md5:
                break
            part.unlink()
            if not resumed:
                raise _Unavailable("sent a file with another MD5")
            raise _TryAgain("what was resumed has another MD5", pause=0)
        except _TryAgain as error:
            if attempt == TRIES - 1:
                raise DownloadError(f"{_host(url)}: {error}") from None
            time.sleep(min(pause if error.pause is None else error.pause, LONGEST_PAUSE))
            pause *= 2
        except _Unavailable as error:
            raise DownloadError(f"{_host(url)}: {error}") from None
    part.replace(dest)
    if md5 is not None:
        _remember(dest, md5)
    return dest


def _receive(url: str, part: Path) -> None:
    """Append what is missing of ``url`` to ``part``."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        # not compressed on the way: lengths and ranges are those of the file
        headers["Accept-Encoding"] = "identity"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _store(response, part, have)
    except requests.exceptions.InvalidURL:
        raise _Unavailable("not a usable address") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        reason = "timed out" if isinstance(error, requests.exceptions.Timeout) else "cannot be reached"
        raise _TryAgain(reason) from None
    except requests.exceptions.RequestException as error:
        raise _TryAgain(f"broke off ({type(error).__name__})") from None


def _store(response: requests.Response, part: Path, have: int) -> None:
    if response.status_code == 416:
        part.unlink(missing_ok=True)
        raise _TryAgain("has no such range", pause=0)
    if response.status_code in _PASSING:
        raise _TryAgain(f"answers {response.status_code}", _retry_after(response))
    if response.status_code not in (200, 206):
        raise _Unavailable(f"answers {response.status_code}")
    if response.status_code == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _TryAgain("sends another range than asked for", pause=0)
    else:
        have = 0
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() else None
    with part.open("ab" if have else "wb") as file, _bar(response.url, total, have) as bar:
        for block in response.iter_content(_BLOCK):
            file.write(block)
            if bar is not None:
                bar.advance(len(block) / _MIB)
    if total is not None and part.stat().st_size != total:
        raise _TryAgain("broke off")


@contextlib.contextmanager
def _bar(url: str, total: int | None, have: int) -> Iterator[ProgressBar | None]:
    if total is None or total < 4 * _MIB:
        yield None
        return
    name = url.rsplit("/", 1)[-1]
    with ProgressBar(total / _MIB, name, unit="MiB", done=have / _MIB) as bar:
        yield bar


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _host(url: str) -> str:
    return urlsplit(url).netloc or url
