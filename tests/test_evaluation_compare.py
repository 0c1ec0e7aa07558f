"""Comparison of two results: resampled scores against the evaluation of the resampled data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.compare import compare, draw_samples
from bdd100k_models.evaluation.run import Options, assess, evaluate
from evaluation_cases import ALL, Case, draw_case, select
from test_evaluation_slices import command, options


def copies(names: list[str], sample: np.ndarray) -> dict[str, int]:
    return {Path(name).stem if "." in name else name: int(count) for name, count in zip(names, sample, strict=True)}


@pytest.mark.parametrize("kind", ALL)
def test_a_sample_scores_like_a_data_set_of_its_copies(tmp_path: Path, kind: str):
    case = draw_case(kind, tmp_path / "all", seed=5, units=6)
    assessment = assess(case.task, case.truth, case.result, options(case))
    samples = np.stack(list(draw_samples(6, 4, seed=1)))
    samples[0] = [1, 0, 0, 0, 0, 0]
    for number, (sample, scored) in enumerate(zip(samples, assessment.parts.resample(samples), strict=True)):
        drawn = select(case, tmp_path / str(number), copies(list(assessment.units.names), sample))
        expected = evaluate(drawn.task, drawn.truth, drawn.result, options(drawn)).summary()
        assert scored.summary() == pytest.approx(expected, abs=1e-9, nan_ok=True)


def without_predictions(case: Case, path: Path, lost: int) -> Path:
    """Write the result of a case in which the first ``lost`` frames have nothing."""
    frames = json.loads(case.result.read_text())
    for frame in frames[:lost]:
        frame["labels"] = []
    path.write_text(json.dumps(frames))
    return path


def test_a_result_against_itself_differs_in_nothing(tmp_path: Path):
    case = draw_case("det", tmp_path, seed=5)
    same = assess("det", case.truth, case.result)
    comparison = compare(same, same, samples=20)
    assert all(one.low == one.high == one.difference == 0 for one in comparison.differences if one.samples)
    assert not any(one.clear for one in comparison.differences)


def test_intervals_are_percentiles_of_brute_force(tmp_path: Path):
    """The whole way again: draw, write both data sets, evaluate, subtract, sort."""
    case = draw_case("det", tmp_path / "all", seed=8, units=12)
    worse = without_predictions(case, tmp_path / "worse.json", 5)
    first, second = assess("det", case.truth, worse), assess("det", case.truth, case.result)
    comparison = compare(first, second, samples=15, seed=4, confidence=0.8)
    rng, differences = np.random.default_rng(4), []
    for number in range(15):
        sample = np.bincount(rng.integers(0, 12, 12), minlength=12)
        chosen = copies(list(first.units.names), sample)
        sides = []
        for side, result in (("a", worse), ("b", case.result)):
            drawn = select(Case("det", case.truth, result, None, result), tmp_path / f"{number}{side}", chosen)
            sides.append(evaluate("det", drawn.truth, drawn.result).score("AP"))
        differences.append(sides[1] - sides[0])
    mine = next(one for one in comparison.differences if one.metric == "AP")
    assert (mine.low, mine.high) == pytest.approx(tuple(np.percentile(differences, [10, 90])), abs=1e-9)
    assert mine.clear
    assert mine.difference == pytest.approx(second.result.score("AP") - first.result.score("AP"))
    # more samples begin with the same ones
    assert compare(first, second, samples=15, seed=4, confidence=0.8) == comparison
    assert compare(first, second, samples=15, seed=5, confidence=0.8) != comparison


def test_ties_and_images_without_labels(tmp_path: Path):
    """A sample without any object or prediction has no score, and does not count."""
    truth = tmp_path / "gt.json"
    box = {"x1": 1, "y1": 1, "x2": 9, "y2": 9}
    label = {"id": "1", "category": "car", "box2d": box, "score": 0.5}
    truth.write_text(json.dumps([{"name": "a", "labels": [label]}, {"name": "b"}]))
    result = tmp_path / "pred.json"
    result.write_text(json.dumps([{"name": "a", "labels": [label, label]}, {"name": "b", "labels": [label]}]))
    side = assess("det", truth, result)
    empty = tmp_path / "none.json"
    empty.write_text(json.dumps([{"name": "a"}, {"name": "b"}]))
    comparison = compare(assess("det", truth, empty), side, samples=40)
    mine = next(one for one in comparison.differences if one.metric == "AP")
    assert 0 < mine.samples < 40
    assert mine.first == 0
    nothing = next(one for one in comparison.differences if one.metric == "AP/bus")
    assert nothing.samples == 0
    assert np.isnan(nothing.low)


def test_the_command_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = draw_case("box_track", tmp_path, seed=5, units=5)
    worse = without_predictions(case, tmp_path / "worse.json", 12)
    flags = ["-t", "mot", "-g", case.truth, "--compare", worse, case.result, "--samples", 30]
    assert command(*flags) == 0
    text = capsys.readouterr().out
    assert "30 samples of 5 videos" in text
    assert command(*flags, "--json", "--out-file", tmp_path / "out.json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads((tmp_path / "out.json").read_text())
    mota = content["metrics"]["MOTA"]
    assert mota["difference"] == pytest.approx(mota["b"] - mota["a"])
    assert mota["interval"][0] <= mota["interval"][1]
    assert mota["samples"] == 30


def test_each_result_has_its_own_score_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = draw_case("ins_seg masks", tmp_path, seed=5)
    assert case.scores is not None
    listed = json.loads(case.scores.read_text())
    for frame in listed:
        for label in frame["labels"]:
            label["score"] = 1 - label["score"]
    turned = tmp_path / "turned.json"
    turned.write_text(json.dumps(listed))
    flags = ["-t", "ins_seg", "-g", case.truth, "--compare", case.result, case.result, "--samples", 3, "--json"]
    assert command(*flags, "--score-file", case.scores, turned) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]["AP"]
    for side, scores in (("a", case.scores), ("b", turned)):
        alone = evaluate("ins_seg", case.truth, case.result, Options(score_file=scores))
        assert found[side] == pytest.approx(alone.score("AP"))
    assert found["difference"] != 0


def test_results_of_different_images_are_refused(tmp_path: Path):
    sides = [draw_case("det", tmp_path / str(units), seed=1, units=units) for units in (3, 4)]
    first, second = (assess("det", case.truth, case.result) for case in sides)
    with pytest.raises(InputError, match="different images"):
        compare(first, second)
    for numbers in ({"samples": 0}, {"confidence": 1.0}):
        with pytest.raises(InputError, match="give"):
            compare(first, first, **numbers)  # type: ignore[arg-type]


def test_two_results_of_nothing(tmp_path: Path):
    empty = tmp_path / "gt.json"
    empty.write_text("[]")
    for task in ("det", "pose"):
        both = assess(task, empty, empty)
        assert all(one.samples == 0 for one in compare(both, both, samples=3).differences)


def test_results_of_different_tags_are_refused(tmp_path: Path):
    frames = [{"name": "a.jpg", "attributes": {"weather": "clear", "scene": "tunnel"}}]
    (tmp_path / "gt.json").write_text(json.dumps(frames))
    sides = []
    for tag in ("weather", "scene"):
        frames[0]["attributes"] = {tag: {"weather": "clear", "scene": "tunnel"}[tag]}
        (tmp_path / f"{tag}.json").write_text(json.dumps(frames))
        sides.append(assess("tagging", tmp_path / "gt.json", tmp_path / f"{tag}.json"))
    with pytest.raises(InputError, match="different categories"):
        compare(*sides)
    assert compare(sides[0], sides[0]).differences
