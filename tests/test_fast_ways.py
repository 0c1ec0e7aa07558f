"""``--half``, ``--amp`` and ``--channels-last`` through the commands, for every kind of result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import mask_models
import pose_model
from bdd100k_models.cli import main
from bdd100k_models.formats.scalabel import Frame, load_frames
from conftest import ROOT, draw_noise
from predict_support import fast_detector_file, segmentor_files, tagger_files

#: The file that ``test`` writes, by task.
FILES = {
    "det": "det.json",
    "ins_seg": "det.json",
    "pan_seg": "pan_seg.json",
    "drivable": "drivable.json",
    "tagging": "tagging.json",
    "pose": "result_keypoints.json",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The config and the weights of a small model of each task."""
    folder = tmp_path_factory.mktemp("models")
    pose = pose_model.make_config(folder)
    found = {
        "det": (fast_detector_file(folder), ROOT / "det/weights/atss_mini_det_synthetic.pth"),
        "drivable": segmentor_files(folder, "drivable"),
        "tagging": tagger_files(folder),
        "pose": (pose, pose_model.make_weights(pose, folder / "pose.pth")),
    }
    for task in ("ins_seg", "pan_seg"):
        config = mask_models.write_config(folder, task)
        found[task] = config, mask_models.write_checkpoint(config, folder / f"{task}.pth")
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    draw_noise(folder / "a.jpg", seed=1, size=(90, 160))
    return folder


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one person is."""
    path = tmp_path_factory.mktemp("boxes") / "boxes.json"
    label = {"id": "0", "category": "pedestrian", "box2d": {"x1": 20, "y1": 10, "x2": 60, "y2": 80}}
    path.write_text(json.dumps([{"name": "a.jpg", "labels": [label]}]))
    return path


def says_something(frame: Frame) -> bool:
    return bool(frame.labels or frame.attributes)


def test_predict_in_half_precision(
    models: dict[str, tuple[Path, Path]], images: Path, boxes: Path, tmp_path: Path
) -> None:
    configs, weights = zip(*models.values(), strict=True)
    words: list[Any] = [",".join(map(str, configs)), images, "--boxes", boxes, "--threshold", 0.05, "--device", "cpu"]
    words += [f"--checkpoint={path}" for path in weights]
    for out, flags in ((tmp_path / "full", []), (tmp_path / "half", ["--half"])):
        assert main(["predict", *map(str, words), *flags, "--out", str(out)]) == 0
        for config in configs:
            (frame,) = load_frames(out / f"{config.stem}.json")
            assert says_something(frame), config.stem
    masks = [cv2.imread(str(tmp_path / way / "tiny_drivable/masks/a.png"), -1) for way in ("full", "half")]
    assert np.mean(masks[0] == masks[1]) > 0.9
    people = [load_frames(tmp_path / way / "tiny_pose.json")[0].labels for way in ("full", "half")]
    assert [len(labels or ()) for labels in people] == [1, 1]


@pytest.mark.parametrize("task", FILES)
def test_test_in_reduced_precision(
    models: dict[str, tuple[Path, Path]], images: Path, boxes: Path, tmp_path: Path, task: str
) -> None:
    config, weights = models[task]
    words: list[Any] = [task, config, "--checkpoint", weights, "--images", images, "--format-dir", tmp_path]
    words += ["--amp", "--channels-last", "--device", "cpu", "--workers", 0]
    words += ["--boxes", boxes] if task == "pose" else []
    assert main(["test", *map(str, words)]) == 0
    (frame,) = load_frames(tmp_path / FILES[task])
    assert says_something(frame)
