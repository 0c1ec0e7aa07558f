"""Panoptic segmentation finds what the original found; the commands are tested with those of instances."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from bdd100k_models.cli import main
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES
from bdd100k_models.formats.scalabel import load_frames
from conftest import SHARED

NAME = "panoptic_fpn_r50_fpn_1x_pan_seg_bdd100k"
VOID = 40


def paint(file: Path) -> tuple[np.ndarray, dict[int, str]]:
    """Return the number of each pixel's segment in the only image of a file, and the categories by number."""
    (frame,) = load_frames(file)
    painted, categories = np.full((720, 1280), VOID), {}
    for label in frame.labels or ():
        assert label.rle is not None
        mask = coco_mask.decode({"counts": label.rle.counts, "size": list(label.rle.size)}).astype(bool)
        painted[mask] = int(label.id)
        categories[int(label.id)] = str(label.category)
    return painted, categories


@pytest.mark.slow
def test_the_original_found_the_same(samples: Path, tmp_path: Path):
    weights, out, images = tmp_path / "weights.pth", tmp_path / "out", tmp_path / "images"
    tool = [sys.executable, str(SHARED / "tools/make_checkpoint.py"), f"pan_seg/{NAME}", str(weights)]
    subprocess.run(tool, check=True, capture_output=True)
    images.mkdir()
    (images / "a.jpg").symlink_to(samples / "images/10k/val/913b47b8-3cf1b886.jpg")
    words = ["test", "pan_seg", NAME, "--checkpoint", weights, "--images", images, "--format-dir", out]
    assert main([*map(str, words), "--device", "cpu"]) == 0
    theirs, named = paint(SHARED / "reference/pan_seg" / NAME / "pan_seg.json")
    ours, categories = paint(out / "pan_seg.json")
    assert (theirs == ours).mean() >= 0.995
    assert categories == {number: MODEL_CATEGORIES[number % 1000] for number in categories}
    # the original named the model's classes by a file that counted stuff first: the numbers are what is the same
    stuff_first = [*MODEL_CATEGORIES[10:], *MODEL_CATEGORIES[:10]]
    assert named == {number: stuff_first[number % 1000] for number in named}
