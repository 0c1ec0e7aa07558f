"""Downloads against a real server on this machine that behaves as badly as servers do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bdd100k_models.errors import DownloadError
from bdd100k_models.zoo import download

DATA = np.random.default_rng(0).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()
MD5 = hashlib.md5(DATA).hexdigest()
PATH = "det/models/model.pth"


class Server(ThreadingHTTPServer):
    """Serves files; ``behaviour`` may take over an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/bdd100k/{PATH}": DATA, f"/bdd100k/{PATH[:-4]}.md5": f"{MD5}  model.pth\n".encode()}
        self.requests: list[tuple[str, str | None]] = []
        self.behaviour: Callable[[Handler, bytes], bool] = lambda handler, data: False
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/bdd100k/{PATH}"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/bdd100k"

    def asked(self, ending: str = ".pth") -> list[str | None]:
        return [header for path, header in self.requests if path.endswith(ending)]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.requests.append((self.path, self.headers.get("Range")))
            number = len(self.server.asked())
        self.number = number
        data = self.server.files.get(self.path)
        if data is None:
            self.answer(404, b"not here")
        elif not (self.path.endswith(".pth") and self.server.behaviour(self, data)):
            self.serve(data)

    def serve(self, data: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            return self.answer(200, data)
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            return self.answer(416, b"")
        return self.answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def answer(
        self, status: int, data: bytes, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data) if length is None else length), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)
        if length is not None and length != len(data):
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.shutdown()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BDD100K_MODELS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BDD100K_MODELS_MIRRORS", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "TIMEOUT", (2.0, 2.0))
    return tmp_path


def assert_whole(path: Path) -> None:
    assert path.read_bytes() == DATA
    assert not path.with_name(f"{path.name}.part").exists()


def test_a_file_is_fetched_once_and_then_kept(server: Server, tmp_path: Path) -> None:
    path = download.weights_file(server.url)
    assert_whole(path)
    assert path == tmp_path / "cache" / PATH
    count = len(server.requests)
    assert download.weights_file(server.url) == path
    assert len(server.requests) == count


def test_a_drop_is_resumed_where_it_was(server: Server) -> None:
    def drop(handler: Handler, data: bytes) -> bool:
        if handler.number > 1:
            return False
        handler.answer(200, data[:1_000_000], length=len(data))
        return True

    server.behaviour = drop
    assert_whole(download.weights_file(server.url))
    first, second = server.asked()
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 1_000_000


def test_a_server_that_ignores_ranges_starts_over(server: Server) -> None:
    def ignore(handler: Handler, data: bytes) -> bool:
        handler.answer(200, data[:500_000] if handler.number == 1 else data, length=len(data))
        return True

    server.behaviour = ignore
    assert_whole(download.weights_file(server.url))
    assert len(server.asked()) == 2


def test_a_wrong_range_starts_over(server: Server) -> None:
    def wrong(handler: Handler, data: bytes) -> bool:
        if handler.number == 1:
            handler.answer(200, data[:500_000], length=len(data))
        elif handler.number == 2:
            handler.answer(206, data[7:], {"Content-Range": f"bytes 7-{len(data) - 1}/{len(data)}"})
        else:
            return False
        return True

    server.behaviour = wrong
    assert_whole(download.weights_file(server.url))
    assert server.asked()[2] is None


def test_an_old_part_of_another_file_is_dropped(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "cache" / f"{PATH}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert_whole(download.weights_file(server.url))
    part = tmp_path / "longer.pth.part"
    part.write_bytes(b"x" * (len(DATA) + 10))  # the server answers 416
    assert_whole(download.fetch(server.url, tmp_path / "longer.pth", md5=MD5))


@pytest.mark.parametrize("lie", [1000, -1000])
def test_a_lie_about_the_length_is_noticed(server: Server, lie: int) -> None:
    def lying(handler: Handler, data: bytes) -> bool:
        if handler.number > 1:
            return False
        handler.answer(200, data, length=len(data) + lie)
        return True

    server.behaviour = lying
    if lie > 0:
        assert_whole(download.weights_file(server.url))
        assert len(server.asked()) == 2
    else:
        with pytest.raises(DownloadError, match="another MD5"):
            download.weights_file(server.url)


def test_wrong_bytes_are_refused_and_another_mirror_is_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files[f"/bad/{PATH}"] = DATA[:-1] + b"!"
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", f"{server.base[:-8]}/bad")
    assert_whole(download.weights_file(server.url))
    assert [path for path, _ in server.requests if path.endswith(".pth")] == [f"/bad/{PATH}", f"/bdd100k/{PATH}"]
    server.files[f"/bdd100k/{PATH}"] = DATA[:-1] + b"!"
    (Path(download.cache_folder()) / PATH).unlink()
    with pytest.raises(DownloadError, match="another MD5"):
        download.weights_file(server.url)


def test_redirects_are_followed(server: Server) -> None:
    server.files["/elsewhere.pth"] = DATA

    def redirect(handler: Handler, data: bytes) -> bool:
        if handler.path != "/elsewhere.pth":
            handler.answer(302, b"", {"Location": "/elsewhere.pth"})
            return True
        return False

    server.behaviour = redirect
    assert_whole(download.weights_file(server.url))


def test_mirrors_come_first_and_a_404_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    root = server.base[:-8]
    server.files[f"/second/{PATH}"] = DATA
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", f"{root}/first/, {root}/second")
    assert_whole(download.weights_file(server.url))
    asked = [path for path, _ in server.requests if path.endswith(".pth")]
    assert asked == [f"/first/{PATH}", f"/second/{PATH}"]


def test_a_busy_server_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)

    def busy(handler: Handler, data: bytes) -> bool:
        if handler.number > 2:
            return False
        handler.answer(429 if handler.number == 1 else 503, b"", {"Retry-After": "3"} if handler.number == 1 else {})
        return True

    server.behaviour = busy
    assert_whole(download.weights_file(server.url))
    assert pauses == [3.0, 0.02]


def test_a_server_that_stays_busy_is_given_up(server: Server) -> None:
    def always(handler: Handler, data: bytes) -> bool:
        handler.answer(503, b"")
        return True

    server.behaviour = always
    with pytest.raises(
        DownloadError, match=r"model\.pth: .*answers 503.*--checkpoint.*BDD100K_MODELS_MIRRORS"
    ) as error:
        download.weights_file(server.url)
    assert "\n" not in str(error.value)
    assert len(server.asked()) == download.TRIES


@pytest.mark.parametrize("nested", [True, False])
def test_a_folder_is_used_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nested: bool) -> None:
    folder = tmp_path / "mirror"
    file = folder / PATH if nested else folder / "model.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(DATA)
    file.with_suffix(".md5").write_text(MD5.upper())
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(folder))
    assert download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}") == file
    file.with_suffix(".md5").write_text("0" * 32)
    with pytest.raises(DownloadError, match="wrong MD5"):
        download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}")


def test_a_folder_without_md5_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.pth").write_bytes(DATA)
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(tmp_path))
    assert download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}") == tmp_path / "model.pth"
    assert "unchecked" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"<html>no hash</html>", b""])
def test_without_an_md5_nothing_is_taken_from_the_network(server: Server, content: bytes | None) -> None:
    del server.files[f"/bdd100k/{PATH[:-4]}.md5"]
    if content is not None:
        server.files[f"/bdd100k/{PATH[:-4]}.md5"] = content
    with pytest.raises(DownloadError, match="MD5 cannot be had"):
        download.weights_file(server.url)
    assert not server.asked()


def test_offline_is_one_clear_line() -> None:
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9: cannot be reached.*--checkpoint FILE") as error:
        download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}")
    assert "\n" not in str(error.value)


def test_many_at_once_fetch_once(server: Server) -> None:
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: download.weights_file(server.url), range(6)))
    assert len(set(paths)) == 1
    assert_whole(paths[0])
    assert len(server.asked()) == 1


def test_a_changed_cache_is_noticed(server: Server) -> None:
    path = download.weights_file(server.url)
    path.write_bytes(DATA[:1000])
    assert_whole(download.weights_file(server.url))
    assert len(server.asked()) == 2
