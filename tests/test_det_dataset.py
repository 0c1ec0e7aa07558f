import json
from pathlib import Path
from typing import Any

import pytest

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.datasets.categories import is_ignored
from bdd100k_models.datasets.detection import BDD100KDetDataset
from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.formats.coco import decode_coco, load_any_frames
from bdd100k_models.formats.scalabel import Label
from bdd100k_models.tasks import TASKS


def label(
    category: str, box: tuple[float, float, float, float] = (10, 20, 29, 39), **attributes: Any
) -> dict[str, Any]:
    box2d = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    return {"id": "1", "category": category, "box2d": box2d, "attributes": attributes}


def load(tmp_path: Path, frames: Any, **options: Any) -> BDD100KDetDataset:
    file = tmp_path / "labels.json"
    file.write_text(frames if isinstance(frames, str) else json.dumps(frames))
    return BDD100KDetDataset(ann_file=str(file), data_prefix={"img": "images"}, pipeline=[], **options)


@pytest.mark.parametrize("form", [lambda frames: frames, lambda frames: {"frames": frames, "config": None}])
def test_both_forms_are_read(tmp_path: Path, form: Any) -> None:
    dataset = load(tmp_path, form([{"name": "a.jpg", "labels": [label("car")]}]))
    info = dataset.get_data_info(0)
    assert info["img_path"] == "images/a.jpg"
    assert info["instances"] == [{"bbox": [10, 20, 30, 40], "bbox_label": 2, "ignore_flag": 0}]


def test_categories_are_in_the_published_order(tmp_path: Path) -> None:
    names = TASKS["det"].categories
    dataset = load(tmp_path, [{"name": "a.jpg", "labels": [label(name) for name in names]}])
    assert [item["bbox_label"] for item in dataset.get_data_info(0)["instances"]] == list(range(10))
    assert dataset.metainfo["classes"] == names


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (label("person"), (0, 0)),
        (label("motor"), (6, 0)),
        (label("van"), (2, 0)),
        (label("other vehicle"), (2, 1)),
        (label("trailer"), (3, 1)),
        (label("car", crowd=True), (2, 1)),
        (label("car", ignored=True), (2, 1)),
        (label("car", crowd=False, occluded=True), (2, 0)),
    ],
)
def test_names_and_ignored_regions_follow_the_official_mapping(
    tmp_path: Path, item: dict[str, Any], expected: tuple[int, int]
) -> None:
    (instance,) = load(tmp_path, [{"name": "a.jpg", "labels": [item]}]).get_data_info(0)["instances"]
    assert (instance["bbox_label"], instance["ignore_flag"]) == expected


def test_boxes_that_cannot_be_learnt_are_dropped(tmp_path: Path) -> None:
    outside = [(1280, 0, 1290, 10), (-20, 0, -5, 9), (5, 5, 4.5, 9), (5, 720, 9, 730)]
    frames = [{"name": "a.jpg", "labels": [label("car"), *(label("car", box) for box in outside), {"id": 1}]}]
    assert len(load(tmp_path, frames).get_data_info(0)["instances"]) == 1


def test_frames_without_labels(tmp_path: Path) -> None:
    frames = [{"name": "a.jpg"}, {"name": "b.jpg", "labels": None}, {"name": "c.jpg", "labels": []}]
    frames.append({"name": "d.jpg", "labels": [label("bus")]})
    assert len(load(tmp_path, frames)) == 4
    kept = load(tmp_path, frames, filter_cfg={"filter_empty_gt": True, "min_size": 32})
    assert [kept.get_data_info(index)["name"] for index in range(len(kept))] == ["d.jpg"]
    assert len(load(tmp_path, frames, filter_cfg={"filter_empty_gt": True}, test_mode=True)) == 4
    with pytest.raises(LabelError, match="no image has a box"):
        load(tmp_path, frames[:3], filter_cfg={"filter_empty_gt": True})


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ([{"name": "a.jpg", "labels": [label("unicorn")]}], r"frame a\.jpg, label 1: unknown category 'unicorn'"),
        ([], "no frames"),
        ('[{"name": "a.jpg", "labels": [', "not valid JSON"),
        ('[{"name": "a.jpg", "labels": 3}]', r"frame a\.jpg: .*labels"),
        ("", "empty"),
        ("7", "Scalabel"),
    ],
)
def test_bad_labels_are_one_clear_line(tmp_path: Path, content: Any, word: str) -> None:
    with pytest.raises(LabelError, match=word) as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_no_label_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such label file"):
        BDD100KDetDataset(ann_file=str(tmp_path / "none.json"), data_prefix={"img": ""}, pipeline=[])


def test_the_samples(samples: Path) -> None:
    file = samples / TASKS["det"].label_path("val")
    dataset = BDD100KDetDataset(ann_file=str(file), data_prefix={"img": str(samples / "images/100k/val")}, pipeline=[])
    frames = json.loads(file.read_text())
    assert [dataset.get_data_info(i)["name"] for i in range(2)] == [frame["name"] for frame in frames]
    first = next(item for item in frames[0]["labels"] if "box2d" in item)
    bbox = dataset.get_data_info(0)["instances"][0]["bbox"]
    assert bbox == [first["box2d"]["x1"], first["box2d"]["y1"], first["box2d"]["x2"] + 1, first["box2d"]["y2"] + 1]
    assert Path(dataset.get_data_info(1)["img_path"]).is_file()


def test_coco_conversions_say_the_same_as_the_labels(samples: Path, tmp_path: Path) -> None:
    """The official converter's output, read back, gives the original boxes."""
    scalabel = pytest.importorskip("scalabel.label.to_coco")
    from bdd100k.common.utils import load_bdd100k_config
    from bdd100k.label.to_scalabel import bdd100k_to_scalabel
    from scalabel.label.io import load as official_load

    file = samples / TASKS["det"].label_path("val")
    config = load_bdd100k_config("det")
    frames = bdd100k_to_scalabel(official_load(str(file), nprocs=1).frames, config)
    coco = scalabel.scalabel2coco_detection(frames, config.scalabel)
    converted = tmp_path / "det_val_cocofmt.json"
    converted.write_text(json.dumps(coco))
    ours = BDD100KDetDataset(ann_file=str(file), data_prefix={"img": ""}, pipeline=[])
    theirs = BDD100KDetDataset(ann_file=str(converted), data_prefix={"img": ""}, pipeline=[])
    for index in range(len(ours)):
        mine, other = ours.get_data_info(index), theirs.get_data_info(index)
        assert mine["name"] == other["name"]
        assert len(mine["instances"]) == len(other["instances"]) > 0
        for a, b in zip(mine["instances"], other["instances"], strict=True):
            assert a["bbox"] == pytest.approx(b["bbox"], abs=1e-6)
            assert (a["bbox_label"], a["ignore_flag"]) == (b["bbox_label"], b["ignore_flag"])


def test_coco_faults() -> None:
    good = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}],
        "categories": [{"id": 1, "name": "car"}],
    }
    assert decode_coco(json.dumps(good).encode(), "x")[0].labels == []
    for annotation, word in [
        ({"image_id": 2, "category_id": 1, "bbox": [0, 0, 1, 1]}, "image 2"),
        ({"image_id": 1, "category_id": 7, "bbox": [0, 0, 1, 1]}, "category id 7"),
        ({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1]}, "bbox"),
    ]:
        with pytest.raises(LabelError, match=word):
            decode_coco(json.dumps({**good, "annotations": [annotation]}).encode(), "x")


def test_flags_are_read_as_the_evaluation_reads_them():
    flags = {"crowd": "false", "ignored": 0}, {"crowd": True}, {"ignored": "yes"}, None
    assert [is_ignored(Label("1", attributes=one)) for one in flags] == [False, True, True, False]


def test_a_folder_of_label_files(tmp_path: Path) -> None:
    for name in "ba":
        (tmp_path / f"{name}.json").write_text(json.dumps([{"name": f"{name}.jpg"}]))
    assert [frame.name for frame in load_any_frames(tmp_path)] == ["a.jpg", "b.jpg"]
