"""Training is the same however many processes, workers and interruptions there are."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bdd100k_models.datasets.synth import generate
from bdd100k_models.engine.run_record import read_record
from conftest import ROOT
from det_model import MODEL, environment
from train_model import losses, train

#: A detector whose images do not influence one another, by their statistics or by padding to a common size. What
#: rounding alone changes grows with the rate.
OPTIONS = (
    *("train_dataloader.dataset.pipeline.2.ratio_range=(1.0,1.0)", "train_dataloader.dataset.indices=16"),
    *("train_dataloader.dataset.pipeline.2.scale=(128,72)", "val_dataloader.dataset.pipeline.1.scale=(128,72)"),
    *("val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False", "default_hooks.logger.interval=1"),
    *("model.backbone.norm_eval=True", "model.neck.norm_cfg=None", "model.backbone.base_channels=8"),
    *("model.backbone.stem_channels=8", "model.neck.in_channels=[8,16,32,64]"),
    *("optim_wrapper.optimizer.lr=0.001",),
    *("model.neck.out_channels=16", "model.bbox_head.in_channels=16", "model.bbox_head.feat_channels=16"),
)


def options(*more: str, batch: int = 4, workers: int = 0) -> list[str]:
    loader = [f"train_dataloader.batch_size={batch}", f"train_dataloader.num_workers={workers}"]
    loader.append(f"train_dataloader.persistent_workers={workers > 0}")
    loader.append("default_hooks.checkpoint.max_keep_ckpts=-1")
    return ["--cfg-options", *OPTIONS, *loader, "auto_scale_lr.base_batch_size=4", *more]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 20, "val": 2}, seed=5, tasks=("det",), size=(320, 180), nproc=1, force=True)
    return root


@pytest.fixture(scope="module")
def unbroken(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five epochs of four iterations in one process, with a moving average of the weights."""
    work = tmp_path_factory.mktemp("unbroken")
    words = ("--ema", "--no-validate", *options("train_cfg.max_epochs=5"))
    assert train("det", MODEL, data_root, work, *words) == 0
    return work


def assert_same(one: Path, other: Path) -> None:
    """Compare everything of two checkpoints that further training depends on, bit for bit."""
    first, second = (torch.load(path, weights_only=False) for path in (one, other))
    for part in ("state_dict", "ema_state_dict", "optimizer"):
        assert (part in first) == (part in second)
        flat = [dict(_leaves(content.get(part, {}))) for content in (first, second)]
        assert flat[0].keys() == flat[1].keys()
        assert all(np.array_equal(value, flat[1][key]) for key, value in flat[0].items()), part
    assert first["param_schedulers"] == second["param_schedulers"]
    assert first["meta"]["iter"] == second["meta"]["iter"]


def _leaves(node: object, name: str = "") -> list[tuple[str, np.ndarray]]:
    if isinstance(node, torch.Tensor):
        return [(name, node.numpy())]
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    return [leaf for key, value in items for leaf in _leaves(value, f"{name}/{key}")]


def start(data_root: Path, work: Path, *words: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, *launcher, "-m", "bdd100k_models.cli", "train", "det", MODEL, "--data-root", data_root]
    command += ["--work-dir", work, "--device", "cpu", "--seed", "0", *words]
    log, env = (work.parent / f"{work.name}.log").open("wb"), environment(OMP_WAIT_POLICY="PASSIVE")
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(data_root: Path, unbroken: Path, tmp_path: Path) -> None:
    """Killed in any iteration after the first epoch, then resumed with other workers."""
    last = random.Random().randint(5, 15)
    work, words = tmp_path / "killed", ["--ema", "--no-validate", *options("train_cfg.max_epochs=5", workers=2)]
    process = start(data_root, work, *words)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and len(losses(work)) < last:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, (tmp_path / "killed.log").read_text()
    done = len(losses(work))
    assert last <= done < 20
    assert train("det", MODEL, data_root, work, "--resume", *words) == 0
    assert_same(unbroken / "epoch_5.pth", work / "epoch_5.pth")
    before, after = losses(unbroken), losses(work)
    assert before.keys() == after.keys() == set(range(1, 21))
    assert all(before[step] == after[step] for step in range(done + 1, 21)), f"killed after iteration {done}"


def test_a_validation_that_was_missed_is_made_up(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run ended after its last checkpoint and before the score."""
    from mmengine.runner import ValLoop

    count: list[int] = []
    validate = ValLoop.run

    def fail(self: ValLoop) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def counted(self: ValLoop) -> object:
        count.append(self.runner.iter)
        return validate(self)

    work, words = tmp_path / "work", options("train_cfg.max_epochs=2", "train_cfg.val_interval=2")
    monkeypatch.setattr(ValLoop, "run", fail)
    assert train("det", MODEL, data_root, work, "--seed", "1", *words) == 2
    assert "best_score" not in read_record(work)
    monkeypatch.setattr(ValLoop, "run", counted)
    assert train("det", MODEL, data_root, work, "--resume", *words) == 0
    assert count == [8] and read_record(work)["scored"] == 8 and "best_score" in read_record(work)
    best = {key: read_record(work)[key] for key in ("best", "best_score")}
    assert train("det", MODEL, data_root, work, "--resume", *words) == 0
    assert count == [8]  # it is on record now
    assert best.items() <= read_record(work).items()  # and in the checkpoint
    assert train("det", MODEL, data_root, work, "--resume", *options("train_cfg.max_epochs=3")) == 0
    assert count == [8, 12]


@pytest.mark.slow
def test_two_processes_train_as_one(data_root: Path, unbroken: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone")
    words = ["--ema", "--no-validate", "--launcher", "pytorch", *options("train_cfg.max_epochs=5", batch=2)]
    process = start(data_root, tmp_path / "two", *words, launcher=launcher)
    assert process.wait(timeout=170) == 0, (tmp_path / "two.log").read_text()
    one, two = losses(unbroken), losses(tmp_path / "two")
    assert one.keys() == two.keys() == set(range(1, 21))
    assert max(abs(two[step] / one[step] - 1) for step in one) < 1e-3
    assert len(set(one.values())) == 20


def stopped_after(epoch: int, run: Path, folder: Path) -> Path:
    """Make a folder as a run leaves it that stops after an epoch; return it.

    It has no ``last_checkpoint``: the newest is found by its number.
    """
    folder.mkdir()
    for name in (f"epoch_{epoch}.pth", "run.json"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder


@pytest.mark.slow
def test_an_interrupted_run_and_other_workers_change_nothing(data_root: Path, unbroken: Path, tmp_path: Path) -> None:
    """Half of the run, then the rest, with the images prepared by two workers."""
    words = ["--ema", "--no-validate", *options("train_cfg.max_epochs=5", workers=2)]
    half = stopped_after(2, unbroken, tmp_path / "half")
    assert train("det", MODEL, data_root, half, "--resume", *words) == 0
    assert_same(unbroken / "epoch_5.pth", half / "epoch_5.pth")


def test_a_run_in_parts_resumes_with_the_same_bits(data_root: Path, tmp_path: Path) -> None:
    words = options("train_dataloader.dataset.indices=8", "train_cfg.max_epochs=2", batch=1)
    whole = tmp_path / "whole"
    assert train("det", MODEL, data_root, whole, "--no-validate", *words) == 0
    assert read_record(whole)["batch"]["parts"] == 4
    parts = stopped_after(1, whole, tmp_path / "parts")
    assert train("det", MODEL, data_root, parts, "--no-validate", "--resume", *words) == 0
    assert_same(whole / "epoch_2.pth", parts / "epoch_2.pth")
    assert losses(parts).keys() == {3, 4}


@pytest.mark.slow
def test_mixed_precision_resumes_with_the_same_bits(data_root: Path, unbroken: Path, tmp_path: Path) -> None:
    words, work = ["--amp", "--no-validate", *options("train_cfg.max_epochs=2")], tmp_path / "whole"
    assert train("det", MODEL, data_root, work, *words) == 0
    one, mixed = losses(unbroken), losses(work)
    assert 0 < max(abs(mixed[step] / one[step] - 1) for step in mixed) < 0.05
    parts = stopped_after(1, work, tmp_path / "parts")
    assert train("det", MODEL, data_root, parts, "--resume", *words) == 0
    assert_same(work / "epoch_2.pth", parts / "epoch_2.pth")


def test_another_memory_layout_learns_the_same(data_root: Path, unbroken: Path, tmp_path: Path) -> None:
    words = ["--ema", "--no-validate", "--channels-last", *options("train_cfg.max_epochs=5")]
    assert train("det", MODEL, data_root, tmp_path, *words) == 0
    one, other = losses(unbroken), losses(tmp_path)
    assert one.keys() == other.keys()
    assert 0 < max(abs(other[step] / one[step] - 1) for step in one) < 1e-3


@pytest.mark.slow
def test_a_recipe_of_iterations_resumes_with_the_same_bits(tmp_path: Path) -> None:
    """Crops, flips and colours of an endless stream of images go on where they were."""
    import semantic_model

    root, config = tmp_path / "data", semantic_model.write_config(tmp_path, "drivable")
    generate(root, {"train": 5, "val": 1}, seed=5, tasks=("drivable",), size=(320, 180), nproc=1)
    words = ["train_dataloader.dataset.pipeline.2.scale=(160,90)", "model.data_preprocessor.size=(64,128)"]
    words += ["train_dataloader.dataset.pipeline.3.crop_size=(64,128)", "auto_scale_lr.base_batch_size=4"]
    words += ["train_cfg.max_iters=6", "default_hooks.checkpoint.interval=4", "default_hooks.logger.interval=1"]
    for name, workers in (("whole", 0), ("parts", 2)):
        loader = [f"train_dataloader.num_workers={workers}", f"train_dataloader.persistent_workers={workers > 0}"]
        flags = ["--no-validate", "--resume", "--cfg-options", *words, *loader]
        if name == "parts":
            (tmp_path / name).mkdir()
            for file in ("iter_4.pth", "run.json"):
                (tmp_path / name / file).write_bytes((tmp_path / "whole" / file).read_bytes())
        assert train("drivable", config, root, tmp_path / name, *flags) == 0
    assert_same(tmp_path / "whole/iter_6.pth", tmp_path / "parts/iter_6.pth")
    assert losses(tmp_path / "parts").keys() == {5, 6}


@pytest.mark.slow
def test_mixed_images_and_their_end_survive_a_resume(data_root: Path, tmp_path: Path) -> None:
    """Four images in one, whose partners are drawn at random, in the first epoch of two."""
    inner = "dict(type='BDD100KDetDataset',data_root='x',ann_file='labels/det_20/det_train.json',"
    inner += "data_prefix=dict(img='images/100k/train'),filter_cfg=dict(filter_empty_gt=True),"
    inner += "pipeline=[dict(type='LoadImageFromFile'),dict(type='LoadAnnotations',with_bbox=True)])"
    config = tmp_path / "mixed.py"
    config.write_text(
        f"_base_ = ['{ROOT}/det/configs/mini/{MODEL}.py']\n"
        f"inner = {inner}\n"
        "train_dataloader = dict(dataset=dict(_delete_=True, type='MultiImageMixDataset', dataset=inner, pipeline=[\n"
        "    dict(type='Mosaic', img_scale=(128, 72)), dict(type='RandomFlip', prob=0.5),\n"
        "    dict(type='Resize', scale=(128, 72), keep_ratio=True), dict(type='PackDetInputs')]))\n"
        "custom_hooks = [dict(type='ModeSwitchHook', num_last_epochs=1)]\n"
    )
    kept = [word for word in options("train_cfg.max_epochs=2", workers=2) if ".dataset." not in word]
    for name in ("whole", "parts"):
        if name == "parts":
            (tmp_path / name).mkdir()
            for file in ("epoch_1.pth", "run.json"):
                (tmp_path / name / file).write_bytes((tmp_path / "whole" / file).read_bytes())
        assert train("det", config, data_root, tmp_path / name, "--no-validate", "--resume", *kept) == 0
    assert_same(tmp_path / "whole/epoch_2.pth", tmp_path / "parts/epoch_2.pth")
