"""Whether an address answers, without fetching what is there and without being led into the own network."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from urllib.parse import urlsplit

import requests

from bdd100k_models.errors import DownloadError
from bdd100k_models.zoo.download import transfer
from bdd100k_models.zoo.download.session import Session
from bdd100k_models.zoo.download.transfer import explain, host_of, retry_after

#: How many redirects are followed.
MAX_REDIRECTS = 8


def probe(url: str, *, private: bool = False) -> int:
    """Ask for an address and return the HTTP status of the answer, after redirects.

    The status can be any; from 200 to 399 it is a good one. Busy servers are asked again a few times.

    Args:
        url: An address of http or https.
        private: Let it, or a redirect, lead to addresses that are not public: this machine, the own network.

    Raises:
        DownloadError: There is no answer; says why, beginning with the host.
    """
    pause = transfer.PAUSE
    for attempt in range(1, transfer.TRIES + 1):
        status, wait = _ask(url, private)
        if status not in transfer.PASSING or attempt == transfer.TRIES:
            break
        time.sleep(pause if wait is None else wait)
        pause *= 2
    return status


def _ask(url: str, private: bool) -> tuple[int, float | None]:
    """Ask once; return the status, and the seconds that a busy server asks to wait."""
    headers = {"User-Agent": "bdd100k-models", "Accept-Encoding": "identity"}
    # a new session for each address: no cookies
    with Session() as session:
        request: requests.PreparedRequest | None = _prepare(session, url, headers)
        for _ in range(MAX_REDIRECTS + 1):
            assert request is not None
            _refuse_private(str(request.url), private)
            try:
                settings = session.merge_environment_settings(request.url, {}, True, None, None)
                response = session.send(request, timeout=transfer.TIMEOUT, allow_redirects=False, **settings)
            except requests.exceptions.RequestException as error:
                raise DownloadError(f"{host_of(url)}: {explain(error)}") from None
            except ValueError:  # a redirection to what is no address
                raise DownloadError(f"{host_of(url)}: redirects to what is no address") from None
            with contextlib.closing(response):
                request = response.next
                if request is None:
                    return response.status_code, retry_after(response)
    raise DownloadError(f"{host_of(url)}: redirects in circles")


def _prepare(session: requests.Session, url: str, headers: dict[str, str]) -> requests.PreparedRequest:
    try:
        return session.prepare_request(requests.Request("GET", url, headers=headers))
    except (requests.exceptions.RequestException, ValueError):
        raise DownloadError(f"{host_of(url)}: not a usable address") from None


def refuse_private(url: str) -> None:
    """Refuse an address that is not public.

    Raises:
        DownloadError: It leads to this machine or the own network, or its host is not known.
    """
    _refuse_private(url, private=False)


def _refuse_private(url: str, private: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DownloadError(f"{host_of(url)}: not a usable address")
    if private:
        return
    # a proxy resolves names in its own network; then only literal addresses can be judged here
    if requests.utils.get_environ_proxies(url):
        with contextlib.suppress(ValueError):
            if not ipaddress.ip_address(parts.hostname).is_global:
                raise DownloadError(f"{host_of(url)}: is not a public address")
        if parts.hostname == "localhost":
            raise DownloadError(f"{host_of(url)}: is not a public address")
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
    except (OSError, ValueError, UnicodeError):
        raise DownloadError(f"{host_of(url)}: cannot be reached") from None
    if any(not ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found):
        raise DownloadError(f"{host_of(url)}: is not a public address")
