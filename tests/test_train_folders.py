"""Which checkpoints of a folder are a run's own, and which of them is its best."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bdd100k_models.datasets.synth import generate
from bdd100k_models.engine import loops
from bdd100k_models.engine.metric import BDD100KMetric
from bdd100k_models.engine.run_record import newest_checkpoint, read_record
from det_model import MODEL
from train_model import train

OPTIONS = (
    *("train_dataloader.batch_size=2", "train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"),
    *("train_dataloader.dataset.pipeline.2.scale=(128,72)", "val_dataloader.dataset.pipeline.1.scale=(128,72)"),
    *("val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False", "train_cfg.val_interval=1"),
    *("model.backbone.base_channels=8", "model.backbone.stem_channels=8", "model.neck.in_channels=[8,16,32,64]"),
    *("model.neck.out_channels=16", "model.bbox_head.in_channels=16", "model.bbox_head.feat_channels=16"),
    *("auto_scale_lr.base_batch_size=2", "default_hooks.checkpoint.max_keep_ckpts=-1"),
)

Run = Callable[..., int]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 2, "val": 1}, seed=5, tasks=("det",), size=(320, 180), nproc=1, force=True)
    return root


@pytest.fixture
def run(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Train the small detector for some epochs of one iteration, with given scores of the validations to come."""

    def train_detector(work: Path, epochs: int, *words: str, scores: tuple[float, ...] = ()) -> int:
        given = iter(scores)
        monkeypatch.setattr(BDD100KMetric, "compute_metrics", lambda *_: {"AP": next(given)})
        options = ("--cfg-options", *OPTIONS, f"train_cfg.max_epochs={epochs}")
        status = train("det", MODEL, data_root, work, *words, *(() if scores else ("--no-validate",)), *options)
        assert next(given, None) is None  # all were asked for
        return status

    return train_detector


def best_of(work: Path) -> list[str]:
    return sorted(path.name for path in work.glob("best_*"))


def test_the_better_of_the_checkpoints_is_kept(run: Run, tmp_path: Path) -> None:
    assert run(tmp_path, 3, scores=(10.0, 30.0, 20.0)) == 0
    assert best_of(tmp_path) == ["best_bdd100k_AP_epoch_2.pth"]
    record = read_record(tmp_path)
    assert (record["best"], record["best_score"]) == ("best_bdd100k_AP_epoch_2.pth", 30.0)
    best, kept = (torch.load(tmp_path / name, weights_only=False) for name in (record["best"], "epoch_2.pth"))
    assert all(torch.equal(value, kept["state_dict"][key]) for key, value in best["state_dict"].items())


def test_the_best_checkpoint_of_another_folder_stays(run: Run, tmp_path: Path) -> None:
    first, second, copied = (tmp_path / name for name in ("first", "second", "copied"))
    assert run(first, 2, scores=(10.0, 20.0)) == 0
    shutil.copytree(first, copied)
    # scored once more first, since this folder has no record of it
    assert run(second, 3, "--resume", str(first / "epoch_2.pth"), scores=(20.0, 25.0)) == 0
    assert best_of(first) == ["best_bdd100k_AP_epoch_2.pth"] and best_of(second) == ["best_bdd100k_AP_epoch_3.pth"]
    assert run(copied, 3, "--resume", scores=(30.0,)) == 0
    assert best_of(first) == ["best_bdd100k_AP_epoch_2.pth"] and best_of(copied) == ["best_bdd100k_AP_epoch_3.pth"]
    third = tmp_path / "third"
    assert run(third, 3, "--resume", str(first / "epoch_2.pth"), scores=(20.0, 19.0)) == 0
    assert "best" not in read_record(third)  # none is here
    assert best_of(first) == ["best_bdd100k_AP_epoch_2.pth"] and not best_of(third)


def test_a_run_that_begins_anew_does_not_go_on_from_another(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, 2) == 0
    before = (tmp_path / "epoch_2.pth").read_bytes()
    trained: list[int] = []
    train_batch = loops.train_batch

    def counted(runner: Any, *arguments: Any) -> dict[str, float]:
        trained.append(runner.iter)
        return train_batch(runner, *arguments)

    def killed(*_: Any) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(loops, "train_batch", killed)
    assert run(tmp_path, 2) == 130
    assert newest_checkpoint(tmp_path) is None
    assert "started" in read_record(tmp_path) and "finished" not in read_record(tmp_path)
    assert (tmp_path / "epoch_2.pth").read_bytes() == before
    monkeypatch.setattr(loops, "train_batch", counted)
    assert run(tmp_path, 1, "--resume") == 0
    assert trained == [0]
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_1.pth"
    # one that is refused before it begins takes nothing from the run before
    assert run(tmp_path, 1, "--resume", str(tmp_path / "none.pth")) == 2
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_1.pth"


def test_a_start_that_is_refused_changes_nothing(run: Run, data_root: Path, tmp_path: Path) -> None:
    """The recipe that a run left is what it is started from."""
    assert run(tmp_path, 1, scores=(10.0,)) == 0
    kept = {name: (tmp_path / name).read_bytes() for name in (f"{MODEL}.py", "run.json", "last_checkpoint")}
    assert read_record(tmp_path)["best_score"] == 10.0
    recipe = tmp_path / f"{MODEL}.py"
    for wrong in ("optim_wrapper.optimizer.lr=1e-5", "model.bbox_head.num_classes=8", "train_cfg.type=Loop"):
        assert train("det", recipe, data_root, tmp_path, "--resume", "--cfg-options", wrong) == 2
        assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    assert train("det", recipe, data_root, tmp_path, "--resume") == 0


def test_a_checkpoint_says_of_how_many_images_its_steps_were(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever run was begun in its folder since, and wherever it was copied."""

    def killed(*_: Any) -> dict[str, float]:
        raise KeyboardInterrupt

    work, copied, twice = tmp_path / "work", tmp_path / "copied", ("--accumulate", "2")
    assert run(work, 1) == 0
    copied.mkdir()
    shutil.copy(work / "epoch_1.pth", copied)
    with monkeypatch.context() as patch:
        patch.setattr(loops, "train_batch", killed)
        assert run(work, 1, *twice) == 130
    assert read_record(work)["batch"]["total"] == 4
    for folder in (work, copied):
        resume = ("--resume", str(folder / "epoch_1.pth"))
        assert run(folder, 1, *twice, *resume) == 2
        assert "epoch_1.pth: was trained with 2 images a step, now there are 4" in capfd.readouterr().err
        assert run(folder, 1, *resume) == 0
    content = torch.load(work / "epoch_1.pth", weights_only=False)
    del content["meta"]["images_a_step"]  # as they were saved before: what the folder says counts
    torch.save(content, work / "epoch_1.pth")
    assert run(work, 1, *twice, "--resume") == 2
    assert "was trained with 2 images a step, now there are 4" in capfd.readouterr().err
