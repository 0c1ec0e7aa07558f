"""Drawn inputs of the evaluations of label maps, lane markings, poses and tags; see ``evaluation.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIZE = (720, 1280)

#: Different label maps drawn; the others are these, moved sideways.
_MAPS = 24

#: The share of a tag's predictions that are right, but for those right by chance.
_RIGHT = 0.8


def draw_sem_seg(folder: Path, images: int, objects: int, rng: np.random.Generator, masks: bool = True) -> None:
    """Write label maps of smooth regions of 19 classes, and the same ones moved by a few pixels; no objects."""
    _draw_maps(folder, images, "sem_seg", rng, masks)


def draw_drivable(folder: Path, images: int, objects: int, rng: np.random.Generator, masks: bool = True) -> None:
    """Write label maps of direct and alternative area and background likewise; no objects."""
    _draw_maps(folder, images, "drivable", rng, masks)


def _draw_maps(folder: Path, images: int, task: str, rng: np.random.Generator, masks: bool) -> None:
    from bdd100k_models.formats.rle import encode_labels
    from bdd100k_models.tasks import TASKS

    names = TASKS[task].categories
    maps = [_regions(len(names), rng) for _ in range(min(images, _MAPS))]
    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        drawn = np.roll(maps[image % _MAPS], int(rng.integers(SIZE[1])), axis=1)
        moved = np.roll(drawn, rng.integers(0, 6, 2), axis=(0, 1))
        drawn[-40:] = 255  # the car's own bonnet is not labelled
        for side, pixels in (("gt", drawn), ("pred", moved)):
            if masks:
                _save_mask(folder / side / f"{image:08d}.png", pixels)
                continue
            coded = ((names[value], mask) for value, mask in encode_labels(pixels).items() if value < len(names))
            labels = [
                {"id": str(index), "category": name, "rle": {"counts": mask.counts, "size": list(mask.size)}}
                for index, (name, mask) in enumerate(coded)
            ]
            sides[side].append({"name": f"{image:08d}.jpg", "labels": labels})
    if not masks:
        _save_sides(folder, sides)


def _regions(classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return a label map uint8 (720, 1280): at each pixel the class whose smooth random field is largest."""
    fields = rng.normal(0, 1, (classes, 18, 32)).astype(np.float32)
    enlarged = [cv2.resize(field, SIZE[::-1], interpolation=cv2.INTER_CUBIC) for field in fields]
    return np.argmax(enlarged, axis=0).astype(np.uint8)


def draw_lanes(folder: Path, images: int, objects: int, rng: np.random.Generator) -> None:
    """Write lane masks of bent lines, and masks with the same lines off by up to three pixels."""
    for image in range(images):
        truth, moved = np.full(SIZE, 255, np.uint8), np.full(SIZE, 255, np.uint8)
        for _ in range(objects):
            value = int(rng.integers(0, 8) | rng.integers(0, 2) << 4 | rng.integers(0, 2) << 5)
            line = np.stack([np.sort(rng.integers(0, SIZE[1], 4)), np.sort(rng.integers(330, SIZE[0], 4))], axis=1)
            for mask, step in ((truth, 0), (moved, 3)):
                points = line + rng.integers(-step, step + 1, (1, 2))
                cv2.polylines(mask, [points.astype(np.int32)], False, value, int(rng.integers(2, 12)))
        _save_mask(folder / "gt" / f"{image:08d}.png", truth)
        _save_mask(folder / "pred" / f"{image:08d}.png", moved)


def draw_poses(folder: Path, images: int, objects: int, rng: np.random.Generator) -> None:
    """Write people with 18 joints, and the same ones with noise as predictions."""
    from bdd100k_models.tasks import JOINTS

    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        people: dict[str, list[Any]] = {"gt": [], "pred": []}
        for person in range(objects):
            x, y = rng.uniform(0, [1100, 500]).tolist()
            width = float(np.exp(rng.normal(3.6, 0.6)))
            joints = rng.uniform([x, y], [x + width, y + 2 * width], (len(JOINTS), 2))
            guesses = joints + rng.normal(0, 0.05 * width, joints.shape)
            seen = rng.choice(["V", "N", "X"], len(JOINTS), p=[0.7, 0.15, 0.15]).tolist()
            scores = rng.random(len(JOINTS)).round(4).tolist()
            labelled = [{"visibility": mark} for mark in seen]
            found = [{"score": score} for score in scores]
            box = {"x1": x, "y1": y, "x2": x + width, "y2": y + 2 * width}
            people["gt"].append(_person(person, joints, labelled) | {"box2d": box})
            people["pred"].append(_person(person, guesses, found) | {"score": float(rng.random())})
        for side, labels in people.items():
            sides[side].append({"name": f"{image:08d}.jpg", "labels": labels})
    _save_sides(folder, sides)


def _person(number: int, joints: np.ndarray, marks: list[dict[str, Any]]) -> dict[str, Any]:
    from bdd100k_models.tasks import JOINTS

    nodes = [
        {"id": f"{number}-{index}", "category": JOINTS[index], "location": place} | marks[index]
        for index, place in enumerate(joints.round(2).tolist())
    ]
    graph = {"nodes": nodes, "edges": [], "type": "Pose2D-18Joints"}
    return {"id": str(number), "category": "pedestrian", "graph": graph}


def draw_tags(folder: Path, images: int, objects: int, rng: np.random.Generator) -> None:
    """Write the three tags of each image, and predictions that are right four times of five; no objects."""
    from bdd100k_models.tasks import TAGS

    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        labels = {tag: str(rng.choice(values)) for tag, values in TAGS.items()}
        guesses = {
            tag: labels[tag] if rng.random() < _RIGHT else str(rng.choice(values)) for tag, values in TAGS.items()
        }
        for side, attributes in (("gt", labels), ("pred", guesses)):
            sides[side].append({"name": f"{image:08d}.jpg", "attributes": attributes, "labels": []})
    _save_sides(folder, sides)


def _save_mask(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def _save_sides(folder: Path, sides: dict[str, list[Any]]) -> None:
    for side, frames in sides.items():
        (folder / f"{side}.json").write_text(json.dumps(frames))
