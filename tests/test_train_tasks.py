"""Each of the nine tasks trains, is scored with its official metric, and keeps its best checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import mask_models
import pcan_model
import pose_model
import qdtrack_model
import semantic_model
from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.tasks import TASKS
from conftest import ROOT
from det_model import MODEL
from train_model import losses, train

_ALONE = (
    *("train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False", "val_dataloader.num_workers=0"),
    *("val_dataloader.persistent_workers=False", "default_hooks.logger.interval=1"),
)
_IMAGES = ("train_dataloader.dataset.pipeline.2.scale=(320,180)", "val_dataloader.dataset.pipeline.1.scale=(320,180)")
_CROPS = (
    *("train_dataloader.dataset.pipeline.2.scale=(160,90)", "train_dataloader.dataset.pipeline.3.crop_size=(64,128)"),
    *("val_dataloader.dataset.pipeline.1.scale=(160,90)", "model.data_preprocessor.size=(64,128)"),
    *("train_cfg.max_iters=1", "train_cfg.val_interval=1"),
)
_PAIRS = (
    *("train_cfg.val_interval=1", "train_dataloader.dataset.pipeline.0.transforms.2.scale=(324,180)"),
    "val_dataloader.dataset.pipeline.0.transforms.1.scale=(324,180)",
)


def _words(options: Mapping[str, Any]) -> list[str]:
    return [f"{key}={','.join(map(str, v)) if isinstance(v, list) else v}" for key, v in options.items()]


def recipe(task: str, folder: Path) -> tuple[str | Path, list[str]]:
    """Return a small config of a task, and what else makes it quick."""
    one = "train_cfg.max_epochs=1"
    if task == "det":
        return MODEL, [one, "train_dataloader.dataset.pipeline.2.scale=(128,72)", _IMAGES[1]]
    if task in ("ins_seg", "pan_seg"):
        return mask_models.write_config(folder, task), [one, *_IMAGES]
    if task in ("sem_seg", "drivable"):
        return semantic_model.write_config(folder, task), [*_CROPS]
    if task == "tagging":
        return "resnet18_5x_224x224_weather_tag_bdd100k", [one, "train_dataloader.batch_size=4"]
    if task == "pose":
        return pose_model.make_config(folder), [one, "val_dataloader.dataset.bbox_file=None"]
    if task == "mot":
        head = qdtrack_model.SMALL_HEAD | {"model.track_head.embed_head.in_channels": 16}
        return qdtrack_model.NAME, [one, *_PAIRS, *_words(qdtrack_model.SMALL | head)]
    path = folder / "tiny_pcan.py"
    path.write_text(pcan_model.small_config(stage="segtrack").pretty_text)
    return path, [one, *_PAIRS]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 4, "val": 3}, seed=5, size=(320, 180), nproc=1, force=True)
    generate_videos(root, {"train": 1, "val": 1}, frames=4, seed=5, size=(320, 180), nproc=1, force=True)
    return root


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=() if task == "mot" else pytest.mark.slow) for task in TASKS]
)
def test_a_task_trains_and_is_scored(task: str, data_root: Path, tmp_path: Path) -> None:
    config, options = recipe(task, tmp_path)
    work = tmp_path / "work"
    assert train(task, config, data_root, work, "--cfg-options", *_ALONE, *options) == 0
    assert losses(work) and all(math.isfinite(value) for value in losses(work).values())
    record = json.loads((work / "run.json").read_bytes())
    assert record["best"].startswith(f"best_bdd100k_{TASKS[task].metric}_") and (work / record["best"]).is_file()
    assert 0 <= record["best_score"] <= 100
    (scalars,) = work.glob("*/vis_data/scalars.json")
    scores = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert any(f"bdd100k/{TASKS[task].metric}" in line for line in scores)


#: Of boxes, pixels and whole images, each of which a library trains: weights that find something, and a short run.
SCORED = {
    "det": ("atss_mini_det_synthetic", "train_cfg.max_epochs=1"),
    "sem_seg": ("fpn_mini_sem_seg_synthetic", "train_cfg.max_iters=1"),
    "tagging": ("resnet18_mini_weather_synthetic", "train_cfg.max_epochs=1"),
}


@pytest.mark.parametrize("task", SCORED)
def test_the_best_checkpoint_is_worth_what_the_test_command_says(task: str, data_root: Path, tmp_path: Path) -> None:
    name, length = SCORED[task]
    work, out = tmp_path / "work", tmp_path / "out"
    words = ("--checkpoint", str(ROOT / task / "weights" / f"{name}.pth"), "--no-tensorboard", "--cfg-options", *_ALONE)
    assert train(task, name, data_root, work, *words, length, "train_cfg.val_interval=1") == 0
    record = json.loads((work / "run.json").read_bytes())
    command = ["test", task, name, "--checkpoint", str(work / record["best"]), "--data-root", str(data_root)]
    status = main([*command, "--format-dir", str(out), "--eval", "--device", "cpu", "--workers", "0"])
    assert status == 1  # the images have another size than the data set's, which is said
    (scored,) = out.glob("eval_*.json")
    average = json.loads(scored.read_bytes())[TASKS[task].metric.removeprefix("m")][-1]  # mIoU is the mean of IoU
    score = average.get("OVERALL", average.get("AVERAGE"))
    assert score > 5 and record["best_score"] == pytest.approx(score, abs=0.05)  # printed with one decimal
