"""Drawn videos: the same for the same numbers, with ids that follow what is seen."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.datasets.synth.picture import Picture
from bdd100k_models.datasets.synth.video import draw_video
from bdd100k_models.errors import InputError
from bdd100k_models.formats.bitmask import read_bitmask
from bdd100k_models.formats.rle import decode
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.tasks import TASKS

SMALL = (320, 180)


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "root"
    summary = generate_videos(folder, {"val": 2, "test": 1}, frames=6, seed=3, size=SMALL, nproc=1)
    assert summary.images == {"val": 12, "test": 6}
    return folder


@pytest.fixture(scope="module")
def video() -> list[Picture]:
    return list(draw_video(5, "val", 0, 15))


def test_any_number_of_processes_and_videos_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    generate_videos(tmp_path / "again", {"val": 2, "test": 1}, frames=6, seed=3, size=SMALL, nproc=2)
    assert digests(tmp_path / "again") == digests(root)
    generate_videos(tmp_path / "fewer", {"val": 1}, frames=6, seed=3, size=SMALL, nproc=1)
    assert digests(tmp_path / "fewer").items() <= digests(root).items()


def test_a_track_moves_smoothly_and_keeps_its_category(video: list[Picture]) -> None:
    tracks = defaultdict(list)
    for picture in video:
        for label in picture.frame.labels or []:
            tracks[label.id].append((picture.frame.frameIndex, label.category, label.box2d))
    assert len(tracks) > 10
    followed = 0
    for steps in tracks.values():
        assert len({category for _, category, _ in steps}) == 1
        for (index, _, old), (later, _, new) in pairwise(steps):
            if later == index + 1:
                followed += 1
                shift = abs((new.x1 + new.x2) - (old.x1 + old.x2)) / 2
                assert shift < 1.2 * max(new.x2 - new.x1, old.x2 - old.x1) + 40
    assert followed > 80
    # something moves: the camera drives, or at least the traffic does
    assert any(steps[0][2] != steps[-1][2] for steps in tracks.values())


def test_pictures_change_but_the_sky_does_not(video: list[Picture]) -> None:
    first, last = video[0].pixels.astype(int), video[-1].pixels
    assert np.abs(first - last).mean() > 1
    assert video[0].scene.weather == video[-1].scene.weather


def test_masks_boxes_and_run_lengths_agree(root: Path) -> None:
    bitmasks, rles = (root / path for path in TASKS["mots"].label_paths("val"))
    names = {number: name for name, number in TASKS["mots"].category_ids.items()}
    files = sorted((root / TASKS["mot"].label_path("val")).glob("*.json"))
    assert len(files) == 2
    for file in files:
        frames, masks = load_frames(file), load_frames(rles / file.name)
        assert [frame.frameIndex for frame in frames] == list(range(6))
        for frame, coded in zip(frames, masks, strict=True):
            assert frame.name == coded.name and frame.videoName == coded.videoName == file.stem
            assert (root / TASKS["mot"].image_dir("val") / file.stem / frame.name).is_file()
            assert (root / TASKS["mots"].image_dir("val") / file.stem / frame.name).is_file()
            bitmask = read_bitmask(bitmasks / file.stem / frame.name.replace(".jpg", ".png"))
            found = {str(number): bitmask.ids == number for number in np.unique(bitmask.ids) if number}
            assert found.keys() == {label.id for label in frame.labels or []}
            for label in coded.labels or []:
                np.testing.assert_array_equal(decode(label.rle, "label"), found[label.id])
            for label in frame.labels or []:
                rows, columns = np.nonzero(found[label.id])
                box = label.box2d
                assert (box.x1, box.y1, box.x2, box.y2) == (columns.min(), rows.min(), columns.max(), rows.max())
                assert names[bitmask.category[rows[0], columns[0]]] == label.category


def test_the_test_split_has_no_labels(root: Path) -> None:
    assert not list(root.glob("labels/*/test*")) and not list(root.glob("labels/*/*/test*"))
    assert len(list((root / TASKS["mot"].image_dir("test")).rglob("*.jpg"))) == 6


@pytest.mark.parametrize(
    ("videos", "options"), [({}, {}), ({"val": 1}, {"frames": 0}), ({"val": 1}, {"tasks": ["det"]})]
)
def test_wrong_arguments(tmp_path: Path, videos: dict[str, int], options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        generate_videos(tmp_path, videos, **options)


def test_the_command_draws_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--val", "1", "--val-videos", "1", "--frames", "2", "--size", "320x180", "--tasks", "det", "mot"]
    assert main(["data", "synth", str(tmp_path / "root"), *arguments]) == 0
    assert "2 images (2 val)" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "root/labels").iterdir()) == ["box_track_20", "det_20"]
    assert main(["data", "synth", str(tmp_path / "other"), "--val", "1", "--tasks", "dett"]) == 2
