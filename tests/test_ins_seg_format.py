"""Instances become bitmasks, scores, boxes and run lengths as the original and the official tool have them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from bdd100k_models.errors import ConfigError, InputError, LabelError, OutputError
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import read_bitmask
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.instances import InstanceFormat, InstanceRecord
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.tasks import TASKS
from drawing_support import draw_record
from official_tool import assert_same, official_frames, quiet

TASK = TASKS["ins_seg"]
EVERYTHING = InstanceFormat(TASK, ["bitmasks", "boxes", "json"])


def sample(masks: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return a prediction as the engine hands it over."""
    boxes = np.add(np.arange(4 * len(masks)).reshape(-1, 4), [0, 0, 9, 9])
    columns = {"bboxes": boxes.astype(np.float32), "scores": scores, "labels": labels, "masks": masks}
    instances = {key: torch.as_tensor(value) for key, value in columns.items()}
    return {"pred_instances": instances, "ori_shape": masks.shape[1:]}


def random_sample(seed: int, count: int, size: tuple[int, int] = (40, 60)) -> dict[str, Any]:
    """Return overlapping rectangles and ellipses."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *size), np.uint8)
    for mask in masks:
        centre, axes = rng.integers(0, size[::-1]).tolist(), rng.integers(1, 12, 2).tolist()
        cv2.ellipse(mask, centre, axes, float(rng.integers(180)), 0, 360, 1, cv2.FILLED)
    scores = rng.permutation(count).astype(np.float32) / max(count, 1)
    return sample(masks.astype(bool), scores, rng.integers(0, 8, count))


def merged_like_the_original(found: dict[str, Any]) -> np.ndarray:
    """Paint instance after instance, each colour over what is there, in order of the scores."""
    instances = {key: value.numpy() for key, value in found["pred_instances"].items()}
    order = [row for label in range(8) for row in np.flatnonzero(instances["labels"] == label)]
    canvas = np.zeros((*found["ori_shape"], 4), np.int64)
    for place in sorted(range(len(order)), key=lambda place: instances["scores"][order[place]]):
        row, number = order[place], place + 1
        colour = [instances["labels"][row] + 1, 0, number >> 8, number & 255]
        mask = instances["masks"][row][..., None]
        canvas = canvas * (1 - mask) + mask * colour
    return canvas


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 30))
def test_a_bitmask_is_painted_as_the_original_does(tmp_path_factory: pytest.TempPathFactory, seed: int, count: int):
    found, folder = random_sample(seed, count), tmp_path_factory.mktemp("out")
    EVERYTHING.save_image("a.jpg", EVERYTHING.encode([found]), folder)
    pixels = np.array(Image.open(folder / "bitmasks/a.png"))
    assert pixels.dtype == np.uint8 and (pixels == merged_like_the_original(found)).all()


def test_ids_above_255_survive(tmp_path: Path):
    count = 700
    masks = np.eye(count, dtype=bool).reshape(count, 20, 35)
    labels = np.arange(count) % 8
    record = EVERYTHING.encode([sample(masks, np.linspace(0, 1, count, dtype=np.float32), labels)])
    EVERYTHING.save_image("a.jpg", record, tmp_path)
    bitmask = read_bitmask(tmp_path / "bitmasks/a.png")
    assert sorted(bitmask.ids.ravel().tolist()) == list(range(1, count + 1))
    assert bitmask.category.ravel()[bitmask.ids.ravel().argsort()].tolist() == [n + 1 for n in sorted(labels)]
    with quiet():
        from bdd100k.common.bitmask import parse_bitmask

        _, ids, attributes, categories = parse_bitmask(np.array(Image.open(tmp_path / "bitmasks/a.png")))
    assert ids.tolist() == list(range(1, count + 1)) and not attributes.any()
    assert categories.tolist() == [index + 1 for index in record.classes]


def write(tmp_path: Path, samples: dict[str, dict[str, Any]], outputs: list[str] | None = None) -> dict[str, Any]:
    form = InstanceFormat(TASK, outputs)
    records = {name: form.encode([found]) for name, found in samples.items()}
    for name, record in records.items():
        form.save_image(name, record, tmp_path)
    form.write(iter(records.items()), tmp_path)
    return records


def test_the_files_are_those_of_the_original(tmp_path: Path):
    samples = {"a.jpg": random_sample(1, 5), "none.jpg": random_sample(2, 0), "b.jpg": random_sample(3, 4)}
    records = write(tmp_path, samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bitmasks", "det.json", "score.json"]
    assert sorted(path.name for path in (tmp_path / "bitmasks").iterdir()) == ["a.png", "b.png", "none.png"]
    assert not np.array(Image.open(tmp_path / "bitmasks/none.png")).any()
    scores = json.loads((tmp_path / "score.json").read_text())
    assert isinstance(scores, list) and [frame["name"] for frame in scores] == list(samples)
    assert [[label["index"] for label in frame["labels"]] for frame in scores] == [[1, 2, 3, 4, 5], [], [1, 2, 3, 4]]
    assert [label["id"] for frame in scores for label in frame["labels"]] == [str(n) for n in range(1, 10)]
    boxes = load_frames(tmp_path / "det.json")
    for frame, frame_scores in zip(boxes, scores, strict=True):
        assert [label.score for label in frame.labels or ()] == [label["score"] for label in frame_scores["labels"]]
        names = [TASK.categories[index] for index in records[frame.name].classes]
        assert [label.category for label in frame.labels or ()] == names


def test_run_lengths_hold_what_the_bitmask_shows(tmp_path: Path):
    samples = {"a.jpg": random_sample(4, 30), "b.jpg": random_sample(5, 1)}
    write(tmp_path, samples, ["bitmasks", "json"])
    assert not (tmp_path / "det.json").exists()
    hidden = 0
    for frame in load_frames(tmp_path / "ins_seg.json"):
        bitmask = read_bitmask(tmp_path / "bitmasks" / frame.name.replace("jpg", "png"))
        seen = np.zeros_like(bitmask.ids)
        for label in frame.labels or ():
            assert label.rle is not None
            mask = coco_mask.decode({"counts": label.rle.counts, "size": list(label.rle.size)}).astype(bool)
            assert not seen[mask].any() and mask.any()
            seen[mask] = int(label.id)
            assert set(bitmask.category[mask]) == {TASK.category_ids[str(label.category)]}
        assert (seen == bitmask.ids).all()
        hidden += len(samples[frame.name]["pred_instances"]["scores"]) - len(frame.labels or ())
    assert hidden > 0  # else nothing was tested of instances that others cover


def test_the_pickle_is_that_of_mmdet_2(tmp_path: Path):
    found = random_sample(6, 6)
    record = EVERYTHING.encode([found])
    EVERYTHING.write_pickle([("a.jpg", record)], tmp_path / "raw.pkl")
    ((boxes, masks),) = pickle.loads((tmp_path / "raw.pkl").read_bytes())
    assert [len(rows) for rows in boxes] == [len(rows) for rows in masks]
    assert len(boxes) == 8 and sum(map(len, masks)) == 6
    assert all(coco_mask.decode(mask).shape == (40, 60) for rows in masks for mask in rows)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool])
def test_an_image_without_instances_keeps_its_size(dtype: torch.dtype):
    found = random_sample(0, 0)
    found["pred_instances"]["masks"] = torch.zeros((0, 40, 60), dtype=dtype)
    assert EVERYTHING.encode([found]) == EVERYTHING.empty((40, 60))


def test_a_model_without_masks_is_refused():
    found = random_sample(0, 2)
    del found["pred_instances"]["masks"]
    with pytest.raises(ConfigError, match="mask_head"):
        EVERYTHING.encode([found])


def test_only_known_outputs_are_written(tmp_path: Path):
    with pytest.raises(InputError, match="bitmasks, boxes, json"):
        get_format(TASK, ["masks"])
    (tmp_path / "bitmasks").touch()
    with pytest.raises(OutputError, match="bitmasks"):
        EVERYTHING.save_image("a.jpg", EVERYTHING.encode([random_sample(0, 2)]), tmp_path)


@pytest.mark.parametrize(("truth", "output"), [("rles/a.json", "json"), ("bitmasks/val", "bitmasks")])
def test_the_output_is_compared_with_labels_of_its_form(tmp_path: Path, truth: str, output: str):
    path = tmp_path / truth
    (path.parent if path.suffix else path).mkdir(parents=True)
    if path.suffix:
        path.touch()
    assert EVERYTHING.output_for(path) == output


# --------------------------------------------------------------------------------------------- the official tool


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of some images in both forms below ``truth``, and imperfect predictions of them below ``found``."""
    root = tmp_path_factory.mktemp("scored")
    rng = np.random.default_rng(0)
    truths, founds = {}, {}
    for index in range(4):
        truth = random_sample(index, 12, (720, 1280))
        masks = truth["pred_instances"]["masks"].numpy().astype(np.uint8)
        masks = np.stack([cv2.dilate(mask, np.ones((61, 61), np.uint8)) for mask in masks]).astype(bool)
        truth["pred_instances"]["masks"] = torch.from_numpy(masks)
        moved = np.roll(masks, rng.integers(-12, 12), axis=2)
        scores = np.r_[rng.random(11), 0.0].astype(np.float32)
        labels = truth["pred_instances"]["labels"].numpy()
        truths[f"{index}.jpg"] = truth
        founds[f"{index}.jpg"] = sample(moved, scores, labels) if index else random_sample(0, 0, (720, 1280))
    write(root / "truth", truths, ["bitmasks", "json"])
    write(root / "found", founds, ["bitmasks", "json"])
    return root


def test_the_official_tool_agrees_on_bitmasks(scored: Path):
    with quiet():
        from bdd100k.common.utils import list_files, load_bdd100k_config
        from bdd100k.eval.run import run_bitmask

        lists = [list_files(str(scored / part / "bitmasks"), ".png", with_prefix=True) for part in ("truth", "found")]
        score_file = str(scored / "found/score.json")
        official = run_bitmask(load_bdd100k_config("ins_seg"), "ins_seg", *lists, score_file, nproc=1, quiet=True)
    options = Options(score_file=scored / "found/score.json")
    ours = evaluate("ins_seg", scored / "truth/bitmasks", scored / "found/bitmasks", options)
    assert 20 < ours.score("AP") < 95
    assert_same(ours, official)


def test_the_official_tool_agrees_on_run_lengths(scored: Path):
    files = [scored / part / "ins_seg.json" for part in ("truth", "found")]
    ours = evaluate("ins_seg", *files)
    assert 20 < ours.score("AP") < 95 and not ours.notes
    assert_same(ours, official_frames("ins_seg", *files))


# ---------------------------------------------------------------------------------------------------- drawing


def test_instances_are_drawn_from_the_threshold_on():
    record: InstanceRecord = EVERYTHING.encode([random_sample(7, 3, (360, 640))])
    plain = np.full((360, 640, 3), 90, np.uint8)
    pictures = [plain.copy() for _ in range(3)]
    for picture, threshold in zip(pictures, (0.0, 0.5, 1.1), strict=True):
        draw_record(record, picture, TASK, threshold)
    changed = [int((picture != plain).any(axis=2).sum()) for picture in pictures]
    assert changed[0] > changed[1] > changed[2] == 0


# ---------------------------------------------------------------------------------------------- masks into maps


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 12), apart=st.booleans())
def test_masks_become_maps_whether_they_overlap_or_not(seed: int, count: int, apart: bool):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    owner = rng.integers(0, count + 1, size)
    masks = [owner == place + 1 if apart else rng.random(size) < 0.4 for place in range(count)]
    values = rng.permutation(250)[:count].tolist()
    classes, ids = np.full(size, 255), np.zeros(size, np.int64)
    for value, mask in zip(values, masks, strict=True):
        classes[mask], ids[mask] = value, value + 60000
    coded = [rle.encode(mask) for mask in masks]
    painted = rle.decode_labels(zip(values, coded, strict=True), size, 255, "a")
    assert painted.dtype == np.uint8 and (painted == classes).all()
    numbered = rle.decode_ids(((value + 60000, mask) for value, mask in zip(values, coded, strict=True)), size, "a")
    assert numbered.dtype == np.int32 and (numbered == ids).all()
    if coded:
        with pytest.raises(LabelError, match=r"b: rle\.size is"):
            rle.decode_ids([(1, coded[0])], (size[0] + 1, size[1]), "b")
