"""Panoptic scores against the official tool, for bitmasks and for run-length masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.evaluation.config import EvalConfig
from bdd100k_models.evaluation.panoptic import PanopticEvaluator, count_bitmasks
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.formats.bitmask import Bitmask, read_bitmask
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

NAMES = TASKS["pan_seg"].categories
SIZES = st.sampled_from([(6, 9), (40, 50)])
RANDOM = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32 - 1)


def draw_bitmasks(folder: Path, seed: int, size: tuple[int, int], images: int) -> None:
    """Write ``gt`` and ``pred``, of few categories; every predicted mask has a segment, as the official tool needs."""
    rng = np.random.default_rng(seed)
    for image in range(images):
        ids = draw_rectangles(rng, size, int(rng.integers(0, 9)))
        kinds = rng.choice([0, 1, 7, 7, 35, 35, 35, 40, 90], 100)
        flags = rng.choice([0, 0, 0, 1, 2, 3, 4, 14], 100)
        write_bitmask_file(folder / "gt" / f"{image}.png", kinds[ids] * (ids > 0), ids * 200, flags[ids] * (ids > 0))
        if image and rng.random() < 0.2:
            continue
        found = disturb(rng, ids, 1 + size[0] // 20)
        found[-1, -1] = max(found[-1, -1], 1)
        guesses = np.where(rng.random(100) < 0.2, rng.choice([7, 35], 100), kinds)
        flags = rng.choice([0, 0, 0, 0, 1, 2, 8], 100)
        write_bitmask_file(folder / "pred" / f"{image}.png", guesses[found], found * 300, flags[found] * (found > 0))


@given(SEEDS, SIZES, st.integers(1, 4))
@RANDOM
def test_any_bitmasks_give_the_official_scores(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int], images: int
):
    folder = tmp_path_factory.mktemp("bitmasks")
    draw_bitmasks(folder, seed, size, images)
    same_as_official("pan_seg", folder / "gt", folder / "pred")


def draw_frames(seed: int, size: tuple[int, int], images: int, overlapping: float) -> tuple[Frames, Frames]:
    """Return labels, which may overlap, and predictions, which do so in a share of the frames.

    Each image has a label that counts and each frame of predictions one too, as the official tool needs.
    """
    rng = np.random.default_rng(seed)
    names = np.array(["road", "road", "sky", "car", "car", "person", "void"])
    truth: Frames = []
    result: Frames = []
    for image in range(images):
        kinds = rng.choice(names, 20)
        kinds[1] = "car"
        ids = draw_rectangles(rng, size, int(rng.integers(0, 8)))
        ids[-1, -1] = 1
        labels = [_label(kinds[index], index, ids == index) for index in range(1, ids.max() + 1)]
        for label in labels[1:]:
            label["attributes"] = {flag: bool(rng.random() < 0.15) for flag in ("crowd", "ignored")}
        if rng.random() < 0.3:
            labels.append(_label(kinds[9], "text", draw_rectangles(rng, size, 2) > 0))
        found = disturb(rng, ids, 1 + size[0] // 20)
        found[-1, -1] = 1
        guesses = np.where(rng.random(20) < 0.2, rng.choice(names, 20), kinds)
        guesses[1] = "car"
        predictions = [_label(guesses[index], index, found == index) for index in range(1, found.max() + 1)]
        if len(predictions) > 1 and rng.random() < 0.2:
            predictions[1]["attributes"] = {"crowd": True}
        if rng.random() < overlapping:
            predictions.append(_label("car", 77, draw_rectangles(rng, size, 1) > 0))
        truth.append({"name": f"{image}.jpg", "labels": labels})
        if rng.random() < 0.9:
            result.append({"name": f"{image}.jpg", "labels": predictions if rng.random() < 0.95 else None})
    return truth, result


def _label(name: str, index: int | str, mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"id": str(index), "category": str(name), "rle": rle_of(mask)}


@given(SEEDS, SIZES, st.integers(1, 4), st.sampled_from([0.0, 0.5]))
@RANDOM
def test_any_run_length_masks_give_the_official_scores(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: tuple[int, int], images: int, overlapping: float
):
    folder = tmp_path_factory.mktemp("frames")
    truth, result = draw_frames(seed, size, images, overlapping)
    same_as_official("pan_seg", write_json(folder / "gt.json", truth), write_json(folder / "pred.json", result))


@needs_samples(TOOLKIT)
@pytest.mark.parametrize("truth", ["gt", "gt+"])
def test_the_toolkits_own_samples(truth: str):
    result = same_as_official("pan_seg", TOOLKIT / "pan_seg" / truth, TOOLKIT / "pan_seg" / "pred")
    assert result.score("PQ") == pytest.approx({"gt": 66.462788792, "gt+": 49.385236104}[truth])


@needs_samples(SAMPLES)
def test_labels_of_the_data_set_as_predictions(tmp_path: Path):
    truth = SAMPLES / "labels" / "pan_seg" / "rles" / "pan_seg_val.json"
    content = json.loads(truth.read_text())
    for frame in content if isinstance(content, list) else content["frames"]:
        frame["labels"] = frame["labels"][::2]
    result = same_as_official("pan_seg", truth, write_json(tmp_path / "pred.json", content))
    assert 0 < result.score("PQ") < 100


def segments(folder: Path, number: int) -> Path:
    """Write an image of cars in stripes, as ground truth and as prediction."""
    ids = np.repeat(np.arange(1, number + 1), 2)[None, :].repeat(3, axis=0)
    for side in ("gt", "pred"):
        write_bitmask_file(folder / side / "a.png", np.full_like(ids, 35), ids, ids * 0)
    return folder / "pred" / "a.png"


def scores(folder: Path) -> Any:
    return evaluate("pan_seg", folder / "gt", folder / "pred")


def test_more_than_a_hundred_segments_count_and_are_said(tmp_path: Path):
    """The official tool stops with a ValueError."""
    segments(tmp_path, 101)
    result = scores(tmp_path)
    assert result.score("PQ", "car") == 100
    assert any("more than 100 segments" in note for note in result.notes)


def test_an_empty_mask_misses_everything(tmp_path: Path):
    """The official tool stops with a ValueError."""
    path = segments(tmp_path, 4)
    blank = np.zeros((3, 8), np.int64)
    write_bitmask_file(path, blank, blank, blank)
    result = scores(tmp_path)
    assert result.score("PQ", "car") == 0
    assert result.score("N", "car") == 1
    assert "there are no predicted segments" in result.notes


def test_an_image_without_labels_counts_for_nothing(tmp_path: Path):
    """The official tool stops with an AttributeError for run-length masks."""
    mask = np.ones((4, 4), bool)
    truth = write_json(tmp_path / "gt.json", [{"name": "a"}, {"name": "b", "labels": [_label("sky", 1, mask)]}])
    found = [{"name": name, "labels": [_label("sky", 1, mask)]} for name in "ab"]
    result = evaluate("pan_seg", truth, write_json(tmp_path / "pred.json", found))
    assert result.score("PQ", "sky") == 100
    assert result.score("NUM", "OVERALL") == 1


def test_overlapping_masks_keep_the_official_score_beside_the_strict_one(tmp_path: Path):
    mask = np.zeros((10, 10), bool)
    mask[:5] = True
    truth = write_json(tmp_path / "gt.json", [{"name": "a", "labels": [_label("car", 1, mask)]}])
    found = [_label("car", 1, mask), _label("road", 2, np.ones((10, 10), bool))]
    result = same_as_official("pan_seg", truth, write_json(tmp_path / "pred.json", [{"name": "a", "labels": found}]))
    assert result.score("PQ") == 0
    assert any("PQ is 0.00" in note and "it is 100.00" in note for note in result.notes)


def test_processes_do_not_change_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bdd100k_models.evaluation.masks._WORTH_A_POOL", 1)
    draw_bitmasks(tmp_path, 3, (40, 50), 20)
    several = evaluate("pan_seg", tmp_path / "gt", tmp_path / "pred", Options(processes=2))
    assert several.to_json() == scores(tmp_path).to_json()
    frames = [
        write_json(tmp_path / f"{index}.json", part) for index, part in enumerate(draw_frames(3, (40, 50), 25, 0))
    ]
    results = [evaluate("pan_seg", *frames, Options(processes=number)) for number in (1, 2)]
    assert results[0].to_json() == results[1].to_json()


def test_an_evaluator_takes_arrays(tmp_path: Path):
    draw_bitmasks(tmp_path, 4, (40, 50), 1)
    truth, result = (read_bitmask(tmp_path / side / "0.png") for side in ("gt", "pred"))
    evaluator = PanopticEvaluator()
    assert evaluator.evaluate().score("N") == 0
    evaluator.process("0", count_bitmasks(truth, result, ("gt", "pred"), len(NAMES)))
    assert evaluator.evaluate().scores == scores(tmp_path).scores
    with pytest.raises(LabelError, match="before"):
        evaluator.process("0", count_bitmasks(truth, None, ("gt", "pred"), len(NAMES)))
    evaluator.reset()
    assert evaluator.evaluate().score("N") == 0
    with pytest.raises(ConfigError, match="isThing"):
        PanopticEvaluator(EvalConfig(("a",), {}, None))


def test_a_large_image_of_many_segments():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 65536, (300, 400)).astype(np.uint16)
    mask = Bitmask(np.full(ids.shape, 35, np.uint8), ids, np.zeros(ids.shape, np.uint8))
    small = Bitmask(*(layer[:3, :9].copy() for layer in (mask.category, mask.ids, mask.attributes)))
    counts = count_bitmasks(small, small, ("gt", "pred"), len(NAMES))
    assert counts.matched[34] == np.count_nonzero(np.unique(small.ids))


def test_bad_masks_are_named(tmp_path: Path):
    path = segments(tmp_path, 3)
    ids = np.ones((3, 6), np.int64)
    cases = [
        ((np.ones((2, 2)), np.ones((2, 2), np.int64), np.ones((2, 2))), ["2x2", "3x6"]),
        ((np.arange(18).reshape(3, 6), ids, ids), ["instance 1", "categories"]),
        ((ids, ids, np.arange(18).reshape(3, 6) % 4), ["instance 1", "attributes"]),
    ]
    for layers, words in cases:
        write_bitmask_file(path, *layers)
        with pytest.raises(LabelError) as error:
            scores(tmp_path)
        assert all(word in str(error.value) for word in [str(path), *words])


BAD_FRAMES = [
    ('[{"name": "a", "labels": [{"id": 1, "category": "car", "rle": {"counts": "04", "size": [2, 9]}}]}]', ["rle"]),
    ('[{"name": "a", "labels": [{"id": 1, "category": "car", "rle": {"counts": 5, "size": [2, 2]}}]}]', ["counts"]),
    ('[{"name": "a", "labels": [{"id": 1, "category": "car", "poly2d": [{"vertices": [[0, 0]]}]}]}]', ["poly2d"]),
    ('[{"name": "z", "labels": []}]', ["another split"]),
    ('[{"name": "a"}, {"name": "a"}]', ["appears twice"]),
    ('[{"name": "a"', ["cut off"]),
]


@pytest.mark.parametrize(("text", "words"), BAD_FRAMES)
def test_bad_run_length_results_are_named(tmp_path: Path, text: str, words: list[str]):
    truth = write_json(tmp_path / "gt.json", [{"name": "a", "labels": [_label("car", 1, np.ones((2, 2), bool))]}])
    result = tmp_path / "pred.json"
    result.write_text(text)
    with pytest.raises(LabelError) as error:
        evaluate("pan_seg", truth, result)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in [str(result), *words])
