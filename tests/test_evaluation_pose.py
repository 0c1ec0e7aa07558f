"""Poses against the official tool, on the same files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.evaluation import pose
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.pose import PoseEvaluator, evaluate_pose
from bdd100k_models.evaluation.pose_frames import People, read_people
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.tasks import JOINTS
from official_tool import assert_same, official_frames

Frames = list[dict[str, Any]]


def write(path: Path, frames: Any) -> Path:
    path.write_text(json.dumps(frames))
    return path


def person(
    joints: np.ndarray, *, box: tuple[float, ...] | None = None, kind: str = "Pose2D-18Joints", **fields: Any
) -> dict[str, Any]:
    """Return a label; ``joints`` is (18, 2), or (18, 3) with the joint's score."""
    nodes = [
        {"id": str(index), "category": JOINTS[index], "location": row[:2]}
        | ({"score": row[2]} if len(row) == 3 else {})
        for index, row in enumerate(np.asarray(joints, float).tolist())
    ]
    label = {"id": "1", "category": "pedestrian", "graph": {"nodes": nodes, "edges": [], "type": kind}, **fields}
    if box is not None:
        label["box2d"] = dict(zip(("x1", "y1", "x2", "y2"), map(float, box), strict=True))
    return label


def with_visibility(label: dict[str, Any], marks: list[str | None]) -> dict[str, Any]:
    for node, mark in zip(label["graph"]["nodes"], marks, strict=True):
        if mark is not None:
            node["visibility"] = mark
    return label


def standing(rng: np.random.Generator, size: float) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return random joints and the box around them."""
    x, y = rng.uniform(0, 500, 2).tolist()
    joints = rng.uniform([x, y], [x + size, y + 2 * size], (len(JOINTS), 2))
    return joints, (x, y, x + size, y + 2 * size)


@st.composite
def _case(draw: st.DrawFn) -> tuple[Frames, Frames]:
    """Labelled people and noisy guesses at them, many of equal score; crowds, people without a visible joint, labels
    without joints, images without predictions and the other way round."""
    boxed, nameless = draw(st.booleans()), draw(st.booleans())
    truth: Frames = []
    result: Frames = []
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    for index in range(draw(st.integers(1, 4))):
        labels, found = [], []
        for _ in range(draw(st.integers(0, 4))):
            joints, box = standing(rng, draw(st.sampled_from([4.0, 30.0, 90.0])))
            marks = rng.choice(draw(st.sampled_from([["V"], ["V", "N", "X"], ["X"]])), len(JOINTS)).tolist()
            attributes = draw(st.sampled_from([None, {}, {"crowd": True}, {"ignored": 1}, {"crowd": "false"}]))
            kind = "points" if nameless and draw(st.integers(0, 3)) == 0 else "Pose2D"
            labels.append(with_visibility(person(joints, box=box, kind=kind, attributes=attributes), marks))
            for _ in range(draw(st.integers(0, 2))):
                noise = draw(st.sampled_from([0.0, 1.0, 5.0, 30.0]))
                guess = np.c_[joints + rng.normal(0, 1, joints.shape) * noise, rng.random(len(JOINTS))]
                if draw(st.booleans()):
                    guess[rng.random(len(JOINTS)) < 0.5, :2] += 1e5
                scored = {"score": float(draw(st.sampled_from([0.1, 0.5, 0.5, 0.9])))}
                found.append(person(guess, box=box if boxed else None, **scored))
        if draw(st.integers(0, 5)) == 0:
            labels.append({"id": "7", "category": "pedestrian"})
        strange = np.ones((18, 2)), (0, 0, 9, 9) if boxed else None
        found += [person(strange[0], box=strange[1], score=0.5)] * draw(st.sampled_from([0, 0, 25]))
        name = f"{rng.integers(100)}-{index}.jpg"
        truth.append({"name": name, "labels": labels or draw(st.sampled_from([[], None]))})
        if not result or draw(st.integers(0, 4)):
            result.append({"name": name, "labels": [found[i] for i in rng.permutation(len(found))]})
    return truth, result


@settings(max_examples=80)
@given(_case())
def test_random_people(case: tuple[Frames, Frames]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth, result = write(Path(folder) / "g.json", case[0]), write(Path(folder) / "r.json", case[1])
        assert_same(evaluate("pose", truth, result), official_frames("pose", truth, result))


def many(seed: int, images: int) -> tuple[Frames, Frames]:
    rng = np.random.default_rng(seed)
    sides: tuple[Frames, Frames] = ([], [])
    for index in range(images):
        labels, found = [], []
        for _ in range(6):
            joints, box = standing(rng, float(rng.choice([10, 40, 100])))
            labels.append(with_visibility(person(joints, box=box), rng.choice(["V", "N", "X"], 18).tolist()))
            found.append(person(joints + rng.normal(0, 4, joints.shape), score=round(rng.random(), 1)))
        for frames, people in zip(sides, (labels, found), strict=True):
            frames.append({"name": f"{index * 7 % 31}-{index}.jpg", "labels": people})
    return sides


def test_many_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = many(1, 80)
    truth, result = write(tmp_path / "g.json", sides[0]), write(tmp_path / "r.json", sides[1])
    reference = official_frames("pose", truth, result)
    ours = evaluate("pose", truth, result)
    assert 5 < ours.score("AP") < 95
    assert_same(ours, reference)
    # and in small portions
    monkeypatch.setattr(pose, "_PAIRS", 50)
    assert evaluate("pose", truth, result).scores == ours.scores


def test_similarity_is_coco_s() -> None:
    """One joint of three labelled is off by its own scale: (2 + exp(-1/2)) / 3."""
    sigmas = np.array([0.05, 0.1, 0.1, 0.2])
    truth = People(
        joints=np.zeros((1, 4, 2)),
        confidence=np.array([[2.0, 1.0, 0.0, 2.0]]),
        boxes=np.array([[0.0, 0.0, 20.0, 5.0]]),
        scores=np.array([np.nan]),
        crowd=np.array([False]),
    )
    guess = np.zeros((1, 4, 2))
    guess[0, 1, 0] = 2 * 0.1 * 10
    guess[0, 2] = 1e9
    assert pose.similarities(guess, truth, sigmas) == pytest.approx((2 + np.exp(-0.5)) / 3)


def test_a_wider_box_stands_in_for_labels_without_joints() -> None:
    truth = People(
        np.zeros((1, 2, 2)), np.zeros((1, 2)), np.array([[10.0, 10.0, 4.0, 4.0]]), np.ones(1), np.ones(1, bool)
    )
    sigmas = np.array([0.5, 0.5])
    inside, beside = np.array([[[6.0, 6.0], [18.0, 18.0]]]), np.array([[[6.0, 6.0], [18.0, 22.0]]])
    assert pose.similarities(inside, truth, sigmas) == pytest.approx(1)
    assert pose.similarities(beside, truth, sigmas) == pytest.approx((1 + np.exp(-(4**2) / (2 * 16))) / 2)


@pytest.mark.parametrize("labelled", [True, False])
def test_no_predictions(tmp_path: Path, labelled: bool) -> None:
    people = [person(np.ones((18, 2)), box=(0, 0, 40, 90))] if labelled else []
    truth = write(tmp_path / "g.json", [{"name": "a.jpg", "labels": people}])
    result = write(tmp_path / "r.json", [{"name": "a.jpg", "labels": []}])
    ours = evaluate("pose", truth, result)
    assert ours.notes == ("there are no predicted people",)
    assert_same(ours, official_frames("pose", truth, result))


def test_an_evaluator_takes_images_one_by_one(tmp_path: Path) -> None:
    sides = many(4, 9)
    files = write(tmp_path / "g.json", sides[0]), write(tmp_path / "r.json", sides[1][1:])
    evaluator = PoseEvaluator()
    for _ in range(2):
        evaluator.reset()
        for index, (truth, found) in enumerate(zip(*sides, strict=True)):
            people = [read_people(json.dumps(side).encode(), evaluator.config, "x") for side in (truth, found)]
            evaluator.process(truth["name"], people[0], people[1] if index else None)
        assert evaluator.evaluate() == evaluate_pose(*files)
    assert "1 of 9 images have no predictions" in evaluate_pose(*files).notes[0]


def test_no_images_give_no_numbers() -> None:
    result = PoseEvaluator().evaluate()
    assert np.isnan(result.score("AP"))
    assert result.notes[0] == "the ground truth holds no frames"


def test_a_config_without_sigmas(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[scalabel]\n[[scalabel.categories]]\nname = "pedestrian"\n')
    files = write(tmp_path / "g.json", []), write(tmp_path / "r.json", [])
    with pytest.raises(ConfigError, match="poseSigmas"):
        evaluate("pose", *files, Options(config=str(config)))


def test_people_of_another_skeleton_are_refused() -> None:
    small = EvalConfig(("pedestrian",), {}, None, sigmas=(0.1, 0.2))
    with pytest.raises(LabelError, match="17 joints, but people have 2"):
        PoseEvaluator(small).process("a", People.none(17), None)
    assert len(default_config("pose").sigmas or ()) == len(JOINTS)


JOINED = np.ones((18, 2))
BAD = {
    "joints missing": (person(JOINED[:17], score=1), r"label 0: graph\.nodes has 17 joints, but a person has 18"),
    "no score": (person(JOINED), r"label 0: score is missing"),
    "unknown category": (person(JOINED, score=1) | {"category": "car"}, r"label 0: unknown category 'car'"),
    "no category": (person(JOINED, score=1) | {"category": None}, r"label 0: category is missing"),
    "one number": (person(np.ones((18, 1)), score=1), r"label 0: graph\.nodes\[0\]\.location has 1 numbers"),
    "a word": (person(JOINED, score=1) | {"score": "high"}, r"frame a\.jpg.*score"),
    "not a number": (person(JOINED, score=float("nan")), r"frame a\.jpg: score is NaN"),
    "crossed box": (person(JOINED, score=1, box=(9, 0, 2, 5)), r"label 0: box2d has x2 = 2\.0 below x1 = 9\.0"),
    "huge box": (person(JOINED, score=1, box=(0, 0, 1e200, 1e200)), r"label 0: box2d .* too large"),
}


@pytest.mark.parametrize(("label", "message"), BAD.values(), ids=list(BAD))
def test_bad_predictions_are_named(tmp_path: Path, label: dict[str, Any], message: str) -> None:
    truth = write(tmp_path / "g.json", [{"name": "a.jpg", "labels": [person(JOINED, box=(0, 0, 9, 9))]}])
    result = write(tmp_path / "r.json", [{"name": "a.jpg", "labels": [label]}])
    with pytest.raises(LabelError, match=message) as caught:
        evaluate("pose", truth, result)
    assert "r.json" in str(caught.value) and "a.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_labels_and_files_are_named(tmp_path: Path) -> None:
    good = write(tmp_path / "g.json", [{"name": "a.jpg", "labels": [person(JOINED, box=(0, 0, 9, 9), score=1)]}])
    boxless = write(tmp_path / "boxless.json", [{"name": "a.jpg", "labels": [person(JOINED)]}])
    with pytest.raises(LabelError, match=r"boxless\.json: frame a\.jpg, label 0: box2d is missing"):
        evaluate("pose", boxless, good)
    other = write(tmp_path / "other.json", [{"name": "b.jpg", "labels": []}])
    with pytest.raises(LabelError, match="another split"):
        evaluate("pose", good, other)
    people = [person(JOINED, box=(0, 0, 9, 9), score=0.9), person(JOINED, score=0.8)]
    some = write(tmp_path / "some.json", [{"name": "a.jpg", "labels": people}])
    with pytest.raises(LabelError, match=r"some\.json: frame a\.jpg: a predicted person has no box2d"):
        evaluate("pose", good, some)
    cut = tmp_path / "cut.json"
    cut.write_text(good.read_text()[:-20])
    with pytest.raises(LabelError, match=r"cut\.json: not valid JSON"):
        evaluate("pose", good, cut)
