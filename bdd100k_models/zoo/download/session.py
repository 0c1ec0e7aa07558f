"""How addresses are opened that somebody else chose."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import requests


class Session(requests.Session):
    """Opens one address: through the proxies of the environment, without the passwords of ``.netrc``.

    What a server sends along with a redirect is not read, since it may have no end.

    Args:
        guard: Called with each address that a redirect leads to, before it is asked; raises to refuse it.
    """

    def __init__(self, guard: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._guard = guard
        self.hooks["response"] = [self._leave]

    def _leave(self, response: requests.Response, *args: object, **kwargs: object) -> None:
        """Close a redirect unread; else the library would read all of it into memory."""
        if response.is_redirect:
            response.close()
            vars(response).update(_content=b"", _content_consumed=True)
            if self._guard is not None:
                self._guard(urljoin(response.url, response.headers["Location"]))

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Make a request ready, with the password of its address alone."""
        with self._without_netrc():
            return super().prepare_request(request)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Drop the password where a redirect leads to another host."""
        with self._without_netrc():
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def _without_netrc(self) -> Iterator[None]:
        # the library has one switch for these passwords and for proxies
        self.trust_env: Any = False
        try:
            yield
        finally:
            self.trust_env = True
