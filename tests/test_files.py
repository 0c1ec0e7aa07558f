"""Files that are written whole or not at all, and what folders of labels hold."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from bdd100k_models.errors import LabelError, MissingFileError, OutputError
from bdd100k_models.formats import folders
from bdd100k_models.formats.coco import is_coco_file
from bdd100k_models.formats.files import atomic_writer, write_bytes, write_copies
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.paths import exists


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_bytes(path, b"old")
    with pytest.raises(KeyError), atomic_writer(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    link, path = tmp_path / "link.json", tmp_path / "elsewhere" / "a.json"
    link.symlink_to(path)
    for text in (b"first", b"second"):
        write_bytes(link, text)
        assert link.is_symlink() and path.read_bytes() == text
    assert list(path.parent.iterdir()) == [path]


def test_copies_are_one_file_where_links_can_be_made(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.jpg" for folder in ("one", "two", "three", "one")]
    elsewhere = tmp_path / "elsewhere.jpg"
    elsewhere.write_bytes(b"kept")
    paths[2].parent.mkdir()
    paths[2].symlink_to(elsewhere)
    write_copies(paths, b"first")
    assert paths[0].samefile(paths[1]) and paths[2].is_symlink() and elsewhere.read_bytes() == b"first"
    os.link(paths[0], tmp_path / "old.jpg")
    write_copies(paths, b"second")
    assert [path.read_bytes() for path in paths] == [b"second"] * 4
    assert (tmp_path / "old.jpg").read_bytes() == b"first"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        *["a.jpg"] * 3,
        *("elsewhere.jpg", "old.jpg"),
    ]


def test_copies_are_written_where_no_links_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    paths = [tmp_path / "one" / "a.jpg", tmp_path / "two" / "a.jpg"]
    write_copies(paths, b"both")
    assert [path.read_bytes() for path in paths] == [b"both", b"both"] and not paths[0].samefile(paths[1])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_copies([paths[0], tmp_path / "file" / "a.jpg"], b"more")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, b"scores")
    reader.join(10)
    assert read == [b"scores"] and stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device of a full disk, /dev/full")
def test_a_full_disk_is_named_as_one(tmp_path: Path) -> None:
    link = tmp_path / "out.json"
    link.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"out\.json: the disk is full"):
        write_bytes(link, b"a")
    assert stat.S_ISCHR(link.stat().st_mode)


def test_errors_of_what_is_written_are_not_those_of_the_file(tmp_path: Path) -> None:
    for error in (MissingFileError("labels.json: no such label file"), FileNotFoundError("labels.json")):
        with pytest.raises(FileNotFoundError) as raised, atomic_writer(tmp_path / "a"):
            raise error
        assert raised.value is error
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path, b"a folder")
    with pytest.raises(OutputError, match="File name too long"):
        write_bytes(tmp_path / ("a" * 300), b"a")


def test_hidden_files_and_folders_are_no_labels(tmp_path: Path) -> None:
    for name in ("a.json", "._a.json", "b.png", "._b.png", ".ipynb_checkpoints/a.json", "v/c.png", "v/.c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('[{"name": "a.jpg"}]')
    assert [path.name for path in folders.files_in(tmp_path, ".json")] == ["a.json"]
    assert folders.folders_in(tmp_path) == [tmp_path / "v"]
    assert folders.files_below(tmp_path) == [Path("a.json"), Path("b.png"), Path("v/c.png")]
    assert len(load_frames(tmp_path)) == 1
    (tmp_path / "a.json").unlink()
    assert not folders.holds_json(tmp_path)
    with pytest.raises(MissingFileError, match=r"no \.json file"):
        load_frames(tmp_path)


def test_folders_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for look, folder in (
        (lambda path: folders.files_in(path, ".json"), tmp_path / "closed"),
        (folders.folders_in, tmp_path / "closed"),
        (folders.files_below, tmp_path),
        (load_frames, tmp_path / "closed"),
    ):
        with pytest.raises(MissingFileError, match=r"closed: cannot be read \(Permission denied\)"):
            look(folder)


def test_names_that_no_file_can_have_are_of_no_file(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 300)
    assert not exists(path) and not is_coco_file(path)
    with pytest.raises(LabelError, match="File name too long"):
        load_frames(path)
