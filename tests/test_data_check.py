"""`data check`: what is reported of whole, partial and damaged data roots."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.cli import main
from bdd100k_models.datasets.check import check_data
from bdd100k_models.datasets.check_compare import duplicates, missing_frames, pair_findings
from bdd100k_models.datasets.check_report import CheckReport, Finding
from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.errors import InputError, MissingFileError
from bdd100k_models.tasks import PUBLISHED_COUNTS, TASKS

IMAGES = "images/100k/val"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data root with every task, in the published size."""
    root = tmp_path_factory.mktemp("drawn")
    generate(root, {"val": 3, "test": 1}, nproc=1, force=True)
    generate_videos(root, {"val": 2}, frames=3, nproc=1, force=True)
    return root


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(drawn, tmp_path / "root"))


def first(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


def kinds(report: CheckReport) -> set[str]:
    return {finding.kind for finding in report.problems}


def test_a_drawn_data_set_has_no_problems(drawn: Path) -> None:
    report = check_data(drawn)
    assert report.problems == ()
    states = {(row.task, row.split): row for row in report.splits}
    assert len(states) == len(TASKS) * 3
    assert states["det", "val"].found == 3
    assert states["det", "val"].labels == {"labels/det_20/det_val.json": 3}
    assert states["ins_seg", "val"].labels == {
        "labels/ins_seg/bitmasks/val": 3,
        "labels/ins_seg/rles/ins_seg_val.json": 3,
    }
    assert (states["mot", "val"].found, states["mot", "val"].unit) == (2, "videos")
    assert states["mots", "val"].labels["labels/seg_track_20/bitmasks/val"] == 6
    assert states["det", "train"].state == "absent"
    assert states["det", "test"].state == "partial"


def test_every_file_is_opened_once_for_each_use(drawn: Path) -> None:
    """Pictures once, however many tasks share them; label files once a task."""
    pictures = len(list(drawn.glob("images/**/*.jpg")))
    masks = len(list(drawn.glob("labels/**/*.png")))
    tables = len(list(drawn.glob("labels/**/*.json")))
    assert check_data(drawn).files == pictures + masks + tables + 1  # the boxes' file also has the tags


def test_several_processes_find_the_same(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdd100k_models.datasets.check._LEAST_A_PROCESS", 1)
    alone, together = check_data(drawn, nproc=1), check_data(drawn, nproc=2)
    assert (alone.splits, alone.problems, alone.remarks) == (together.splits, together.problems, together.remarks)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<html>404 not found</html>")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage(path: Path) -> None:
    """Zero some of the pixels' data: most decoders paint over that without a word."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 500] = bytes(500)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("harm", [empty, text, cut, damage])
def test_unreadable_pictures_are_named(root: Path, harm: Callable[[Path], None]) -> None:
    path = first(root, f"{IMAGES}/*.jpg")
    harm(path)
    found = [finding for finding in check_data(root).problems if finding.kind == "unreadable"]
    assert [(finding.where, finding.files) for finding in found] == [(IMAGES, (path.name,))]


def test_quick_does_not_look_into_pixels(root: Path) -> None:
    damage(first(root, f"{IMAGES}/*.jpg"))
    assert check_data(root, quick=True).problems == ()
    cut(first(root, f"{IMAGES}/*.jpg"))
    cut(first(root, "labels/ins_seg/bitmasks/val/*.png"))
    cv2.imwrite(str(first(root, "labels/sem_seg/masks/val/*.png")), np.zeros((720, 1280, 3), np.uint8))
    report = check_data(root, quick=True)
    assert kinds(report) == {"unreadable"}
    assert {finding.where for finding in report.problems} == {
        IMAGES,
        "labels/ins_seg/bitmasks/val",
        "labels/sem_seg/masks/val",
    }


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((360, 640, 3), 99, np.uint8), "640x360 pixels instead of 1280x720"),
        (np.full((720, 1280), 99, np.uint8), "grey image"),
    ],
)
def test_unusual_pictures_are_named(root: Path, pixels: np.ndarray, words: str) -> None:
    path = first(root, f"{IMAGES}/*.jpg")
    cv2.imwrite(str(path), pixels)
    found = check_data(root, tasks=["det"], splits=["val"]).problems
    assert [finding.kind for finding in found] == ["unusual"]
    assert words in str(found[0])
    assert found[0].files == (path.name,)


def test_labels_without_their_pictures(root: Path) -> None:
    gone = first(root, f"{IMAGES}/*.jpg")
    gone.unlink()
    report = check_data(root, tasks=["det", "drivable"], splits=["val"])
    found = {finding.where: finding.files for finding in report.problems}
    assert found == dict.fromkeys(
        ("labels/det_20/det_val.json", "labels/drivable/masks/val", "labels/drivable/rles/drivable_val.json"),
        (gone.stem,),
    )
    assert kinds(report) == {"missing"}


def test_pictures_without_labels_are_a_remark(root: Path) -> None:
    first(root, "labels/sem_seg/masks/val/*.png").unlink()
    report = check_data(root, tasks=["sem_seg"], splits=["val"])
    assert report.problems == ()
    assert "unlabelled" in {finding.kind for finding in report.remarks}


def test_a_whole_folder_of_pictures_that_is_missing(root: Path) -> None:
    shutil.rmtree(root / IMAGES)
    report = check_data(root)
    assert kinds(report) == {"no images"}
    assert {finding.where for finding in report.problems} == {IMAGES}


def test_what_was_asked_for_must_be_there(root: Path) -> None:
    assert kinds(check_data(root, tasks=["det"], splits=["train"])) == {"absent"}
    shutil.rmtree(root / "labels/pose_21")
    assert kinds(check_data(root, tasks=["pose"], splits=["val"])) == {"no labels"}
    assert check_data(root, tasks=["pose"], splits=["test"]).problems == ()
    assert check_data(root, splits=["val"]).problems == ()


def test_counts_are_a_problem_on_request(drawn: Path) -> None:
    loose, strict = check_data(drawn, tasks=["det"], splits=["val"]), check_data(drawn, splits=["val"], complete=True)
    assert [finding.kind for finding in loose.remarks] == ["incomplete"]
    assert kinds(strict) == {"incomplete"}
    assert {finding.where for finding in strict.problems} == {
        "images/100k/val",
        "images/10k/val",
        "images/track/val",
        "images/seg_track_20/val",
    }


def test_pictures_that_are_there_twice(root: Path) -> None:
    path = first(root, f"{IMAGES}/*.jpg")
    shutil.copy(path, path.with_name("00000000-ffffffff.jpg"))
    shutil.copy(path, root / "images/100k/test" / path.name)
    report = check_data(root, tasks=["tagging"])
    found = {finding.kind: set(finding.files) for finding in report.problems if "duplicate" in finding.kind}
    across = {f"images/100k/val/{path.name}", f"images/100k/test/{path.name}"}
    assert found == {
        "duplicate name": across,
        "duplicate content": across | {"images/100k/val/00000000-ffffffff.jpg"},
    }


def test_masks_of_another_size_and_with_unknown_classes(root: Path) -> None:
    small, wrong = sorted(root.glob("labels/sem_seg/masks/val/*.png"))[:2]
    cv2.imwrite(str(small), np.zeros((360, 640), np.uint8))
    pixels = cv2.imread(str(wrong), cv2.IMREAD_UNCHANGED)
    pixels[3, 5] = 19
    cv2.imwrite(str(wrong), pixels)
    report = check_data(root, tasks=["sem_seg"], splits=["val"])
    found = {finding.kind: finding for finding in report.problems}
    assert found["size"].files == (small.stem,)
    assert found["unreadable"].files == (wrong.name,)
    assert "column 5 of row 3 has the value 19" in found["unreadable"].message


def test_bitmasks_with_unknown_categories(root: Path) -> None:
    path = first(root, "labels/ins_seg/bitmasks/val/*.png")
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[0, 0] = (0, 0, 9, 1)  # blue, green, red, alpha: category 9 of 8
    cv2.imwrite(str(path), pixels)
    found = check_data(root, tasks=["ins_seg"], splits=["val"]).problems
    assert [(finding.kind, finding.files) for finding in found] == [("classes", (path.name,))]


def test_objects_of_two_categories(root: Path) -> None:
    path = first(root, "labels/ins_seg/bitmasks/val/*.png")
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[5:9, 5:9] = (255, 0, 2, 7)  # number 255 * 256 + 7
    pixels[20:22, 5:9] = (255, 0, 3, 7)
    cv2.imwrite(str(path), pixels)
    (finding,) = check_data(root, tasks=["ins_seg"], splits=["val"]).problems
    assert (finding.kind, finding.files) == ("classes", (path.name,))
    assert "object 65287 has pixels of different categories" in finding.message
    pixels[20:22, 5:9] = (255, 2, 2, 7)  # the same category, and a crowd
    cv2.imwrite(str(path), pixels)
    (finding,) = check_data(root, tasks=["ins_seg"], splits=["val"]).problems
    assert "different categories or attributes" in finding.message


def test_run_lengths_and_joints_that_no_evaluation_takes(root: Path) -> None:
    for task, change, words in (
        ("sem_seg", lambda label: label["rle"].update(counts="0"), "covers 0 pixels"),
        ("sem_seg", lambda label: label["rle"].update(counts="\n"), "is no run-length code"),
        ("pose", lambda label: label["graph"]["nodes"].pop(), "17 joints instead of 18"),
        ("pose", lambda label: label.update(category="person"), "unknown category 'person'"),
        (
            "sem_seg",
            lambda label: label.update(rle=None, poly2d=[{"vertices": [[0, 0], [1, 0], [1, 1]], "types": "LL"}]),
            "3 vertices of the types 'LL'",
        ),
    ):
        path = next(path for name in TASKS[task].label_paths("val") if (path := root / name).suffix == ".json")
        before = path.read_text()
        frames = json.loads(before)
        change(
            next(label for frame in frames for label in frame.get("labels") or () if "rle" in label or "graph" in label)
        )
        path.write_text(json.dumps(frames))
        assert any(words in str(finding) for finding in check_data(root, tasks=[task], splits=["val"]).problems)
        path.write_text(before)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda frames: frames.append(frames[0]), "duplicate label", "several times"),
        (lambda frames: frames[0]["labels"][0].update(category="hovercraft"), "labels", "'hovercraft'"),
        (lambda frames: frames[0]["labels"][0]["box2d"].update(x2=-5), "labels", "ends before it begins"),
        (lambda frames: frames[0].update(name=7), "labels", "not the Scalabel format"),
        (lambda frames: frames.clear(), "labels", "holds no frames"),
        (lambda frames: frames[0].update(size={"width": 640, "height": 360}), "labels", "640x360 pixels instead of"),
    ],
)
def test_labels_that_break_their_format(root: Path, change: Callable[[list], object], kind: str, words: str) -> None:
    path = root / "labels/det_20/det_val.json"
    frames = json.loads(path.read_text())
    change(frames)
    path.write_text(json.dumps(frames))
    found = [f for f in check_data(root, tasks=["det"], splits=["val"]).problems if f.kind == kind]
    assert len(found) == 1
    assert words in str(found[0])
    assert found[0].where == "labels/det_20/det_val.json"


def test_a_label_file_that_is_cut_off(root: Path) -> None:
    cut(root / "labels/pose_21/pose_val.json")
    assert kinds(check_data(root, tasks=["pose"], splits=["val"])) == {"labels"}


def test_tags_that_do_not_exist(root: Path) -> None:
    path = root / "labels/det_20/det_val.json"
    path.write_text(path.read_text().replace('"weather":"', '"weather":"very '))
    found = check_data(root, tasks=["tagging"], splits=["val"]).problems
    assert {finding.kind for finding in found} == {"tags"}
    assert len(found) == 3


def test_videos_with_gaps(root: Path) -> None:
    videos = sorted((root / "images/track/val").iterdir())
    sorted(videos[0].iterdir())[1].unlink()
    sorted(videos[1].iterdir())[0].unlink()
    report = check_data(root, tasks=["mot"], splits=["val"])
    gaps = [finding for finding in report.problems if finding.kind == "gap"]
    assert [(finding.where, finding.files) for finding in gaps] == [
        (f"images/track/val/{videos[0].name}", ("frame 2",))
    ]
    assert [f.where for f in report.remarks if f.kind == "late start"] == [f"images/track/val/{videos[1].name}"]
    assert [len(f.files) for f in report.problems if f.kind == "missing"] == [2]


def test_strange_files_are_a_remark(root: Path) -> None:
    (root / IMAGES / "._0001.jpg").write_bytes(b"Mac OS X")
    (root / IMAGES / "readme.txt").write_text("hello")
    report = check_data(root, tasks=["det"], splits=["val"])
    assert report.problems == ()
    assert [f.files for f in report.remarks if f.kind == "stray"] == [("._0001.jpg", "readme.txt")]


def test_hidden_files_are_no_labels(root: Path) -> None:
    for name in ("ins_seg/bitmasks/val/._a.png", "seg_track_20/bitmasks/val/.ipynb_checkpoints/a.png"):
        path = root / "labels" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"Mac OS X")
    (root / "labels/box_track_20/val/._a.json").write_bytes(b"Mac OS X")
    assert check_data(root, tasks=["ins_seg", "mot", "mots"], splits=["val"]).problems == ()


def test_the_name_of_the_root_says_nothing_of_its_labels(root: Path) -> None:
    moved = root.rename(root.with_name("bitmasks"))
    assert check_data(moved, tasks=["sem_seg"], splits=["val"], quick=True).problems == ()


def test_names_of_any_bytes_can_be_printed(root: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    try:
        (root / IMAGES / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    for words in ([], ["--json"]):
        assert main(["data", "check", str(root), "--task", "det", "--split", "val", *words]) == 1
        assert "\ufffd\ufffd.jpg".encode() in capsysbinary.readouterr().out


def test_a_folder_of_labels_that_is_empty(root: Path) -> None:
    shutil.rmtree(root / "labels/drivable/masks/val")
    (root / "labels/drivable/masks/val").mkdir()
    found = check_data(root, tasks=["drivable"], splits=["val"]).problems
    assert [(finding.kind, finding.where) for finding in found] == [("labels", "labels/drivable/masks/val")]


def test_a_folder_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(MissingFileError, match=r"Permission denied\); check its permissions"):
        check_data(root)


def test_the_real_samples(samples: Path) -> None:
    report = check_data(samples)
    assert report.problems == ()
    rows = {(row.task, row.split): row for row in report.splits}
    assert rows["det", "val"].found == 2
    assert sum(rows["mot", "val"].labels.values()) == 6


def test_bad_use(tmp_path: Path, drawn: Path) -> None:
    with pytest.raises(MissingFileError, match="no such folder"):
        check_data(tmp_path / "none")
    with pytest.raises(MissingFileError, match="nothing of the data set"):
        check_data(tmp_path)
    with pytest.raises(InputError, match="no task 'dett'; did you mean det"):
        check_data(drawn, tasks=["dett"])
    with pytest.raises(InputError, match="no split 'valid'"):
        check_data(drawn, splits=["valid"])
    with pytest.raises(InputError, match="at least 1"):
        check_data(drawn, nproc=0)


def test_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(root)]) == 0
    out = capsys.readouterr().out
    assert "labels/det_20/det_val.json: 3" in out
    assert "no problems" in out
    assert "\x1b" not in out
    empty(first(root, f"{IMAGES}/*.jpg"))
    assert main(["data", "check", str(root), "--json", "--task", "det", "--split", "val"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert [problem["kind"] for problem in report["problems"]] == ["unreadable"]
    assert main(["data", "check", str(root / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_messages_cannot_pass_for_markup(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / IMAGES / "[red]x.jpg").write_bytes(b"")
    assert main(["data", "check", str(root), "--task", "det", "--split", "val"]) == 1
    assert "[red]x.jpg" in capsys.readouterr().out


def test_checking_does_not_load_the_deep_learning_libraries() -> None:
    code = "import sys, bdd100k_models.datasets.check; sys.exit(any(m in sys.modules for m in ('torch', 'mmengine')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


NAMES = st.sets(st.text("abc/", min_size=1, max_size=4), max_size=8)


@given(pictures=NAMES, covered=NAMES)
def test_pairs_are_the_set_differences(pictures: set[str], covered: set[str]) -> None:
    found = {f.kind: set(f.files) for f in pair_findings("labels", "images", pictures, covered)}
    wanted: dict[str, set[str]] = {}
    if pictures and covered - pictures:
        wanted["missing"] = covered - pictures
    if covered and pictures - covered:
        wanted["unlabelled"] = pictures - covered
    assert found == wanted


@given(numbers=st.sets(st.integers(1, 40), min_size=1))
def test_gaps_are_the_numbers_between(numbers: set[int]) -> None:
    names = [f"a/a-{number:07d}.jpg" for number in numbers]
    found = {finding.kind: finding for finding in missing_frames({"images/track/val": names})}
    lost = [number for number in range(min(numbers), max(numbers)) if number not in numbers]
    assert ("gap" in found) == bool(lost)
    if lost:
        assert found["gap"].files == tuple(f"frame {number}" for number in lost)
    assert ("late start" in found) == (min(numbers) > 1)


@settings(max_examples=50)
@given(contents=st.lists(st.integers(0, 3), max_size=8))
def test_duplicates_are_groups_of_equal_content(contents: list[int]) -> None:
    names = [f"{index}.jpg" for index in range(len(contents))]
    digests = {f"val/{name}": bytes([value]) for name, value in zip(names, contents, strict=True)}
    found = sorted(f.files for f in duplicates({"val": names}, digests, videos=False))
    groups = [tuple(f"val/{n}" for n, v in zip(names, contents, strict=True) if v == value) for value in set(contents)]
    assert found == sorted(group for group in groups if len(group) > 1)


def test_frames_of_a_car_that_stands_are_no_duplicates() -> None:
    digests = {"track/a/a-1.jpg": b"x", "track/a/a-2.jpg": b"x", "track/b/b-1.jpg": b"y"}
    names = [path.removeprefix("track/") for path in digests]
    assert list(duplicates({"track": names}, digests, videos=True)) == []
    digests["track/b/b-1.jpg"] = b"x"
    assert len(list(duplicates({"track": names}, digests, videos=True))) == 1


def test_findings_name_a_few_files() -> None:
    finding = Finding("missing", "labels", "gone", tuple("abcde"))
    assert str(finding) == "labels: gone: a, b, c and 2 more"
    assert str(Finding("gap", "here", "no more")) == "here: no more"


def test_published_counts_cover_every_task() -> None:
    assert {task.images for task in TASKS.values()} == set(PUBLISHED_COUNTS)
    assert [sum(counts.values()) for counts in PUBLISHED_COUNTS.values()] == [100_000, 10_000, 2_000, 223]
