"""Pose at the command line: the original's outputs, person boxes from everywhere, faults, resuming, training."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import det_model
from bdd100k_models.cli import main
from bdd100k_models.tasks import JOINTS
from conftest import draw_noise
from det_model import TWO_PROCESSES, environment, run
from official_tool import official_frames
from pose_model import make_config, make_data, make_weights

slow = pytest.mark.slow

Labels = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small model: its config and its weights."""
    folder = tmp_path_factory.mktemp("model")
    config = make_config(folder)
    return config, make_weights(config, folder / "tiny_pose.pth")


@dataclass
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """``bdd100k-models test`` in this process, which spares the imports."""

    def command(*arguments: str | Path, task: str = "pose") -> Done:
        capfd.readouterr()
        status = main(["test", task, *map(str, arguments), "--device", "cpu", "--workers", "0"])
        return Done(status, *capfd.readouterr())

    return command


def people(folder: Path) -> Labels:
    frames = json.loads((folder / "result_keypoints.json").read_text())["frames"]
    return {frame["name"]: frame["labels"] for frame in frames}


def joints(label: dict[str, Any]) -> np.ndarray:
    return np.array([[*node["location"], node["score"]] for node in label["graph"]["nodes"]])


# ------------------------------------------------------------------------------------------------- the original


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv2_udp_256x192_1x_pose_bdd100k",
        pytest.param("res50_256x192_1x_pose_bdd100k", marks=slow),
        pytest.param("hrnet_w32_dark_256x192_1x_pose_bdd100k", marks=slow),
    ],
)
def test_joints_are_those_of_the_original(
    call: Callable[..., Done], shared: Path, samples: Path, tmp_path: Path, name: str
):
    weights, out = tmp_path / "weights.pth", tmp_path / "out"
    tool = [sys.executable, shared / "tools/make_checkpoint.py", f"pose/{name}", weights]
    subprocess.run(list(map(str, tool)), check=True, capture_output=True)
    boxes = shared / "reference/inputs/person_det_for_bdd100k_val.json"
    images = samples / "images/100k/val"
    flags = ("--checkpoint", weights, "--images", images, "--boxes", boxes, "--format-dir", out)
    done = call(name, *flags)
    assert done.returncode == 0, done.stderr
    ours, theirs = people(out), people(shared / "reference/pose" / name)
    assert ours.keys() == theirs.keys()
    for image, labels in theirs.items():
        for label, expected in zip(ours[image], labels, strict=True):
            assert label["score"] == pytest.approx(expected["score"], rel=1e-3)
            assert [node["category"] for node in label["graph"]["nodes"]] == list(JOINTS)
            found, wanted = joints(label), joints(expected)
            np.testing.assert_allclose(found[:, :2], wanted[:, :2], atol=0.1)
            np.testing.assert_allclose(found[:, 2], wanted[:, 2], rtol=1e-3)


# --------------------------------------------------------------------------------------------------- every run


def test_a_whole_run_and_a_resumed_one_write_the_same(
    call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path
):
    config, weights = model
    root = make_data(tmp_path / "data")
    flags = ["--checkpoint", weights, "--data-root", root]
    one, resumed = tmp_path / "one", tmp_path / "resumed"
    drawn = ("--show-dir", tmp_path / "drawn")
    done = call(config, *flags, "--format-dir", one, "--eval", *drawn)
    assert done.returncode == 0, done.stderr
    assert "10 labels" in done.stdout and "AP" in done.stdout
    assert len(list((tmp_path / "drawn").iterdir())) == 5
    assert [len(labels) for labels in people(one).values()] == [1, 2, 3, 4, 0]
    scores = json.loads(next(one.glob("eval_*.json")).read_text())
    official = official_frames("pose", root / "labels/pose_21/pose_val.json", one / "result_keypoints.json")
    assert scores.keys() == dict(official).keys()
    for metric, groups in dict(official).items():
        for mine, theirs in zip(scores[metric], groups, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-6, nan_ok=True), metric

    # what a run leaves behind that stopped over an image which was not there
    image = root / "images/100k/val/3.jpg"
    image.rename(tmp_path / "hidden")
    assert call(config, *flags, "--format-dir", resumed).returncode == 1
    (tmp_path / "hidden").rename(image)
    done = call(config, *flags, "--format-dir", resumed, "--resume")
    assert done.returncode == 0, done.stderr
    expected = (one / "result_keypoints.json").read_bytes()
    assert (resumed / "result_keypoints.json").read_bytes() == expected


@slow
def test_one_process_and_two_write_the_same(call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path):
    config, weights = model
    flags = ["--checkpoint", weights, "--data-root", make_data(tmp_path / "data")]
    one, two = tmp_path / "one", tmp_path / "two"
    assert call(config, *flags, "--format-dir", one).returncode == 0
    launcher = [*TWO_PROCESSES, "-m", "bdd100k_models.cli"]
    command = [*launcher, "test", "pose", config, *flags, "--format-dir", two, "--launcher", "pytorch"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=environment())
    assert (one / "result_keypoints.json").read_bytes() == (two / "result_keypoints.json").read_bytes()


def test_bad_boxes_cost_themselves_alone(call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path):
    config, weights = model
    for index in range(3):
        draw_noise(tmp_path / f"images/{index}.jpg", seed=index, size=(180, 320))
    good, flat, outside = [50, 20, 60, 120], [50, 20, 0, 120], [900, 20, 60, 120]
    detections = [
        {"file_name": name, "image_id": 1, "bbox": box, "score": 0.9}
        for name, box in (("0.jpg", good), ("0.jpg", flat), ("1.jpg", outside), ("1.jpg", [-40, 20, 60, 120]))
    ]
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps(detections))
    flags = ("--checkpoint", weights, "--images", tmp_path / "images", "--format-dir", tmp_path / "out")
    done = call(config, *flags, "--boxes", boxes)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "warning: 0.jpg: person box (50, 20, 50, 140) has no area, left out" in done.stderr
    assert "warning: 1.jpg: person box (900, 20, 960, 140) lies outside the image, left out" in done.stderr
    assert [len(labels) for labels in people(tmp_path / "out").values()] == [1, 1, 0]
    assert len(json.loads((tmp_path / "out/errors.json").read_text())) == 2


def test_a_crowd_gives_what_its_people_give_alone(call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path):
    config, weights = model
    rng = np.random.default_rng(0)
    draw_noise(tmp_path / "images/0.jpg", seed=0)
    corners = rng.uniform((0, 0), (1100, 500), (40, 2)).round(1).tolist()
    detections = [{"file_name": "0.jpg", "image_id": 1, "bbox": [*corner, 60, 150], "score": 0.9} for corner in corners]
    boxes = tmp_path / "boxes.json"
    flags = ["--checkpoint", weights, "--images", tmp_path / "images", "--boxes", boxes]
    # all of them stay, however similar
    flags += ["--cfg-options", "test_evaluator.format.oks_thr=1.0"]
    boxes.write_text(json.dumps(detections))
    done = call(config, *flags, "--format-dir", tmp_path / "all")
    assert done.returncode == 0, done.stderr
    boxes.write_text(json.dumps(detections[30:33]))
    assert call(config, *flags, "--format-dir", tmp_path / "some").returncode == 0
    crowd = people(tmp_path / "all")["0.jpg"]
    assert len(crowd) == 40
    for label in people(tmp_path / "some")["0.jpg"]:
        nearest = min(np.abs(joints(label) - joints(other)).max() for other in crowd)
        assert nearest < 1e-3


def test_people_are_found_by_a_detector_in_the_same_command(
    call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path
):
    config, weights = model
    for index in range(2):
        draw_noise(tmp_path / f"images/{index}.jpg", seed=index, size=(180, 320))
    detector = det_model.make_checkpoint(tmp_path / "detector.pth")
    flags = ["--checkpoint", weights, "--images", tmp_path / "images", "--format-dir", tmp_path / "out"]
    found = ("--detector", det_model.MODEL, "--detector-checkpoint", detector)
    done = call(config, *flags, *found, "--box-score-thr", "0.65")
    assert done.returncode == 0, done.stderr
    frames = json.loads((tmp_path / "out/detector/det.json").read_text())["frames"]
    boxes = [label for frame in frames for label in frame["labels"] if label["category"] == "pedestrian"]
    wanted = sum(label["score"] >= 0.65 for label in boxes)
    assert 0 < wanted < len(boxes)
    assert 0 < sum(map(len, people(tmp_path / "out").values())) <= wanted
    # the detector's own file can be given too
    given = ("--boxes", tmp_path / "out/detector/det.json", "--box-score-thr", "0.65")
    flags[-1] = tmp_path / "again"
    assert call(config, *flags, *given).returncode == 0
    assert people(tmp_path / "again") == people(tmp_path / "out")


def test_the_published_boxes_go_before_those_of_the_labels(
    call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path
):
    config, weights = model
    root = make_data(tmp_path / "data", images=3)
    boxes = [{"image_id": 3, "category_id": 1, "bbox": [100, 100, 80, 200], "score": 0.5}]
    (root / "labels/person_det_for_bdd100k_val.json").write_text(json.dumps(boxes))
    flags = ("--checkpoint", weights, "--data-root", root, "--format-dir", tmp_path / "out")
    done = call(config, *flags)
    assert done.returncode == 0, done.stderr
    assert [len(labels) for labels in people(tmp_path / "out").values()] == [0, 0, 1]


# ------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("task", "flags", "message"),
    [
        ("det", ["--boxes", "b.json"], "--boxes is for pose models; leave it out for det"),
        ("pose", ["--boxes", "b.json", "--detector", "x"], "both say where people are"),
        ("pose", ["--box-images", "b.json"], "--box-images explains the ids of --boxes"),
        ("pose", ["--detector-checkpoint", "b.pth"], "--detector-checkpoint needs --detector"),
        ("pose", ["--boxes", "nowhere.json"], "nowhere.json: no such file of person boxes"),
        ("pose", [], "nothing says where the people are"),
    ],
)
def test_flags_that_do_not_fit(
    call: Callable[..., Done], model: tuple[Path, Path], tmp_path: Path, task: str, flags: list[str], message: str
):
    draw_noise(tmp_path / "images/0.jpg", seed=0, size=(90, 160))
    config, weights = model
    flags = ["--checkpoint", weights, "--images", tmp_path / "images", "--format-dir", tmp_path / "out", *flags]
    done = call(config, *flags, task=task)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


# ----------------------------------------------------------------------------------------------------- training


@slow
def test_training_runs_validates_and_resumes(model: tuple[Path, Path], tmp_path: Path):
    config, _ = model
    root = make_data(tmp_path / "data", images=4)
    make_data(root, images=4, split="train")
    flags = ["--data-root", root, "--work-dir", tmp_path / "run", "--seed", "1", "--device", "cpu"]
    options = ["--cfg-options", "train_cfg.val_interval=1", "default_hooks.checkpoint.interval=1"]
    done = run("train", "pose", config, *flags, *options, "train_cfg.max_epochs=1")
    assert done.returncode == 0, done.stderr
    assert "bdd100k/AP50" in done.stdout + done.stderr
    done = run("train", "pose", config, *flags, "--no-validate", "--resume", *options, "train_cfg.max_epochs=2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/epoch_2.pth").is_file()
