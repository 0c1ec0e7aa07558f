"""Downloads against a real server on this machine that behaves as badly as servers do."""

from __future__ import annotations

import email.utils
import hashlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bdd100k_models.errors import DownloadError, InputError, OutputError
from bdd100k_models.progress import ProgressBar
from bdd100k_models.zoo import download
from bdd100k_models.zoo.download import transfer
from bdd100k_models.zoo.download.checked import read_md5
from zoo_server import Handler, ZooServer, serving

DATA = np.random.default_rng(0).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()
MD5 = hashlib.md5(DATA).hexdigest()
PATH = "det/models/model.pth"


class Server(ZooServer):
    """Has one model and its MD5 file."""

    def __init__(self) -> None:
        super().__init__()
        self.files = {f"/bdd100k/{PATH}": DATA, f"/bdd100k/{PATH[:-4]}.md5": f"{MD5}  model.pth\n".encode()}

    @property
    def base(self) -> str:
        return f"{self.address}/bdd100k"

    @property
    def url(self) -> str:
        return f"{self.base}/{PATH}"

    def ranges(self) -> list[str | None]:
        return [header for path, header in self.asked if path.endswith(".pth")]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server) as made:
        yield made


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BDD100K_MODELS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("BDD100K_MODELS_MIRRORS", raising=False)
    monkeypatch.setattr(download, "ZOO_SERVERS", {"127.0.0.1"})
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TIMEOUT", (2.0, 2.0))
    return tmp_path


def assert_whole(path: Path) -> None:
    assert path.read_bytes() == DATA
    assert not path.with_name(f"{path.name}.part").exists()


def test_a_file_is_fetched_once_and_then_kept(server: Server, tmp_path: Path) -> None:
    path = download.weights_file(server.url)
    assert_whole(path)
    assert path == tmp_path / "cache" / PATH
    count = len(server.asked)
    assert download.weights_file(server.url) == path
    assert len(server.asked) == count


def test_a_drop_is_resumed_where_it_was(server: Server) -> None:
    def drop(handler: Handler, data: bytes) -> bool:
        if handler.number > 1:
            return False
        handler.answer(200, data[:1_000_000], length=len(data))
        return True

    server.behaviour = drop
    assert_whole(download.weights_file(server.url))
    first, second = server.ranges()
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 1_000_000


def test_a_server_that_ignores_ranges_starts_over(server: Server) -> None:
    def ignore(handler: Handler, data: bytes) -> bool:
        handler.answer(200, data[:500_000] if handler.number == 1 else data, length=len(data))
        return True

    server.behaviour = ignore
    assert_whole(download.weights_file(server.url))
    assert len(server.ranges()) == 2


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
    assert server.ranges()[2] is None


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
        assert len(server.ranges()) == 2
    else:
        with pytest.raises(DownloadError, match="another MD5"):
            download.weights_file(server.url)


def test_wrong_bytes_are_refused_and_another_mirror_is_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files[f"/bad/{PATH}"] = DATA[:-1] + b"!"
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", f"{server.address}/bad")
    assert_whole(download.weights_file(server.url))
    assert [path for path, _ in server.asked if path.endswith(".pth")] == [f"/bad/{PATH}", f"/bdd100k/{PATH}"]
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


@pytest.mark.parametrize("place", ["http://[", "http://a:b/x.pth"])
def test_a_redirection_to_no_address_is_told(server: Server, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    server.behaviour = lambda handler, data: handler.answer(302, b"", {"Location": place}) or True
    with pytest.raises(DownloadError, match="not a usable address"):
        download.weights_file(server.url)
    with pytest.raises(DownloadError, match="not a usable address"):
        download.weights_file("http://[x/a.pth")


def test_mirrors_come_first_and_a_404_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    root = server.address
    server.files[f"/second/{PATH}"] = DATA
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", f"{root}/first/, {root}/second")
    assert_whole(download.weights_file(server.url))
    asked = [path for path, _ in server.asked if path.endswith(".pth")]
    assert asked == [f"/first/{PATH}", f"/second/{PATH}"]


def test_a_busy_server_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)

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
    assert len(server.ranges()) == transfer.TRIES


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
    assert not server.ranges()


def test_offline_is_one_clear_line() -> None:
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9: cannot be reached.*--checkpoint FILE") as error:
        download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}")
    assert "\n" not in str(error.value)


def test_many_at_once_fetch_once(server: Server) -> None:
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: download.weights_file(server.url), range(6)))
    assert len(set(paths)) == 1
    assert_whole(paths[0])
    assert len(server.ranges()) == 1


def test_a_changed_cache_is_noticed(server: Server) -> None:
    path = download.weights_file(server.url)
    path.write_bytes(DATA[:1000])
    assert_whole(download.weights_file(server.url))
    assert len(server.ranges()) == 2


def test_a_drop_is_continued_by_the_next_call(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drop(handler: Handler, data: bytes) -> bool:
        handler.answer(200, data[:700_000], length=len(data))
        return True

    server.behaviour = drop
    monkeypatch.setattr(transfer, "TRIES", 1)
    with pytest.raises(DownloadError, match="broke off"):
        download.weights_file(server.url)
    part = tmp_path / "cache" / f"{PATH}.part"
    size = part.stat().st_size
    assert DATA.startswith(part.read_bytes())
    assert 0 < size <= 700_000
    server.behaviour = lambda handler, data: False
    assert_whole(download.weights_file(server.url))
    assert server.ranges()[1:] == [f"bytes={size}-"]


def test_a_part_that_is_already_whole_is_taken(server: Server, tmp_path: Path) -> None:
    def beyond(handler: Handler, data: bytes) -> bool:
        handler.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        return True

    server.behaviour = beyond
    (tmp_path / "model.pth.part").write_bytes(DATA)
    assert_whole(download.fetch(server.url, tmp_path / "model.pth", md5=MD5))
    assert server.ranges() == [f"bytes={len(DATA)}-"]


def test_ranges_in_pieces_are_put_together(server: Server) -> None:
    """A server may answer with fewer bytes than asked for; the end is then still to come."""

    def pieces(handler: Handler, data: bytes) -> bool:
        wanted = handler.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        stop = min(start + 400_000, len(data))
        if wanted is None:
            handler.answer(200, data[:stop], length=len(data))
        else:
            handler.answer(206, data[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"})
        return True

    server.behaviour = pieces
    assert_whole(download.weights_file(server.url))  # more tries than TRIES: each one makes headway
    assert len(server.ranges()) > transfer.TRIES


@pytest.mark.parametrize(
    "marks", [{"ETag": '"1"'}, {"Last-Modified": "Tue, 01 Feb 2022 00:00:00 GMT"}, {"ETag": "W/1"}]
)
def test_without_an_md5_only_the_same_file_is_continued(server: Server, tmp_path: Path, marks: dict[str, str]) -> None:
    other = bytes(len(DATA))

    def changing(handler: Handler, data: bytes) -> bool:
        if handler.number == 1:
            handler.answer(200, other[:900_000], marks, length=len(data))
            return True
        confirmed.append(handler.headers.get("If-Range"))
        handler.answer(200, data, {"ETag": '"2"'})  # it has changed, so the range is not served
        return True

    confirmed: list[str | None] = []
    server.behaviour = changing
    assert download.fetch(server.url, tmp_path / "file").read_bytes() == DATA
    strong = next(iter(marks.values()))
    assert confirmed == [None if strong.startswith("W/") else strong]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_an_md5_two_addresses_are_not_mixed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/other.pth"] = bytes(len(DATA))

    def drop(handler: Handler, data: bytes) -> bool:
        if handler.path == "/other.pth":
            handler.answer(200, data[:900_000], {"ETag": '"same"'}, length=len(data))
        return handler.path == "/other.pth"

    server.behaviour = drop
    monkeypatch.setattr(transfer, "TRIES", 1)
    with pytest.raises(DownloadError):
        download.fetch(f"{server.address}/other.pth", tmp_path / "file")
    assert download.fetch(server.url, tmp_path / "file").read_bytes() == DATA


def test_processes_at_once_fetch_once(server: Server) -> None:
    def slow(handler: Handler, data: bytes) -> bool:
        time.sleep(0.3)
        return False

    server.behaviour = slow
    code = (
        "from bdd100k_models.zoo import download; download.ZOO_SERVERS = {'127.0.0.1'}; "
        f"print(download.weights_file({server.url!r}))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [run.communicate(timeout=30) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    (path,) = {output.strip() for output, _ in outputs}
    assert_whole(Path(path))
    assert len(server.ranges()) == 1
    assert {file.name for file in Path(path).parent.iterdir()} == {"model.pth", "model.md5", "model.pth.verified"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device of a full disk, /dev/full")
def test_a_full_disk_is_said(server: Server, tmp_path: Path) -> None:
    folder = (tmp_path / "cache" / PATH).parent
    folder.mkdir(parents=True)
    (folder / "model.pth.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"disk is full.*BDD100K_MODELS_CACHE") as error:
        download.weights_file(server.url)
    assert "\n" not in str(error.value)


def test_a_cache_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(OutputError, match=r"cache.*BDD100K_MODELS_CACHE=FOLDER"):
        download.weights_file(server.url)


def test_a_folder_serves_without_a_cache(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").touch()
    (tmp_path / "model.pth").write_bytes(DATA)
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(tmp_path))
    assert download.weights_file(server.url) == tmp_path / "model.pth"


def test_a_folder_is_checked_with_the_published_md5(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.pth").write_bytes(DATA[::-1])
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(tmp_path))
    assert_whole(download.weights_file(server.url))  # not the wrong file
    (tmp_path / "model.pth").write_bytes(DATA)
    assert download.weights_file(server.url) == tmp_path / "model.pth"
    assert capsys.readouterr().err == ""


def test_same_names_on_other_hosts_are_kept_apart(server: Server) -> None:
    with serving(Server) as other:
        for place, data in ((server, DATA), (other, DATA[::-1])):
            place.files = {"/x/model.pth": data, "/x/model.md5": hashlib.md5(data).hexdigest().encode()}
        for _ in range(2):
            for place, data in ((server, DATA), (other, DATA[::-1])):
                assert download.weights_file(f"{place.address}/x/model.pth").read_bytes() == data


def test_an_address_cannot_lead_out_of_the_cache() -> None:
    assert download.path_in_zoo("http://127.0.0.1/bdd100k/../..//%2e%2e/etc/model.pth#y") == "etc/model.pth"
    elsewhere = [f"http://a/b/{name}" for name in ("..", "", "%2e%2e", "a%2fb", "%00", "x" * 300, "x?y")]
    paths = [Path(download.path_in_zoo(url)) for url in elsewhere]
    assert len(set(paths)) == len(paths)
    for path in paths:
        assert path.parts[0] == "elsewhere" and len(path.parts) == 3
        assert ".." not in path.parts and "\0" not in str(path) and len(path.name) <= 100


def test_a_new_md5_is_asked_for_when_the_old_one_fits_nothing(server: Server, tmp_path: Path) -> None:
    stale = tmp_path / "cache" / f"{PATH[:-4]}.md5"
    stale.parent.mkdir(parents=True)
    stale.write_text("0" * 32)
    with pytest.raises(DownloadError, match="another MD5"):
        download.weights_file(server.url)
    assert_whole(download.weights_file(server.url))


@pytest.mark.parametrize(("value", "expected"), [("100000", 30.0), ("soon", 0.01), ("-5", 0.01), ("date", 20.0)])
def test_the_pause_a_server_asks_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, expected: float
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)

    def busy(handler: Handler, data: bytes) -> bool:
        when = email.utils.formatdate(time.time() + 20, usegmt=True) if value == "date" else value
        if handler.number == 1:
            handler.answer(503, b"", {"Retry-After": when})
        return handler.number == 1

    server.behaviour = busy
    assert_whole(download.weights_file(server.url))
    assert pauses == [pytest.approx(expected, abs=2 if value == "date" else 0)]
    assert ("trying again in" in capsys.readouterr().err) == (expected > 5)


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"zz" * 16, b"a" * 31, b"d41d8cd9" * 5, b" \n", b""])
def test_what_is_not_an_md5(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "file.md5").write_bytes(text)
    assert read_md5(tmp_path / "file.md5") is None
    (tmp_path / "file.md5").write_bytes(b"\xef\xbb\xbf" + MD5.upper().encode() + b" *a file.pth\r\n")
    assert read_md5(tmp_path / "file.md5") == MD5


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("https://127.0.0.1:{port}", "no secure connection"),
        ("http://127.0.0.1:{port}/circle", "redirects in circles"),
        ("ftp://127.0.0.1:{port}", "not a usable address"),
        ("http://", "not a usable address"),
        ("http://user:secret@127.0.0.1:9", r"127\.0\.0\.1:9: cannot be reached"),
        ("/no/such/folder", r"/no/such/folder: has no det/models/model\.pth"),
    ],
)
def test_reasons_are_given(server: Server, monkeypatch: pytest.MonkeyPatch, mirror: str, reason: str) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", mirror.format(port=server.server_port))
    server.plans = {f"/circle/{PATH}": ["circle"], f"/circle/{PATH[:-4]}.md5": ["circle"]}
    with pytest.raises(DownloadError, match=reason) as error:
        download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}")
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_progress_is_shown_on_a_terminal(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/big.pth"] = bytes(8 << 20)
    url = f"{server.address}/big.pth"
    download.fetch(url, tmp_path / "quiet.pth")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    download.fetch(url, tmp_path / "shown.pth")
    shown = capsys.readouterr().err
    assert "big.pth" in shown
    assert "8/8" in shown
    assert "MiB/s" in shown


def test_bars_at_once_share_the_terminal_and_leave_the_output_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ProgressBar(2, "first") as first:
        with ProgressBar(3, "second", unit="MiB") as second:
            print("a path")
            assert first._bar is not None and second._bar is not None
            assert first._bar[0] is second._bar[0]
            second.advance(3)
        first.advance(2)
    output = capsys.readouterr()
    assert output.out == "a path\n"
    assert "2/2" in output.err


def hear(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Let nobody sleep, and return where what is told goes from now on."""
    monkeypatch.setattr(transfer.time, "sleep", lambda seconds: None)
    told = io.StringIO()
    monkeypatch.setattr("sys.stderr", told)
    return told


def wait_for(text: str, told: io.StringIO) -> None:
    deadline = time.monotonic() + 10
    while text not in told.getvalue():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_process_that_waits_says_so(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    told = hear(monkeypatch)
    lock = (tmp_path / ".model.pth.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(download.fetch, server.url, tmp_path / "model.pth", md5=MD5)
        wait_for("waiting", told)
        assert not waiting.done()
        lock.close()
        assert_whole(waiting.result(timeout=10))
    assert "model.pth: another process is fetching it" in told.getvalue()


def test_a_mirror_that_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", "http://[bad")
    with pytest.raises(InputError, match=r"http://\[bad is no address"):
        download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}")


def test_a_lock_on_a_removed_file_is_taken_anew(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits on a lock may get it after its file was removed; others would not see it."""
    fcntl = pytest.importorskip("fcntl")
    told = hear(monkeypatch)
    path = tmp_path / ".model.pth.lock"
    held: list[bool] = []

    def look(handler: Handler, data: bytes) -> bool:
        held.append(path.exists())
        return False

    server.behaviour = look
    lock = path.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(download.fetch, server.url, tmp_path / "model.pth", md5=MD5)
        wait_for("waiting", told)
        path.unlink()
        lock.close()
        assert_whole(waiting.result(timeout=10))
    assert held == [True]
    assert not path.exists()


@pytest.mark.parametrize("answer", ["other start", "too much"])
def test_a_bad_range_spoils_nothing_without_an_md5(server: Server, tmp_path: Path, answer: str) -> None:
    def bad(handler: Handler, data: bytes) -> bool:
        size = len(data)
        wanted = handler.headers.get("Range")
        if handler.number == 1:
            handler.answer(200, data[:900_000], {"ETag": '"1"'}, length=size)
        elif handler.number == 2 and answer == "other start":
            handler.answer(206, data[900_001:], {"Content-Range": f"bytes 900001-{size - 1}/{size}"})
        elif handler.number == 2 and wanted:
            start = int(wanted[len("bytes=") : -1])
            handler.answer(206, data[start:] + b"more", {"Content-Range": f"bytes {start}-{size - 1}/{size}"})
        return handler.number <= 2

    server.behaviour = bad
    assert download.fetch(server.url, tmp_path / "file").read_bytes() == DATA
    assert len(server.ranges()) == 3


def test_nothing_is_waited_for_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    with pytest.raises(DownloadError):
        download.weights_file(f"http://127.0.0.1:9/bdd100k/{PATH}")
    assert pauses == []
