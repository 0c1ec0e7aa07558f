"""``zoo mirror``: complete, continued, verified, whatever the server does; and mirrors asked in order."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import DownloadError, LabelError
from bdd100k_models.zoo import download, mirror
from bdd100k_models.zoo.download import transfer
from bdd100k_models.zoo.download.files import obtain
from bdd100k_models.zoo.parts import kinds_of
from bdd100k_models.zoo.records import published
from zoo_server import ZooServer, serving

TASK = "mot"
NAME = "qdtrack-frcnn_r50_fpn_12e_mot_bdd100k"
WEIGHTS = f"mot/models/{NAME}.pth"
MD5 = f"mot/models/{NAME}.md5"
PREDS = f"mot/preds/{NAME}.json"
DATA = np.random.default_rng(0).integers(0, 256, 400_000, dtype=np.uint8).tobytes()
ALL = {
    WEIGHTS: DATA,
    MD5: f"{hashlib.md5(DATA).hexdigest()}  {NAME}.pth\n".encode(),
    PREDS: b"predictions" * 1000,
    f"mot/scores-val/{NAME}.json": b"{}",
    f"mot/scores-test/{NAME}.json": b"{ }",
    f"mot/visuals/{NAME}.zip": b"PK",
}


@pytest.fixture
def server() -> Iterator[ZooServer]:
    with serving() as made:
        made.files = {f"/{path}": data for path, data in ALL.items()}
        yield made


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests off the network: only this machine's addresses deliver."""
    monkeypatch.setenv("BDD100K_MODELS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("BDD100K_MODELS_MIRRORS", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TIMEOUT", (2.0, 2.0))
    original = download.fetch

    def fetch(url: str, dest: Path, **options: object) -> Path:
        if "127.0.0.1" not in url:
            raise DownloadError("dl.cv.ethz.ch: cannot be reached")
        return original(url, dest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(download, "fetch", fetch)


def make(folder: Path, server: ZooServer, *more: str) -> int:
    return main(["zoo", "mirror", str(folder), "--task", TASK, "--mirror", server.address, *more])


def stored(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop(mirror.INDEX, None)
    return files


def test_what_a_complete_mirror_has() -> None:
    kinds = kinds_of("weights,preds,scores,visuals")
    everything = mirror.wanted_files(None, kinds)
    links = {
        (kind, url)
        for task in ("det", "ins_seg", "sem_seg", "drivable", "pan_seg", "tagging", "pose", "mot", "mots")
        for method in published(task)
        for model in method.models
        for kind, url in model.links.items()
        if kind != "config"
    }
    assert {file.url for file in everything} == {url for _, url in links}
    assert len(everything) == len({file.path for file in everything}) == len(links)
    ours = [file for file in everything if "//dl.cv.ethz.ch/bdd100k/" in file.url]
    assert all(file.url.endswith(f"/bdd100k/{file.path}") for file in ours) and len(ours) >= 1560
    assert {file.path for file in mirror.wanted_files([TASK], kinds)} == set(ALL)
    assert {file.path for file in mirror.wanted_files([TASK], ["weights"])} == {WEIGHTS, MD5}


def test_a_mirror_is_made_verified_and_used(
    server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mirror"
    assert make(folder, server) == 0
    assert stored(folder) == ALL
    index = json.loads((folder / "index.json").read_text())
    assert index["lacks"] == {}
    assert index["files"] == {
        path: {"size": len(data), "md5": hashlib.md5(data).hexdigest()} for path, data in ALL.items()
    }
    count = len(server.asked)
    assert make(folder, server) == 0
    assert len(server.asked) == count  # nothing is fetched twice
    assert main(["zoo", "mirror", str(folder), "--task", TASK, "--verify"]) == 0
    assert "6 of 6 files are there" in capsys.readouterr().out
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", str(folder))
    assert main(["zoo", "download", NAME, "--what", "weights,preds,scores,visuals", "--dest", str(tmp_path / "d")]) == 0
    assert {path: data for path, data in stored(tmp_path / "d").items() if "/." not in path} == {
        path: data for path, data in ALL.items() if path != MD5
    }


@pytest.mark.parametrize("plan", [["drop"], ["long"], [429], [503, 503], ["drop", 503]], ids=lambda plan: str(plan))
@pytest.mark.parametrize("path", [WEIGHTS, PREDS])
def test_a_server_that_recovers_delivers(server: ZooServer, tmp_path: Path, plan: list[int | str], path: str) -> None:
    server.plans[f"/{path}"] = list(plan)
    assert make(tmp_path / "mirror", server) == 0
    assert stored(tmp_path / "mirror") == ALL


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (["other"], "another MD5"),
        ([404], "404"),
        ([503] * 9, "503"),
        ([429] * 9, "429"),
        (["circle"], "circles"),
        (["short"], "another MD5"),
    ],
)
def test_what_cannot_be_had_is_in_the_index_and_comes_later(
    server: ZooServer, tmp_path: Path, plan: list[int | str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mirror"
    server.plans[f"/{WEIGHTS}"] = list(plan)
    assert make(folder, server) == 1
    assert WEIGHTS not in stored(folder)
    index = json.loads((folder / "index.json").read_text())
    assert set(index["lacks"]) == {WEIGHTS}
    assert set(index["files"]) == set(ALL) - {WEIGHTS}
    assert "5 of 6 files are there" in capsys.readouterr().out
    assert reason in index["lacks"][WEIGHTS]
    server.plans.clear()
    assert make(folder, server) == 0
    assert stored(folder) == ALL
    assert json.loads((folder / "index.json").read_text())["lacks"] == {}


def test_redirects_are_followed(server: ZooServer, tmp_path: Path) -> None:
    server.plans[f"/{PREDS}/moved"] = [302]
    server.plans[f"/{WEIGHTS}"] = [302]  # to itself, which then answers
    assert make(tmp_path / "mirror", server) == 0
    assert stored(tmp_path / "mirror") == ALL


def test_without_its_md5_a_weight_file_is_not_taken(server: ZooServer, tmp_path: Path) -> None:
    del server.files[f"/{MD5}"]
    assert make(tmp_path / "mirror", server, "--what", "weights") == 1
    lacks = json.loads((tmp_path / "mirror/index.json").read_text())["lacks"]
    assert set(lacks) == {WEIGHTS, MD5}
    assert stored(tmp_path / "mirror") == {}


def test_an_interrupted_mirror_is_continued_in_the_middle_of_a_file(server: ZooServer, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    server.plans[f"/{WEIGHTS}"] = ["drop", *[503] * 9]
    assert make(folder, server) == 1
    [part] = folder.rglob("*.part")
    have = part.stat().st_size
    assert 0 < have <= len(DATA) // 2
    server.plans.clear()
    server.asked.clear()
    assert make(folder, server) == 0
    assert (f"/{WEIGHTS}", f"bytes={have}-") in server.asked
    assert stored(folder) == ALL


@pytest.mark.parametrize(
    ("damage", "path", "words"),
    [
        (lambda path: path.write_bytes(b"x" * len(DATA)), WEIGHTS, "another MD5 than published"),
        (lambda path: path.write_bytes(b"x"), PREDS, "changed: the index has 11000 bytes"),
        (lambda path: path.unlink(), PREDS, "not there"),
        (lambda path: path.write_text("no hash"), MD5, "its MD5 file is not there"),
        (lambda path: path.write_bytes(b"0" + path.read_bytes()[1:]), MD5, "another MD5 than published"),
    ],
)
def test_damage_is_found_and_mended(
    server: ZooServer,
    tmp_path: Path,
    damage: object,
    path: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "mirror"
    assert make(folder, server) == 0
    capsys.readouterr()
    damage(folder / path)  # type: ignore[operator]
    before = stored(folder)
    assert main(["zoo", "mirror", str(folder), "--task", TASK, "--verify", "--json"]) == 1
    lacks = json.loads(capsys.readouterr().out)["lacks"]
    assert any(words in reason for reason in lacks.values()), lacks
    assert stored(folder) == before  # --verify changes nothing
    if path != MD5:  # a file of hashes is looked at each time
        (folder / path).unlink(missing_ok=True)
    assert make(folder, server) == 0
    assert stored(folder) == ALL


def test_what_a_mirror_on_a_server_lacks(server: ZooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = {"files": {path: {"size": 1, "md5": "0" * 32} for path in ALL if path != PREDS}, "lacks": {PREDS: "lost"}}
    server.files["/index.json"] = json.dumps(index).encode()
    assert main(["zoo", "mirror", server.address, "--task", TASK, "--verify"]) == 1
    assert f"{PREDS}: lost\n5 of 6 files are there" in capsys.readouterr().out
    del server.files["/index.json"]
    assert main(["zoo", "mirror", server.address, "--task", TASK, "--verify"]) == 2
    assert main(["zoo", "mirror", server.address, "--task", TASK]) == 2
    assert "a mirror is made in a folder" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", '{"files": 1}', "\xff", '{"files": {"a": {"size": "x"}}}'])
def test_an_index_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text, encoding="latin-1")
    with pytest.raises(LabelError, match="no index of a mirror"):
        mirror.read_index(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["--jobs", "0"], ["--what", "wieghts"], ["--task", "dett"], ["--verify", "--task", "det"]]
)
def test_wrong_use_is_one_line(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "mirror", str(tmp_path / "none"), *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_mirrors_are_asked_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDD100K_MODELS_MIRRORS", "https://b.example, https://c.example")
    settings = tmp_path / "settings/bdd100k-models/mirrors"
    settings.parent.mkdir(parents=True)
    settings.write_text("# mine\nhttps://d.example\n/a folder/with blanks  # near\n\nhttps://b.example\n")
    rest = ["https://b.example", "https://c.example", "https://d.example", "/a folder/with blanks"]
    assert download.mirrors() == rest
    with download.preferring(["/first"]):
        assert download.mirrors() == ["/first", *rest]
    assert download.mirrors() == rest
    settings.write_text("https://[x\n")
    assert main(["zoo", "download", NAME]) == 2


def test_the_first_mirror_that_has_a_file_serves_it(server: ZooServer, tmp_path: Path) -> None:
    with serving() as empty:
        where = ["--mirror", empty.address, "--mirror", str(tmp_path / "none"), "--mirror", server.address]
        assert main(["zoo", "download", NAME, "--what", "preds", "--dest", str(tmp_path / "d"), *where]) == 0
        assert [path for path, _ in empty.asked] == ["/index.json", f"/{PREDS}"]
    assert (tmp_path / "d" / PREDS).read_bytes() == ALL[PREDS]


def test_the_index_of_a_mirror_tells_what_it_lacks_and_what_is_wrong(server: ZooServer, tmp_path: Path) -> None:
    wanted = {"size": len(ALL[PREDS]), "md5": hashlib.md5(ALL[PREDS]).hexdigest()}
    with serving() as lacking, serving() as lying:
        lacking.files = {"/index.json": json.dumps({"files": {}, "lacks": {PREDS: "lost"}}).encode()}
        lying.files = {"/index.json": json.dumps({"files": {PREDS: wanted}}).encode(), f"/{PREDS}": b"x" * 11000}
        where = [word for mirror in (lacking, lying, server) for word in ("--mirror", mirror.address)]
        assert main(["zoo", "download", NAME, "--what", "preds", "--dest", str(tmp_path / "d"), *where]) == 0
        assert [path for path, _ in lacking.asked] == ["/index.json"]
        assert [path for path, _ in lying.asked] == ["/index.json", f"/{PREDS}"]
    assert (tmp_path / "d" / PREDS).read_bytes() == ALL[PREDS]


def test_a_folder_is_checked_against_its_index(
    server: ZooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path / "mirror", server) == 0
    (tmp_path / "mirror" / PREDS).write_bytes(b"damaged")
    arguments = ["zoo", "download", NAME, "--what", "preds", "--dest", str(tmp_path / "d"), "--mirror"]
    assert main([*arguments, str(tmp_path / "mirror")]) == 2
    assert "another MD5 than it should have" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "mirror"), "--mirror", server.address]) == 0


def test_what_no_disk_delivers_comes_from_the_next_mirror(
    server: ZooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken" / PREDS
    broken.parent.mkdir(parents=True)
    broken.symlink_to("/proc/self/mem")  # its first bytes are an error of reading
    arguments = ["zoo", "download", NAME, "--what", "preds", "--dest", str(tmp_path / "d"), "--mirror"]
    assert main([*arguments, str(tmp_path / "broken")]) == 2
    assert f"{broken}: cannot be read" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "broken"), "--mirror", server.address]) == 0
    assert (tmp_path / "d" / PREDS).read_bytes() == ALL[PREDS]


def test_addresses_that_differ_in_their_query_are_different_files(
    server: ZooServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bdd100k_models.zoo.records import Model

    address = f"{server.address}/uc?id="
    hashes = {key: hashlib.md5(key.encode()).hexdigest() for key in "AB"}
    models = [
        Model(
            key, {"AP-val": "1"}, {"weights": f"{address}{key}", "md5": f"{address}m{key}", "preds": f"{address}p{key}"}
        )
        for key in "AB"
    ]
    server.files.clear()
    for key, digest in hashes.items():
        server.files |= {
            f"/uc?id={key}": key.encode(),
            f"/uc?id=m{key}": digest.encode(),
            f"/uc?id=p{key}": b"p" + key.encode(),
        }
    method = msgspec.structs.replace(published(TASK)[0], models=models)
    monkeypatch.setattr(mirror, "published", lambda task: (method,))
    monkeypatch.setattr(download, "all_models", lambda: {model.name: (TASK, method, model) for model in models})
    for key, model in zip("AB", models, strict=True):
        assert download.weights_file(model.links["weights"]).read_bytes() == key.encode()
        assert obtain(model, "preds", None).read_bytes() == f"p{key}".encode()
    # hashes are fetched before what they are of, whatever they are called
    assert main(["zoo", "mirror", str(tmp_path / "mirror"), "--task", TASK]) == 0
    assert sorted(stored(tmp_path / "mirror").values()) == sorted(server.files.values())
    monkeypatch.setenv("BDD100K_MODELS_CACHE", str(tmp_path / "new"))
    server.files.clear()
    with download.preferring([str(tmp_path / "mirror")]):
        assert [download.weights_file(model.links["weights"]).read_bytes() for model in models] == [b"A", b"B"]


def test_an_interruption_breaks_off_and_keeps_what_came(tmp_path: Path) -> None:
    from bdd100k_models.zoo.download.files import in_parallel

    def endless() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield bytes(1 << 16)

    class Answer:
        status_code, headers, url, is_redirect = 200, {"ETag": '"one"'}, "http://127.0.0.1/x", False

        def iter_content(self, size: int) -> Iterator[bytes]:
            return endless()

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(transfer.Session, "get", lambda *arguments, **options: Answer())
        for _ in in_parallel(lambda name: transfer.fetch("http://127.0.0.1/x", tmp_path / name), ["a", "b", "c"], 2):
            time.sleep(0.2)
            raise KeyboardInterrupt
    assert time.monotonic() - began < 5
    assert sorted(path.name for path in tmp_path.glob("?.part")) == ["a.part", "b.part"]
    assert not list(tmp_path.glob("?"))
