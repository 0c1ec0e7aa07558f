"""Image tagging against ``scalabel.eval.tagging``, on the same files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.evaluation.tagging import TaggingEvaluator, evaluate_tagging, tag_scores
from bdd100k_models.tasks import TAGS
from official_tool import assert_same, quiet

Frames = list[dict[str, Any]]


def official(truth: Path, result: Path, tags: Mapping[str, Sequence[str]]) -> Any:
    with quiet():
        from scalabel.eval.tagging import evaluate_tagging as official_evaluation
        from scalabel.label.io import load
        from scalabel.label.typing import Category, Config

        tree = [Category(name=tag, subcategories=[Category(name=v) for v in values]) for tag, values in tags.items()]
        return official_evaluation(load(str(truth)).frames, load(str(result)).frames, Config(categories=tree))


def write(path: Path, frames: Any) -> Path:
    path.write_text(json.dumps(frames))
    return path


def frame(name: str, attributes: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    return {"name": name, "attributes": attributes, "labels": [], **fields}


@st.composite
def _case(draw: st.DrawFn) -> tuple[Frames, Frames, tuple[str, ...]]:
    """Frames with all tags and predictions of some of them; a few frames without labels, or not predicted."""
    tags = tuple(draw(st.lists(st.sampled_from(list(TAGS)), min_size=1, max_size=3, unique=True)))
    truth: Frames = []
    result: Frames = []
    few = draw(st.integers(1, 7))
    for index in range(draw(st.integers(1, 12))):
        sides = [{tag: draw(st.sampled_from(TAGS[tag][:few])) for tag in TAGS} for _ in range(2)]
        # at least one image is labelled: the official tool cannot do without
        truth.append(frame(f"{index}.jpg", sides[0] if not index or draw(st.integers(0, 5)) else None))
        if not index or draw(st.integers(0, 5)):
            result.append(frame(f"{index}.jpg", {tag: sides[1][tag] for tag in tags}))
    return truth, draw(st.permutations(result)), tags


@settings(max_examples=100)
@given(_case())
def test_random_frames(case: tuple[Frames, Frames, tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth, result = write(Path(folder) / "g.json", case[0]), write(Path(folder) / "r.json", case[1])
        tags = {tag: values for tag, values in TAGS.items() if tag in case[2]}
        assert_same(evaluate("tagging", truth, result), official(truth, result, tags))


def test_real_labels(samples: Path, tmp_path: Path) -> None:
    truth = samples / "labels" / "det_20" / "det_val.json"
    content = json.loads(truth.read_text())
    frames = content["frames"] if isinstance(content, dict) else content
    result = write(tmp_path / "r.json", [frame(f["name"], {"weather": "clear", "scene": "highway"}) for f in frames])
    tags = {tag: TAGS[tag] for tag in ("weather", "scene")}
    assert_same(evaluate("tagging", truth, result), official(truth, result, tags))


def test_a_config_names_tags_and_values(tmp_path: Path) -> None:
    config = tmp_path / "tag.toml"
    values = "".join(f'[[categories.subcategories]]\nname = "{value}"\n' for value in ("wet", "dry", "icy"))
    config.write_text(f'[[categories]]\nname = "ground"\n{values}')
    truth = write(tmp_path / "g.json", [frame(str(i), {"ground": v}) for i, v in enumerate(["wet", "dry", "dry"])])
    result = write(tmp_path / "r.json", [frame(str(i), {"ground": v}) for i, v in enumerate(["dry", "dry", "wet"])])
    ours = evaluate("tagging", truth, result, Options(config=str(config)))
    assert_same(ours, official(truth, result, {"ground": ("wet", "dry", "icy")}))


def test_frames_are_told_apart_by_video(tmp_path: Path) -> None:
    pairs = [("v", "clear", "clear"), ("w", "rainy", "clear")]
    truth = write(tmp_path / "g.json", [frame("a.jpg", {"weather": t}, videoName=v) for v, t, _ in pairs])
    result = write(tmp_path / "r.json", [frame("a.jpg", {"weather": p}, videoName=v) for v, _, p in pairs])
    ours = evaluate("tagging", truth, result)
    assert ours.score("accuracy", "WEATHER") == 50
    assert_same(ours, official(truth, result, {"weather": TAGS["weather"]}))


def test_missing_frames_count_as_right_and_strictly_as_wrong(tmp_path: Path) -> None:
    values = ["clear", "clear", "rainy", "snowy"]
    truth = write(tmp_path / "g.json", [frame(f"{i}.jpg", {"weather": v}) for i, v in enumerate(values)])
    result = write(tmp_path / "r.json", [frame("0.jpg", {"weather": "rainy"})])
    ours = evaluate("tagging", truth, result)
    assert ours.score("accuracy", "WEATHER") == 75
    assert ours.notes[0] == "3 of 4 images have no predictions; they count as right, as in the official tool"
    # of three values none is ever right
    assert "weather has precision 0.00, recall 0.00, f1_score 0.00, accuracy 0.00" in ours.notes[1]


def test_strict_scores_of_the_rest(tmp_path: Path) -> None:
    values = ["clear", "clear", "rainy", "snowy"]
    truth = write(tmp_path / "g.json", [frame(f"{i}.jpg", {"weather": v}) for i, v in enumerate(values)])
    result = write(tmp_path / "r.json", [frame("0.jpg", {"weather": "clear"}), frame("2.jpg", {"weather": "clear"})])
    # clear: one right of two predicted, one right of two labelled; rainy and snowy: nothing
    expected = f"precision {50 / 3:.2f}, recall {50 / 3:.2f}, f1_score {50 / 3:.2f}, accuracy 25.00"
    assert expected in evaluate("tagging", truth, result).notes[1]


def test_predictions_without_the_tag_count_as_wrong(tmp_path: Path) -> None:
    truth = write(tmp_path / "g.json", [frame(f"{i}.jpg", {"weather": "clear"}) for i in range(4)])
    predicted = [{"weather": "clear"}, {}, None, {"weather": None}]
    result = write(tmp_path / "r.json", [frame(f"{i}.jpg", a) for i, a in enumerate(predicted)])
    ours = evaluate("tagging", truth, result)
    assert ours.score("accuracy", "WEATHER") == 25
    assert ours.notes == ("3 predicted frames have no weather; it counts as wrong there",)


def test_an_evaluator_takes_images_one_by_one(tmp_path: Path) -> None:
    truth = [frame("a", {"scene": "tunnel"}), frame("b", {"scene": "highway"}), frame("c", None)]
    result = [frame("a", {"scene": "highway"}), frame("c", {"scene": "highway"})]
    files = write(tmp_path / "g.json", truth), write(tmp_path / "r.json", result)
    evaluator = TaggingEvaluator({"scene": TAGS["scene"]})
    for _ in range(2):
        evaluator.reset()
        for one, other in zip(truth, (result[0]["attributes"], None, {}), strict=True):
            evaluator.process(one["attributes"], other)
        assert evaluator.evaluate().to_json() == evaluate_tagging(*files).to_json()


@given(st.integers(0, 1 << 32))
def test_scores_of_a_matrix_against_counting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = rng.integers(0, 4, 30), rng.integers(0, 5, 30)
    matrix = np.zeros((4, 5), np.int64)
    np.add.at(matrix, (truth, found), 1)
    scores = tag_scores(matrix)
    for value in range(4):
        right = ((truth == value) & (found == value)).sum()
        assert scores.recall[value] == pytest.approx(right / max((truth == value).sum(), 1), nan_ok=True) or (
            np.isnan(scores.recall[value]) and value not in truth and value not in found
        )
    assert scores.means["accuracy"] == pytest.approx((truth == found).mean())


def test_no_images_give_no_numbers() -> None:
    result = TaggingEvaluator().evaluate()
    assert np.isnan(result.score("accuracy", "AVERAGE"))
    assert result.notes == ("there are no labelled images",)


GOOD = frame("a.jpg", {"weather": "clear"})
BAD = {
    "unknown value": ([frame("a.jpg", {"weather": "claer"})], r"r\.json: frame a\.jpg: attributes\.weather .* 'clear'"),
    "a number": ([frame("a.jpg", {"weather": 3})], r"r\.json: frame a\.jpg: attributes\.weather is 3"),
    "no tags": ([frame("a.jpg", {"time": "x"})], r"r\.json: no frame has an attribute weather, scene, timeofday"),
    "twice": ([GOOD, GOOD], r"r\.json: frame a\.jpg appears twice"),
    "another split": ([frame("b.jpg", {"weather": "clear"})], r"r\.json: none of its 1 frames .*another split"),
    "no name": ([{"attributes": {}}], r"r\.json: frame number 0: .*`name`"),
    "coco": ([{"image_id": 1, "category_id": 2}], r"r\.json: this is COCO JSON"),
}


@pytest.mark.parametrize(("frames", "message"), BAD.values(), ids=list(BAD))
def test_bad_frames_are_named(tmp_path: Path, frames: Frames, message: str) -> None:
    truth = write(tmp_path / "g.json", [GOOD])
    with pytest.raises(LabelError, match=message) as caught:
        evaluate("tagging", truth, write(tmp_path / "r.json", frames))
    assert "\n" not in str(caught.value)


def test_a_label_without_the_tag_is_named(tmp_path: Path) -> None:
    truth = write(tmp_path / "g.json", [frame("a.jpg", {"scene": "tunnel"})])
    with pytest.raises(LabelError, match=r"g\.json: frame a\.jpg: attributes\.weather is missing"):
        evaluate("tagging", truth, write(tmp_path / "r.json", [GOOD]))
