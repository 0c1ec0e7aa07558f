"""Labels of classes read as downloaded, for training: three forms, one map; everything wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from PIL import Image

from bdd100k_models.datasets.semantic import (
    BDD100KDrivableDataset,
    BDD100KSemSegDataset,
    LoadSemanticLabels,
    check_classes,
    paint_frame,
)
from bdd100k_models.engine.config import load_config
from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.formats.scalabel import RLE, Frame, Label, Poly2D, load_frames
from bdd100k_models.registry import enter_scope
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import config_files
from semantic_model import SIZE, coco_rle, random_map, write_data

DATASETS = {"sem_seg": BDD100KSemSegDataset, "drivable": BDD100KDrivableDataset}

each_task = pytest.mark.parametrize("task", DATASETS)


def dataset(root: Path, task: str, labels: str | None = None) -> Any:
    return DATASETS[task](
        data_root=str(root),
        ann_file=labels or TASKS[task].label_path("val"),
        data_prefix={"img": TASKS[task].image_dir("val")},
        pipeline=[],
    )


def read(root: Path, task: str, labels: str | None = None) -> list[np.ndarray]:
    records = dataset(root, task, labels)
    load = LoadSemanticLabels(task)
    infos = [records.get_data_info(index) for index in range(len(records))]
    return [load.transform({**info, "img_shape": SIZE})["gt_seg_map"] for info in infos]


@each_task
def test_masks_and_run_lengths_say_the_same(tmp_path: Path, task: str):
    write_data(tmp_path, task, 3)
    masks, runs = read(tmp_path, task), read(tmp_path, task, TASKS[task].label_paths("val")[1])
    for index, (mask, painted) in enumerate(zip(masks, runs, strict=True)):
        expected = random_map(index, task)
        np.testing.assert_array_equal(mask, expected)
        if task == "drivable":
            expected[expected == 255] = 2  # what nothing covers is background
        np.testing.assert_array_equal(painted, expected)


@each_task
def test_what_the_metric_and_the_palette_need_is_known(tmp_path: Path, task: str):
    records = dataset(write_data(tmp_path, task, 2), task)
    assert records.metainfo["classes"] == TASKS[task].categories and records.metainfo["palette"] == TASKS[task].palette
    assert records.metainfo["ann_file"] == str(tmp_path / TASKS[task].label_path("val"))
    assert records.metainfo["image_dir"] == str(tmp_path / TASKS[task].image_dir("val"))
    assert records.get_data_info(1)["img_path"] == str(tmp_path / TASKS[task].image_dir("val") / "1.jpg")


@each_task
def test_run_lengths_and_polygons_serve_where_masks_were_not_downloaded(tmp_path: Path, task: str):
    write_data(tmp_path, task, 1)
    masks, runs, polygons = (tmp_path / path for path in TASKS[task].label_paths("val"))
    masks.rename(tmp_path / "hidden")
    assert dataset(tmp_path, task).metainfo["ann_file"] == str(runs)
    runs.unlink()
    with pytest.raises(MissingFileError, match=r"no such labels, nor .*rles.*polygons"):
        dataset(tmp_path, task)
    square = {"vertices": [[8, 8], [40, 8], [40, 40], [8, 40]], "types": "LLLL", "closed": True}
    labels = [
        {"id": "1", "category": TASKS[task].categories[1], "poly2d": [square]},
    ]
    if task == "sem_seg":
        labels.append({"id": "2", "category": "guard rail", "poly2d": [square]})  # never evaluated, so of no class
    polygons.parent.mkdir(parents=True)
    polygons.write_text(json.dumps([{"name": "0.jpg", "labels": labels}]))
    expected = np.full(SIZE, 2 if task == "drivable" else 255)
    expected[8:40, 8:40] = 1
    np.testing.assert_array_equal(read(tmp_path, task)[0], expected)


def test_labels_elsewhere_must_be_there(tmp_path: Path):
    with pytest.raises(MissingFileError, match="somewhere: no such labels; check the path"):
        dataset(tmp_path, "sem_seg", "somewhere")
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(LabelError, match="holds no frames"):
        dataset(tmp_path, "sem_seg", "empty.json")


def test_the_samples_are_read(samples: Path):
    records = BDD100KSemSegDataset(
        data_root=str(samples),
        ann_file="labels/sem_seg/masks/val",
        data_prefix={"img": "images/10k/val"},
        pipeline=[],
    )
    frames = load_frames(samples / "labels/sem_seg/rles/sem_seg_val.json")
    assert len(records) == len(frames)
    classes = paint_frame(frames[0], TASKS["sem_seg"], (720, 1280), "here")
    present = {TASKS["sem_seg"].categories[value] for value in np.unique(classes) if value != 255}
    assert present == {label.category for label in frames[0].labels or ()}


# ------------------------------------------------------------------------------------------------ what is wrong


def load_mask(folder: Path, pixels: np.ndarray, task: str = "sem_seg") -> Any:
    Image.fromarray(pixels).save(folder / "mask.png")
    results = {"img_path": "a.jpg", "seg_map_path": str(folder / "mask.png"), "img_shape": SIZE}
    return LoadSemanticLabels(task).transform(results)


def test_values_that_are_no_class(tmp_path: Path):
    classes = random_map(0, "sem_seg")
    classes[5, 7] = 19
    with pytest.raises(LabelError, match=r"mask.png: the pixel in column 7 of row 5 has the value 19; classes are 0"):
        load_mask(tmp_path, classes)
    with pytest.raises(LabelError, match="classes are 0 to 2, and 255 is none"):
        load_mask(tmp_path, np.full(SIZE, 3, np.uint8), "drivable")
    check_classes(np.array([[0, 2, 255]], np.uint8), 3, "here")


def test_masks_of_another_size_or_form(tmp_path: Path):
    with pytest.raises(LabelError, match=r"mask.png: 20x30 pixels .* the image a.jpg has 72x128"):
        load_mask(tmp_path, random_map(0, "sem_seg", (20, 30)))
    with pytest.raises(LabelError, match="one channel of 8 bits"):
        load_mask(tmp_path, np.zeros((*SIZE, 3), np.uint8))
    (tmp_path / "mask.png").write_bytes((tmp_path / "mask.png").read_bytes()[:50])
    with pytest.raises(LabelError, match="not a whole PNG"):
        LoadSemanticLabels("sem_seg").transform(
            {"img_path": "a.jpg", "seg_map_path": str(tmp_path / "mask.png"), "img_shape": SIZE}
        )
    with pytest.raises(MissingFileError, match="no such mask"):
        LoadSemanticLabels("sem_seg").transform(
            {"img_path": "a.jpg", "seg_map_path": str(tmp_path / "none.png"), "img_shape": SIZE}
        )


@pytest.mark.parametrize(
    ("label", "size", "message"),
    [
        ({"rle": coco_rle(np.ones((4, 4)))}, None, r"frame a.jpg: rle.size is 4x4, but the image is 72x128"),
        ({"rle": {"counts": "~~", "size": list(SIZE)}}, None, "run-length"),
        ({"poly2d": [{"vertices": [[0, 0]], "types": "LL"}]}, None, "a polygon has 1 vertices"),
        ({}, {"width": 5, "height": 5}, r"size is 5x5 .* but the image has 72x128"),
    ],
)
def test_frames_that_are_broken(tmp_path: Path, label: Any, size: Any, message: str):
    frame = {"name": "a.jpg", "size": size, "labels": [{"id": "1", "category": "road", **label}]}
    (tmp_path / "labels.json").write_text(json.dumps([frame]))
    with pytest.raises(LabelError, match=message):
        read(tmp_path, "sem_seg", "labels.json")


def test_frames_without_labels_are_all_of_one_value():
    frame = Frame("a.jpg")
    assert (paint_frame(frame, TASKS["sem_seg"], (3, 4), "here") == 255).all()
    assert (paint_frame(frame, TASKS["drivable"], (3, 4), "here") == 2).all()


def test_later_labels_lie_on_top_whatever_their_form_and_run_lengths_count_before_polygons():
    whole = Poly2D([(0.0, 0.0), (128.0, 0.0), (128.0, 72.0), (0.0, 72.0)], "LLLL")
    left = np.zeros(SIZE, np.uint8)
    left[:, :64] = 1
    coded = RLE(**coco_rle(left))
    below = Label("1", category="road", poly2d=[whole])
    painted = paint_frame(
        Frame("a", labels=[below, Label("2", category="sky", rle=coded)]), TASKS["sem_seg"], SIZE, "x"
    )
    assert (painted == np.where(left, 10, 0)).all()
    both = Label("1", category="road", rle=coded, poly2d=[whole])
    painted = paint_frame(Frame("a", labels=[both]), TASKS["sem_seg"], SIZE, "x")
    assert (painted == np.where(left, 0, 255)).all()


def test_curves_bend_the_outline():
    corners = [(0.0, 40.0), (0.0, 0.0), (60.0, 0.0), (60.0, 40.0)]
    areas = []
    for types in ("LLLL", "LCCC"):
        frame = Frame("a.jpg", labels=[Label("1", category="direct", poly2d=[Poly2D(corners, types)])])
        areas.append((paint_frame(frame, TASKS["drivable"], SIZE, "here") == 0).sum())
    # below a cubic Bezier curve whose four points are the corners of a rectangle lie 3/5 of it
    assert areas[0] == 2400 and areas[1] == pytest.approx(0.6 * 2400, rel=0.05)


# ------------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("name", ["fpn_r50_512x1024_40k_sem_seg_bdd100k", "dmnet_r50-d8_769x769_40k_drivable_bdd100k"])
def test_the_training_pipeline_makes_crops_padded_with_no_class(tmp_path: Path, name: str):
    task = "sem_seg" if "sem_seg" in name else "drivable"
    write_data(tmp_path, task, 1, size=(720, 1280))
    config = load_config(config_files(task)[name])
    enter_scope(config.default_scope)
    pipeline = Compose(config.train_dataloader.dataset.pipeline)
    records = dataset(tmp_path, task)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (what the transforms draw from)
    size = tuple(config.model.data_preprocessor["size"])
    preprocess = build_preprocessor(config)
    smaller = 0
    for _ in range(6):
        packed = pipeline(records.get_data_info(0))
        batch = preprocess({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}, True)
        truth = batch["data_samples"][0].gt_sem_seg.data
        assert batch["inputs"].shape == (1, 3, *size) and truth.shape == (1, *size)
        assert set(truth.unique().tolist()) <= {*range(len(TASKS[task].categories)), 255}
        height, width = packed["inputs"].shape[1:]
        smaller += (height, width) != size
        outside = torch.ones(size, dtype=torch.bool)
        outside[:height, :width] = False
        assert (truth[0][outside] == 255).all() and (batch["inputs"][0][:, outside] == 0).all()
    assert smaller, "some crops are smaller than the input"


def build_preprocessor(config: Any) -> Any:
    from mmengine.registry import MODELS

    return MODELS.build(config.model.data_preprocessor)
