"""One file from one address: resumed when cut off, tried again when that may help, never there unless whole."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import requests
import urllib3

from bdd100k_models.errors import DownloadError, OutputError
from bdd100k_models.formats.files import output_error
from bdd100k_models.progress import ProgressBar
from bdd100k_models.zoo.download.checked import is_verified, md5_of, remember
from bdd100k_models.zoo.download.session import Session

#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = (10.0, 60.0)
#: How many tries may fail in a row, and the pause after the first in seconds; each further one is twice as long.
TRIES = 4
PAUSE = 1.0
#: The longest pause in seconds that a server's ``Retry-After`` can ask for.
LONGEST_PAUSE = 30.0
#: A try that brought this many more bytes before it failed does not count as failed.
HEADWAY = 1 << 20

#: Answers after which another try may help.
PASSING = frozenset({408, 429, 500, 502, 503, 504})
_MIB = 1 << 20
#: What is written at a time, so what a broken connection can cost.
_BLOCK = 1 << 16
_TOLD_PAUSE = 5.0


_breaking_off = threading.Event()


class _Unavailable(Exception):
    """One address did not deliver; the message says why."""


class _TryAgain(_Unavailable):
    """As above, but another try may help, after ``pause`` seconds if given."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class _Unreachable(_TryAgain):
    """There was no connection; worth another try only if there was one before."""


@contextlib.contextmanager
def breaking_off() -> Iterator[None]:
    """Let downloads in other threads stop after their next bytes while the block runs."""
    _breaking_off.set()
    try:
        yield
    finally:
        _breaking_off.clear()


def host_of(url: str) -> str:
    """Return the part of an address to name in messages, without a user's name and password."""
    with contextlib.suppress(ValueError):
        return urlsplit(url).netloc.rpartition("@")[2] or url
    return url


@dataclass(frozen=True)
class Bounds:
    """What a download from an address of somebody else's choice may do.

    Attributes:
        size: How many bytes the file may have, whatever its server says; None for any number.
        guard: Called with each address before it is asked, also after a redirect; raises a DownloadError to refuse it.
    """

    size: int | None = None
    guard: Callable[[str], None] | None = None


_UNBOUNDED = Bounds()


def fetch(url: str, dest: Path, *, md5: str | None = None, bounds: Bounds = _UNBOUNDED) -> Path:
    """Download one address to a file, which appears only when it is whole.

    What a broken connection left is kept as ``.part`` and continued, also by a later call: with an MD5 from any
    address, without one only if the server confirms that the file is still the same. Several processes may fetch the
    same file: one does, the others wait.

    Args:
        url: The address.
        dest: The file.
        md5: What its MD5 must be, in lower-case hexadecimal.
        bounds: What the download may not exceed.

    Raises:
        DownloadError: The address does not deliver, or something else than ``md5`` says; names the host and why.
        OutputError: The file cannot be written.
    """
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(dest):
            if md5 is None or not is_verified(dest, md5):  # else another process was faster
                _fetch_patiently(url, dest, md5, bounds)
    except (DownloadError, OutputError):
        raise
    except OSError as error:
        raise output_error(dest, error) from None
    return dest


@contextlib.contextmanager
def _only_one(dest: Path) -> Iterator[None]:
    """Hold a lock on a file to be written, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = dest.with_name(f".{dest.name}.lock")
    with contextlib.ExitStack() as held:
        while True:
            lock = held.enter_context(path.open("w"))
            try:
                if not _lock_soon(lock):
                    print(f"{dest.name}: another process is fetching it; waiting", file=sys.stderr, flush=True)
                    fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                break  # some network file systems have no locks; the MD5 and the renaming still guard the file
            with contextlib.suppress(FileNotFoundError):
                # who held the lock before has removed its file; a lock on a removed file keeps nobody out
                if path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                    break
            lock.close()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _lock_soon(lock: TextIO) -> bool:
    """Lock a file; False if another process still holds the lock after a moment."""
    import fcntl

    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return True
    return False


def _fetch_patiently(url: str, dest: Path, md5: str | None, bounds: Bounds) -> None:
    """Fetch a file with as many tries as make sense."""
    part = dest.with_name(f"{dest.name}.part")
    best = _size(part)
    pause, failures, connected = PAUSE, 0, False
    while True:
        try:
            continued = _receive(url, part, md5 is not None, bounds)
            _check(part, md5, continued)
            break
        except _TryAgain as error:
            if isinstance(error, _Unreachable) and not connected:
                raise DownloadError(f"{host_of(url)}: {error}") from None
            connected = True
            if _size(part) >= best + HEADWAY:
                best, pause, failures = _size(part), PAUSE, 0
            failures += 1
            if failures >= TRIES:
                raise DownloadError(f"{host_of(url)}: {error}") from None
            _wait(pause if error.pause is None else error.pause, f"{host_of(url)}: {error}")
            pause *= 2
        except _Unavailable as error:
            raise DownloadError(f"{host_of(url)}: {error}") from None
    part.replace(dest)
    _origin(part).unlink(missing_ok=True)
    if md5 is not None:
        remember(dest, md5)


def _check(part: Path, md5: str | None, continued: bool) -> None:
    """Drop a finished file with another MD5; if it was continued, the start may be to blame, so fetch it anew."""
    if md5 is None or md5_of(part) == md5:
        return
    _drop(part)
    if continued:
        raise _TryAgain("what was resumed has another MD5", pause=0)
    raise _Unavailable("sent a file with another MD5")


def _receive(url: str, part: Path, any_source: bool, bounds: Bounds) -> bool:
    """Append what is missing of ``url`` to ``part``; tell whether there was something to append to."""
    if _breaking_off.is_set():
        raise _Unavailable("was interrupted")
    # not compressed on the way: lengths and ranges are those of the file
    headers = {"Accept-Encoding": "identity"}
    if have := _size(part):
        same_file = _read_origin(part, url)
        if any_source or same_file:
            headers["Range"] = f"bytes={have}-"
        if same_file and not any_source:
            headers["If-Range"] = same_file
    try:
        guard = functools.partial(_guard, bounds=bounds)
        guard(url)
        with (
            Session(guard) as session,
            session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response,
        ):
            return _store(response, url, part, have if "Range" in headers else 0, bounds.size)
    except requests.exceptions.RequestException as error:
        raise explain(error) from None
    except ValueError:  # a redirection to what is no address
        raise _Unavailable("not a usable address") from None


def _guard(url: str, bounds: Bounds) -> None:
    if bounds.guard is not None:
        try:
            bounds.guard(url)
        except DownloadError as error:
            raise _Unavailable(str(error).partition(": ")[2]) from None


def explain(error: requests.exceptions.RequestException) -> _Unavailable:
    """Say in a few words why there is no answer, or not all of it."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.exceptions.SSLError):
        return _Unavailable("no secure connection: its certificate is not accepted")
    if isinstance(error, requests.exceptions.ProxyError):
        return _Unreachable("the proxy cannot be reached")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return _Unreachable("does not answer")
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return _Unreachable("cannot be reached")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return _TryAgain("timed out")
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return _TryAgain("broke off")
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return _Unavailable("redirects in circles")
    if isinstance(error, ValueError):  # what the library raises for addresses it cannot use
        return _Unavailable("not a usable address")
    return _TryAgain(f"broke off ({type(error).__name__})")


def _store(response: requests.Response, url: str, part: Path, have: int, limit: int | None) -> bool:
    """Write an answer to the request for the bytes from ``have`` on."""
    if response.status_code == 416 and _total(response) == have > 0:
        return True  # only the renaming was missing
    if response.status_code in PASSING:
        raise _TryAgain(f"answers {response.status_code}", retry_after(response))
    if response.status_code == 416:
        _drop(part)
        raise _TryAgain("has no such range", pause=0)
    if response.status_code not in (200, 206):
        raise _Unavailable(f"answers {response.status_code}")
    if response.status_code == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        _drop(part)
        raise _TryAgain("sends another range than asked for", pause=0)
    if response.status_code == 200:
        have = 0
    if have == 0:
        _write_origin(part, url, response)
    total = _total(response)
    _refuse_too_much(part, total or 0, limit)
    with part.open("ab" if have else "wb") as file, _bar(url, total, have) as bar:
        for block in response.iter_content(_BLOCK):
            file.write(block)
            if _breaking_off.is_set():
                raise _Unavailable("was interrupted")
            _refuse_too_much(part, file.tell(), limit)
            if bar is not None:
                bar.advance(len(block) / _MIB)
    if total is not None and _size(part) < total:
        raise _TryAgain("broke off")
    if total is not None and _size(part) > total:
        _drop(part)
        raise _TryAgain("sent more than it announced")
    return have > 0


def _refuse_too_much(part: Path, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        _drop(part)
        raise _Unavailable(f"sends more than the {limit} bytes allowed")


def _total(response: requests.Response) -> int | None:
    """Return the size of the whole file in bytes, as far as the answer tells."""
    if "Content-Range" in response.headers:
        size = re.search(r"/(\d{1,18})$", response.headers["Content-Range"])
        return int(size[1]) if size else None
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"\d{1,18}", length) and "Content-Encoding" not in response.headers else None


@contextlib.contextmanager
def _bar(url: str, total: int | None, have: int) -> Iterator[ProgressBar | None]:
    if total is None or total < 4 * _MIB:
        yield None
        return
    with ProgressBar(total / _MIB, url.rsplit("/", 1)[-1], unit="MiB", done=have / _MIB) as bar:
        yield bar


def retry_after(response: requests.Response) -> float | None:
    """Return the seconds that a server asks to wait, given as such or as a date; at most :data:`LONGEST_PAUSE`."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), LONGEST_PAUSE)
    with contextlib.suppress(TypeError, ValueError):
        return min(max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0), LONGEST_PAUSE)
    return None


def _wait(seconds: float, why: str) -> None:
    if seconds >= _TOLD_PAUSE:
        print(f"{why}; trying again in {seconds:.0f} s", file=sys.stderr, flush=True)
    time.sleep(seconds)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _origin(part: Path) -> Path:
    return part.with_name(f"{part.name}.origin")


def _write_origin(part: Path, url: str, response: requests.Response) -> None:
    """Note where a file comes from, and by what the server will know that it is still the same."""
    tag = response.headers.get("ETag", "")
    # weak tags are equal for files that differ in bytes
    _origin(part).write_text(f"{url}\n{tag if tag.startswith(chr(34)) else response.headers.get('Last-Modified', '')}")


def _read_origin(part: Path, url: str) -> str:
    """Return the server's mark of the file that was begun, or "" if that was another address or there is none."""
    with contextlib.suppress(OSError, ValueError):
        source, mark = _origin(part).read_text().split("\n")
        return mark if source == url else ""
    return ""


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _origin(part).unlink(missing_ok=True)
