"""``zoo check`` on predictions of every task: what is right passes, what is damaged is told, nothing crashes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import LabelError, ZooError
from bdd100k_models.evaluation.run import evaluate
from bdd100k_models.tasks import JOINTS, TAGS, TASKS
from bdd100k_models.zoo.check import Checklist, CheckOptions, check_entry
from bdd100k_models.zoo.check.predictions import compare_images, look_at_predictions
from bdd100k_models.zoo.check.scores import COLUMNS, read_scores
from bdd100k_models.zoo.check.truth import find_truth
from bdd100k_models.zoo.records import published
from bdd100k_models.zoo.tables import template_columns

NAME = "tiny_r18_1x_test_bdd100k"
GROUPS = {"tagging": "Weather Tagging"}
Frames = list[dict[str, Any]]


def boxes(seed: int, count: int = 5) -> Frames:
    """Return labels with boxes, masks and joints' places to draw from."""
    rng = np.random.default_rng(seed)
    labels = []
    for number in range(count):
        x, y = rng.uniform(0, 1000), rng.uniform(0, 500)
        labels.append({"id": str(number), "box2d": {"x1": x, "y1": y, "x2": x + 90, "y2": y + 150}})
    return labels


def masks(categories: tuple[str, ...], seed: int) -> Frames:
    """Return labels with masks that do not overlap: stripes of the image."""
    from bdd100k_models.formats.rle import encode

    rng = np.random.default_rng(seed)
    ends = np.sort(rng.choice(np.arange(1, 1280), 3, replace=False)).tolist()
    labels = []
    for number, (start, end) in enumerate(zip([0, *ends], [*ends, 1280], strict=True)):
        mask = np.zeros((720, 1280), bool)
        mask[:, start:end] = True
        mask_rle = encode(mask)
        category = categories[int(rng.integers(len(categories)))] if len(categories) < 4 else categories[number]
        labels.append(
            {
                "id": str(number),
                "category": category,
                "score": float(rng.uniform(0.1, 1)),
                "rle": {"counts": mask_rle.counts, "size": [720, 1280]},
            }
        )
    return labels


def people(seed: int) -> Frames:
    """Return people with all joints."""
    labels = boxes(seed)
    for label in labels:
        box = label["box2d"]
        nodes = [
            {"location": [box["x1"] + 3 * i, box["y1"] + 5 * i], "category": joint, "id": str(i), "score": 1.0}
            for i, joint in enumerate(JOINTS)
        ]
        label |= {
            "category": "pedestrian",
            "score": 0.9,
            "graph": {"nodes": nodes, "edges": [], "type": "Pose2D-18Joints"},
        }
    return labels


def make_frames(task: str, seed: int = 0) -> Frames:
    """Return frames that can be labels or predictions of a task, with noise that depends on the seed."""
    categories = TASKS[task].categories
    frames: Frames = [{"name": f"image{i}.jpg", "labels": []} for i in range(3)]
    for index, frame in enumerate(frames):
        if task == "tagging":
            frame["attributes"] = {"weather": TAGS["weather"][(index + seed) % 2]}
        elif task in ("det", "mot"):
            frame["labels"] = [
                {**label, "category": categories[i % 3], "score": 0.2 + i / 10}
                for i, label in enumerate(boxes(index))
                if i != seed
            ]
        elif task == "pose":
            frame["labels"] = people(index)
        else:
            frame["labels"] = masks(categories[:4], index + seed)
        if TASKS[task].videos:
            frame |= {"videoName": "video", "frameIndex": index}
    return frames


def measured(task: str, folder: Path, frames: Frames) -> tuple[Path, Path]:
    """Write a contribution's entry, predictions and scores, and the labels they are measured with."""
    labels, contribution = folder / "labels.json", folder / "contribution"
    for name in ("preds", "scores-val", "scores-test"):
        (contribution / name).mkdir(parents=True)
    labels.write_text(json.dumps(make_frames(task)))
    predictions = contribution / f"preds/{NAME}.json"
    predictions.write_text(json.dumps(frames))
    result = evaluate(task, labels, predictions)
    summary = result.summary()
    columns = dict.fromkeys(template_columns(task), "x")
    for split in ("val", "test"):
        result.save(contribution / f"scores-{split}/{NAME}.json")
        for title, key in COLUMNS[task].items():
            score = summary.get(key, 0.0)
            columns[f"{title}-{split}"] = f"{score:d}" if isinstance(score, int) else f"{score:.2f}"
    entry = {"task": task, "group": GROUPS.get(task, ""), "models": [{"name": NAME, "columns": columns}]}
    (contribution / "entry.json").write_text(json.dumps(entry))
    return contribution, labels


def check(contribution: Path, labels: Path) -> Checklist:
    return check_entry(contribution, CheckOptions(offline=True, labels=labels))[0]


@pytest.mark.parametrize("task", list(TASKS))
def test_predictions_of_every_task_are_read_completed_and_scored(task: str, tmp_path: Path) -> None:
    contribution, labels = measured(task, tmp_path, make_frames(task, seed=1))
    report = check(contribution, labels)
    passed = {key: report.items[key].passed for key in ("columns", "predictions", "complete", "scores", "table")}
    if task == "ins_seg":
        # these labels have no boxes, so the second score cannot be computed
        assert "Box AP-val is not in" in report.items["table"].unchecked[0]
        assert not passed.pop("table")
    assert all(passed.values()), [line for line in report.lines() if "wrong" in line]
    assert report.items["scores"].problems == report.items["table"].problems == []


def test_only_where_results_can_be_scored_a_row_needs_the_test_set(tmp_path: Path) -> None:
    columns = {task: {name: "1" for name in template_columns(task) if "-test" not in name} for task in TASKS}
    for task in TASKS:
        for cells in (columns[task], {name: columns[task].get(name, "") for name in template_columns(task)}):
            entry = {"task": task, "models": [{"name": NAME, "columns": cells}]}
            (tmp_path / "entry.json").write_text(json.dumps(entry))
            report = check_entry(tmp_path, CheckOptions(offline=True))[0]
            told = any("-test" in problem for problem in report.items["columns"].problems)
            missing = any("links.scores_test is missing" in problem for problem in report.items["files"].problems)
            assert told == missing == (task not in ("pan_seg", "tagging"))


@pytest.mark.parametrize("task", list(TASKS))
def test_a_missing_image_and_a_better_score_are_told(task: str, tmp_path: Path) -> None:
    contribution, labels = measured(task, tmp_path, make_frames(task, seed=1))
    (contribution / f"preds/{NAME}.json").write_text(json.dumps(make_frames(task, seed=1)[:-1]))
    entry = json.loads((contribution / "entry.json").read_text())
    title = next(iter(COLUMNS[task]))
    entry["models"][0]["columns"][f"{title}-val"] = "123.45"
    (contribution / "entry.json").write_text(json.dumps(entry))
    report = check(contribution, labels)
    assert "1 of 3 images are missing" in report.items["complete"].problems[0]
    assert f"{title}-val is 123.45" in report.items["table"].problems[0]


def test_a_group_of_tags_is_measured_by_its_own(tmp_path: Path) -> None:
    contribution, labels = measured("tagging", tmp_path, make_frames("tagging", seed=1))
    entry = json.loads((contribution / "entry.json").read_text())
    (contribution / "entry.json").write_text(json.dumps({**entry, "group": "Scene Tagging"}))
    report = check(contribution, labels)
    assert "its tags are weather; its group has scene alone" in report.items["predictions"].problems[0]
    assert "they are not of scene alone" in report.items["scores"].problems[0]
    # the mean with an easier tag would be another score
    (contribution / "entry.json").write_text(json.dumps(entry))
    frames = make_frames("tagging", seed=1)
    for frame in frames:
        frame["attributes"]["scene"] = TAGS["scene"][0]
    (contribution / f"preds/{NAME}.json").write_text(json.dumps(frames))
    report = check(contribution, labels)
    assert "its tags are weather, scene; its group has weather alone" in report.items["predictions"].problems[0]
    assert not report.items["table"].passed


def test_labels_of_another_form_are_no_fault_of_predictions(tmp_path: Path) -> None:
    contribution, _ = measured("sem_seg", tmp_path, make_frames("sem_seg"))
    (tmp_path / "masks").mkdir()
    for number in range(3):
        (tmp_path / f"masks/image{number}.png").touch()
    report = check(contribution, tmp_path / "masks")
    assert report.items["predictions"].passed and report.items["complete"].passed
    assert "the labels are PNG files" in report.items["scores"].unchecked[0]


def test_a_score_that_one_table_lacks_is_a_column_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from bdd100k_models.zoo import tables

    whole = published("pan_seg")[0]
    cells = {name: cell for name, cell in whole.models[0].columns.items() if name not in ("PQ-test", "MS-train")}
    part = msgspec.structs.replace(whole, models=[msgspec.structs.replace(whole.models[0], columns=cells)])
    for methods in ((whole, part), (part, whole)):
        monkeypatch.setattr(tables, "published", lambda task, methods=methods: methods)
        assert template_columns("pan_seg") == ["Backbone", "Lr schd", "PQ-val", "PQ-test"]


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf")])
def test_numbers_without_bounds_are_no_scores(tmp_path: Path, value: float) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"AP": value}))
    with pytest.raises(LabelError, match="out of all bounds"):
        read_scores(TASKS["det"], path)


Damage = Callable[[Frames], Any]
MASKS = ("ins_seg", "sem_seg", "drivable", "pan_seg", "mots")

DAMAGES: list[tuple[str, Damage, str]] = [
    *((task, lambda frames: frames[0]["labels"][0].pop("rle"), "rle is missing") for task in MASKS),
    *((task, lambda frames: frames[0]["labels"][0]["rle"].update(size=[5, 5]), "rle.size is [5, 5]") for task in MASKS),
    *((task, lambda frames: frames[0]["labels"][0]["rle"].update(counts="0" * 9), "frame ") for task in MASKS),
    *((task, lambda frames: frames[0]["labels"][0].update(category="cat"), "category is 'cat'") for task in MASKS),
    *(
        (task, lambda frames: frames[1].pop("videoName"), "videoName or frameIndex is missing")
        for task in ("mot", "mots")
    ),
    *(
        (task, lambda frames: frames[1]["labels"][1].update(id=frames[1]["labels"][0]["id"]), "in this frame already")
        for task in ("mot", "mots")
    ),
    ("tagging", lambda frames: frames[0].update(attributes={"weather": "hail"}), "weather is 'hail'"),
    ("tagging", lambda frames: frames[0].pop("attributes"), "has none of the attributes"),
    ("pose", lambda frames: frames[0]["labels"][0].pop("graph"), "graph is missing"),
    ("pose", lambda frames: frames[0]["labels"][0]["graph"]["nodes"].pop(), "17 of the 18 joints"),
    ("pose", lambda frames: frames[0]["labels"][0].pop("score"), "score is missing"),
    ("mot", lambda frames: frames[0]["labels"][0].pop("box2d"), "box2d is missing"),
]


@pytest.mark.parametrize(("task", "damage", "words"), DAMAGES)
def test_damage_is_told_with_frame_and_field(task: str, damage: Damage, words: str, tmp_path: Path) -> None:
    frames = make_frames(task)
    damage(frames)
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps(frames))
    found = look_at_predictions(TASKS[task], path)
    assert found.count >= 1
    assert words in found.problems[0]
    assert "frame " in found.problems[0]


def test_boxes_of_instances_are_scored_where_there_are_any(tmp_path: Path) -> None:
    from bdd100k_models.zoo.check.scores import boxes_of_instances

    frames = make_frames("det", seed=3)
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(make_frames("det")))
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps(frames))
    # the first categories of instances are those of detection
    expected = evaluate("det", labels, predictions).summary()["AP"]
    assert list(boxes_of_instances(labels, predictions).values()) == [pytest.approx(expected)]
    labels.write_text(json.dumps(make_frames("ins_seg")))
    assert boxes_of_instances(labels, predictions) == {}


def test_equal_problems_are_told_once_and_counted(tmp_path: Path) -> None:
    frames = make_frames("det")
    for frame in frames:
        for label in frame["labels"]:
            label["score"] = 7
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps(frames))
    found = look_at_predictions(TASKS["det"], path)
    assert found.count == sum(len(frame["labels"]) for frame in frames)
    assert len(found.problems) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(TASKS)), st.data())
def test_whatever_stands_in_a_field_is_told_or_fine(tmp_path: Path, task: str, data: st.DataObject) -> None:
    frames = copy.deepcopy(FRAMES[task])
    frame = frames[data.draw(st.integers(0, 2))]
    target = frame
    if frame["labels"] and data.draw(st.booleans()):
        target = frame["labels"][0]
        nested = [key for key in ("rle", "box2d", "graph") if key in target]
        if nested and data.draw(st.booleans()):
            target = target[nested[0]]
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps(frames))
    try:
        found = look_at_predictions(TASKS[task], path)
    except ZooError as error:
        assert "\n" not in str(error)
    else:
        assert len(found.images) == 3


FRAMES = {task: make_frames(task) for task in TASKS}


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd"), unique=True))
def test_images_are_compared_as_sets(found: list[str], expected: list[str]) -> None:
    problems = list(compare_images(found, expected))
    missing, foreign = set(expected) - set(found), set(found) - set(expected)
    assert len(problems) == bool(missing) + bool(foreign)
    if missing:
        assert problems[0].startswith(f"{len(missing)} of {len(expected)} images are missing")


def test_names_that_no_file_has_are_foreign() -> None:
    assert list(compare_images(["a.jpg", "", ".", "/"], ["a.png"], files=True)) == [
        "2 images are not of the validation set (., /)"
    ]


def test_labels_that_are_files_are_compared_without_suffixes(tmp_path: Path) -> None:
    folder = tmp_path / "labels/sem_seg/masks/val"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / name).touch()
    truth = find_truth(TASKS["sem_seg"], tmp_path, None)
    assert truth is not None
    assert truth.are_files
    assert list(compare_images(["a.jpg", "b.jpg"], truth.images, truth.are_files)) == []
    assert list(compare_images(["a.jpg"], truth.images, truth.are_files)) == ["1 of 2 images are missing (b)"]


def test_labels_in_json_are_preferred_to_files(tmp_path: Path) -> None:
    (tmp_path / "labels/sem_seg/masks/val").mkdir(parents=True)
    rles = tmp_path / "labels/sem_seg/rles/sem_seg_val.json"
    rles.parent.mkdir(parents=True)
    rles.write_text("[]")
    truth = find_truth(TASKS["sem_seg"], tmp_path, None)
    assert truth is not None
    assert (truth.labels, truth.images) == (rles, [])


@pytest.mark.parametrize("task", ["sem_seg", "pan_seg", "mot", "mots"])
def test_real_labels_are_valid_predictions(task: str, samples: Path) -> None:
    truth = find_truth(TASKS[task], samples, None)
    assert truth is not None
    found = look_at_predictions(TASKS[task], truth.labels)
    assert found.problems == []
    assert list(compare_images(found.images, truth.images)) == []
