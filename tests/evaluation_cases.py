"""Small random data sets of every task, for tests that score parts of them: slices and samples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bdd100k_models.formats import rle
from bdd100k_models.tasks import JOINTS, TAGS, TASKS
from evaluation_support import write_bitmask_file

#: Every task, and the forms in which masks can come.
CASES = ("det", "ins_seg", "ins_seg masks", "sem_seg", "drivable", "pan_seg", "pan_seg masks", "pose", "tagging")
TRACKS = ("box_track", "seg_track", "seg_track masks")
ALL = (*CASES, "lane_mark", *TRACKS)

SIZE = (40, 60)
_LENGTH = 4

Frames = list[dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """A drawn data set.

    Attributes:
        task: The task.
        truth: Labels: a file or a folder of masks.
        result: Predictions likewise.
        scores: Scores of instance masks, or None.
        attributes: A file that gives weather, scene and time of day.
    """

    task: str
    truth: Path
    result: Path
    scores: Path | None
    attributes: Path


def draw_case(kind: str, folder: Path, seed: int, units: int = 8) -> Case:
    """Draw a case of ``units`` images (in tracking: videos); predictions are disturbed labels, scores are distinct."""
    rng = np.random.default_rng(seed)
    task, _, form = kind.partition(" ")
    videos = task in ("box_track", "seg_track")
    truth, result = [], []
    for unit in range(units):
        tags = {tag: str(rng.choice(values[:3])) for tag, values in TAGS.items()}
        objects = [_object(rng, number) for number in range(int(rng.integers(0, 7)))]
        for index in range(_LENGTH if videos else 1):
            place = {"videoName": f"v{unit:02}", "frameIndex": index} if videos else {}
            name = f"i{unit:02}-{index}.jpg"
            frame = {"name": name, "attributes": tags, **place}
            truth.append(frame | {"labels": [_label(task, one, rng, None) for one in objects]})
            guesses = [
                _label(task, _moved(one, rng), rng, float(rng.random())) for one in objects if rng.random() < 0.9
            ]
            guesses += [_label(task, _object(rng, 90), rng, float(rng.random())) for _ in range(rng.integers(0, 2))]
            tagged = {tag: value if rng.random() < 0.7 else TAGS[tag][0] for tag, value in tags.items()}
            result.append(frame | {"attributes": tagged, "labels": guesses})
            objects = [_moved(one, rng, step=2) for one in objects]
    attributes = _write(folder / "attributes.json", [{k: v for k, v in f.items() if k != "labels"} for f in truth])
    for frames in (truth, result):
        _flatten(task, frames)
    if form or task in ("sem_seg", "drivable", "lane_mark"):
        sides = [_write_masks(task, folder / side, frames) for side, frames in (("gt", truth), ("pred", result))]
        scores = None
        if task == "ins_seg":
            listed = [
                {
                    "name": f["name"],
                    "labels": [{"id": "0", "index": i + 1, "score": one["score"]} for i, one in enumerate(f["labels"])],
                }
                for f in result
            ]
            scores = _write(folder / "scores.json", listed)
        return Case(task, *sides, scores, attributes)
    return Case(task, _write(folder / "gt.json", truth), _write(folder / "pred.json", result), None, attributes)


def select(case: Case, folder: Path, copies: Mapping[str, int]) -> Case:
    """Write a data set that holds each unit so many times; a copy has the name of the unit and a number behind."""
    sides = []
    for side, path in (("gt", case.truth), ("pred", case.result)):
        if path.is_dir():
            sides.append(_copy_masks(path, folder / side, copies))
        else:
            sides.append(_write(folder / f"{side}.json", _copy_frames(json.loads(path.read_text()), copies)))
    scores = case.scores
    if scores is not None:
        scores = _write(folder / "scores.json", _copy_frames(json.loads(scores.read_text()), copies))
    return Case(case.task, *sides, scores, case.attributes)


def _copy_frames(frames: Frames, copies: Mapping[str, int]) -> Frames:
    chosen = []
    for frame in frames:
        video, (stem, suffix) = frame.get("videoName"), frame["name"].rsplit(".", 1)
        for copy in range(copies.get(video or frame["name"], copies.get(stem, 0))):
            names = {"videoName": f"{video}~{copy}"} if video else {"name": f"{stem}~{copy}.{suffix}"}
            chosen.append(frame | names)
    return chosen


def _copy_masks(source: Path, target: Path, copies: Mapping[str, int]) -> Path:
    for file in sorted(source.rglob("*.png")):
        video = file.parent.name if file.parent != source else ""
        for copy in range(copies.get(video or file.stem, 0)):
            name = f"{video}~{copy}/{file.stem}~{copy}.png" if video else f"{file.stem}~{copy}.png"
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target / name)
    return target


@dataclass(frozen=True)
class _Thing:
    number: int
    kind: int
    corner: tuple[int, int]
    size: tuple[int, int]


def _object(rng: np.random.Generator, number: int) -> _Thing:
    left, top = int(rng.integers(0, SIZE[1] - 12)), int(rng.integers(0, SIZE[0] - 12))
    return _Thing(number, int(rng.integers(0, 8)), (left, top), (int(rng.integers(5, 12)), int(rng.integers(5, 12))))


def _moved(one: _Thing, rng: np.random.Generator, step: int = 1) -> _Thing:
    kind = one.kind if step > 1 or rng.random() < 0.9 else int(rng.integers(0, 8))
    left, top = (int(np.clip(c + rng.integers(-step, step + 1), 0, 48)) for c in one.corner)
    return _Thing(one.number, kind, (left, min(top, SIZE[0] - 12)), one.size)


def _label(task: str, one: _Thing, rng: np.random.Generator, score: float | None) -> dict[str, Any]:
    """Return a label with everything that any task reads."""
    (left, top), (width, height) = one.corner, one.size
    names = TASKS["ins_seg"].categories
    if task == "pan_seg":
        names = TASKS["pan_seg"].categories[28:36]
    if task == "pose":
        names = ("pedestrian",) * 8
    label: dict[str, Any] = {"id": str(one.number), "category": names[one.kind], "kind": one.kind}
    label["box2d"] = {"x1": left, "y1": top, "x2": left + width - 1, "y2": top + height - 1}
    if score is not None:
        label["score"] = score
    else:
        label["attributes"] = {"crowd": bool(rng.random() < 0.08)}
    if task == "pose":
        nodes = []
        for index in range(len(JOINTS)):
            spread = np.random.default_rng(one.number * 100 + index).random(2) * [width, height]
            noise = rng.normal(0, 1.0, 2) if score is not None else np.zeros(2)
            mark = {"score": 0.9} if score is not None else {"visibility": "V" if rng.random() < 0.8 else "X"}
            place = (np.array(one.corner) + spread + noise).round(3).tolist()
            nodes.append({"id": str(index), "category": JOINTS[index], "location": place, **mark})
        label["graph"] = {"nodes": nodes, "edges": [], "type": "Pose2D-18Joints"}
    return label


def _flatten(task: str, frames: Frames) -> None:
    """Give labels masks that do not overlap; what is covered whole has none and is dropped."""
    for frame in frames:
        if task not in ("ins_seg", "pan_seg", "seg_track", "sem_seg", "drivable", "lane_mark"):
            continue
        ids = np.zeros(SIZE, np.int32)
        for index, label in enumerate(frame["labels"], 1):
            box = label["box2d"]
            ids[box["y1"] : box["y2"] + 1, box["x1"] : box["x2"] + 1] = index
        masks = rle.encode_labels(ids)
        kept = []
        for index, label in enumerate(frame["labels"], 1):
            if index in masks:
                kept.append(label | {"rle": {"counts": masks[index].counts, "size": list(SIZE)}})
        frame["labels"] = kept


def _write_masks(task: str, folder: Path, frames: Frames) -> Path:
    for frame in frames:
        name = Path(frame["name"]).stem
        path = folder / frame.get("videoName", "") / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if task in ("sem_seg", "drivable", "lane_mark"):
            classes = {"sem_seg": 19, "drivable": 3, "lane_mark": 64}[task]
            pixels = np.full(SIZE, 255 if task != "drivable" else 2, np.uint8)
            for label in frame["labels"]:
                mask = rle.decode(rle.RLE(label["rle"]["counts"], tuple(label["rle"]["size"])), "mask")
                pixels[mask] = (label["kind"] * 7) % classes
            cv2.imwrite(str(path), pixels)
            continue
        category, ids, flags = (np.zeros(SIZE, np.uint8) for _ in range(3))
        for index, label in enumerate(frame["labels"], 1):
            mask = rle.decode(rle.RLE(label["rle"]["counts"], tuple(label["rle"]["size"])), "mask")
            category[mask] = label["kind"] + (29 if task == "pan_seg" else 1)
            ids[mask] = int(label["id"]) + 1 if task == "seg_track" else index
            flags[mask] = 2 if label.get("attributes", {}).get("crowd") else 0
        write_bitmask_file(path, category, ids.astype(np.int64), flags)
    return folder


def _write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
