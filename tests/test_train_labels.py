"""Labels that cannot be learned from end training with one line, before any image is read where that can be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.registry import DATASETS

import mask_models
import semantic_model
from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.engine.config import load_config
from bdd100k_models.errors import MissingFileError
from bdd100k_models.formats.bitmask import encode_png
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.formats.rle import encode
from bdd100k_models.registry import enter_scope
from bdd100k_models.tasks import TASKS
from conftest import ROOT
from train_model import train

Refuse = Callable[..., str]

#: Tasks whose labels are run lengths, or a picture each image.
MASKED = ("ins_seg", "pan_seg", "sem_seg", "drivable")

#: Recipes of the trackers, which mix in single images.
VIDEO_RECIPES = [path for task in ("mot", "mots") for path in sorted((ROOT / task / "configs" / task).glob("*.py"))]

each_masked_task = pytest.mark.parametrize("task", MASKED)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 3}, seed=5, tasks=MASKED, size=(320, 180), nproc=1, force=True)
    generate_videos(root, {"train": 1}, frames=3, seed=5, tasks=("mot",), size=(320, 180), nproc=1, force=True)
    return root


@pytest.fixture
def refused(
    data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Refuse:
    """Train a tiny model of a task, which must be refused before its first step; returns the line that says why."""

    def step(*_: object) -> None:
        raise AssertionError("training has begun")

    monkeypatch.setattr("bdd100k_models.engine.loops.train_batch", step)

    def run(task: str, labels: Path, *options: str, workers: int = 0) -> str:
        given = [
            f"train_dataloader.dataset.ann_file={labels}",
            f"train_dataloader.num_workers={workers}",
            f"train_dataloader.persistent_workers={workers > 0}",
        ]
        words = ("--no-validate", "--cfg-options", *given, *options)
        assert train(task, config_of(task, tmp_path), data_root, tmp_path / "work", *words) == 2
        (line,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("error: "))
        return line

    return run


def config_of(task: str, folder: Path) -> str | Path:
    if task == "mot":
        return "qdtrack_mini_mot_synthetic"
    return (mask_models if task in ("ins_seg", "pan_seg") else semantic_model).write_config(folder, task)


def run_lengths(data_root: Path, task: str) -> list[dict[str, Any]]:
    content = json.loads((data_root / TASKS[task].label_paths("train")[1]).read_bytes())
    frames: list[dict[str, Any]] = content if isinstance(content, list) else content["frames"]
    return frames


@each_masked_task
@pytest.mark.parametrize("category", ["tram", None])
def test_a_category_that_is_not_known_is_named_before_any_image_is_read(
    refused: Refuse, data_root: Path, tmp_path: Path, task: str, category: str | None
) -> None:
    frames = run_lengths(data_root, task)
    label = frames[-1]["labels"][-1]
    del label["category"]
    if category is not None:
        label["category"] = category
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(frames))
    line = refused(task, path, f"train_dataloader.dataset.data_prefix.img={tmp_path / 'no_images'}")
    place = f"{path}: frame {frames[-1]['name']}, label {label['id']}"
    assert line.startswith(f"error: {place}: unknown category {category!r}; the classes are ")


@each_masked_task
def test_labels_that_are_of_no_class_are_named(refused: Refuse, data_root: Path, tmp_path: Path, task: str) -> None:
    """What is never evaluated is no label to learn from either."""
    frames = run_lengths(data_root, task)
    for frame in frames:
        for label in frame["labels"]:
            label["category"] = "unlabeled"
        if task in ("ins_seg", "drivable"):
            frame["labels"] = []  # these tasks have no such name
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(frames))
    line = refused(task, path, f"train_dataloader.dataset.data_prefix.img={tmp_path / 'no_images'}")
    assert line == f"error: {path}: no image has a label of the classes; training needs labelled images"


@each_masked_task
def test_pictures_without_any_label_are_named(refused: Refuse, data_root: Path, tmp_path: Path, task: str) -> None:
    for file in (data_root / TASKS[task].label_path("train")).iterdir():
        pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        write_bytes(tmp_path / "labels" / file.name, encode_png(np.full_like(pixels, 255 if pixels.ndim == 2 else 0)))
    line = refused(task, tmp_path / "labels", f"train_dataloader.dataset.data_prefix.img={tmp_path / 'no_images'}")
    assert line == f"error: {tmp_path / 'labels'}: no image has a label of the classes; training needs labelled images"


@pytest.mark.parametrize("task", ["ins_seg", "pan_seg"])
@pytest.mark.parametrize("workers", [0, 1])
def test_labels_without_a_pixel_are_named(
    refused: Refuse, data_root: Path, tmp_path: Path, task: str, workers: int
) -> None:
    """Only reading them tells that nothing is there, image after image."""
    frames = run_lengths(data_root, task)
    nothing = {"counts": encode(np.zeros((180, 320), bool)).counts, "size": [180, 320]}
    for frame in frames:
        for label in frame["labels"]:
            label["rle"] = nothing
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(frames))
    line = refused(task, path, workers=workers)
    assert line.startswith(f"error: {path}: of very many images drawn none has anything to learn from; ")


def test_objects_with_another_id_in_each_frame_make_no_pairs(refused: Refuse, data_root: Path, tmp_path: Path) -> None:
    for file in (data_root / TASKS["mot"].label_path("train")).glob("*.json"):
        frames = json.loads(file.read_bytes())
        for frame in frames:
            for label in frame["labels"]:
                label["id"] = f"{frame['name']} {label['id']}"
        write_bytes(tmp_path / "labels" / file.name, json.dumps(frames).encode())
    line = refused("mot", tmp_path / "labels")
    assert line.startswith(f"error: {tmp_path / 'labels'}: no two frames at most 3 apart share a track; ")


@pytest.fixture(scope="module")
def videos_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    generate_videos(root, {"train": 1}, frames=2, seed=5, size=(320, 180), nproc=1, force=True)
    return root


@pytest.mark.parametrize("path", VIDEO_RECIPES, ids=lambda path: path.stem)
def test_videos_suffice_with_the_option_that_the_error_names(videos_alone: Path, path: Path) -> None:
    def build(overrides: dict[str, None] | None = None) -> Any:
        config = load_config(path, overrides)
        enter_scope(config.default_scope)
        dataset = config.train_dataloader.dataset
        dataset.get("dataset", dataset).data_root = str(videos_alone)
        return DATASETS.build(dataset)

    mixes = "dataset" in load_config(path).train_dataloader.dataset
    option = f"train_dataloader.dataset{'.dataset' if mixes else ''}.still"
    with pytest.raises(MissingFileError, match=rf"no such labels.* {option}=None") as caught:
        build()
    assert "\n" not in str(caught.value)
    assert len(build({option: None})) == 2
