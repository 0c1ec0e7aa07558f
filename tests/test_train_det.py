"""Training end to end on drawn scenes: it learns, is scored, leaves a complete record, and fits one's own labels."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate
from bdd100k_models.engine.config import load_config
from det_model import MODEL
from train_model import losses, train, weights

SMALL = (
    *("train_dataloader.batch_size=2", "train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"),
    *("train_dataloader.dataset.pipeline.2.scale=(128,72)", "val_dataloader.dataset.pipeline.1.scale=(128,72)"),
    *("val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False", "default_hooks.logger.interval=1"),
    *("model.backbone.base_channels=8", "model.backbone.stem_channels=8", "model.neck.in_channels=[8,16,32,64]"),
    *("model.neck.out_channels=16", "model.bbox_head.in_channels=16", "model.bbox_head.feat_channels=16"),
    *("auto_scale_lr.base_batch_size=4", "train_cfg.max_epochs=2", "train_cfg.val_interval=1"),
)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 8, "val": 2}, seed=5, tasks=("det",), size=(320, 180), nproc=1, force=True)
    return root


@pytest.fixture(scope="module")
def trained(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("trained")
    assert train("det", MODEL, data_root, work, "--cfg-options", *SMALL) == 0
    return work


def test_the_folder_of_a_run_is_complete(trained: Path, data_root: Path) -> None:
    record = json.loads((trained / "run.json").read_bytes())
    assert record["seed"] == 0
    assert record["batch"] == {"part": 2, "parts": 2, "processes": 1, "published": 4, "total": 4}
    assert record["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert record["started"] <= record["finished"] and record["checkpoint"] == "epoch_2.pth"
    assert record["iterations"] == 4 and record["best"].startswith("best_bdd100k_AP_epoch_")
    assert (trained / record["best"]).is_file() and (trained / "epoch_1.pth").is_file()
    assert len(losses(trained)) == 4  # two epochs of two steps, each of two parts
    (log,) = trained.glob("*/*.log")
    assert "eta: " in log.read_text() and "bdd100k/AP50" in log.read_text()
    assert list(trained.glob("*/vis_data/events.out.tfevents.*"))
    config = load_config(trained / f"{MODEL}.py")
    assert config.train_cfg.type == "EpochBasedTrainLoop" and config.train_dataloader.batch_size == 2
    assert config.train_dataloader.dataset.type == "BDD100KDetDataset"
    assert config.train_dataloader.dataset.data_root == str(data_root)
    assert config.test_dataloader is not None and config.randomness.seed == 0


def test_the_recipe_of_a_run_trains_and_tests_again(
    trained: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = trained / f"{MODEL}.py"
    assert train("det", recipe, data_root, tmp_path / "again", "--no-tensorboard") == 0
    again, before = weights(tmp_path / "again/epoch_2.pth"), weights(trained / "epoch_2.pth")
    assert all(torch.equal(value, again[key]) for key, value in before.items())
    assert not list(tmp_path.glob("again/*/vis_data/events*"))
    words = ["test", "det", str(recipe), "--checkpoint", str(trained / "epoch_2.pth"), "--device", "cpu"]
    monkeypatch.setenv("BDD100K_ROOT", str(tmp_path))  # where no data are: the recipe knows its own
    # the drawn images are smaller than the data set's: named, and predicted
    assert main([*words, "--format-dir", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out/det.json").is_file()


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (("--amp", "--accumulate", "1", "--seed", "3", "--deterministic"), ("auto_scale_lr.base_batch_size=6",)),
        (("--accumulate", "off"), ("auto_scale_lr.base_batch_size=8", "optim_wrapper.accumulative_counts=2")),
        (("--channels-last", "--checkpoint", "epoch_2.pth"), ("randomness.seed=5",)),
    ],
)
def test_the_recipe_of_a_run_is_that_run(
    trained: Path,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    options: tuple[str, ...],
) -> None:
    """Whatever flags it had: the recipe alone, without any, gives the same weights."""
    words = [str(trained / word) if word.endswith(".pth") else word for word in flags]
    words += ["--device", "cpu", "--work-dir"]
    once, again = tmp_path / "once", tmp_path / "again"
    more = ["--data-root", str(data_root), "--no-validate", "--cfg-options", *SMALL, *options, "train_cfg.max_epochs=1"]
    assert main(["train", "det", MODEL, *words, str(once), *more]) == 0
    monkeypatch.setenv("BDD100K_ROOT", str(tmp_path))  # where no data are: the recipe knows its own
    assert main(["train", "det", str(once / f"{MODEL}.py"), "--device", "cpu", "--work-dir", str(again)]) == 0
    first, second = (json.loads((work / "run.json").read_bytes()) for work in (once, again))
    assert first["iterations"] == second["iterations"] and first["batch"]["total"] == second["batch"]["total"]
    assert first["seed"] == second["seed"] and first["deterministic"] == second["deterministic"]
    assert "--channels-last" not in flags or first["seed"] == 5
    before, after = weights(once / "epoch_1.pth"), weights(again / "epoch_1.pth")
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert losses(once) == losses(again)


def test_weights_to_start_from_are_taken_whole(trained: Path, data_root: Path, tmp_path: Path) -> None:
    words = ("--checkpoint", str(trained / "epoch_2.pth"), "--no-validate", "--no-tensorboard")
    options = (*SMALL, "optim_wrapper.optimizer.lr=0.0", "train_cfg.max_epochs=1")
    assert train("det", MODEL, data_root, tmp_path / "work", *words, "--cfg-options", *options) == 0
    before, after = weights(trained / "epoch_2.pth"), weights(tmp_path / "work/epoch_1.pth")
    learned = {key: value for key, value in before.items() if "running_" not in key and "num_batches" not in key}
    assert all(torch.equal(value, after[key]) for key, value in learned.items())


def test_own_classes_begin_with_a_new_head(trained: Path, data_root: Path, tmp_path: Path) -> None:
    frames: list[dict[str, Any]] = json.loads((data_root / "labels/det_20/det_train.json").read_bytes())
    for frame in frames:
        for index, label in enumerate(frame.get("labels") or ()):
            label["category"] = ("scooter", "tram")[index % 2]
    (tmp_path / "labels.json").write_text(json.dumps(frames))
    words = ("--checkpoint", str(trained / "epoch_2.pth"), "--no-validate", "--no-tensorboard")
    classes = ("train_dataloader.dataset.metainfo.classes=[scooter,tram]", "model.bbox_head.num_classes=2")
    options = (*SMALL, f"train_dataloader.dataset.ann_file={tmp_path / 'labels.json'}", *classes)
    options = (*options, "optim_wrapper.optimizer.lr=0.0", "train_cfg.max_epochs=1")
    assert train("det", MODEL, data_root, tmp_path / "work", *words, "--cfg-options", *options) == 0
    before, after = weights(trained / "epoch_2.pth"), weights(tmp_path / "work/epoch_1.pth")
    assert after["bbox_head.atss_cls.weight"].shape[0] == 2
    # the prior of a focal loss, not what a layer is built with: -log(0.99 / 0.01)
    torch.testing.assert_close(after["bbox_head.atss_cls.bias"], torch.full((2,), -4.595119953155518))
    assert torch.equal(after["bbox_head.atss_reg.weight"], before["bbox_head.atss_reg.weight"])
    assert torch.equal(after["backbone.layer4.1.conv2.weight"], before["backbone.layer4.1.conv2.weight"])
    content = torch.load(tmp_path / "work/epoch_1.pth", weights_only=False)
    assert tuple(content["meta"]["dataset_meta"]["classes"]) == ("scooter", "tram")


def test_strong_augmentation_ends_where_the_recipe_says() -> None:
    from bdd100k_models.engine.hooks import ModeSwitchHook

    skipped: list[list[str]] = []
    loader = SimpleNamespace(dataset=SimpleNamespace(update_skip_type_keys=skipped.append), persistent_workers=False)
    runner = SimpleNamespace(epoch=0, max_epochs=36, train_dataloader=loader, logger=SimpleNamespace(info=print))
    hook = ModeSwitchHook(num_last_epochs=9, single_scale=True)
    for runner.epoch in range(36):
        hook.before_train_epoch(runner)
        assert bool(skipped) == (runner.epoch >= 27)
    assert skipped == [["Mosaic", "MixUp", "RandomResize"]]
