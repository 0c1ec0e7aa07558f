"""Pose: labels and person boxes in every form, and what transforms make of a box."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.datasets.images import images_of_folder
from bdd100k_models.datasets.joints import FLIP_INDICES, mirrored
from bdd100k_models.datasets.loader import InferenceImages, Preparation
from bdd100k_models.datasets.person_boxes import PersonBox, as_regions, read_person_boxes
from bdd100k_models.datasets.pose import BDD100KPoseDataset
from bdd100k_models.datasets.pose_transforms import PersonBoxCenterScale, RandomCenterShift, RandomScaleRotation
from bdd100k_models.engine.config import load_config
from bdd100k_models.errors import ImageError, LabelError, MissingFileError
from bdd100k_models.registry import enter_scope
from bdd100k_models.runtime.people import box_problem
from bdd100k_models.tasks import JOINTS
from bdd100k_models.zoo.records import config_files
from conftest import draw_noise
from pose_model import make_data, person

JOINT_PLACES = np.arange(36, dtype=np.float64).reshape(18, 2) + 100


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def dataset(path: Path, **arguments: Any) -> BDD100KPoseDataset:
    enter_scope("mmpose")
    return BDD100KPoseDataset(ann_file=str(path), data_prefix={"img": "pictures"}, pipeline=[], **arguments)


# --------------------------------------------------------------------------------------------------- the joints


def test_a_mirror_swaps_sides():
    assert [mirrored(joint) for joint in ("head", "neck", "left_foot")] == ["head", "neck", "right_foot"]
    assert [FLIP_INDICES[index] for index in FLIP_INDICES] == list(range(18))
    assert sum(index != other for index, other in enumerate(FLIP_INDICES)) == 16


# --------------------------------------------------------------------------------------------------- the labels


def test_labels_as_downloaded_and_their_official_conversion_are_the_same_people(tmp_path: Path):
    to_coco = pytest.importorskip("scalabel.label.to_coco", reason="the official tool is not installed")
    from bdd100k.common.utils import load_bdd100k_config
    from scalabel.label.io import load

    frames = [
        {
            "name": "a.jpg",
            "labels": [person(JOINT_PLACES, (100, 90, 180, 260)), person(JOINT_PLACES, (5, 5, 9, 90), 1)],
        },
        {"name": "b.jpg", "labels": []},
    ]
    frames[0]["labels"][1]["graph"]["nodes"][4]["visibility"] = None
    labels = write(tmp_path / "pose.json", frames)
    coco = to_coco.scalabel2coco_pose(load(str(labels), 1).frames, load_bdd100k_config("pose").scalabel)
    converted = dataset(write(tmp_path / "pose_cocofmt.json", coco))
    ours = dataset(labels)
    assert len(ours) == len(converted) == 2
    for index in range(2):
        one, other = ours.get_data_info(index), converted.get_data_info(index)
        for key in ("bbox", "keypoints", "keypoints_visible", "bbox_score"):
            np.testing.assert_allclose(one[key], other[key], err_msg=key)
        assert one["img_path"] == other["img_path"] == "pictures/a.jpg"
    first, second = (ours.get_data_info(index) for index in range(2))
    np.testing.assert_array_equal(first["keypoints"][0], JOINT_PLACES)
    assert first["keypoints_visible"].sum() == 18 and second["keypoints_visible"][0].argmin() == 4
    assert first["bbox"].tolist() == [[100, 90, 180, 260]]
    assert {len(first["upper_body_ids"]) + len(first["lower_body_ids"]), len(first["flip_indices"])} == {18}
    assert ours.metainfo["ann_file"] == str(labels) and ours.metainfo["image_dir"] == "pictures"


def without(key: str) -> dict[str, Any]:
    label = person(JOINT_PLACES, (100, 90, 180, 260))
    label.pop(key)
    return label


def unseen() -> dict[str, Any]:
    label = person(JOINT_PLACES, (100, 90, 180, 260))
    for node in label["graph"]["nodes"]:
        node["visibility"] = "X"
    return label


@pytest.mark.parametrize(
    "label",
    [
        without("graph"),
        without("box2d"),
        unseen(),
        person(JOINT_PLACES, (180, 90, 100, 260)),
        person(JOINT_PLACES, (1400, 90, 1500, 260)),
        {**person(JOINT_PLACES, (100, 90, 180, 260)), "attributes": {"crowd": True}},
        {**person(JOINT_PLACES, (100, 90, 180, 260)), "category": "other person"},
    ],
)
def test_people_to_learn_nothing_from_are_left_out(tmp_path: Path, label: dict[str, Any]):
    good = person(JOINT_PLACES, (-20, 90, 180, 900))
    people = dataset(write(tmp_path / "labels.json", {"frames": [{"name": "a.jpg", "labels": [label, good]}]}))
    assert len(people) == 1
    assert people.get_data_info(0)["bbox"].tolist() == [[0, 90, 180, 719]]


def test_joints_are_read_by_their_names(tmp_path: Path):
    label = person(JOINT_PLACES, (100, 90, 180, 260))
    label["graph"]["nodes"] = label["graph"]["nodes"][17:2:-1]
    info = dataset(write(tmp_path / "labels.json", [{"name": "a.jpg", "labels": [label]}])).get_data_info(0)
    assert info["keypoints_visible"][0].tolist() == [0, 0, 0] + [1] * 15
    np.testing.assert_array_equal(info["keypoints"][0, 3:], JOINT_PLACES[3:])


@pytest.mark.parametrize(
    ("name", "message"),
    [("elbow", "frame a.jpg, label 0: graph: node category 'elbow' is no joint"), ("neck", "'neck' appears twice")],
)
def test_joints_that_cannot_be(tmp_path: Path, name: str, message: str):
    label = person(JOINT_PLACES, (100, 90, 180, 260))
    label["graph"]["nodes"][0]["category"] = name
    with pytest.raises(LabelError, match=message):
        dataset(write(tmp_path / "labels.json", [{"name": "a.jpg", "labels": [label]}]))


def test_keypoints_of_coco_must_be_complete(tmp_path: Path):
    image = {"id": 1, "file_name": "a.jpg", "width": 1280, "height": 720}
    annotation = {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "keypoints": [1, 2, 2]}
    coco = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "person"}]}
    with pytest.raises(LabelError, match="annotation 3 has 3 numbers as keypoints, but category person has 18"):
        dataset(write(tmp_path / "coco.json", coco))
    with pytest.raises(LabelError, match="holds no frames"):
        dataset(write(tmp_path / "empty.json", []))


def test_validation_takes_given_boxes_or_those_of_the_labels(tmp_path: Path):
    root = make_data(tmp_path, images=3)
    where = {"data_root": str(root), "test_mode": True, "bbox_file": "labels/boxes.json"}
    where["filter_cfg"] = {"bbox_score_thr": 0.3}
    labels = Path("labels/pose_21/pose_val.json")
    assert len(dataset(labels, **where)) == 3
    boxes = [{"image_id": 2, "bbox": [10, 10, 20, 30], "score": score} for score in (0.9, 0.3, 0.2)]
    boxes.append({"image_id": 1, "bbox": [10, 10, 0, 30], "score": 0.9})
    write(root / "labels/boxes.json", boxes)
    given = dataset(labels, **where)
    assert [given.get_data_info(index)["bbox_score"].tolist() for index in range(len(given))] == [
        [pytest.approx(0.9)],
        [pytest.approx(0.3)],
    ]
    assert given.get_data_info(0)["img_path"].endswith("1.jpg")


# ------------------------------------------------------------------------------------------------- person boxes

DETECTIONS = [
    {"image_id": 1, "bbox": [10, 20, 30, 40], "score": 0.5},
    {"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4, 0.9], "score": 0.9},
    {"image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.9},
]
IMAGES = [
    {"id": 2, "file_name": "a.jpg", "width": 9, "height": 9},
    {"id": 1, "file_name": "b.jpg", "width": 9, "height": 9},
]


def test_lists_of_detections_name_images_by_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = write(tmp_path / "boxes.json", DETECTIONS)
    first, second = [PersonBox(10, 20, 40, 60, 0.5)], [PersonBox(1, 2, 4, 6, 0.9)]
    assert read_person_boxes(path, ["b.jpg", "a.jpg"]) == {"a.jpg": first, "b.jpg": second}
    assert "count the images from 1" in capsys.readouterr().err
    elsewhere = tmp_path / "ids"
    elsewhere.mkdir()
    ids = write(elsewhere / "ids.json", {"images": IMAGES, "annotations": [], "categories": []})
    assert read_person_boxes(path, ["a.jpg", "b.jpg"], ids) == {"b.jpg": first, "a.jpg": second}
    labels = write(elsewhere / "labels.json", [{"name": "a.jpg"}, {"name": "b.jpg"}])
    assert read_person_boxes(path, ["b.jpg", "a.jpg"], labels) == {"a.jpg": first, "b.jpg": second}
    # beside the boxes, as among the published files
    write(tmp_path / "pose_val_cocofmt.json", {"images": IMAGES, "annotations": [], "categories": []})
    assert read_person_boxes(path, ["a.jpg", "b.jpg"]) == {"b.jpg": first, "a.jpg": second}
    named = [{**detection, "file_name": "c.jpg"} for detection in DETECTIONS]
    assert read_person_boxes(write(path, named), ["c.jpg"]) == {"c.jpg": first + second}
    assert capsys.readouterr().err == ""


def test_labels_and_predictions_of_boxes(tmp_path: Path):
    box = {"x1": 10, "y1": 20, "x2": 39, "y2": 59}
    kinds = [("pedestrian", 0.5), ("person", None), ("rider", 0.9), ("car", 0.9), ("other person", 0.9)]
    labels = [{"id": i, "category": name, "score": score, "box2d": box} for i, (name, score) in enumerate(kinds)]
    labels += [{"id": 9, "category": "pedestrian"}]
    frames = [{"name": "a.jpg", "labels": labels}, {"name": "b.jpg"}]
    expected = {"a.jpg": [PersonBox(10, 20, 40, 60, 0.5), PersonBox(10, 20, 40, 60, 1.0)], "b.jpg": []}
    assert read_person_boxes(write(tmp_path / "frames.json", frames), ["a.jpg"]) == expected
    assert read_person_boxes(write(tmp_path / "dict.json", {"frames": frames}), ["a.jpg"]) == expected
    annotation = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 20, 30, 40]}
    coco = {"images": IMAGES, "annotations": [annotation], "categories": [{"id": 7, "name": "person"}]}
    assert read_person_boxes(write(tmp_path / "coco.json", coco), ["a.jpg"])["b.jpg"] == expected["a.jpg"][1:]
    assert read_person_boxes(write(tmp_path / "empty.json", []), ["a.jpg"]) == {}


def test_files_of_boxes_that_cannot_be_used(tmp_path: Path):
    path = tmp_path / "boxes.json"
    with pytest.raises(MissingFileError, match="no such file of person boxes"):
        read_person_boxes(path, ["a.jpg"])
    good = {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    with pytest.raises(MissingFileError, match="no such file of image ids"):
        read_person_boxes(write(path, [good]), ["a.jpg"], tmp_path / "ids.json")
    with pytest.raises(LabelError, match="entry 0: nothing says which image has the id 7"):
        read_person_boxes(write(path, [{**good, "image_id": 7}]), ["a.jpg"])
    with pytest.raises(LabelError, match="entry 0: nothing says which image has the id 1"):
        read_person_boxes(write(path, [good]), ["a.jpg", "b.jpg"])
    with pytest.raises(LabelError, match="entry 0: bbox has 3 numbers"):
        read_person_boxes(write(path, [{**good, "bbox": [1, 2, 3]}]), ["a.jpg"])
    with pytest.raises(LabelError, match="score"):
        read_person_boxes(write(path, [{"image_id": 1, "bbox": [1, 2, 3, 4]}]), ["a.jpg"])
    with pytest.raises(LabelError, match=r"names none of the images \(a.jpg, ...\), but c.jpg"):
        read_person_boxes(write(path, [{"name": "c.jpg", "labels": []}]), ["a.jpg"])
    for text in (b'[{"image_id": 1,', b'[{"image_id": 1, "file_name": "\xe9.jpg", "bbox": [1, 2, 3, 4], "score": 1}]'):
        path.write_bytes(text)
        with pytest.raises(LabelError):
            read_person_boxes(path, ["a.jpg"])


def test_boxes_below_the_least_score_are_left_out():
    boxes = {"a.jpg": [PersonBox(1, 2, 3, 4, 0.3), PersonBox(1, 2, 3, 4, 0.29)], "b.jpg": []}
    regions = as_regions(boxes, 0.3)
    assert [region["bbox_score"] for region in regions["a.jpg"]] == [[0.3]] and regions["b.jpg"] == []


@given(st.lists(st.floats(-2000, 2000), min_size=4, max_size=4))
def test_a_box_is_used_if_a_pixel_of_the_image_is_in_it(corners: list[float]):
    x1, y1, x2, y2 = corners
    visible = min(x2, 1280) > max(x1, 0) and min(y2, 720) > max(y1, 0)
    assert (box_problem(corners, (720, 1280)) is None) == visible


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_a_box_must_be_finite(value: float):
    assert "not finite" in (box_problem([0, 0, value, 9], (720, 1280)) or "")


def test_the_loader_tells_of_boxes_that_it_leaves_out(tmp_path: Path):
    draw_noise(tmp_path / "a.jpg", seed=1, size=(90, 160))
    draw_noise(tmp_path / "b.jpg", seed=2, size=(90, 160))
    bad = [
        PersonBox(5, 5, 5, 50, 1),
        PersonBox(200, 5, 250, 50, 1),
        PersonBox(5, 50, 40, 5, 1),
        PersonBox(0, 0, 0, 0, 1),
    ]
    regions = as_regions({"a.jpg": [*bad, PersonBox(150, 80, 400, 200, 1)]})
    enter_scope("mmpose")
    pipeline = load_config(config_files("pose")["res50_256x192_1x_pose_bdd100k"]).test_dataloader.dataset.pipeline
    batch = InferenceImages(images_of_folder(tmp_path), [[0, 1]], Preparation(pipeline), regions)[0]
    assert batch.owners == [0] and batch.indices == [0, 1] and list(batch.remarks) == [0]
    message = batch.remarks[0].message
    assert "person box (5, 5, 5, 50) has no area, left out; person box (200, 5, 250, 50) lies outside" in message
    assert message.endswith("; and 1 more") and batch.remarks[0].predicted
    assert batch.data["inputs"][0].shape == (3, 256, 192)


# --------------------------------------------------------------------------------------------------- transforms


def box_results(box: list[float]) -> dict[str, Any]:
    return {"bbox": [box], "img_shape": (720, 1280)}


@given(st.floats(-50, 1200), st.floats(-50, 700), st.floats(60, 300), st.floats(60, 300))
@settings(max_examples=30)
def test_the_cut_out_is_that_of_the_original(x: float, y: float, width: float, height: float):
    """mmpose 0.24: widen the box to the input's shape first, pad it then; both orders give the same."""
    enter_scope("mmpose")
    from mmpose.datasets.transforms import TopdownAffine

    results = PersonBoxCenterScale().transform(box_results([x, y, x + width, y + height]))
    results["img"] = np.zeros((720, 1280, 3), np.float32)
    results = TopdownAffine(input_size=(192, 256)).transform(results)
    wide, tall = max(width, 0.75 * height), max(height, width / 0.75)
    np.testing.assert_allclose(results["input_center"], [x + width / 2, y + height / 2])
    np.testing.assert_allclose(results["input_scale"], [1.25 * wide, 1.25 * tall])


def test_a_box_without_area_is_refused():
    with pytest.raises(ImageError, match="has no area, left out"):
        PersonBoxCenterScale().transform(box_results([10, 10, 10, 50]))


def test_random_changes_stay_in_their_ranges_and_reach_them():
    random.seed(0)
    shifts, scales, angles = [], [], []
    for _ in range(3000):
        results = PersonBoxCenterScale().transform(box_results([100, 100, 200, 300]))
        results = RandomScaleRotation().transform(RandomCenterShift().transform(results))
        shifts.append((results["bbox_center"][0] - [150, 200]) / [100, 200])
        scales.append(results["bbox_scale"][0] / [125, 250])
        angles.append(results["bbox_rotation"][0])
    shift, scale, angle = np.array(shifts), np.array(scales)[:, 0], np.array(angles)
    assert 0.18 < np.abs(shift).max() <= 0.2 and 0.27 < shift.any(axis=1).mean() < 0.33
    assert scale.min() == 0.5 and scale.max() == 1.5
    # a normal distribution is beyond its standard deviation 31.7 % of the time
    assert 0.28 < np.isin(scale, [0.5, 1.5]).mean() < 0.35
    assert -80 <= angle.min() < -75 and 75 < angle.max() <= 80 and 0.57 < (angle != 0).mean() < 0.63
    assert 0.28 < (np.abs(angle[angle != 0]) > 40).mean() < 0.35


def test_the_training_pipeline_makes_targets_where_joints_are(tmp_path: Path):
    root = make_data(tmp_path, images=3, split="train")
    enter_scope("mmpose")
    from mmengine.registry import DATASETS

    config = load_config(config_files("pose")["res50_udp_256x192_1x_pose_bdd100k"]).train_dataloader.dataset
    config.data_root = str(root)
    config.pipeline[:] = [step for step in config.pipeline if not step["type"].startswith("Random")]
    packed = DATASETS.build(config)[0]
    heatmaps = packed["data_samples"].gt_fields.heatmaps.numpy()
    assert packed["inputs"].shape == (3, 256, 192) and heatmaps.shape == (len(JOINTS), 64, 48)
    assert packed["data_samples"].gt_instance_labels.keypoint_weights.sum() == 18
    label = json.loads((root / "labels/pose_21/pose_train.json").read_text())[0]["labels"][0]
    box = label["box2d"]
    center = np.array([box["x1"] + box["x2"], box["y1"] + box["y2"]]) / 2
    size = np.array([box["x2"] - box["x1"], box["y2"] - box["y1"]])
    size = 1.25 * np.array([max(size[0], 0.75 * size[1]), max(size[1], size[0] / 0.75)])
    for node, heatmap in zip(label["graph"]["nodes"], heatmaps, strict=True):
        expected = (np.array(node["location"]) - center) / size * [47, 63] + [23.5, 31.5]
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        assert np.abs(expected - [x, y]).max() <= 1
