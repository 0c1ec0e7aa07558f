"""Training on a few drawn scenes, from labels as they are handed out; what is wrong with them is one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch

from bdd100k_models.datasets.synth import generate
from det_model import run
from mask_models import write_config

pytestmark = pytest.mark.slow

OPTIONS = (
    "train_dataloader.num_workers=1",
    "train_dataloader.dataset.pipeline.2.scale=(320,180)",
    "val_dataloader.dataset.pipeline.1.scale=(320,180)",
    "train_cfg.max_epochs=1",
)


@pytest.mark.parametrize(("task", "score"), [("ins_seg", "bdd100k/AP50"), ("pan_seg", "bdd100k/PQ")])
@pytest.mark.parametrize("form", ["bitmasks", "rles"])
def test_a_model_trains_and_is_scored(tmp_path: Path, task: str, score: str, form: str):
    generate(tmp_path / "data", {"train": 4, "val": 2}, seed=5, tasks=(task,), size=(320, 180), nproc=1)
    other = tmp_path / "data/labels" / task / ("rles" if form == "bitmasks" else "bitmasks")
    other.rename(tmp_path / "elsewhere")
    words = ("train", task, write_config(tmp_path, task), "--data-root", tmp_path / "data", "--work-dir", tmp_path)
    done = run(*words, "--seed", "0", "--device", "cpu", "--cfg-options", *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert score in done.stdout + done.stderr and "finished:" in done.stdout
    weights = torch.load(tmp_path / "epoch_1.pth", weights_only=False)["state_dict"]
    assert all(value.isfinite().all() for value in weights.values())


def test_a_bitmask_of_another_size_is_one_line(tmp_path: Path):
    generate(tmp_path / "data", {"train": 2, "val": 1}, seed=5, tasks=("ins_seg",), size=(320, 180), nproc=1)
    for file in (tmp_path / "data/labels/ins_seg/bitmasks/train").iterdir():
        cv2.imwrite(str(file), cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[:90])
    words = ("train", "ins_seg", write_config(tmp_path, "ins_seg"), "--data-root", tmp_path / "data")
    done = run(*words, "--work-dir", tmp_path / "work", "--device", "cpu", "--cfg-options", *OPTIONS)
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if "mmengine" not in line and line.strip())
    assert line.startswith("error: ") and "90x320 pixels (height x width), but the image has 180x320" in line
