"""A copy of the zoo on a web server of this machine that can be told to misbehave."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: What a path does instead of serving its file, one a request: a status, or one of drop, short, long, other, circle.
Behaviour = int | str


class ZooServer(ThreadingHTTPServer):
    """Serves ``files`` (bytes by path); ``plans`` hold what a path does first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.plans: dict[str, list[Behaviour]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ZooServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.path, self.headers.get("Range")))
            plan = self.server.plans.get(self.path, [])
            step = plan.pop(0) if plan else None
        data = self.server.files.get(self.path)
        if isinstance(step, int):
            self._answer(step, b"", {"Retry-After": "0", "Location": self.path.removesuffix("/moved")})
        elif step == "circle":
            self.server.plans[self.path] = ["circle"]
            self._answer(302, b"", {"Location": self.path})
        elif data is None:
            self._answer(404, b"not here")
        elif step == "drop":
            self._answer(200, data[: len(data) // 2], {"ETag": '"one"'}, len(data))
        elif step == "short":
            self._answer(200, data, length=len(data) - 1)
        elif step == "long":
            self._answer(200, data, length=len(data) + 1)
        elif step == "other":
            self._answer(200, bytes(len(data)))
        else:
            self._serve(data)

    def _serve(self, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted is None:
            return self._answer(200, data, {"ETag": '"one"'})
        start = int(wanted[1])
        if start >= len(data):
            return self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}", "ETag": '"one"'}
        return self._answer(206, data[start:], headers)

    def _answer(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data) if length is None else length), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(data)
        self.close_connection = self.close_connection or length not in (None, len(data))


@contextmanager
def serving() -> Iterator[ZooServer]:
    """Run a server while the block does."""
    with ZooServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
