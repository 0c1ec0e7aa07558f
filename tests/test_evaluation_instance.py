"""Instance segmentation scores against the official tool, for bitmasks and for run-length masks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.evaluation.instance import InstanceEvaluator, compare_bitmasks
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.formats.bitmask import read_bitmask
from bdd100k_models.tasks import TASKS
from conftest import needs_samples
from evaluation_support import (
    SAMPLES,
    TOOLKIT,
    Frames,
    disturb,
    draw_rectangles,
    rle_of,
    same_as_official,
    write_bitmask_file,
    write_json,
)

NAMES = TASKS["ins_seg"].categories
SIZES = st.sampled_from([(6, 9), (40, 50), (110, 130)])
RANDOM = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32 - 1)


def draw_bitmasks(folder: Path, seed: int, size: tuple[int, int], images: int) -> Options:
    """Write ``gt``, ``pred`` and ``score.json``; few categories and scores, so that equal ones are common."""
    rng = np.random.default_rng(seed)
    listed: Frames = []
    for image in range(images):
        ids = draw_rectangles(rng, size, int(rng.integers(0, 7)))
        kinds = rng.integers(1, 4, 100)
        flags = rng.choice([0, 0, 0, 1, 2, 3, 4, 14], 100)
        name = f"{'ab-'[image % 3]}{image}"
        write_bitmask_file(folder / "gt" / f"{name}.png", kinds[ids] * (ids > 0), ids * 37, flags[ids] * (ids > 0))
        found = disturb(rng, ids, 1 + size[0] // 20)
        guesses = np.where(rng.random(100) < 0.2, rng.integers(0, 10, 100), kinds)
        write_bitmask_file(folder / "pred" / f"{name}.png", guesses[found] * (found > 0), found * 300, found * 0)
        labels = [
            {"id": str(index), "index": int(index) * 300, "score": float(rng.choice([0.1, 0.5, 0.5, 0.9]))}
            for index in rng.permutation(np.arange(1, found.max() + 3))
            if rng.random() < 0.9
        ]
        listed.append({"name": f"{name}.jpg", "labels": labels or None})
    return Options(processes=1, score_file=write_json(folder / "score.json", listed))


@given(SEEDS, SIZES, st.integers(1, 3))
@RANDOM
def test_any_bitmasks_give_the_official_scores(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int], images: int
):
    folder = tmp_path_factory.mktemp("bitmasks")
    options = draw_bitmasks(folder, seed, size, images)
    same_as_official("ins_seg", folder / "gt", folder / "pred", options)


def draw_frames(seed: int, size: tuple[int, int], images: int, overlapping: float) -> tuple[Frames, Frames]:
    """Return labels, which may overlap, and predictions, which do so in a share of the frames."""
    rng = np.random.default_rng(seed)
    truth: Frames = []
    result: Frames = []
    for image in range(images):
        name = f"{rng.integers(1 << 30):x}-{image}.jpg"
        labels = [_region(rng, size, index) for index in range(rng.integers(0, 6))]
        for label in labels:
            label["attributes"] = {flag: bool(rng.random() < 0.2) for flag in ("crowd", "ignored")}
        merged = draw_rectangles(rng, size, 0)
        for index, label in enumerate(labels, 1):
            merged[label.pop("mask")] = index
        found = disturb(rng, merged, 1 + size[0] // 20)
        predictions = [
            {
                "id": str(index),
                "category": labels[index - 1]["category"] if index <= len(labels) else str(rng.choice(NAMES[:3])),
                "score": float(rng.choice([0.1, 0.5, 0.5, 0.9])),
                "rle": rle_of(found == index),
            }
            for index in range(1, found.max() + 1)
        ]
        if rng.random() < overlapping:
            extra = _region(rng, size, 99)
            extra.pop("mask")
            predictions.append({**extra, "score": 0.7})
        truth.append({"name": name, "labels": labels if labels or rng.random() < 0.5 else None})
        if rng.random() < 0.9:
            result.append({"name": name, "labels": predictions})
    rng.shuffle(result)
    return truth, result


def _region(rng: np.random.Generator, size: tuple[int, int], index: int) -> dict[str, Any]:
    mask = draw_rectangles(rng, size, 1) > 0
    names = ["car", "car", "car", "van", "bus", "other vehicle", "person"]
    return {"id": str(index), "category": str(rng.choice(names)), "rle": rle_of(mask), "mask": mask}


@given(SEEDS, SIZES, st.integers(1, 3), st.sampled_from([0.0, 0.5]))
@RANDOM
def test_any_run_length_masks_give_the_official_scores(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int], images: int, overlapping: float
):
    folder = tmp_path_factory.mktemp("frames")
    truth, result = draw_frames(seed, size, images, overlapping)
    if not result:
        return
    same_as_official("ins_seg", write_json(folder / "gt.json", truth), write_json(folder / "pred.json", result))


@needs_samples(TOOLKIT)
def test_the_toolkits_own_sample():
    folder = TOOLKIT / "ins_seg"
    options = Options(processes=1, score_file=folder / "pred.json")
    result = same_as_official("ins_seg", folder / "gt", folder / "pred", options)
    assert result.score("AP") == pytest.approx(68.60561056)


@needs_samples(SAMPLES)
def test_labels_of_the_data_set_as_predictions(tmp_path: Path):
    truth = SAMPLES / "labels" / "ins_seg" / "rles" / "ins_seg_val.json"
    content = json.loads(truth.read_text())
    frames = content if isinstance(content, list) else content["frames"]
    for frame in frames:
        for index, label in enumerate(frame["labels"]):
            label["score"] = 1 / (index + 1)
        frame["labels"] = frame["labels"][: len(frame["labels"]) // 2 + 1]
    result = same_as_official("ins_seg", truth, write_json(tmp_path / "pred.json", frames))
    assert 0 < result.score("AP") < 100


def test_polygons_of_the_ground_truth_are_drawn_as_officially(tmp_path: Path):
    square = {"vertices": [[100.5, 100], [300, 110.3], [280, 250.5], [90, 240]], "types": "LLLL", "closed": True}
    curve = {"vertices": [[500, 500], [600, 400], [700, 600], [800, 500]], "types": "LCCC", "closed": True}
    labels = [{"id": str(i), "category": "car", "poly2d": [poly]} for i, poly in enumerate((square, curve))]
    mask = np.zeros((720, 1280), bool)
    mask[100:240, 100:290] = True
    found = [{"id": "1", "category": "car", "score": 0.5, "rle": rle_of(mask)}]
    truth = write_json(tmp_path / "gt.json", [{"name": "a", "labels": labels}])
    result = same_as_official("ins_seg", truth, write_json(tmp_path / "pred.json", [{"name": "a", "labels": found}]))
    assert result.score("AP50", "car") == pytest.approx(50.495, abs=1e-3)


def one_image(folder: Path, instances: int = 2) -> Options:
    """Write an image whose prediction is its ground truth: stripes of cars, background on the left."""
    ids = np.zeros((8, 4 * instances + 4), np.int64)
    for index in range(instances):
        ids[:, 4 * index + 4 : 4 * index + 7] = index + 1
    for side in ("gt", "pred"):
        write_bitmask_file(folder / side / "a.png", (ids > 0) * 3, ids, ids * 0)
    labels = [{"index": index + 1, "score": 0.5} for index in range(instances)]
    return Options(processes=1, score_file=write_json(folder / "score.json", [{"name": "a.jpg", "labels": labels}]))


def score(folder: Path, options: Options, metric: str = "AP") -> float:
    return evaluate("ins_seg", folder / "gt", folder / "pred", options).score(metric, "car")


@pytest.mark.parametrize("flags", [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 0), (0, 2)])
def test_a_detection_over_two_halves_takes_the_first(tmp_path: Path, flags: tuple[int, int]):
    """Each half overlaps it by exactly one half: the only tie there is, and where ignored regions do not come last."""
    ids = np.zeros((4, 10), np.int64)
    ids[:, 1:4], ids[:, 4:7] = 1, 2
    write_bitmask_file(tmp_path / "gt" / "a.png", (ids > 0) * 3, ids, np.array([0, *flags])[ids])
    write_bitmask_file(tmp_path / "pred" / "a.png", (ids > 0) * 3, ids > 0, ids * 0)
    scores = write_json(tmp_path / "score.json", [{"name": "a.jpg", "labels": [{"index": 1, "score": 0.5}]}])
    same_as_official("ins_seg", tmp_path / "gt", tmp_path / "pred", Options(processes=1, score_file=scores))


def test_more_than_a_hundred_objects(tmp_path: Path):
    """The official tool stops with an IndexError; a hundred detections an image and category count."""
    assert score(tmp_path, one_image(tmp_path, 130), "AR100") == pytest.approx(100 * 100 / 130)


def test_objects_that_leave_no_background(tmp_path: Path):
    """The official tool stops with an IndexError."""
    options = one_image(tmp_path)
    full = np.ones((8, 8), np.int64)
    for side in ("gt", "pred"):
        write_bitmask_file(tmp_path / side / "a.png", full * 3, full, full * 0)
    assert score(tmp_path, options) == pytest.approx(100)


def test_missing_masks_count_as_images_with_none_found(tmp_path: Path):
    options = one_image(tmp_path)
    (tmp_path / "gt" / "b.png").write_bytes((tmp_path / "gt" / "a.png").read_bytes())
    result = evaluate("ins_seg", tmp_path / "gt", tmp_path / "pred", options)
    assert result.score("AR100", "car") == 50
    assert any("1 of 2 images have no predictions" in note for note in result.notes)


def test_a_score_file_may_be_an_object_with_frames(tmp_path: Path):
    options = one_image(tmp_path)
    assert options.score_file is not None
    frames = json.loads(options.score_file.read_text())
    write_json(options.score_file, {"frames": frames})
    assert score(tmp_path, options) == pytest.approx(100)


def test_instances_without_a_score_or_category_are_left_out_and_said_so(tmp_path: Path):
    options = one_image(tmp_path, 3)
    assert options.score_file is not None
    labels = [{"index": index, "score": 0.5} for index in (1, 2)]
    write_json(options.score_file, [{"name": "a.jpg", "labels": labels}])
    ids = np.asarray(read_bitmask(tmp_path / "pred" / "a.png").ids).astype(np.int64)
    kinds = np.array([0, 3, 200, 3])[ids]
    write_bitmask_file(tmp_path / "pred" / "a.png", kinds, ids, ids * 0)
    notes = evaluate("ins_seg", tmp_path / "gt", tmp_path / "pred", options).notes
    assert any(note.startswith("1 predicted instances have no score") for note in notes)
    assert any(note.startswith("1 predicted instances are of no evaluated category") for note in notes)


def test_overlapping_masks_keep_the_official_score_beside_the_strict_one(tmp_path: Path):
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = True
    label = {"id": "1", "category": "car", "rle": rle_of(mask)}
    shifted = {"id": "2", "category": "car", "score": 0.1, "rle": rle_of(np.roll(mask, 9, axis=1))}
    truth = write_json(tmp_path / "gt.json", [{"name": "a", "labels": [label]}])
    found = [{"name": "a", "labels": [{**label, "score": 0.9}, shifted]}]
    result = same_as_official("ins_seg", truth, write_json(tmp_path / "pred.json", found))
    assert result.score("AP") == 0
    assert any("AP 0.00" in note and "it is 100.00" in note for note in result.notes)


def test_processes_do_not_change_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bdd100k_models.evaluation.masks._WORTH_A_POOL", 1)
    options = draw_bitmasks(tmp_path, 5, (40, 50), 12)
    several = Options(processes=2, score_file=options.score_file)
    first, second = (evaluate("ins_seg", tmp_path / "gt", tmp_path / "pred", each) for each in (options, several))
    assert first.to_json() == second.to_json()


def test_an_evaluator_takes_arrays_in_any_order(tmp_path: Path):
    options = draw_bitmasks(tmp_path, 7, (40, 50), 3)
    expected = evaluate("ins_seg", tmp_path / "gt", tmp_path / "pred", options)
    assert options.score_file is not None
    scores = {
        frame["name"][:-4]: [(label["index"], label["score"]) for label in frame["labels"] or ()]
        for frame in json.loads(options.score_file.read_text())
    }
    evaluator = InstanceEvaluator()
    assert math.isnan(evaluator.evaluate().score("AP"))
    for name in sorted(scores, reverse=True):
        masks = [read_bitmask(tmp_path / side / f"{name}.png") for side in ("gt", "pred")]
        evaluator.process(f"{name}.png", compare_bitmasks(masks[0], masks[1], scores[name], ("gt", "pred"), len(NAMES)))
    assert evaluator.evaluate().to_json() == expected.to_json()
    with pytest.raises(LabelError, match="before"):
        evaluator.process(f"{name}.png", compare_bitmasks(masks[0], None, (), ("gt", "pred"), len(NAMES)))
    evaluator.reset()
    assert math.isnan(evaluator.evaluate().score("AP"))


BAD_SCORES = [
    ('[{"name": "b.jpg", "labels": []}]', ["no frame for the mask", "a.png"]),
    ('[{"name": "a.jpg"}, {"name": "a.jpg"}]', ["a appears twice"]),
    ('[{"name": "a.jpg", "labels": [{"index": 1, "score": NaN}]}]', ["a.jpg", "score is NaN"]),
    ('[{"name": "a.jpg", "labels": [{"index": 1}]}]', ["a.jpg", "score"]),
    ('[{"name": "a.jpg", "labels": [{"index": 0, "score": 1}]}]', ["a.jpg", "index is 0"]),
    (
        '[{"name": "a.jpg", "labels": [{"index": 1, "score": 1}, {"index": 1, "score": 2}]}]',
        ["instance 1", "two scores"],
    ),
    ('[{"name": "a.jpg", "labels": [{"index": 1', ["cut off"]),
    ("", ["empty"]),
]


@pytest.mark.parametrize(("text", "words"), BAD_SCORES)
def test_bad_score_files_are_named(tmp_path: Path, text: str, words: list[str]):
    options = one_image(tmp_path)
    assert options.score_file is not None
    options.score_file.write_text(text)
    refused(tmp_path, options, words)


def refused(folder: Path, options: Options, words: list[str], kind: type[Exception] = LabelError) -> None:
    with pytest.raises(kind) as error:
        evaluate("ins_seg", folder / "gt", folder / "pred", options)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_bad_masks_are_named(tmp_path: Path):
    options = one_image(tmp_path)
    refused(tmp_path, Options(), ["--score-file"], InputError)
    path = tmp_path / "pred" / "a.png"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, options, [str(path), "not a whole PNG"])
    ids = np.ones((3, 3), np.int64)
    write_bitmask_file(path, ids, ids, ids)
    refused(tmp_path, options, [str(path), "3x3", "8x12"])
    ids = np.ones((8, 12), np.int64)
    write_bitmask_file(path, np.arange(96).reshape(8, 12) % 3, ids, ids)
    refused(tmp_path, options, [str(path), "instance 1", "categories"])
    path.write_bytes(whole)
    write_json(tmp_path / "pred" / "score.json", [])
    refused(tmp_path, options, ["score.json", "a.png"])
    (tmp_path / "pred" / "score.json").unlink()
    path.rename(tmp_path / "pred" / "z.png")
    refused(tmp_path, options, ["another split"])
    (tmp_path / "pred" / "z.png").unlink()
    refused(tmp_path, options, ["empty folder"], MissingFileError)


def bad_label(**changes: Any) -> str:
    label = {"id": 1, "category": "car", "score": 0.5, "rle": rle_of(np.ones((4, 6), bool)), **changes}
    return json.dumps([{"name": "a", "labels": [{key: value for key, value in label.items() if value is not None}]}])


BAD_FRAMES = [
    (bad_label(rle=rle_of(np.ones((6, 4), bool))), ["frame a", "6x4", "4x6"]),
    (bad_label(rle={"counts": "zzz!", "size": [4, 6]}), ["frame a, label 0", "rle.counts"]),
    (bad_label(score=None), ["frame a, label 0", "score is missing"]),
    (bad_label(category="carr"), ["frame a, label 0", "did you mean car"]),
    (bad_label(rle=None, poly2d=[{"vertices": [[0, 0]], "types": "L"}]), ["frame a, label 0", "poly2d"]),
    (bad_label(score=float("nan")), ["frame a", "score is NaN"]),
    (bad_label().replace('"a"', '"b"'), ["another split"]),
    (bad_label()[:-2], ["cut off"]),
    ('[{"name": "a"}, {"name": "a"}]', ["a appears twice"]),
    ('{"images": [], "annotations": [], "categories": []}', ["COCO JSON"]),
    ('[{"image_id": 1, "category_id": 1, "score": 1, "segmentation": {}}]', ["COCO JSON"]),
]


@pytest.mark.parametrize(("text", "words"), BAD_FRAMES)
def test_bad_run_length_results_are_named(tmp_path: Path, text: str, words: list[str]):
    truth, result = tmp_path / "gt.json", tmp_path / "pred.json"
    truth.write_text(bad_label(score=None))
    result.write_text(text)
    with pytest.raises(LabelError) as error:
        evaluate("ins_seg", truth, result)
    assert "\n" not in str(error.value)
    for word in [str(result), *words]:
        assert word in str(error.value)
