"""Labels that cannot be learned from end training with one line, before any image is read where that can be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mask_models
import semantic_model
from bdd100k_models.datasets.synth import generate
from bdd100k_models.tasks import TASKS
from train_model import train

Refuse = Callable[..., str]

#: Tasks whose labels are run lengths, or a picture each image.
MASKED = ("ins_seg", "pan_seg", "sem_seg", "drivable")

each_masked_task = pytest.mark.parametrize("task", MASKED)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 3}, seed=5, tasks=MASKED, size=(320, 180), nproc=1, force=True)
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
        config = (semantic_model if task in ("sem_seg", "drivable") else mask_models).write_config(tmp_path, task)
        given = [
            f"train_dataloader.dataset.ann_file={labels}",
            f"train_dataloader.num_workers={workers}",
            f"train_dataloader.persistent_workers={workers > 0}",
        ]
        words = ("--no-validate", "--cfg-options", *given, *options)
        assert train(task, config, data_root, tmp_path / "work", *words) == 2
        (line,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("error: "))
        return line

    return run


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
