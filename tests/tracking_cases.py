"""Random videos for the tracking tests: boxes and masks on a coarse grid, so that overlaps tie or meet thresholds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import write_bitmask

Frames = list[dict[str, Any]]

#: Names of the random labels: plain categories, another name of one, and one that stands for ignored regions.
NAMES = ("car", "car", "pedestrian", "person", "bicycle", "other vehicle")
MASK_SIZE = (16, 24)


def random_boxes(seed: int) -> tuple[Frames, Frames]:
    """Draw one to three videos; predictions are moved copies of labels, with lost, false and swapped ones."""
    rng = np.random.default_rng(seed)
    truth, result = [], []
    for video in range(rng.integers(1, 4)):
        tracks = [(str(rng.choice(NAMES)), rng.integers(0, 8, 2) * 5) for _ in range(rng.integers(0, 6))]
        for index in range(rng.integers(1, 7)):
            labels, found = [], []
            for track, (name, corner) in enumerate(tracks):
                corner += rng.integers(-1, 2, 2) * 5
                if rng.random() < 0.8:
                    labels.append(_box(track, name, corner, rng))
                for _ in range(rng.integers(0, 3) if rng.random() < 0.4 else 1):
                    moved = corner + rng.choice([-5, 0, 0, 0, 5], 2)
                    guess = track if rng.random() < 0.7 else rng.integers(0, 5)
                    found.append(_box(guess, name if rng.random() < 0.9 else "car", moved, rng))
            kept = {(label["category"].replace("person", "pedestrian"), label["id"]): label for label in found}
            frame = {"name": f"v{video}-{index}.jpg", "videoName": f"v{video}", "frameIndex": index}
            truth.append(frame | {"labels": labels if labels or rng.random() < 0.5 else None})
            result.append(frame | {"labels": [label | {"score": 0.5} for label in kept.values()]})
    return _shuffled(truth, rng), _shuffled(result, rng)


def _box(track: int, name: str, corner: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    size = rng.choice([9, 9, 9, 14])
    low = corner.tolist()
    box = dict(zip(("x1", "y1", "x2", "y2"), (*low, low[0] + int(size), low[1] + 9), strict=True))
    return {"id": str(track), "category": name, "box2d": box, "attributes": {"crowd": bool(rng.random() < 0.1)}}


def _shuffled(frames: Frames, rng: np.random.Generator) -> Frames:
    return [frames[index] for index in rng.permutation(len(frames))]


def random_regions(seed: int, *, overlapping: bool = False) -> tuple[Frames, Frames]:
    """Draw videos whose labels are run-length masks; those of the predictions overlap only if asked to."""
    rng = np.random.default_rng(seed)
    truth, result = [], []
    for video in range(rng.integers(1, 3)):
        places = _places(rng)
        names = rng.choice(NAMES, 6)
        for index in range(rng.integers(1, 6)):
            frame = {"name": f"v{video}-{index}.jpg", "videoName": f"v{video}", "frameIndex": index}
            true_ids, ids = _maps(places, rng)
            truth.append(frame | {"labels": _regions(true_ids, names, rng)})
            labels = [label for label in _regions(ids, names, rng) if not label.pop("attributes")["crowd"]]
            if overlapping and labels and rng.random() < 0.4:
                labels.append(labels[0] | {"id": "77"})
            result.append(frame | {"labels": labels})
    return truth, result


def _places(rng: np.random.Generator) -> np.ndarray:
    """Draw top, left, height and width of six tracks."""
    return np.concatenate([rng.integers(0, (10, 16), (6, 2)), rng.integers(3, 10, (6, 2))], axis=1)


def _maps(places: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two maps of track numbers, 0 for nothing; the second is the first, moved, torn and partly renamed."""
    truth = np.zeros(MASK_SIZE, np.int64)
    places[:, :2] += rng.integers(0, 2, (6, 2))
    for track in rng.permutation(6)[: rng.integers(1, 7)]:
        top, left, height, width = places[track]
        truth[top : top + height, left : left + width] = track + 1
    result = np.roll(truth, rng.choice([-1, 0, 0, 1], 2), (0, 1))
    for track in range(1, 7):
        if rng.random() < 0.25:
            result[result == track] = rng.integers(0, 7)
    return truth, result


def _regions(tracks: np.ndarray, names: np.ndarray, rng: np.random.Generator) -> list[dict[str, Any]]:
    labels = []
    for track in np.unique(tracks[tracks > 0]).tolist():
        mask = rle.encode(tracks == track)
        labels.append(
            {
                "id": str(track),
                "category": str(names[track - 1]),
                "attributes": {"crowd": bool(rng.random() < 0.15)},
                "rle": {"counts": mask.counts, "size": list(mask.size)},
            }
        )
    return labels


def write_random_bitmasks(seed: int, folder: Path) -> tuple[Path, Path]:
    """Draw videos of bitmasks with ids of up to 65535; return the folders of ground truth and predictions."""
    rng = np.random.default_rng(seed)
    sides = (folder / "gt", folder / "pred")
    ids = np.concatenate([[0], rng.choice(65535, 7, replace=False) + 1])
    categories = np.concatenate([[0], rng.choice([1, 3, 3, 8], 7)]).astype(np.uint8)
    for video in range(rng.integers(1, 3)):
        places = _places(rng)
        for index in range(rng.integers(1, 5)):
            for side, tracks in zip(sides, _maps(places, rng), strict=True):
                flags = np.concatenate([[0], rng.choice([0, 0, 0, 0, 1, 2, 4, 12], 7)]).astype(np.uint8)
                path = side / f"v{video}" / f"v{video}-{index:07}.png"
                write_bitmask(path, categories[tracks], ids[tracks], flags[tracks])
    return sides


def write_frames(path: Path, frames: Frames) -> Path:
    """Write a JSON file of frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(frames))
    return path
