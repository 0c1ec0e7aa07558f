"""``bdd100k-models vis`` where names meet, labels are missing or the output cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.visualization.layout import contact_sheets
from conftest import draw_noise

SIZE = (90, 160)


def run(*arguments: object) -> int:
    return main(["vis", *map(str, arguments), "--nproc", "1"])


def write_mask(path: Path, value: int, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(size, value, np.uint8))
    return path


def write_frames(path: Path, *names: str) -> Path:
    path.write_text(json.dumps([{"name": name, "labels": []} for name in names]))
    return path


def test_pictures_of_one_stem_stay_apart(tmp_path: Path) -> None:
    images = [draw_noise(tmp_path / "i" / name, seed, SIZE) for seed, name in enumerate(("a.jpg", "a.png", "b.jpg"))]
    labels = write_frames(tmp_path / "l.json", "a.jpg", "a.png", "b.jpg", "a.jpg")
    assert run("det", "-i", tmp_path / "i", "-l", labels, "-o", tmp_path / "o", "--format", "png") == 0
    drawn = {path.name: cv2.imread(str(path)) for path in (tmp_path / "o").iterdir()}
    assert sorted(drawn) == ["a.jpg.png", "a.png", "a.png.png", "b.png"]
    for name, image in zip(("a.png", "a.png.png", "b.png", "a.jpg.png"), [*images, images[0]], strict=True):
        np.testing.assert_array_equal(drawn[name], cv2.imread(str(image)))


def test_overlays_of_one_stem_stay_apart(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.jpg", "a.png", "b.jpg")):
        draw_noise(tmp_path / "i" / name, seed, SIZE)
    for name, grey in (("a.png", 40), ("a.png.png", 240), ("b.png", 90)):
        write_mask(tmp_path / "c" / name, grey)
    assert run("sem_seg", "-i", tmp_path / "i", "-c", tmp_path / "c", "-o", tmp_path / "o") == 0
    images = {"a.png": "a.jpg", "a.png.png": "a.png", "b.png": "b.jpg"}
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == sorted(images)
    for name, image in images.items():
        mean = sum(cv2.imread(str(tmp_path / folder)).mean() for folder in (f"i/{image}", f"c/{name}")) / 2
        assert abs(cv2.imread(str(tmp_path / "o" / name)).mean() - mean) < 1
    (tmp_path / "c/a.png.png").unlink()
    assert run("sem_seg", "-i", tmp_path / "i", "-c", tmp_path / "c", "-o", tmp_path / "both") == 0
    assert len(list((tmp_path / "both").iterdir())) == 3


@pytest.mark.parametrize("images", [True, False])
def test_colours_alone_have_nothing_beside_them_where_there_is_nothing(tmp_path: Path, images: bool) -> None:
    for name in ("a", "b"):
        draw_noise(tmp_path / f"i/{name}.jpg", 1, SIZE)
        write_mask(tmp_path / f"l/{name}.png", 0)
    write_mask(tmp_path / "r/b.png", 0)
    sides = ["-l", tmp_path / "l", "--beside", tmp_path / "r", *(["-i", tmp_path / "i"] if images else [])]
    assert run("sem_seg", *sides, "--color-map", "-o", tmp_path / "o") == 0
    for name, painted in (("a", False), ("b", True)):
        picture = cv2.imread(str(tmp_path / f"o/{name}.png"))
        assert picture[-SIZE[0] :, : SIZE[1]].any(axis=2).all()
        right = picture[-SIZE[0] :, -SIZE[1] :]
        assert right.any(axis=2).all() if painted else not right.any()


@pytest.mark.parametrize(("height", "width"), [(3000, 30), (30, 3000), (90, 160)])
def test_sheets_have_bounds(tmp_path: Path, height: int, width: int) -> None:
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, size in zip(files, ((height, width), SIZE, SIZE), strict=True):
        cv2.imwrite(str(file), np.full((*size, 3), 200, np.uint8))
    (sheet,) = contact_sheets(files, 2, 6, 600)
    assert sheet.shape[1] <= 600 and 150 < sheet.shape[0] < 1400
    bright = (sheet == 200).all(axis=2).sum()
    assert bright > 2 * 50 * 90, "the others can still be seen"


@pytest.mark.parametrize("threshold", ["-0.1", "1.5", "nan"])
def test_thresholds_that_are_no_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str], threshold: str) -> None:
    labels = write_frames(tmp_path / "l.json", "a.jpg")
    assert run("det", "-i", tmp_path, "-l", labels, "-o", tmp_path / "o", f"--threshold={threshold}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: --threshold must be from 0 to 1") and not (tmp_path / "o").exists()


@pytest.mark.parametrize("taken", ["o", "o/a.jpg", "o/v"])
def test_places_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    """Whoever runs it, also root: a file lies where a folder must be, a folder where a file must be."""
    draw_noise(tmp_path / "i/a.jpg", 1, SIZE)
    draw_noise(tmp_path / "i/v/b.jpg", 1, SIZE)
    frames = [{"name": "a.jpg", "labels": []}, {"name": "b.jpg", "videoName": "v", "frameIndex": 0, "labels": []}]
    (tmp_path / "l.json").write_text(json.dumps(frames))
    place = tmp_path / taken
    place.parent.mkdir(exist_ok=True)
    if place.suffix:
        place.mkdir()
    else:
        place.touch()
    assert run("det", "-i", tmp_path / "i", "-l", tmp_path / "l.json", "-o", tmp_path / "o") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and str(place) in line and "cannot be written" in line
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
