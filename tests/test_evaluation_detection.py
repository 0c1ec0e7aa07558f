"""Detection scores against the official tool, run in the same process on the same frames."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation import detection
from bdd100k_models.evaluation.config import EvalConfig, load_config
from bdd100k_models.evaluation.detection import DetectionEvaluator, evaluate_detection
from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.formats.arrays import BoxTable, load_boxes, table_from_frames
from bdd100k_models.formats.scalabel import Frame, Label
from bdd100k_models.tasks import TASKS
from conftest import SHARED, needs_samples
from official_tool import assert_same

LABELS = SHARED / "samples" / "bdd100k" / "labels" / "det_20" / "det_val.json"
REFERENCES = sorted((SHARED / "reference" / "det").glob("*/det.json"))
CATEGORIES = TASKS["det"].categories

Frames = list[dict[str, Any]]


def official(truth: Frames, predictions: Frames, config: Path | None = None) -> Any:
    """Return the official tool's result object."""
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        from bdd100k.common.utils import load_bdd100k_config
        from bdd100k.label.to_scalabel import bdd100k_to_scalabel
        from scalabel.eval.detect import evaluate_det
        from scalabel.label.typing import Frame

        rules = load_bdd100k_config(str(config) if config else "det")
        frames = [
            bdd100k_to_scalabel([Frame(**copy.deepcopy(f)) for f in part], rules) for part in (truth, predictions)
        ]
        return evaluate_det(*frames, rules.scalabel, nproc=1)


def ours(folder: Path, truth: Frames, predictions: Frames, config: EvalConfig | None = None) -> Result:
    return evaluate_detection(_load(folder, truth), _load(folder, predictions), config=config)


def _load(folder: Path, frames: Frames) -> BoxTable:
    path = folder / "frames.json"
    path.write_text(json.dumps(frames))
    return load_boxes(path)


def box(x1: float, y1: float, x2: float, y2: float) -> dict[str, float]:
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


def random_frames(
    seed: int, images: int, boxes: int, categories: tuple[str, ...] = CATEGORIES
) -> tuple[Frames, Frames]:
    """Return labels and noisy predictions of them, many of equal score."""
    rng = np.random.default_rng(seed)
    truth: Frames = []
    predictions: Frames = []
    for image in range(images):
        corner = rng.uniform(0, [1200, 650], (boxes, 2))
        size = np.exp(rng.normal(3.5, 1.2, (boxes, 2)))
        names = rng.choice(categories, boxes)
        flags = rng.random((boxes, 2)) < 0.1
        moved = corner + rng.normal(0, 0.1, (boxes, 2)) * size
        scores = rng.random(boxes).round(2)
        guesses = np.where(rng.random(boxes) < 0.2, rng.choice(categories, boxes), names)
        name = f"{rng.integers(1 << 40):x}-{image}.jpg"
        labels = [
            {
                "id": index,
                "category": str(names[index]),
                "attributes": {"crowd": bool(flags[index, 0]), "ignored": bool(flags[index, 1]), "occluded": True},
                "box2d": box(*corner[index].tolist(), *(corner[index] + size[index]).tolist()),
            }
            for index in range(boxes)
        ]
        found = [
            {
                "id": str(index),
                "category": str(guesses[index]),
                "score": float(scores[index]),
                "box2d": box(*moved[index].tolist(), *(moved[index] + size[index]).tolist()),
            }
            for index in range(boxes)
        ]
        truth.append({"name": name, "labels": labels})
        predictions.append({"name": name, "labels": found})
    return truth, predictions


# few values, so that equal scores, equal overlaps and overlaps exactly at a threshold are common
_COORDINATE = st.one_of(st.sampled_from([0.0, 9.0, 19.0, 31.0, 32.0, 95.0, 96.0, 400.0]), st.floats(0, 1279, width=32))
_SIZE = st.one_of(st.sampled_from([-1.0, 0.0, 4.0, 9.0, 19.0, 31.0, 32.0, 95.0, 500.0, 1e6]), st.floats(0, 300))
_NAMES = st.sampled_from(["car", "car", "car", "van", "bus", "motor", "bike", "person", "other vehicle", "trailer"])
_FLAG = st.sampled_from([True, False, 0, 1, "false", "True", "no", "x", "", 0.0, 2])


@st.composite
def _box(draw: st.DrawFn) -> dict[str, float]:
    x, y = draw(_COORDINATE), draw(_COORDINATE)
    return box(x, y, x + draw(_SIZE), y + draw(_SIZE))


@st.composite
def _label(draw: st.DrawFn, scored: bool) -> dict[str, Any]:
    label: dict[str, Any] = {"id": draw(st.sampled_from(["1", "x", 3])), "category": draw(_NAMES)}
    if draw(st.integers(0, 9)):
        label["box2d"] = draw(_box())
    if scored:
        label["score"] = draw(st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.9, 1, 3.5, -2.0]))
    if draw(st.booleans()):
        label["attributes"] = draw(st.dictionaries(st.sampled_from(["crowd", "ignored", "occluded"]), _FLAG))
    return label


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Frames, Frames]:
    names = draw(st.lists(st.sampled_from(["b", "a", "10", "9", "é", "Z"]), min_size=1, unique=True))
    labels = {name: draw(st.none() | st.lists(_label(False), max_size=6)) for name in names}
    truth = [{"name": name, "labels": labels[name]} for name in names]
    predictions: Frames = []
    for name in draw(st.permutations(names)):
        if not draw(st.integers(0, 4)):
            continue
        found = draw(st.lists(_label(True), max_size=6))
        # some predictions repeat a label's box exactly
        for label in labels[name] or ():
            if "box2d" in label and draw(st.booleans()):
                found.append({"id": "c", "category": label["category"], "score": 0.5, "box2d": label["box2d"]})
        predictions.append({"name": name, "labels": found})
    if predictions and draw(st.booleans()):
        predictions.append({"name": "elsewhere", "labels": draw(st.lists(_label(True), max_size=2))})
    return truth, predictions


_SAME_BOX = {"id": "1", "category": "car", "box2d": box(0, 0, 9, 9)}
_CROWD = {**_SAME_BOX, "attributes": {"crowd": True}}


@given(_cases())
@example(([{"name": "a", "labels": [_CROWD]}], [{"name": "a", "labels": [{**_SAME_BOX, "score": 1}] * 3}]))
@example(([{"name": "a", "labels": [_CROWD]}], []))
@example(([{"name": "a"}], []))
@example(([], []))
@example(([{"name": "a", "labels": [_SAME_BOX]}], [{"name": "a", "labels": [{"id": 1, "category": "car"}]}]))
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_any_case_gives_the_official_scores(tmp_path_factory: pytest.TempPathFactory, case: tuple[Frames, Frames]):
    folder = tmp_path_factory.getbasetemp()
    assert_same(ours(folder, *case), official(*case))


@pytest.mark.parametrize(
    ("seed", "images", "boxes", "categories"),
    [
        (0, 30, 12, CATEGORIES),
        (1, 4, 230, ("car",)),
        (2, 15, 60, ("car", "other vehicle", "pedestrian")),
        (3, 1, 1, ("bus",)),
    ],
)
def test_random_scenes_give_the_official_scores(
    tmp_path: Path, seed: int, images: int, boxes: int, categories: tuple[str, ...]
):
    truth, predictions = random_frames(seed, images, boxes, categories)
    result = ours(tmp_path, truth, predictions)
    assert_same(result, official(truth, predictions))
    assert boxes == 1 or 0 < result.score("AP50") < 100


def test_runs_of_groups_do_not_change_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    frames = random_frames(5, 12, 40, ("car", "bus", "trailer"))
    whole = ours(tmp_path, *frames)
    for pairs in (1, 50, 700):
        monkeypatch.setattr(detection, "_PAIRS", pairs)
        assert ours(tmp_path, *frames).to_json() == whole.to_json()


@needs_samples(LABELS)
@pytest.mark.parametrize("result", REFERENCES, ids=lambda path: path.parent.name)
def test_sample_labels_give_the_official_scores(result: Path):
    truth, predictions = (json.loads(path.read_text()) for path in (LABELS, result))
    predictions = predictions["frames"] if isinstance(predictions, dict) else predictions
    scores = evaluate("det", LABELS, result)
    assert_same(scores, official(truth, predictions))
    assert scores.to_json() == evaluate("det", LABELS, result, engine="official").to_json()


@needs_samples(LABELS)
def test_labels_as_their_own_predictions_are_perfect(tmp_path: Path):
    truth = json.loads(LABELS.read_text())
    predictions = copy.deepcopy(truth)
    for frame in predictions:
        for label in frame["labels"]:
            label["score"] = 0.9
    result = ours(tmp_path, truth, predictions)
    assert_same(result, official(truth, predictions))
    assert result.score("AP") == pytest.approx(100)


def test_known_scores_by_hand(tmp_path: Path):
    truth = [{"name": "a", "labels": [_SAME_BOX, {**_SAME_BOX, "box2d": box(500, 0, 509, 9)}]}]
    found = [
        {**_SAME_BOX, "score": 0.9},
        {**_SAME_BOX, "score": 0.8, "box2d": box(700, 0, 709, 9)},
        # 2.5 of 10 columns aside: overlap 7.5 / 12.5
        {**_SAME_BOX, "score": 0.7, "box2d": box(502.5, 0, 511.5, 9)},
    ]
    result = ours(tmp_path, truth, [{"name": "a", "labels": found}])
    # precision 1 up to recall 0.5 (51 of 101 points), then 2/3 up to recall 1
    assert result.score("AP50", "car") == pytest.approx((51 + 50 * 2 / 3) / 101 * 100)
    assert result.score("AP75", "car") == pytest.approx(51 / 101 * 100)
    assert result.score("AR1", "car") == pytest.approx(50)
    assert math.isnan(result.score("AP", "bus"))
    assert math.isnan(result.score("APl", "car"))
    assert result.score("AP") == result.score("AP", "car")


def test_frames_in_memory_score_like_files(tmp_path: Path):
    parts = random_frames(7, 6, 20, ("car", "trailer", "bike"))
    frames = [msgspec.convert(part, list[Frame]) for part in parts]
    from_frames = evaluate_detection(*frames)
    assert from_frames.to_json() == ours(tmp_path, *parts).to_json()


def test_evaluator_takes_parts_in_any_order(tmp_path: Path):
    truth, predictions = random_frames(11, 9, 15)
    evaluator = DetectionEvaluator()
    for _ in range(2):  # a reset evaluator starts afresh
        evaluator.reset()
        for index in reversed(range(9)):
            evaluator.process(
                _load(tmp_path, truth[index : index + 1]), _load(tmp_path, predictions[index : index + 1])
            )
        assert evaluator.evaluate().to_json() == ours(tmp_path, truth, predictions).to_json()


def test_refused_images_leave_no_trace(tmp_path: Path):
    truth, predictions = random_frames(12, 4, 15)
    spoiled = copy.deepcopy(predictions)
    del spoiled[2]["labels"][3]["score"]
    evaluator = DetectionEvaluator()
    with pytest.raises(LabelError, match="score is missing"):
        evaluator.process(_load(tmp_path, truth), _load(tmp_path, spoiled))
    evaluator.process(_load(tmp_path, truth), _load(tmp_path, predictions))
    with pytest.raises(LabelError, match="processed before"):
        evaluator.process(_load(tmp_path, truth[:1]), _load(tmp_path, predictions[:1]))
    assert evaluator.evaluate().to_json() == ours(tmp_path, truth, predictions).to_json()


def test_an_evaluator_without_images_has_no_scores():
    summary = DetectionEvaluator().evaluate().summary()
    assert len(summary) == 12 + len(CATEGORIES)
    assert all(math.isnan(value) for value in summary.values())


def test_equal_names_are_told_apart_by_video(tmp_path: Path):
    truth, predictions = random_frames(13, 2, 30, ("car", "bus"))
    for part in (truth, predictions):
        for frame, video in zip(part, ("v2", "v1"), strict=True):
            frame.update(name="1.jpg", videoName=video)
    predictions.reverse()
    result = ours(tmp_path, truth, predictions)
    assert_same(result, official(truth, predictions))
    assert result.score("AP50") > 0


def test_notes_say_what_is_left_out(tmp_path: Path):
    truth, predictions = random_frames(17, 5, 3)
    predictions[3]["name"] = "foreign.jpg"
    result = ours(tmp_path, truth, predictions[:4])
    assert_same(result, official(truth, predictions[:4]))
    assert len(result.notes) == 2
    assert result.notes[0].startswith("2 of 5 images have no predictions")
    assert result.notes[1].startswith("1 frames of the predictions")


_CONFIG = """
[scalabel]
[scalabel.imageSize]
height = 720
width = 1280
[[scalabel.categories]]
name = "vehicle"
  [[scalabel.categories.subcategories]]
  name = "car"
  [[scalabel.categories.subcategories]]
  name = "bus"
[[scalabel.categories]]
name = "ignored"
"""


@pytest.mark.parametrize(
    "rules",
    [
        "remove_ignored = true\n",
        "ignored_as_class = true\n",
        '[ignored_mapping]\ntruck = "car"\nrider = "nothing"\n[name_mapping]\ntrain = "bus"\n',
    ],
)
def test_config_files_give_the_official_scores(tmp_path: Path, rules: str):
    config = tmp_path / "rules.toml"
    config.write_text(rules + _CONFIG)
    truth, predictions = random_frames(19, 8, 30, ("car", "bus", "truck", "rider", "train"))
    if "ignored_mapping" not in rules:
        truth[0]["labels"].append({"id": "u", "category": "unheard of", "box2d": box(0, 0, 5, 5)})
    result = ours(tmp_path, truth, predictions, load_config(config))
    assert_same(result, official(truth, predictions, config))
    assert len(result.scores["AP"][0]) == 3  # type: ignore[index]
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "pred.json").write_text(json.dumps({"frames": predictions, "groups": None, "config": None}))
    options = Options(config=str(config), processes=1)
    for engine in ("ours", "official"):
        scores = evaluate("det", tmp_path / "gt.json", tmp_path / "pred.json", options, engine=engine)
        assert scores.summary() == pytest.approx(result.summary(), abs=1e-6, nan_ok=True)


def test_folders_of_files_are_one_result(tmp_path: Path):
    truth, predictions = random_frames(23, 6, 10)
    for name, frames in (("gt", truth), ("pred", predictions)):
        (tmp_path / name).mkdir()
        for index in range(3):
            (tmp_path / name / f"{index}.json").write_text(json.dumps(frames[2 * index : 2 * index + 2]))
    (tmp_path / "gt" / "readme.txt").write_text("not labels")
    assert evaluate("det", tmp_path / "gt", tmp_path / "pred").to_json() == ours(tmp_path, truth, predictions).to_json()


def test_the_table_of_boxes_keeps_labels_without_boxes():
    frames = [Frame("a", labels=[Label(1, category="car")]), Frame("b")]
    table = table_from_frames(frames, "x")
    assert len(table) == 1
    assert table.names == ["a", "b"]
    assert not table.has_box.any()
    assert table.where(0) == "x: frame a, label 0"
