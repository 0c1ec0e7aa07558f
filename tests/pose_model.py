"""A tiny pose model with random weights, and people drawn, labelled and boxed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bdd100k_models.tasks import JOINTS, LIMBS
from conftest import ROOT, draw_noise

_CONFIG = f"""\
_base_ = ['{ROOT / "pose/configs/pose/res50_256x192_1x_pose_bdd100k.py"}']
model = dict(
    backbone=dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None),
    head=dict(in_channels=64, deconv_out_channels=(8, 8, 8)))
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
load_from = None
"""


def make_config(folder: Path) -> Path:
    """Write the config of a small model."""
    path = folder / "tiny_pose.py"
    path.write_text(_CONFIG)
    return path


def make_weights(config: Path, path: Path) -> Path:
    """Write random weights for a config, whose heat maps have clear peaks."""
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.model import build_model

    torch.manual_seed(0)
    state = build_model(load_config(config)).state_dict()
    state["head.final_layer.weight"].normal_(0, 0.3)
    state["head.final_layer.bias"].fill_(0.5)
    torch.save({"meta": {}, "state_dict": state}, path)
    return path


def person(joints: np.ndarray, box: tuple[float, float, float, float], number: int = 0) -> dict[str, Any]:
    """Return a label as the data set has it: joints (18, 2) in pixels, inclusive corners of a box."""
    nodes = [
        {"id": str(index), "category": name, "location": [float(x), float(y)], "visibility": "V" if index % 3 else "N"}
        for index, (name, (x, y)) in enumerate(zip(JOINTS, joints, strict=True))
    ]
    edges = [{"source": str(start), "target": str(end), "type": part} for start, end, part in LIMBS]
    return {
        "id": str(number),
        "category": "pedestrian",
        "box2d": dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
        "graph": {"nodes": nodes, "edges": edges, "type": "Pose2D-18Joints"},
    }


def make_data(root: Path, images: int = 5, split: str = "val") -> Path:
    """Write a data root whose last image has nobody, and every other one person more than the one before."""
    frames = []
    rng = np.random.default_rng(0)
    for index in range(images):
        name = f"{index}.jpg"
        draw_noise(root / f"images/100k/{split}" / name, seed=index)
        people = []
        for number in range(index + 1 if index < images - 1 else 0):
            corner, size = rng.uniform((0, 0), (1000, 400)), rng.uniform((60, 120), (160, 300))
            joints = corner + rng.random((18, 2)) * size
            people.append(person(joints, (*corner.round(1), *(corner + size).round(1)), number))
        frames.append({"name": name, "labels": people})
    path = root / f"labels/pose_21/pose_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(frames))
    return root
