"""The same faults in the files of every task: one line that names file and frame, and the field where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.run import evaluate
from evaluation_cases import draw_case
from evaluation_support import rle_of

Frames = list[dict[str, Any]]

TRACKS = ("box_track", "seg_track")
BOXES = ("det", "box_track", "pose")
MASKS = ("ins_seg", "pan_seg", "seg_track", "sem_seg", "drivable", "lane_mark")
TASKS = (*BOXES, *MASKS, "tagging")
#: These leave names that they do not know out, as officially.
LENIENT = ("pan_seg", "sem_seg", "drivable", "lane_mark")
SCORED = ("det", "ins_seg", "pose")


def frames_of(task: str, folder: Path) -> tuple[Path, Path, Frames]:
    """Write good files of a task; return them and the frames of the result, the third of which has a label."""
    if task in ("sem_seg", "drivable", "lane_mark"):
        mask = np.zeros((720, 1280), np.bool_)
        mask[300:400, 200:900] = True
        name = {"sem_seg": "road", "drivable": "direct", "lane_mark": "crosswalk"}[task]
        frames = [
            {"name": f"{index}.jpg", "labels": [{"id": "1", "category": name, "rle": rle_of(mask)}]}
            for index in range(4)
        ]
        truth, result = folder / "gt.json", folder / "pred.json"
        for path in (truth, result):
            path.write_text(json.dumps(frames))
        return truth, result, frames
    seed = next(seed for seed in range(50) if _has_label(task, folder / str(seed), seed))
    case = draw_case(task, folder / str(seed), seed=seed, units=4)
    return case.truth, case.result, json.loads(case.result.read_text())


def _has_label(task: str, folder: Path, seed: int) -> bool:
    frames = json.loads(draw_case(task, folder, seed=seed, units=4).result.read_text())
    return bool(frames[2]["labels"])


def fault(task: str, folder: Path, change: Callable[[Frames], object]) -> tuple[str, Path, Frames]:
    """Spoil the predictions; return the message, their file and the good frames."""
    truth, _, frames = frames_of(task, folder)
    spoilt = json.loads(json.dumps(frames))
    content = change(spoilt)
    bad = folder / "bad.json"
    bad.write_text(content if isinstance(content, str) else json.dumps(spoilt if content is None else content))
    with pytest.raises(LabelError) as error:
        evaluate(task, truth, bad)
    text = str(error.value)
    assert "\n" not in text
    assert str(bad) in text
    return text, bad, frames


@pytest.mark.parametrize("task", TASKS)
def test_truncated_json(task: str, tmp_path: Path):
    text, _, _ = fault(task, tmp_path, lambda frames: json.dumps(frames)[:-20])
    assert "cut off" in text


@pytest.mark.parametrize("task", TASKS)
def test_coco_json_by_mistake(task: str, tmp_path: Path):
    text, _, _ = fault(task, tmp_path, lambda frames: {"images": [], "annotations": [], "categories": []})
    assert "COCO JSON" in text


@pytest.mark.parametrize("task", TASKS)
def test_a_list_of_coco_results_by_mistake(task: str, tmp_path: Path):
    found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]
    text, _, _ = fault(task, tmp_path, lambda frames: found)
    assert "COCO JSON" in text


@pytest.mark.parametrize("task", TASKS)
def test_a_frame_twice(task: str, tmp_path: Path):
    text, _, frames = fault(task, tmp_path, lambda frames: frames.append(frames[2]))
    assert "twice" in text
    assert frames[2]["name"] in text


@pytest.mark.parametrize("task", TASKS)
def test_results_for_another_split(task: str, tmp_path: Path):
    def rename(frames: Frames) -> None:
        for frame in frames:
            frame["name"] = f"other-{frame['name']}"
            if "videoName" in frame:
                frame["videoName"] = f"other-{frame['videoName']}"

    text, _, _ = fault(task, tmp_path, rename)
    assert "split" in text
    assert "other-" in text


@pytest.mark.parametrize("task", [task for task in TASKS if task not in (*LENIENT, "tagging")])
def test_an_unknown_category(task: str, tmp_path: Path):
    text, _, frames = fault(task, tmp_path, lambda frames: frames[2]["labels"][0].update(category="pedestrain"))
    assert f"frame {frames[2]['name']}, label 0" in text
    assert "'pedestrain'; did you mean pedestrian?" in text


@pytest.mark.parametrize("task", BOXES)
@pytest.mark.parametrize("axis", ["x", "y"])
def test_corners_out_of_order(task: str, axis: str, tmp_path: Path):
    def swap(frames: Frames) -> None:
        box = frames[2]["labels"][0]["box2d"]
        box[f"{axis}1"], box[f"{axis}2"] = 50, 40

    text, _, frames = fault(task, tmp_path, swap)
    assert f"frame {frames[2]['name']}, label 0: box2d has {axis}2 = 40" in text


@pytest.mark.parametrize(
    "task", [task for task in TASKS if task not in ("tagging", "lane_mark", "sem_seg", "drivable")]
)
def test_scores_that_are_no_numbers(task: str, tmp_path: Path):
    text, _, frames = fault(task, tmp_path, lambda frames: frames[2]["labels"][0].update(score=float("nan")))
    assert f"frame {frames[2]['name']}: score is NaN" in text


@pytest.mark.parametrize("task", SCORED)
def test_scores_that_are_missing(task: str, tmp_path: Path):
    text, _, frames = fault(task, tmp_path, lambda frames: frames[2]["labels"][0].pop("score") and None)
    assert f"frame {frames[2]['name']}, label 0: score is missing" in text


@pytest.mark.parametrize("task", MASKS)
def test_masks_of_another_size(task: str, tmp_path: Path):
    def resize(frames: Frames) -> None:
        for label in frames[2]["labels"]:
            label["rle"] = rle_of(np.eye(30, dtype=np.bool_))

    text, _, frames = fault(task, tmp_path, resize)
    assert f"frame {frames[2]['name']}" in text
    assert "rle.size is 30x30" in text


@pytest.mark.parametrize("task", MASKS)
def test_masks_that_are_cut_off(task: str, tmp_path: Path):
    def cut(frames: Frames) -> None:
        mask = frames[2]["labels"][0]["rle"]
        mask["counts"] = mask["counts"][:-2]

    text, _, frames = fault(task, tmp_path, cut)
    assert f"frame {frames[2]['name']}, label 0: rle.counts" in text


@pytest.mark.parametrize("task", TASKS)
def test_fields_of_another_type(task: str, tmp_path: Path):
    field = "attributes" if task == "tagging" else "labels"
    text, _, frames = fault(task, tmp_path, lambda frames: frames[2].update({field: "none"}))
    assert f"frame {frames[2]['name']}" in text
    assert field in text


def test_an_unknown_tag(tmp_path: Path):
    text, _, frames = fault("tagging", tmp_path, lambda frames: frames[2]["attributes"].update(weather="snowwy"))
    assert f"frame {frames[2]['name']}: attributes.weather is 'snowwy'; did you mean 'snowy'?" in text


def test_the_command_ends_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    truth, _, frames = frames_of("det", tmp_path)
    frames[2]["labels"][0]["box2d"]["x2"] = -100
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(frames))
    assert main(["eval", "-t", "det", "-g", str(truth), "-r", str(bad)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"error: {bad}: frame {frames[2]['name']}, label 0: box2d has x2")
