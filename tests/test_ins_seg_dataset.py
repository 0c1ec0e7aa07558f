"""Instances are read the same from bitmasks, run lengths, polygons and COCO's form, and broken labels are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image
from pycocotools import mask as coco_mask

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.datasets.instances import BDD100KInsSegDataset
from bdd100k_models.datasets.panoptic import BDD100KPanSegDataset
from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.formats.bitmask import CROWD, IGNORED, OCCLUDED, write_bitmask
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES
from bdd100k_models.registry import enter_scope
from bdd100k_models.tasks import TASKS
from conftest import draw_noise

SIZE = (72, 128)

#: Id, category, attribute bits, and corners (x1, y1, x2, y2; exclusive) of some instances.
INSTANCES = [
    (1, "pedestrian", 0, (10, 5, 20, 40)),
    (2, "car", CROWD, (30, 30, 90, 60)),
    (300, "car", OCCLUDED, (100, 0, 128, 12)),
    (4, "bicycle", IGNORED, (0, 60, 8, 72)),
]
#: The same for segments; the first lie below the others.
SEGMENTS = [
    (1, "sky", 0, (0, 0, 128, 30)),
    (7, "road", 0, (0, 30, 128, 66)),
    (31, "person", 0, (10, 5, 20, 40)),
    (32, "car", CROWD, (30, 30, 90, 60)),
]
ALL = {"ins_seg": INSTANCES, "pan_seg": SEGMENTS}
DATASETS = {"ins_seg": BDD100KInsSegDataset, "pan_seg": BDD100KPanSegDataset}
STEPS = {"ins_seg": "LoadInstanceLabels", "pan_seg": "LoadPanopticLabels"}

FORMS = ["bitmasks", "rles", "polygons", "coco"]


def visible(segments: list[Any]) -> list[np.ndarray]:
    """Return the mask of what is visible of each segment."""
    owner = np.full(SIZE, -1)
    for place, (_, _, _, (x1, y1, x2, y2)) in enumerate(segments):
        owner[y1:y2, x1:x2] = place
    return [owner == place for place in range(len(segments))]


def write_labels(root: Path, task: str, form: str, split: str = "train", segments: list[Any] | None = None) -> Path:
    """Write the labels of ``a.jpg`` in one form, and of ``none.jpg`` without any; return their path."""
    segments = ALL[task] if segments is None else segments
    masks = visible(segments)
    if form == "bitmasks":
        folder = root / f"labels/{task}/bitmasks/{split}"
        category, ids, flags = (np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.int32), np.zeros(SIZE, np.uint8))
        write_bitmask(folder / "none.png", category, ids)
        for (number, name, bits, _), mask in zip(segments, masks, strict=True):
            category[mask], ids[mask], flags[mask] = TASKS[task].category_ids[name], number, bits
        write_bitmask(folder / "a.png", category, ids, flags)
        return folder
    if form == "coco":
        return _write_coco(root, task, segments, masks)
    labels = []
    for (number, name, bits, (x1, y1, x2, y2)), mask in zip(segments, masks, strict=True):
        label: dict[str, Any] = {"id": str(number), "category": name}
        label["attributes"] = {"crowd": bool(bits & CROWD), "ignored": bool(bits & IGNORED), "occluded": True}
        corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
        label["poly2d"] = [{"vertices": corners, "types": "LLLL", "closed": True}]
        if form == "rles":
            label["rle"] = _coco_rle(mask)
            label["poly2d"][0]["vertices"] = [[0, 0]]  # the run lengths count
        labels.append(label)
    path = root / f"labels/{task}/{form}/{task}_{split}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([{"name": "a.jpg", "labels": labels}, {"name": "none.jpg", "labels": None}]))
    return path


def _coco_rle(mask: np.ndarray) -> dict[str, Any]:
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"counts": packed["counts"].decode(), "size": packed["size"]}


def _write_coco(root: Path, task: str, segments: list[Any], masks: list[np.ndarray]) -> Path:
    names = TASKS[task].categories
    annotations = []
    for place, ((_, name, bits, (x1, y1, x2, y2)), mask) in enumerate(zip(segments, masks, strict=True)):
        columns = mask.T.ravel()
        runs = np.diff(np.r_[0, np.flatnonzero(np.diff(columns)) + 1, columns.size]).tolist()
        uncompressed = {"counts": [0, *runs] if columns[0] else runs, "size": list(SIZE)}
        forms: list[Any] = [_coco_rle(mask), uncompressed, [[x1, y1, x2, y1, x2, y2, x1, y2]]]
        annotations.append(
            {
                "id": place,
                "image_id": 1,
                "category_id": names.index(name) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": int(bool(bits & (CROWD | IGNORED))),
                "segmentation": forms[place % 3] if task == "ins_seg" else forms[0],
            }
        )
    images = [{"id": i, "file_name": name, "height": 72, "width": 128} for i, name in ((1, "a.jpg"), (2, "none.jpg"))]
    categories = [{"id": place, "name": name} for place, name in enumerate(names, 1)]
    path = root / "jsons/cocofmt.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def make_dataset(root: Path, task: str, labels: Path | str, **more: Any) -> Any:
    """Return a data set whose pipeline ends with what mmdet's models take."""
    enter_scope("mmdet")
    for seed, name in enumerate(("a.jpg", "none.jpg")):
        draw_noise(root / "images/10k/train" / name, seed, SIZE)
    pipeline = [{"type": "LoadImageFromFile"}, {"type": STEPS[task]}, {"type": "PackDetInputs"}]
    return DATASETS[task](
        data_root=str(root),
        ann_file=str(labels),
        data_prefix={"img": "images/10k/train"},
        pipeline=pipeline,
        **more,
    )


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_instances(tmp_path: Path, form: str):
    dataset = make_dataset(tmp_path, "ins_seg", write_labels(tmp_path, "ins_seg", form))
    assert [Path(dataset.get_data_info(index)["img_path"]).name for index in (0, 1)] == ["a.jpg", "none.jpg"]
    packed = dataset[0]["data_samples"]
    found = {}
    for kind in ("gt_instances", "ignored_instances"):
        instances = packed.get(kind)
        for row, label in enumerate(instances.labels.tolist()):
            box = tuple(int(value) for value in instances.bboxes.tensor[row].tolist())
            assert instances.masks.masks.dtype == np.uint8
            found[box] = (kind, label, instances.masks.masks[row].astype(bool))
    names = TASKS["ins_seg"].categories
    for (_, name, bits, box), mask in zip(INSTANCES, visible(INSTANCES), strict=True):
        kind, label, drawn = found.pop(box)
        assert names[label] == name and (drawn == mask).all()
        assert kind == ("ignored_instances" if bits & (CROWD | IGNORED) else "gt_instances")
    assert not found
    assert len(dataset[1]["data_samples"].gt_instances) == 0


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_segments(tmp_path: Path, form: str):
    dataset = make_dataset(tmp_path, "pan_seg", write_labels(tmp_path, "pan_seg", form))
    packed = dataset[0]["data_samples"]
    expected = np.full(SIZE, 255, np.uint8)
    for (_, name, _, _), mask in zip(SEGMENTS, visible(SEGMENTS), strict=True):
        expected[mask] = MODEL_CATEGORIES.index(name)
    assert packed.gt_sem_seg.sem_seg.shape == (1, *SIZE)
    assert (packed.gt_sem_seg.sem_seg[0].numpy() == expected).all()
    # things first: a person is class 0 of the head that knows things alone
    assert packed.gt_instances.labels.tolist() == [0] and packed.gt_instances.bboxes.tensor.tolist() == [
        [10, 5, 20, 40]
    ]
    assert packed.ignored_instances.labels.tolist() == [4]
    assert (dataset[1]["data_samples"].gt_sem_seg.sem_seg == 255).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", DATASETS)
def test_images_without_labels_are_left_out_of_training(tmp_path: Path, form: str, task: str):
    labels = write_labels(tmp_path, task, form)
    dataset = make_dataset(tmp_path, task, labels, filter_cfg={"filter_empty_gt": True, "min_size": 32})
    # bitmasks are opened only when their image is used: then another image is taken
    assert len(dataset) == (2 if form == "bitmasks" else 1)
    samples = [dataset[index % len(dataset)]["data_samples"] for index in range(4)]
    assert {Path(sample.img_path).name for sample in samples} == {"a.jpg"}
    everything = make_dataset(tmp_path, task, labels, filter_cfg={"filter_empty_gt": True}, test_mode=True)
    assert len(everything) == 2


@pytest.mark.parametrize("task", DATASETS)
def test_what_was_downloaded_is_taken(tmp_path: Path, task: str):
    named = f"labels/{task}/bitmasks/train"
    with pytest.raises(MissingFileError, match="download one of them"):
        make_dataset(tmp_path, task, named)
    polygons = write_labels(tmp_path, task, "polygons")
    assert make_dataset(tmp_path, task, named).metainfo["ann_file"] == str(polygons)
    rles = write_labels(tmp_path, task, "rles")
    assert make_dataset(tmp_path, task, named).metainfo["ann_file"] == str(rles)
    bitmasks = write_labels(tmp_path, task, "bitmasks")
    dataset = make_dataset(tmp_path, task, named)
    assert dataset.metainfo["ann_file"] == str(bitmasks)
    assert dataset.metainfo["image_dir"] == str(tmp_path / "images/10k/train")
    with pytest.raises(MissingFileError, match="check the path"):
        make_dataset(tmp_path, task, "elsewhere.json")


def test_polygons_with_curves_are_painted_as_officially(tmp_path: Path):
    curve = {"vertices": [[10, 10], [60, 0], [90, 80], [20, 60]], "types": "LCCC", "closed": True}
    label = {"id": "1", "category": "car", "poly2d": [curve]}
    path = tmp_path / "polygons.json"
    path.write_text(json.dumps({"frames": [{"name": "a.jpg", "labels": [label]}]}))
    (mask,) = make_dataset(tmp_path, "ins_seg", path)[0]["data_samples"].gt_instances.masks.masks
    t = np.linspace(0, 1, 200)[:, None]
    p0, p1, p2, p3 = np.array(curve["vertices"], float)
    points = (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
    expected = cv2.fillPoly(np.zeros(SIZE, np.uint8), [np.round(points).astype(np.int32)], 1)
    assert (mask != expected).mean() < 0.02 and mask.sum() > 500


def test_names_of_older_labels_are_understood(tmp_path: Path):
    rle = _coco_rle(visible(INSTANCES)[0])
    names = ["person", "van", "other vehicle", "motor"]
    labels = [{"id": str(place), "category": name, "rle": rle} for place, name in enumerate(names)]
    path = tmp_path / "old.json"
    path.write_text(json.dumps([{"name": "a.jpg", "labels": labels}]))
    sample = make_dataset(tmp_path, "ins_seg", path)[0]["data_samples"]
    classes = TASKS["ins_seg"].categories
    assert [classes[label] for label in sample.gt_instances.labels] == ["pedestrian", "car", "motorcycle"]
    assert [classes[label] for label in sample.ignored_instances.labels] == ["car"]
    # panoptic labels name more than is evaluated
    path.write_text(json.dumps([{"name": "a.jpg", "labels": [{"id": "1", "category": "unlabeled", "rle": rle}]}]))
    assert (make_dataset(tmp_path, "pan_seg", path)[0]["data_samples"].gt_sem_seg.sem_seg == 255).all()
    path.write_text(json.dumps([{"name": "a.jpg", "labels": [{"id": "1", "category": "tram", "rle": rle}]}]))
    with pytest.raises(LabelError, match=r"frame a\.jpg, label 1: unknown category 'tram'"):
        make_dataset(tmp_path, "pan_seg", path)[0]


def _bitmask(path: Path, *pixels: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> None:
    """Write a bitmask whose first pixels have the given red, green, blue and alpha."""
    image = np.zeros((*size, 4), np.uint8)
    image[0, : len(pixels)] = pixels or [(1, 0, 0, 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def test_broken_bitmasks_are_named(tmp_path: Path):
    folder = tmp_path / "labels/ins_seg/bitmasks/train"
    file = folder / "a.png"
    _bitmask(file, size=(36, 64))
    dataset = make_dataset(tmp_path, "ins_seg", folder)
    for pixels, size, message in [
        ((), (36, 64), r"36x64 pixels \(height x width\), but the image has 72x128"),
        ([(9, 0, 0, 1)], SIZE, "instance 1 has category 9; categories are 1 to 8"),
        ([(1, 0, 0, 1), (2, 0, 0, 1)], SIZE, "instance 1 has pixels of two categories"),
        ([(1, 0, 0, 1), (1, 2, 0, 1)], SIZE, "instance 1 has pixels of two categories or attributes"),
    ]:
        _bitmask(file, *pixels, size=size)
        with pytest.raises(LabelError, match=message) as caught:
            dataset[0]
        assert str(file) in str(caught.value) and "\n" not in str(caught.value)
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(file)
    with pytest.raises(LabelError, match="RGBA PNG"):
        dataset[0]
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(LabelError, match="whole PNG"):
        dataset[0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"labels": [{"id": "7", "category": "tram", "rle": "RLE"}]}, "label 7: unknown category 'tram'"),
        (
            {"labels": [{"id": "7", "category": "car", "rle": {"counts": "??", "size": [72, 128]}}]},
            "label 7: rle.counts",
        ),
        ({"labels": [{"id": "7", "category": "car", "rle": {"counts": "0", "size": [9, 9]}}]}, "label 7: 9x9 pixels"),
        ({"size": {"width": 9, "height": 9}, "labels": [{"id": "7", "category": "car", "rle": "RLE"}]}, "9x9 pixels"),
        ({"labels": [{"id": "7", "category": "car", "poly2d": [{"vertices": "no"}]}]}, "not the Scalabel format"),
        ({"labels": [{"id": "7", "category": "car", "poly2d": [{"vertices": []}]}]}, "polygon has 0 vertices"),
    ],
)
def test_broken_labels_are_named(tmp_path: Path, frame: dict[str, Any], message: str):
    text = json.dumps([{"name": "a.jpg"} | frame]).replace('"RLE"', json.dumps(_coco_rle(np.ones(SIZE, bool))))
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(LabelError, match=message) as caught:
        make_dataset(tmp_path, "ins_seg", path)[0]
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_broken_coco_masks_are_named(tmp_path: Path):
    path = write_labels(tmp_path, "ins_seg", "coco")
    content = json.loads(path.read_text())
    for region, labels in [({"counts": [1, 2], "size": [72, 128]}, None), ([[1, 2, 3, 4]], 3), ([], 3), (None, 3)]:
        content["annotations"][0]["segmentation"] = region
        path.write_text(json.dumps(content))
        if labels is None:
            with pytest.raises(LabelError, match="annotation 0 does not fit its size"):
                make_dataset(tmp_path, "ins_seg", path)
            continue
        sample = make_dataset(tmp_path, "ins_seg", path)[0]["data_samples"]
        assert len(sample.gt_instances) + len(sample.ignored_instances) == labels


def test_label_files_that_are_none_are_named(tmp_path: Path):
    path = tmp_path / "labels.json"
    for text, message in [("[", "not valid JSON"), ("[]", "holds no frames"), ('[{"labels": 3}]', "not the Scalabel")]:
        path.write_text(text)
        with pytest.raises(LabelError, match=message):
            make_dataset(tmp_path, "ins_seg", path)
    path.write_text('[{"name": "a.jpg", "labels": []}]')
    with pytest.raises(LabelError, match="no image has a label"):
        make_dataset(tmp_path, "ins_seg", path, filter_cfg={"filter_empty_gt": True})


def test_masks_and_maps_follow_the_image(tmp_path: Path):
    """Resizing and flipping reach everything that the labels hold."""
    path = write_labels(tmp_path, "pan_seg", "bitmasks")
    dataset = make_dataset(tmp_path, "pan_seg", path)
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadPanopticLabels"},
        {"type": "Resize", "scale": (64, 36), "keep_ratio": True},
        {"type": "RandomFlip", "prob": 1.0},
        {"type": "PackDetInputs"},
    ]
    sample = Compose(steps)(dataset.get_data_info(0))["data_samples"]
    assert sample.gt_sem_seg.sem_seg.shape == (1, 36, 64)
    assert sample.gt_instances.bboxes.tensor.tolist() == [[54, 2.5, 59, 20]]
    (mask,) = sample.gt_instances.masks.masks
    assert np.flatnonzero(mask.any(axis=0)).tolist() == list(range(54, 59))
    assert set(np.unique(sample.gt_sem_seg.sem_seg.numpy()[0][mask.astype(bool)])) == {0}


def test_real_labels_are_read(samples: Path):
    enter_scope("mmdet")
    for task, count in (("ins_seg", 31), ("pan_seg", 4)):
        dataset = DATASETS[task](
            data_root=str(samples),
            ann_file=f"labels/{task}/bitmasks/val",
            data_prefix={"img": "images/10k/val"},
            pipeline=[{"type": "LoadImageFromFile"}, {"type": STEPS[task]}, {"type": "PackDetInputs"}],
        )
        sample = dataset[0]["data_samples"]
        assert len(sample.gt_instances) == count and sample.gt_instances.masks.masks.shape == (count, 720, 1280)
        labels = json.loads((samples / f"labels/{task}/rles/{task}_val.json").read_text())
        frame = (labels if isinstance(labels, list) else labels["frames"])[0]
        if task == "ins_seg":
            for label, box in zip(frame["labels"], sample.gt_instances.bboxes.tensor.tolist(), strict=True):
                corners = [label["box2d"][key] for key in ("x1", "y1", "x2", "y2")]
                assert np.abs(np.array(box) - [0, 0, 1, 1] - corners).max() <= 2
