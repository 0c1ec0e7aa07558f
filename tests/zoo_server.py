"""A web server on this machine that can be told to misbehave, for a copy of the zoo or any files."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar, overload

#: What a path does instead of serving its file, one a request: a status, or one of drop, short, long, other, circle,
#: flood (a redirect with a body that hardly ends).
Behaviour = int | str

Kind = TypeVar("Kind", bound="ZooServer")


class ZooServer(ThreadingHTTPServer):
    """Serves ``files`` (bytes by path); ``plans`` hold what a path does first, ``behaviour`` may take over an
    answer with weights.

    Attributes:
        asked: The path and range of each request.
        passwords: The password of each request, or None.
        flooded: Bytes that went out with redirects.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.plans: dict[str, list[Behaviour]] = {}
        self.behaviour: Callable[[Handler, bytes], bool] = lambda handler, data: False
        self.asked: list[tuple[str, str | None]] = []
        self.passwords: list[str | None] = []
        self.flooded = 0
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request; ``number`` counts those of files with the same ending."""

    server: ZooServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, self.headers.get("Range")))
            self.server.passwords.append(self.headers.get("Authorization"))
            ending = self.path[self.path.rfind(".") :]
            self.number = sum(path.endswith(ending) for path, _ in self.server.asked)
            plan = self.server.plans.get(self.path, [])
            step = plan.pop(0) if plan else None
        data = self.server.files.get(self.path)
        if isinstance(step, int):
            self.answer(step, b"", {"Retry-After": "0", "Location": self.path.removesuffix("/moved")})
        elif step == "circle":
            self.server.plans[self.path] = ["circle"]
            self.answer(302, b"", {"Location": self.path})
        elif step == "flood":
            self.flood()
        elif data is None:
            self.answer(404, b"not here")
        elif self.path.endswith(".pth") and self.server.behaviour(self, data):
            pass
        elif step == "drop":
            self.answer(200, data[: len(data) // 2], {"ETag": '"one"'}, len(data))
        elif step == "short":
            self.answer(200, data, length=len(data) - 1)
        elif step == "long":
            self.answer(200, data, length=len(data) + 1)
        elif step == "other":
            self.answer(200, bytes(len(data)))
        else:
            self.serve(data)

    def flood(self) -> None:
        self.answer(302, b"", {"Location": self.path}, length=1 << 40)
        with suppress(OSError):
            while self.server.flooded < 64 << 20:
                self.server.flooded += self.wfile.write(bytes(1 << 20))

    def serve(self, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted is None:
            return self.answer(200, data, {"ETag": '"one"'})
        start = int(wanted[1])
        if start >= len(data):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}", "ETag": '"one"'}
        return self.answer(206, data[start:], headers)

    def answer(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data) if length is None else length), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(data)
        self.close_connection = self.close_connection or length not in (None, len(data))


@overload
def serving() -> AbstractContextManager[ZooServer]: ...
@overload
def serving(kind: type[Kind]) -> AbstractContextManager[Kind]: ...


@contextmanager
def serving(kind: type[ZooServer] = ZooServer) -> Iterator[ZooServer]:
    """Run a server while the block does."""
    with kind() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
