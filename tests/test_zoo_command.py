"""``bdd100k-models zoo download``: which files, from where, to where."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import DownloadError
from bdd100k_models.zoo import download

MODEL = "faster_rcnn_r50_fpn_1x_det_bdd100k"
OTHER = "retinanet_r50_fpn_1x_det_bdd100k"
FILES = {
    f"det/models/{MODEL}.pth": b"weights",
    f"det/models/{MODEL}.md5": hashlib.md5(b"weights").hexdigest().encode(),
    f"det/preds/{MODEL}.json": b"predictions",
    f"det/scores-val/{MODEL}.json": b"validation",
    f"det/scores-test/{MODEL}.json": b"test",
    f"det/visuals/{MODEL}.zip": b"pictures",
}


@pytest.fixture(autouse=True)
def nothing_published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tests off the network: only this machine's addresses deliver."""
    monkeypatch.setenv("BDD100K_MODELS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("BDD100K_MODELS_MIRRORS", raising=False)
    original = download.fetch

    def fetch(url: str, dest: Path, *, md5: str | None = None) -> Path:
        if "127.0.0.1" not in url:
            raise DownloadError("dl.cv.ethz.ch: cannot be reached")
        return original(url, dest, md5=md5)

    monkeypatch.setattr(download, "fetch", fetch)


@pytest.fixture
def copy_of_zoo(tmp_path: Path) -> Path:
    """A folder with one model's files, laid out as published."""
    folder = tmp_path / "copy"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def server(copy_of_zoo: Path) -> Iterator[str]:
    """The address of a mirror with that folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(copy_of_zoo))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["folder", "server"])
def test_every_part_comes_from_a_mirror(
    kind: str,
    copy_of_zoo: Path,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(copy_of_zoo) if kind == "folder" else server)
    dest = tmp_path / "dest"
    assert main(["zoo", "download", MODEL, "--what", "weights,preds,scores,visuals", "--dest", str(dest)]) == 0
    expected = {name: data for name, data in FILES.items() if not name.endswith(".md5")}
    arrived = {name: data for name, data in files_below(dest).items() if not Path(name).name.startswith(".")}
    assert arrived == expected
    assert set(capsys.readouterr().out.split()) == {str(dest / name) for name in expected}


def test_without_a_folder_files_go_to_the_cache_and_are_not_fetched_twice(
    copy_of_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(copy_of_zoo))
    assert main(["zoo", "download", MODEL, "--what", "preds"]) == 0
    assert files_below(tmp_path / "cache") == {f"det/preds/{MODEL}.json": b"predictions"}
    monkeypatch.delenv("BDD100K_MODELS_MIRRORS")
    assert main(["zoo", "download", MODEL, "--what", "preds"]) == 0


def test_what_cannot_be_had_is_named_and_the_rest_still_comes(
    copy_of_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(copy_of_zoo))
    assert main(["zoo", "download", OTHER, MODEL, "--what", "preds", "--dest", str(tmp_path / "dest")]) == 2
    output = capsys.readouterr()
    assert output.out.strip() == str(tmp_path / f"dest/det/preds/{MODEL}.json")
    assert output.err.count("\n") == 1
    assert OTHER in output.err
    assert "BDD100K_MODELS_MIRRORS" in output.err


def test_wrong_weights_never_reach_the_folder(
    copy_of_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy_of_zoo / f"det/models/{MODEL}.pth").write_bytes(b"something else")
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(copy_of_zoo))
    assert main(["zoo", "download", MODEL, "--dest", str(tmp_path / "dest")]) == 2
    assert "wrong MD5" in capsys.readouterr().err
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("what", ["wieghts", "", "weights,,preds"])
def test_an_unknown_part_is_refused(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "download", MODEL, "--what", what]) == 2
    assert "weights, preds, scores, visuals" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(
    copy_of_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(copy_of_zoo))
    (tmp_path / "file").touch()
    assert main(["zoo", "download", MODEL, "--what", "preds", "--dest", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
