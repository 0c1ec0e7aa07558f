"""What cannot be trained is one line, early; what goes wrong later leaves the last good checkpoint."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mask_models
import pose_model
import semantic_model
from bdd100k_models.datasets.synth import generate
from bdd100k_models.errors import MissingFileError
from conftest import ROOT
from det_model import MODEL
from train_model import losses, train, weights

OPTIONS = (
    *("train_dataloader.batch_size=2", "train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"),
    *("train_dataloader.dataset.pipeline.2.scale=(128,72)", "val_dataloader.dataset.pipeline.1.scale=(128,72)"),
    *("val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False", "default_hooks.logger.interval=1"),
    *("model.backbone.base_channels=8", "model.backbone.stem_channels=8", "model.neck.in_channels=[8,16,32,64]"),
    *("model.neck.out_channels=16", "model.bbox_head.in_channels=16", "model.bbox_head.feat_channels=16"),
    *("auto_scale_lr.base_batch_size=2", "train_cfg.max_epochs=2"),
)
LABELS = "labels/det_20/det_train.json"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 4, "val": 2}, seed=5, size=(320, 180), nproc=1, force=True)
    return root


@pytest.fixture
def refused(data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Train the small detector, which must be refused; returns the one line that says why."""

    def run(*options: str, words: tuple[str, ...] = (), labels: Any = None) -> str:
        if labels is not None:
            (tmp_path / "labels.json").write_text(json.dumps(labels))
            options = (f"train_dataloader.dataset.ann_file={tmp_path / 'labels.json'}", *options)
        work = tmp_path / "work"
        assert train("det", MODEL, data_root, work, *words, "--cfg-options", *OPTIONS, *options) == 2
        printed = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(printed) == 1
        return printed[0]

    return run


def frames(data_root: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((data_root / LABELS).read_bytes())
    return found


def test_labels_that_cannot_be_learned_from(data_root: Path, refused: Run) -> None:
    assert "no such label file" in refused("train_dataloader.dataset.ann_file=labels/none.json")
    assert "holds no frames" in refused(labels=[])
    bare = [{**frame, "labels": None} for frame in frames(data_root)]
    assert "no image has a box of the classes" in refused(labels=bare)
    named = frames(data_root)
    for frame in named:
        for label in frame.get("labels") or ():
            del label["category"]
    assert "unknown category None; the classes are" in refused(labels=named)
    for frame in named:
        for label in frame.get("labels") or ():
            label["category"] = "tram"
    assert "unknown category 'tram'; the classes are pedestrian, rider" in refused(labels=named)


def test_a_head_of_other_classes_is_refused_before_training(refused: Run) -> None:
    line = refused("model.bbox_head.num_classes=8")
    assert "model.bbox_head has 8 outputs (num_classes), but the data has 10 classes (pedestrian, rider" in line
    assert "set model.bbox_head.num_classes" in line
    assert "unknown category " in refused("train_dataloader.dataset.metainfo.classes=[car,truck]")


@pytest.mark.parametrize(
    ("task", "option", "expected"),
    [
        ("sem_seg", "model.decode_head.num_classes=18", "model.decode_head has 18 outputs (num_classes)"),
        ("ins_seg", "model.roi_head.mask_head.num_classes=9", "model.roi_head.mask_head has 9 outputs"),
        ("pan_seg", "model.semantic_head.num_stuff_classes=31", "model.semantic_head has 31 outputs (num_stuff"),
        ("tagging", "model.backbone.num_classes=5", "model.backbone has 5 outputs (num_classes), but the data has 7"),
    ],
)
def test_every_library_s_heads_are_compared(
    data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], task: str, option: str, expected: str
) -> None:
    if task == "tagging":
        config: str | Path = "dla34_5x_224x224_weather_tag_bdd100k"
    else:
        config = (semantic_model if task == "sem_seg" else mask_models).write_config(tmp_path, task)
    workers = ["train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]
    options = ["--no-validate", "--cfg-options", option, *workers]
    assert train(task, config, data_root, tmp_path / "work", *options) == 2
    assert expected in capfd.readouterr().err


def test_validation_is_of_the_classes_that_are_trained(refused: Run, data_root: Path, tmp_path: Path) -> None:
    cars = frames(data_root)
    for frame in cars:
        for label in frame.get("labels") or ():
            label["category"] = "car"
    (tmp_path / "cars.json").write_text(json.dumps(cars))
    options = ["train_dataloader.dataset.metainfo.classes=[car]", "model.bbox_head.num_classes=1"]
    line = refused(*options, labels=cars)
    assert "the validation data has the classes pedestrian, rider, car" in line and "the training data car; set" in line
    options += ["val_dataloader.dataset.metainfo.classes=[car]"]
    line = refused(*options, f"val_dataloader.dataset.ann_file={tmp_path / 'cars.json'}", labels=cars)
    assert "the data has the classes car, but the official evaluation knows pedestrian, rider" in line
    assert "(--no-validate)" in line


def test_labels_without_people_are_named(data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.json").write_text(json.dumps([{**frame, "labels": None} for frame in frames(data_root)]))
    options = ("--cfg-options", f"train_dataloader.dataset.ann_file={tmp_path / 'labels.json'}")
    assert train("pose", pose_model.make_config(tmp_path), data_root, tmp_path / "work", *options) == 2
    assert "has nobody with a box and joints" in capfd.readouterr().err


def test_arguments_that_do_not_fit(refused: Run, tmp_path: Path) -> None:
    assert "no such checkpoint" in refused(words=("--resume", str(tmp_path / "none.pth")))
    assert "cannot be set up" in refused("optim_wrapper.optimizer.type=Nonsense")
    assert "train_cfg.type 'Loop' is not known" in refused("train_cfg.type=Loop")
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": {}}, tmp_path / "bare.pth")
    assert "start from them with --checkpoint" in refused(words=("--resume", str(tmp_path / "bare.pth")))


def test_what_is_no_recipe_is_said(data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    base = ROOT / "det/configs/_base_"
    for part, lacking in (("datasets/det_bdd100k.py", "model"), ("models/atss_r50_fpn.py", "train_dataloader")):
        assert train("det", base / part, data_root, tmp_path / "work") == 2
        assert f"has no {lacking}, so it cannot be trained" in capfd.readouterr().err


def test_an_error_of_this_project_s_own_is_not_blamed_on_the_config(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("boxes")

    monkeypatch.setattr("bdd100k_models.engine.loops.train_batch", fail)
    with pytest.raises(KeyError, match="boxes"):
        train("det", MODEL, data_root, tmp_path / "work", "--no-validate", "--cfg-options", *OPTIONS)


def test_weights_of_an_earlier_stage_are_named(
    data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train("mots", "pcan-frcnn_r50_fpn_12e_mots_bdd100k", data_root, tmp_path / "work") == 2
    line = capfd.readouterr().err.strip().splitlines()[-1]
    assert "train segtrack-frcnn_r50_fpn_12e_fixed_mots_bdd100k first" in line
    assert "model.init_cfg.checkpoint=FILE" in line


def test_weights_that_ship_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.train import _find_stages

    monkeypatch.chdir(tmp_path)
    config = load_config(ROOT / "mots/configs/mini/segtrack_mini_mots_synthetic.py")
    stage = {"type": "Pretrained", "checkpoint": "ins_seg/weights/mask_rcnn_mini_ins_seg_synthetic.pth"}
    config.model.detector.backbone.init_cfg = [stage, dict(stage)]  # one after the other
    _find_stages(config)
    for part in (*config.model.detector.backbone.init_cfg, config.model.track_head.init_cfg):
        assert Path(part.checkpoint).is_file()
    config.model.detector.backbone.init_cfg[1].checkpoint = "work_dirs/another/epoch_1.pth"
    with pytest.raises(MissingFileError, match="train another first"):
        _find_stages(config)


def test_a_loss_that_is_no_number_stops_and_names_the_images(refused: Run, data_root: Path, tmp_path: Path) -> None:
    line = refused("optim_wrapper.optimizer.lr=1e30", "optim_wrapper.clip_grad=None", "param_scheduler=[]")
    assert "error: iteration " in line and "the loss is nan" in line
    assert "--checkpoint epoch_N.pth --work-dir NEW --cfg-options optim_wrapper.optimizer.lr=" in line
    paths = line.partition("with the images ")[2].partition("; look")[0].split(", ")
    assert len(paths) == 2 and all(Path(path).is_file() for path in paths)
    assert not list((tmp_path / "work").glob("*.tmp"))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"", "not an image"), (b"x", "not an image")])
def test_an_image_that_cannot_be_read_is_named(
    refused: Run, data_root: Path, tmp_path: Path, workers: int, content: bytes | None, said: str
) -> None:
    shutil.copytree(data_root / "images", tmp_path / "images")
    broken = sorted((tmp_path / "images/100k/train").iterdir())[2]
    broken.unlink()
    if content is not None:
        broken.write_bytes(content)
    images = f"train_dataloader.dataset.data_prefix.img={tmp_path}/images/100k/train"
    line = refused(images, f"train_dataloader.num_workers={workers}", words=("--no-validate",))
    assert line.startswith(f"error: {broken}: ") and said in line and "take it out of the labels" in line


def test_memory_that_does_not_suffice(refused: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from bdd100k_models.engine.runner import TrainingRunner

    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of 8 GiB")

    monkeypatch.setattr(TrainingRunner, "from_cfg", fail)
    assert "not enough memory (CUDA out of memory); lower train_dataloader.batch_size" in refused()


def test_only_errors_of_the_folder_are_blamed_on_it(
    refused: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meet(number: int, path: Path | None = None) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, "this", *([str(path)] if path else []))

        monkeypatch.setattr("bdd100k_models.engine.loops.train_batch", fail)

    words = ("--no-validate",)
    meet(errno.EACCES, tmp_path / "work/20260101/log")
    assert f"{tmp_path / 'work'}: cannot be written (this)" in refused(words=words)
    meet(errno.EROFS)
    assert f"{tmp_path / 'work'}: cannot be written (this)" in refused(words=words)
    meet(errno.EMFILE)
    assert "too many files are open; lower train_dataloader.num_workers" in refused(words=words)
    for number, path in ((errno.EACCES, tmp_path / "data/images/a.jpg"), (errno.EIO, None)):
        meet(number, path)
        with pytest.raises(OSError, match="this"):
            refused(words=words)


def test_a_full_disk_leaves_the_last_good_checkpoint(
    refused: Run, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmengine.fileio import LocalBackend

    put, saved = LocalBackend.put, []

    def fill(backend: Any, data: bytes, path: str) -> None:
        saved.append(path)
        if len(saved) < 2:
            put(backend, data, path)
            return
        Path(path).write_bytes(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LocalBackend, "put", fill)
    line = refused("default_hooks.checkpoint.max_keep_ckpts=1", words=("--no-validate",))
    work = tmp_path / "work"
    assert "the disk is full; free some space, then run again with --resume" in line
    assert sorted(path.name for path in work.glob("*.pth")) == ["epoch_1.pth"]
    assert not list(work.glob(".*.tmp"))
    monkeypatch.undo()
    assert train("det", MODEL, data_root, work, "--no-validate", "--resume", "--cfg-options", *OPTIONS) == 0
    assert all(bool(value.isfinite().all()) for value in weights(work / "epoch_2.pth").values())
    assert set(losses(work)) == {1, 2, 3, 4}


def test_a_run_resumes_with_the_same_batch_and_rate_alone(refused: Run, data_root: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    words = ("--no-validate", "--cfg-options", *OPTIONS, "train_cfg.max_epochs=1")
    assert train("det", MODEL, data_root, work, *words) == 0
    line = refused("train_dataloader.batch_size=3", words=("--no-validate", "--resume"))
    assert "was trained with 2 images a step, now there are 3" in line
    line = refused("optim_wrapper.optimizer.lr=1e-5", words=("--no-validate", "--resume"))
    assert "epoch_1.pth: was trained with the learning rate 0.004, now it is 1e-05; " in line
    assert "(--checkpoint FILE --work-dir NEW)" in line
    assert train("det", MODEL, data_root, work, "--resume", *words) == 0
