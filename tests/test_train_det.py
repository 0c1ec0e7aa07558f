"""Training end to end on a few drawn scenes: it learns something, resumes, and refuses what cannot work in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from bdd100k_models.datasets.synth import generate
from det_model import MODEL, run

SMALL = (
    "train_dataloader.batch_size=2",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
    "train_dataloader.dataset.pipeline.2.scale=(256,144)",
    "val_dataloader.num_workers=0",
    "val_dataloader.persistent_workers=False",
    "val_dataloader.dataset.pipeline.1.scale=(256,144)",
    "default_hooks.logger.interval=1",
    "train_cfg.val_interval=1",
)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 8, "val": 2}, seed=5, size=(320, 180), nproc=1, force=True)
    return root


def train(data_root: Path, work_dir: Path, epochs: int, *more: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    done = run(
        *("train", "det", MODEL, "--data-root", data_root, "--work-dir", work_dir, "--seed", "0", *more),
        *("--cfg-options", *SMALL, f"train_cfg.max_epochs={epochs}", *options),
    )
    return done.returncode, done.stdout + done.stderr


def losses(work_dir: Path) -> dict[int, float]:
    """Return the loss of each iteration, by step, over all runs in a work folder."""
    found = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            if "loss" in record:
                found[record["step"]] = record["loss"]
    return found


def test_training_runs_validates_and_resumes(data_root: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    status, printed = train(data_root, whole, 2)
    assert status == 0, printed
    assert "finished:" in printed
    assert "bdd100k/AP50" in printed
    first, second = torch.load(whole / "epoch_1.pth", weights_only=False), (whole / "epoch_2.pth")
    assert first["meta"]["epoch"] == 1
    assert second.is_file()
    # as if it had been killed after the first epoch
    parts.mkdir()
    shutil.copy(whole / "epoch_1.pth", parts)
    (parts / "last_checkpoint").write_text(str(parts / "epoch_1.pth"))
    status, printed = train(data_root, parts, 2, "--resume")
    assert status == 0, printed
    assert set(losses(whole)) == set(range(1, 9))
    assert set(losses(parts)) == set(range(5, 9))
    # and the trained weights are what `test` takes
    done = run("test", "det", MODEL, "--checkpoint", second, "--data-root", data_root, "--format-dir", tmp_path / "out")
    assert done.returncode == 1, done.stderr  # the drawn images are smaller than the data set's: named, and predicted
    assert "320x180 pixels instead of 1280x720" in done.stderr


def test_what_cannot_be_trained_is_one_line(data_root: Path, tmp_path: Path) -> None:
    trained = tmp_path / "work"
    for words, options, expected in (
        (("--resume", str(tmp_path / "none.pth")), (), "no such checkpoint"),
        (("--amp",), (), "--amp"),
        ((), ("train_dataloader.dataset.ann_file=labels/none.json",), "no such label file"),
        ((), ("optim_wrapper.optimizer.type=Nonsense",), "cannot be set up"),
    ):
        status, printed = train(data_root, trained, 1, "--device", "cpu", *words, options=options)
        assert status == 2, printed
        assert expected in printed.strip().splitlines()[-1], printed
        assert printed.strip().splitlines()[-1].startswith("error: ")


def test_strong_augmentation_ends_where_the_recipe_says() -> None:
    from types import SimpleNamespace

    from bdd100k_models.engine.hooks import ModeSwitchHook

    skipped: list[list[str]] = []
    loader = SimpleNamespace(dataset=SimpleNamespace(update_skip_type_keys=skipped.append), persistent_workers=False)
    runner = SimpleNamespace(epoch=0, max_epochs=36, train_dataloader=loader, logger=SimpleNamespace(info=print))
    hook = ModeSwitchHook(num_last_epochs=9, single_scale=True)
    for runner.epoch in range(36):
        hook.before_train_epoch(runner)
        assert bool(skipped) == (runner.epoch >= 27)
    assert skipped == [["Mosaic", "MixUp", "RandomResize"]]
