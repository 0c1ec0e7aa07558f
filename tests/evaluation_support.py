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
from conftest import SHARED
from official_tool import assert_same

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
