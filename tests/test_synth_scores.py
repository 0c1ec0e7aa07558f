"""Labels of the drawn data set are exact: the official evaluation finds them perfect against themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bdd100k_models.datasets.categories import canonical_category, is_ignored
from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.evaluation.config import Options
from bdd100k_models.evaluation.run import evaluate
from bdd100k_models.formats.folders import holds_json
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.tasks import TAGS, TASKS

ENGINES = ("ours", "official")


@pytest.fixture(scope="module")
def full_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in the size that the official tool takes for granted, and a video."""
    root = tmp_path_factory.mktemp("synth") / "full"
    generate(root, {"val": 2}, seed=3, nproc=1)
    generate_videos(root, {"val": 1}, frames=3, seed=3, nproc=1, force=True)
    return root


def present(labels: Path, task: str) -> set[str]:
    """Return the categories that labels have and the evaluation counts."""
    found = set()
    for frame in load_frames(labels):
        for label in frame.labels or ():
            category, ignored = canonical_category(label.category, TASKS[task].categories)
            if category and not ignored and not is_ignored(label):
                found.add(category)
    return found


def assert_perfect(groups: Any, categories: set[str]) -> None:
    """Check that every category that is there has 100, and none that is not has a share."""
    scores: dict[str, float] = {name: score for group in groups for name, score in group.items()}
    assert categories and categories <= scores.keys()
    assert {name: scores[name] for name in categories} == pytest.approx(dict.fromkeys(categories, 100.0))
    others = [score for name, score in scores.items() if name not in categories and score == score]
    assert not any(others)  # NaN, or 0 for what is absent


def scored_frames(path: Path) -> list[dict[str, Any]]:
    """Return labels as predictions that are sure."""
    content = json.loads(path.read_bytes())
    frames: list[dict[str, Any]] = content if isinstance(content, list) else content["frames"]
    for frame in frames:
        for label in frame["labels"] or ():
            label["score"] = 1.0
    return frames


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("task", "metric"), [("sem_seg", "IoU"), ("drivable", "IoU"), ("pan_seg", "PQ"), ("mot", "MOTA"), ("mots", "MOTA")]
)
def test_labels_score_as_perfect_against_themselves(full_root: Path, task: str, metric: str, engine: str) -> None:
    paths = [full_root / path for path in TASKS[task].label_paths("val")[:2]]
    categories = present(next(path for path in paths if holds_json(path)), task) - {"background"}
    for path in paths:
        scores = evaluate(task, path, path, Options(processes=1), engine=engine).scores
        assert_perfect(scores[metric][:1], categories)


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_of_objects_score_as_perfect(full_root: Path, tmp_path: Path, engine: str) -> None:
    bitmasks, runs = (full_root / path for path in TASKS["ins_seg"].label_paths("val")[:2])
    frames, result = scored_frames(runs), tmp_path / "result.json"
    result.write_text(json.dumps(frames))
    for frame in frames:
        for label in frame["labels"]:
            label["index"] = int(label["id"])
    (tmp_path / "scores.json").write_text(json.dumps(frames))
    options = Options(processes=1, score_file=tmp_path / "scores.json")
    for scores in (
        evaluate("ins_seg", runs, result, Options(processes=1), engine=engine).scores,
        evaluate("ins_seg", bitmasks, bitmasks, options, engine=engine).scores,
    ):
        for metric in ("AP", "AP75"):
            assert_perfect(scores[metric][:1], present(runs, "ins_seg"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", ["det", "pose"])
def test_boxes_and_people_score_as_perfect(full_root: Path, tmp_path: Path, task: str, engine: str) -> None:
    truth, result = full_root / TASKS[task].label_path("val"), tmp_path / "result.json"
    result.write_text(json.dumps(scored_frames(truth)))
    scores = evaluate(task, truth, result, Options(processes=1), engine=engine).scores
    categories = {"OVERALL"} if task == "pose" else present(truth, task)  # people are of one category
    for metric in ("AP", "AP75"):
        assert_perfect(scores[metric][:1], categories)


def test_tags_score_as_perfect(full_root: Path) -> None:
    truth = full_root / TASKS["tagging"].label_path("val")
    attributes = [frame.attributes or {} for frame in load_frames(truth)]
    for metric in ("precision", "recall"):
        groups = evaluate("tagging", truth, truth).scores[metric][: len(TAGS)]
        assert_perfect(groups, {f"{tag}.{found[tag]}" for found in attributes for tag in TAGS})
