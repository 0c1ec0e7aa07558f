"""Videos for training: reading, pairs of frames, and mixing pairs alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.datasets import pair_mixing, videos
from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.metric import BDD100KMetric
from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.formats.results.tracks import TrackRecord
from bdd100k_models.formats.rle import encode
from bdd100k_models.tasks import TASKS
from conftest import ROOT

CLASSES = TASKS["mot"].categories
CONFIGS = ROOT / "mot" / "configs" / "mot"

Box = tuple[float, float, float, float]


def label(identity: str, category: str = "car", box: Box = (1, 2, 30, 40), **attributes: bool) -> dict[str, Any]:
    return {
        "id": identity,
        "category": category,
        "attributes": attributes,
        "box2d": dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
    }


def write_video(folder: Path, name: str, frames: list[list[dict[str, Any]]], first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = [
        {
            "name": f"{name}-{first + number + 1:07d}.jpg",
            "videoName": name,
            "frameIndex": first + number,
            "labels": labels,
        }
        for number, labels in enumerate(frames)
    ]
    (folder / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels"


def pairs_of(labels: Path, **options: Any) -> Any:
    options = {"pipeline": [], "ann_file": str(labels), "data_prefix": {"img": "images"}} | options
    return DATASETS.build({"type": "BDD100KTrackPairs", **options})


# ------------------------------------------------------------------------------------------------------------ reading


def test_tracks_are_numbered_from_1_in_each_video_and_corners_are_exclusive(labels: Path):
    write_video(labels, "a", [[label("77"), label("9", "truck")], [label("9", "truck", (5, 5, 9, 9))]], first=165)
    write_video(labels, "b", [[label("9", "person", crowd=True)]])
    first, second = videos.read_videos(labels, Path("images"), CLASSES)
    ids = [[instance["instance_id"] for instance in frame["instances"]] for frame in first + second]
    assert ids == [[1, 2], [2], [1]]
    assert first[1]["instances"][0] == {"bbox": [5, 5, 10, 10], "bbox_label": 3, "ignore_flag": 0, "instance_id": 2}
    assert second[0]["instances"][0]["bbox_label"] == 0 and second[0]["instances"][0]["ignore_flag"] == 1
    assert [frame["frame_id"] for frame in first] == [0, 1]
    assert [frame["frame_index"] for frame in first] == [165, 166]
    assert [frame["img_path"] for frame in first] == [f"images/a/a-{number:07d}.jpg" for number in (166, 167)]
    assert [frame["img_id"] for frame in first + second] == [0, 1, 2]


def test_the_metric_calls_frames_as_the_labels_do(labels: Path):
    content = [{"name": f"a-{number:07d}.jpg", "videoName": "a", "frameIndex": number - 10} for number in (10, 11)]
    labels.mkdir()
    (labels / "a.json").write_text(json.dumps([frame | {"labels": [label("1")]} for frame in content]))
    dataset = DATASETS.build(
        {"type": "BDD100KVideoDataset", "pipeline": [], "ann_file": str(labels), "data_prefix": {"img": "images"}}
    )
    metric = BDD100KMetric("mot")
    metric.dataset_meta = dataset.metainfo
    record = TrackRecord([(1, 2, 30, 40)], [0.9], [CLASSES.index("car")], [0])
    assert metric.compute_metrics([(f"a/{frame['name']}", record) for frame in content])["MOTA"] == 100


def test_the_sample_video_is_read_whole(samples: Path):
    (video,) = videos.read_videos(samples / "labels" / "box_track_20" / "val", samples, CLASSES)
    raw = json.loads(next((samples / "labels" / "box_track_20" / "val").glob("*.json")).read_text())
    assert [frame["name"] for frame in video] == [frame["name"] for frame in raw]
    assert [len(frame["instances"]) for frame in video] == [len(frame["labels"]) for frame in raw]
    numbers = {
        (frame["instances"][place]["instance_id"], entry["id"])
        for frame, known in zip(video, raw, strict=True)
        for place, entry in enumerate(known["labels"])
    }
    assert len(numbers) == len({number for number, _ in numbers}) == len({name for _, name in numbers})


def drop_frame(content: list[dict[str, Any]]) -> None:
    del content[1]


def swap_frames(content: list[dict[str, Any]]) -> None:
    content[0], content[1] = content[1], content[0]


def repeat_track(content: list[dict[str, Any]]) -> None:
    content[0]["labels"] *= 2


def forget_index(content: list[dict[str, Any]]) -> None:
    del content[0]["frameIndex"]


def name_unknown(content: list[dict[str, Any]]) -> None:
    content[0]["labels"][0]["category"] = "traffic light"


def cut_run_lengths(content: list[dict[str, Any]]) -> None:
    content[0]["labels"][0]["rle"] = {"counts": "??", "size": [720, 1280]}


def mix_sizes(content: list[dict[str, Any]]) -> None:
    content[0]["size"] = {"width": 1280, "height": 720}
    content[0]["labels"][0]["rle"] = {"counts": encode(np.zeros((360, 640), bool)).counts, "size": [360, 640]}


def remove_all(content: list[dict[str, Any]]) -> None:
    content.clear()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_frame, "missing"),
        (swap_frames, "sort"),
        (repeat_track, "twice"),
        (forget_index, "frameIndex"),
        (name_unknown, "traffic light"),
        (remove_all, "no frames"),
        (cut_run_lengths, "rle.counts covers 30 pixels"),
        (mix_sizes, "360x640 pixels .height x width., but the image has 720x1280"),
    ],
)
def test_what_is_wrong_with_a_video_is_said(labels: Path, spoil: Callable[[Any], None], message: str):
    write_video(labels, "a", [[label("1")], [label("1")], [label("1")]])
    file = labels / "a.json"
    content = json.loads(file.read_text())
    spoil(content)
    file.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=message) as caught:
        videos.read_videos(labels, Path("images"), CLASSES)
    assert str(labels) in str(caught.value)


def test_bitmasks_and_run_lengths_hold_the_same(tmp_path: Path):
    generate_videos(tmp_path / "root", {"val": 1}, frames=3, seed=1, size=(128, 72), nproc=1)
    paths = [tmp_path / "root" / path for path in TASKS["mots"].label_paths("val")]
    read = [videos.read_videos(path, Path("images"), CLASSES) for path in paths]
    contents = [
        [
            sorted((instance["bbox_label"], *instance["bbox"], instance["mask"]["counts"]) for instance in found)
            for video in each
            for found in [frame["instances"] for frame in video]
        ]
        for each in read
    ]
    assert contents[0] == contents[1]
    assert any(contents[0])


def test_single_images_are_videos_of_one_frame_without_traffic_lights(tmp_path: Path):
    file = tmp_path / "det.json"
    content = [{"name": "x.jpg", "labels": [label("0", "traffic light"), label("1"), label("2", "person")]}]
    file.write_text(json.dumps([*content, {"name": "y.jpg"}]))
    (first,), (second,) = videos.read_stills(file, Path("images"), CLASSES)
    assert [instance["instance_id"] for instance in first["instances"]] == [1, 2]
    assert [instance["bbox_label"] for instance in first["instances"]] == [2, 0]
    assert (first["video_length"], second["instances"]) == (1, [])


def test_small_boxes_are_left_out_on_demand(labels: Path):
    write_video(labels, "a", [[label("1", box=(0, 0, 5, 5)), label("2", box=(0, 0, 6, 6))]])
    ((frame,),) = videos.read_videos(labels, Path("images"), CLASSES, min_area=49)
    assert [instance["instance_id"] for instance in frame["instances"]] == [2]


# -------------------------------------------------------------------------------------------------------------- pairs


def test_partners_are_near_never_the_key_itself_and_share_a_track(labels: Path):
    frames = [[label("1")] if number != 4 else [] for number in range(12)]
    write_video(labels, "a", frames)
    write_video(labels, "b", [[label("1")], [label("1")]])
    dataset = pairs_of(labels)
    assert len(dataset) == 13  # frames without an object are no keys
    seen: dict[tuple[int, int], set[int]] = {}
    for _ in range(60):
        for index in range(len(dataset)):
            pair = dataset.prepare_data(index)
            if pair is None:  # the partner was the frame without objects
                continue
            assert pair["key_frame_flags"] == [True, False]
            assert pair["video_id"][0] == pair["video_id"][1]
            seen.setdefault((pair["video_id"][0], pair["frame_id"][0]), set()).add(pair["frame_id"][1])
    near = {
        (0, number): {other for other in range(12) if 0 < abs(other - number) <= 3 and other != 4}
        for number in range(12)
        if number != 4
    }
    assert seen == near | {(1, 0): {1}, (1, 1): {0}}


@pytest.mark.parametrize(("indices", "kept"), [(3, [0, 1, 2]), (-2, [10, 11]), ([2, 5], [2, 6])])
def test_a_part_of_the_keys_keeps_its_partners(labels: Path, indices: int | list[int], kept: list[int]):
    """mmengine's ``indices`` choose keys; frame 4 has no object and is none."""
    write_video(labels, "a", [[label("1")] if number != 4 else [] for number in range(12)])
    dataset = pairs_of(labels, indices=indices)
    assert len(dataset) == len(kept)
    drawn = [[dataset.prepare_data(index) for _ in range(30)] for index in range(len(kept))]
    for key, pairs in zip(kept, drawn, strict=True):
        places = [pair["frame_id"] for pair in pairs if pair is not None]
        assert {first for first, _ in places} == {key}
        assert {second for _, second in places} == {n for n in range(12) if 0 < abs(n - key) <= 3 and n != 4}


def test_a_pair_without_a_common_track_is_drawn_anew(labels: Path):
    write_video(labels, "a", [[label("1")], [label("2")]])
    write_video(labels, "b", [[label("1")], [label("1")]])
    dataset = pairs_of(labels)
    assert {tuple(dataset[index]["video_id"]) for index in range(4) for _ in range(10)} == {(1, 1)}
    kept = pairs_of(labels, keep_unmatched=True)
    assert {tuple(kept[index]["video_id"]) for index in range(4)} == {(0, 0), (1, 1)}


def test_ignored_objects_make_neither_a_key_nor_a_match(labels: Path):
    write_video(labels, "a", [[label("1", crowd=True)], [label("2"), label("3", ignored=True)], [label("2")]])
    dataset = pairs_of(labels)
    assert len(dataset) == 2
    assert {tuple(sorted(dataset[index]["frame_id"])) for index in (0, 1) for _ in range(10)} == {(1, 2)}


def test_single_images_are_mixed_in_and_are_their_own_partners(tmp_path: Path, labels: Path):
    write_video(labels, "a", [[label("1")], [label("1")]])
    (tmp_path / "det.json").write_text(json.dumps([{"name": "x.jpg", "labels": [label("0"), label("1")]}]))
    dataset = pairs_of(
        Path("labels"),
        data_root=str(tmp_path),
        still={"ann_file": "det.json", "data_prefix": {"img": "images/100k/train"}},
    )
    assert len(dataset) == 3
    pair = dataset[2]
    assert pair["img_path"] == [str(tmp_path / "images/100k/train/x.jpg")] * 2
    assert [instance["instance_id"] for instance in pair["instances"][0]] == [1, 2]
    assert dataset.metainfo["classes"] == CLASSES


def test_run_lengths_serve_where_bitmasks_were_not_downloaded(tmp_path: Path):
    root, task = tmp_path / "root", TASKS["mots"]
    generate_videos(root, {"val": 1}, frames=3, seed=1, size=(128, 72), nproc=1)
    bitmasks, run_lengths = (root / path for path in task.label_paths("val"))
    where = {"task": "mots", "data_root": str(root), "ann_file": task.label_path("val"), "data_prefix": {"img": "x"}}
    named = pairs_of(bitmasks, **where)
    shutil.rmtree(bitmasks)
    found = pairs_of(bitmasks, **where)
    assert Path(found.ann_file) == run_lengths
    assert len(found) == len(named) and found[0].keys() == named[0].keys()
    whole = DATASETS.build({"type": "BDD100KVideoDataset", "pipeline": [], "test_mode": True, **where})
    assert whole.metainfo["ann_file"] == str(run_lengths)
    stills = root / "labels/ins_seg/rles/ins_seg_train.json"
    stills.parent.mkdir(parents=True)
    rle = {"counts": encode(np.ones((72, 128), bool)).counts, "size": [72, 128]}
    content = [{"name": "x.jpg", "labels": [label("1") | {"rle": rle}]}]
    stills.write_text(json.dumps(content))
    still = {"ann_file": "labels/ins_seg/bitmasks/train", "data_prefix": {"img": "images/10k/train"}}
    assert len(pairs_of(bitmasks, still=still, **where)) == len(named) + 1
    del content[0]["labels"][0]["rle"]  # polygons alone
    stills.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"x\.jpg: its labels do not have masks as those before"):
        pairs_of(bitmasks, still=still, **where)
    shutil.rmtree(run_lengths)
    with pytest.raises(FileNotFoundError, match="no such labels, nor"):
        pairs_of(bitmasks, **where)


def test_bad_settings_and_labels_without_objects_are_refused(labels: Path):
    write_video(labels, "a", [[], [label("1", ignored=True)]])
    with pytest.raises(LabelError, match="no frame has an object"):
        pairs_of(labels)
    with pytest.raises(ConfigError, match="frame_range"):
        pairs_of(labels, frame_range=0)


# ----------------------------------------------------------------------------------------- whole pipelines of configs


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn videos, and their frames once more as single images."""
    folder = tmp_path_factory.mktemp("drawn") / "root"
    generate_videos(folder, {"train": 2, "val": 1}, frames=4, seed=3, size=(320, 180), nproc=1, tasks=("mot",))
    (folder / "labels" / "det_20").mkdir()
    (folder / "images" / "100k" / "train").mkdir(parents=True)
    frames = [
        frame
        for file in sorted((folder / "labels" / "box_track_20" / "train").glob("*.json"))
        for frame in json.loads(file.read_text())
    ]
    for frame in frames:
        source = folder / "images" / "track" / "train" / frame["videoName"] / frame["name"]
        (folder / "images" / "100k" / "train" / frame["name"]).write_bytes(source.read_bytes())
    (folder / "labels" / "det_20" / "det_train.json").write_text(json.dumps(frames))
    return folder


def dataset_of(path: Path, root: Path, split: str) -> Any:
    config = load_config(path)
    init_default_scope(config.default_scope)
    dataset = config[f"{split}_dataloader"].dataset
    dataset.get("dataset", dataset).data_root = str(root)
    return DATASETS.build(dataset)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_pipelines_give_pairs_of_one_size_with_tracks(path: Path, root: Path):
    dataset = dataset_of(path, root, "train")
    assert len(dataset) == 16
    for index in (0, 15):
        packed = dataset[index]
        sample = packed["data_samples"]
        assert packed["inputs"].shape[:2] == (2, 3) and packed["inputs"].dtype.is_floating_point is False
        assert (sample.key_frames_inds, sample.ref_frames_inds) == ([0], [1])
        for frame in sample.video_data_samples:
            truth = frame.gt_instances
            assert len(truth.bboxes) == len(truth.labels) == len(truth.instances_ids)
            assert truth.instances_ids.unique().numel() == len(truth)
            assert not len(truth) or int(truth.instances_ids.min()) >= 1


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_videos_are_read_frame_by_frame_for_tests(path: Path, root: Path):
    dataset = dataset_of(path, root, "val")
    assert len(dataset) == 1 and dataset.get_len_per_video(0) == 4
    for number in range(4):
        packed = dataset[(0, number)]
        (frame,) = packed["data_samples"].video_data_samples
        assert frame.frame_id == number
        assert packed["inputs"].shape[0] == 1


# ------------------------------------------------------------------------------------------------------------- mixing

SIZE = (64, 96)


def drawn_pair(seed: int, count: int) -> dict[str, Any]:
    """Two equal frames with boxes of grey that tells the track."""
    rng = np.random.default_rng(seed)
    boxes = np.array([[10 + 25 * place, 10, 30 + 25 * place, 50] for place in range(count)], np.float32).reshape(-1, 4)
    image = rng.integers(0, 20, (*SIZE, 3), dtype=np.uint8)
    for place, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        cv2.rectangle(image, (x1, y1), (x2, y2), (80 + 50 * place,) * 3, -1)
    view = {
        "img": image,
        "img_shape": SIZE,
        "gt_bboxes": HorizontalBoxes(boxes),
        "gt_bboxes_labels": rng.integers(0, 8, count),
        "gt_ignore_flags": np.arange(count) == 1,
        "gt_instances_ids": np.arange(count) + 5,
    }
    other = {name: value.clone() if name == "gt_bboxes" else value for name, value in view.items()}
    return {name: [view[name], other[name]] for name in view}


TRANSFORMS_AND_PARTNERS = [
    ({"type": "PairRandomAffine", "border": (0, 0)}, 0),
    ({"type": "PairMosaic", "img_scale": (96, 64)}, 3),
    ({"type": "PairMixUp", "img_scale": (96, 64), "ratio_range": (0.8, 1.6)}, 1),
]


@pytest.mark.parametrize(("transform", "partners"), TRANSFORMS_AND_PARTNERS)
def test_both_frames_are_mixed_alike(transform: dict[str, Any], partners: int):
    init_default_scope("mmdet")
    mixing = TRANSFORMS.build(transform)
    flags = 0
    for seed in range(12):
        pair = drawn_pair(seed, 3)
        pair["mix_results"] = [drawn_pair(100 * seed + number, 2) for number in range(partners)]
        mixed = mixing(pair)
        assert "mix_results" not in mixed
        np.testing.assert_array_equal(mixed["img"][0], mixed["img"][1])
        for name in ("gt_bboxes_labels", "gt_instances_ids", "gt_ignore_flags"):
            np.testing.assert_array_equal(mixed[name][0], mixed[name][1])
            assert len(mixed[name][0]) == len(mixed["gt_bboxes"][0])
        assert (mixed["gt_bboxes"][0].tensor == mixed["gt_bboxes"][1].tensor).all()
        ids = mixed["gt_instances_ids"][0].tolist()
        assert len(set(ids)) == len(ids) and all(1 <= number <= 3 + 2 * partners for number in ids)
        flags += int(mixed["gt_ignore_flags"][0].sum())
    assert flags > 0


def test_labels_and_tracks_stay_with_their_boxes():
    init_default_scope("mmdet")
    mixing = TRANSFORMS.build({"type": "PairMosaic", "img_scale": (96, 64), "center_ratio_range": (1.0, 1.0)})
    pair = drawn_pair(0, 3)
    # in the partner frame the first object is gone
    for name in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags", "gt_instances_ids"):
        pair[name][1] = pair[name][1][1:]
    labels = pair["gt_bboxes_labels"][0].tolist()
    pair["mix_results"] = [drawn_pair(number, 2) for number in (1, 2, 3)]
    others = [value for each in pair["mix_results"] for value in each["gt_bboxes_labels"][0].tolist()]
    mixed = mixing(pair)
    assert mixed["gt_instances_ids"][0].tolist() == list(range(1, 10))
    assert mixed["gt_instances_ids"][1].tolist() == list(range(2, 10))
    assert mixed["gt_bboxes_labels"][0].tolist() == labels + others
    assert mixed["gt_bboxes_labels"][1].tolist() == labels[1:] + others
    # with its centre in the middle a mosaic shows each picture whole, the first where it was
    np.testing.assert_array_equal(mixed["gt_bboxes"][0].tensor[:3].numpy()[:, 0], [10, 35, 60])


def test_a_partner_without_objects_is_not_mixed_up():
    init_default_scope("mmdet")
    mixing = TRANSFORMS.build({"type": "PairMixUp", "img_scale": (96, 64)})
    pair = drawn_pair(0, 3)
    before = pair["img"][0].copy()
    pair["mix_results"] = [drawn_pair(1, 0)]
    np.testing.assert_array_equal(mixing(pair)["img"][0], before)


def test_mixing_ends_some_epochs_before_the_end(root: Path):
    dataset = dataset_of(CONFIGS / "qdtrack-frcnn_r50_fpn_augs_1x_mot_bdd100k.py", root, "train")
    hook = pair_mixing.PairModeSwitchHook(num_last_epochs=3)
    assert set(hook.skipped) < set(dataset.pipeline_types)
    dataset.update_skip_type_keys(hook.skipped)
    assert dataset[0]["inputs"].shape == (2, 3, 720, 1280)
