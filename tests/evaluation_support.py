"""What tests of the evaluations share: drawn masks, and the comparison with the official tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.run import Options, evaluate

SHARED = Path(__file__).resolve().parents[2] / "shared"
SAMPLES = SHARED / "samples" / "bdd100k"
TOOLKIT = SHARED / "samples" / "toolkit" / "eval"

Frames = list[dict[str, Any]]
Pixels = npt.NDArray[np.uint8]


def same_as_official(task: str, truth: Path, result: Path, options: Options | None = None) -> Result:
    """Score with both engines, require equal results in every form, and return ours."""
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    settings = options or Options(processes=1)
    ours = evaluate(task, truth, result, settings)
    assert_same(ours, evaluate(task, truth, result, settings, engine="official"))
    return ours


def assert_same(ours: Result, reference: Result) -> None:
    """Compare every metric, row, average, the summary, the file's keys and the table."""
    assert list(ours.scores) == list(reference.scores)
    for metric, groups in reference.scores.items():
        mine = ours.scores[metric]
        if isinstance(groups, (int, float)):
            assert mine == pytest.approx(groups, abs=1e-6, nan_ok=True), metric
            continue
        assert not isinstance(mine, (int, float)), metric
        for own, group in zip(mine, groups, strict=True):
            assert list(own) == list(group)
            for row, value in group.items():
                assert own[row] == pytest.approx(value, abs=1e-6, nan_ok=True), (metric, row)
                assert isinstance(own[row], int) == isinstance(value, int), (metric, row)
    assert list(ours.summary()) == list(reference.summary())
    assert ours.summary() == pytest.approx(reference.summary(), abs=1e-6, nan_ok=True)
    assert _shape(json.loads(ours.to_json())) == _shape(json.loads(reference.to_json()))
    assert len(ours.table().splitlines()) == len(reference.table().splitlines())


def _shape(content: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of an output file."""
    return {
        metric: [list(group) for group in groups] if isinstance(groups, list) else None
        for metric, groups in content.items()
    }


def write_bitmask_file(path: Path, category: Pixels, ids: npt.NDArray[np.integer], attributes: Pixels) -> Path:
    """Write a bitmask with another library than the one under test reads it with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = [category, attributes, ids >> 8, ids & 255]
    Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8), "RGBA").save(path)
    return path


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def rle_of(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask with pycocotools."""
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"counts": packed["counts"].decode(), "size": list(packed["size"])}


def draw_rectangles(rng: np.random.Generator, size: tuple[int, int], number: int) -> npt.NDArray[np.int64]:
    """Paint ``number`` rectangles, 1 to ``number``, over each other on 0; the first pixel stays 0."""
    ids = np.zeros(size, np.int64)
    for index in range(number):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        height, width = rng.integers(1, size[0] + 1), rng.integers(1, size[1] + 1)
        ids[top : top + height, left : left + width] = index + 1
    ids[0, 0] = 0
    return ids


def disturb(rng: np.random.Generator, ids: npt.NDArray[np.int64], strength: int) -> npt.NDArray[np.int64]:
    """Shift a label map by up to ``strength`` pixels and paint a few rectangles on it, of new or no ids."""
    moved = np.roll(ids, rng.integers(-strength, strength + 1, 2), axis=(0, 1))
    extra = draw_rectangles(rng, ids.shape, int(rng.integers(0, 3)))
    moved = np.where(extra > 0, rng.integers(0, ids.max() + 3, extra.max() + 1)[extra], moved)
    moved[0, 0] = 0
    return moved
