"""QDTrack and PCAN through the command line: the same bytes from one process, two, and a run that was cut short."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

import pcan_model
import qdtrack_model
from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.formats.bitmask import read_bitmask
from bdd100k_models.formats.results.tracks import BoxTrackFormat, MaskTrackFormat
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.tasks import get_task
from det_model import TWO_PROCESSES, environment

FRAMES, VIDEOS = 3, 3


def write_qdtrack(folder: Path) -> tuple[Path, Path]:
    head = qdtrack_model.SMALL_HEAD | {"model.track_head.embed_head.in_channels": 16}
    config = qdtrack_model.config_of(qdtrack_model.NAME, qdtrack_model.SMALL | head)
    return save(folder, config, qdtrack_model.small_model())


def write_pcan(folder: Path) -> tuple[Path, Path]:
    return save(folder, pcan_model.small_config(), pcan_model.small_model())


def save(folder: Path, config: Any, model: torch.nn.Module) -> tuple[Path, Path]:
    for loader in (config.test_dataloader, config.val_dataloader):
        loader.dataset.pipeline[0].transforms[1].scale = (160, 90)
    config.model.tracker.match_score_thr = 0.0  # what is least unlike is the same
    torch.nn.init.normal_(model.detector.roi_head.bbox_head.fc_cls.weight, std=3.0)
    config.dump(folder / "tiny.py")
    torch.save({"meta": {}, "state_dict": model.state_dict()}, folder / "tiny.pth")
    return folder / "tiny.py", folder / "tiny.pth"


FORMATS: dict[str, Any] = {"mot": BoxTrackFormat, "mots": MaskTrackFormat}
MODELS: dict[str, Callable[[Path], tuple[Path, Path]]] = {"mot": write_qdtrack, "mots": write_pcan}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "data"
    generate_videos(folder, {"val": VIDEOS}, frames=FRAMES, seed=5, size=(320, 180), nproc=1)
    return folder


@pytest.fixture(scope="module", params=MODELS)
def command(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of a run, up to its output folder."""
    task = str(request.param)
    config, weights = MODELS[task](tmp_path_factory.mktemp(task))
    words = [task, config, "--checkpoint", weights, "--data-root", root, "--device", "cpu", "--workers", "0"]
    return [*map(str, words), "--format-dir"]


@pytest.fixture(scope="module")
def reference(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("reference")
    assert main(["test", *command, str(out), "--eval"]) == 1  # the frames have another size, which is said
    return contents(out)


def contents(out: Path) -> dict[str, bytes]:
    """Return the predictions: what is in a folder."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.parent != out]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_every_video_and_frame_has_its_files(command: list[str], reference: dict[str, bytes], root: Path) -> None:
    images = root / get_task(command[0]).image_dir("val")
    videos = sorted(path.name for path in images.iterdir())
    assert len(videos) == VIDEOS
    if command[0] == "mot":
        assert set(reference) == {f"box_track/{video}.json" for video in videos}
    else:
        frames = [path.relative_to(images).with_suffix(".png") for path in sorted(images.rglob("*.jpg"))]
        assert len(frames) == FRAMES * VIDEOS and {f"seg_track/{frame}" for frame in frames} <= set(reference)


def test_objects_are_found_and_followed(command: list[str], reference: dict[str, bytes], tmp_path: Path) -> None:
    folder = {"mot": "box_track", "mots": "seg_track_json"}[command[0]]
    followed = 0
    for name, data in reference.items():
        if name.startswith(f"{folder}/"):
            (tmp_path / "video.json").write_bytes(data)
            frames = [{label.id for label in frame.labels or ()} for frame in load_frames(tmp_path / "video.json")]
            followed += sum(len(one & other) for one, other in pairwise(frames))
    assert followed > 0


def test_two_processes_write_the_same_bytes(command: list[str], reference: dict[str, bytes], tmp_path: Path) -> None:
    launcher = [*TWO_PROCESSES]
    words = [*launcher, "-m", "bdd100k_models.cli", "test", *command, str(tmp_path), "--launcher", "pytorch"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), check=False)
    assert contents(tmp_path) == reference, done.stderr


def run_cut_short(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command that is interrupted amid the second video."""
    form = FORMATS[words[0]]
    encode = form.encode
    calls: list[None] = []

    def interrupted(self: Any, samples: Any) -> Any:
        calls.append(None)
        if len(calls) == FRAMES + 2:
            raise KeyboardInterrupt
        return encode(self, samples)

    with monkeypatch.context() as patch:
        patch.setattr(form, "encode", interrupted)
        assert main(["test", *words]) == 130


def test_an_interrupted_run_goes_on(
    command: list[str], reference: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_cut_short([*command, str(tmp_path)], monkeypatch)
    assert contents(tmp_path).keys() != reference.keys()
    assert main(["test", *command, str(tmp_path), "--resume"]) == 1
    assert contents(tmp_path) == reference


def test_a_run_whose_videos_build_on_each_other_is_not_resumed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, weights = write_pcan(tmp_path)
    flags = ["--checkpoint", weights, "--data-root", root, "--device", "cpu", "--workers", "0"]
    flags += ["--cfg-options", "model.lifetime=run", "--format-dir", tmp_path / "out"]
    words = ["mots", str(config), *map(str, flags)]
    run_cut_short(words, monkeypatch)
    capsys.readouterr()
    assert main(["test", *words, "--resume"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model.lifetime=run" in line and "leave out --resume" in line
    assert main(["test", *words]) == 1
    before = contents(tmp_path / "out")
    assert main(["test", *words, "--resume"]) == 1  # all is there
    assert contents(tmp_path / "out") == before


def qdtrack_on(folder: Path, tmp_path: Path, *more: str | Path) -> list[str]:
    """Return the words of a run of a small QDTrack on a folder of videos, which writes below ``out``."""
    config, weights = write_qdtrack(tmp_path)
    words = ["test", "mot", config, "--checkpoint", weights, "--images", folder, "--device", "cpu", "--workers", "0"]
    return [*map(str, [*words, "--format-dir", tmp_path / "out", *more])]


def test_a_missing_picture_is_said(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = sorted((root / get_task("mot").image_dir("val")).iterdir())[0]
    (tmp_path / "drives/v").mkdir(parents=True)
    for number, frame in zip((1, 2, 4), sorted(video.iterdir()), strict=True):
        shutil.copy(frame, tmp_path / f"drives/v/v-{number:07}.jpg")
    assert main(qdtrack_on(tmp_path / "drives", tmp_path)) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert "drives/v: frames are missing, first between v-0000002.jpg and v-0000004.jpg" in line
    frames = load_frames(tmp_path / "out/box_track/v.json")
    assert [frame.frameIndex for frame in frames] == [0, 1, 3]


@pytest.fixture
def two_sizes(root: Path, tmp_path: Path) -> Path:
    """A folder of two videos; in the first one the second frame has another size."""
    folder = tmp_path / "drives"
    for video in sorted((root / get_task("mot").image_dir("val")).iterdir())[:2]:
        shutil.copytree(video, folder / video.name)
    odd = sorted(next(iter(sorted(folder.iterdir()))).iterdir())[1]
    cv2.imwrite(str(odd), cv2.resize(cv2.imread(str(odd)), (200, 150)))
    return folder


def test_a_frame_of_another_size_costs_no_other(
    two_sizes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, weights = write_pcan(tmp_path)
    words = ["mots", config, "--checkpoint", weights, "--images", two_sizes, "--device", "cpu", "--workers", "0"]
    assert main(["test", *map(str, [*words, "--format-dir", tmp_path / "out"])]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    (video, other), (name,) = sorted(path.name for path in two_sizes.iterdir()), errors
    assert f"{video}-0000002.jpg: 200x150 pixels, but the first frame of its video has 320x180" in name
    frames = load_frames(tmp_path / f"out/seg_track_json/{video}.json")
    assert [bool(frame.labels) for frame in frames] == [True, False, True]
    assert not read_bitmask(tmp_path / f"out/seg_track/{video}/{video}-0000002.png").ids.any()
    assert len(load_frames(tmp_path / f"out/seg_track_json/{other}.json")) == FRAMES


def test_a_tracker_of_boxes_takes_frames_of_two_sizes(two_sizes: Path, tmp_path: Path) -> None:
    assert main(qdtrack_on(two_sizes, tmp_path)) == 0
    video = sorted(path.name for path in two_sizes.iterdir())[0]
    frames = load_frames(tmp_path / f"out/box_track/{video}.json")
    assert len(frames) == FRAMES and all(frame.labels for frame in frames)
    for frame, (width, height) in zip(frames, [(320, 180), (200, 150), (320, 180)], strict=True):
        boxes = [label.box2d for label in frame.labels or () if label.box2d is not None]
        assert max(box.x2 for box in boxes) <= width and max(box.y2 for box in boxes) <= height


def test_results_among_the_videos_are_refused(
    two_sizes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--format-dir", two_sizes / "out"], ["--show-dir", two_sizes / "drawn"]):
        assert main(qdtrack_on(two_sizes, tmp_path, *words)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "would take it for a video" in line and f"({words[0]})" in line
    assert len(list(two_sizes.iterdir())) == 2
