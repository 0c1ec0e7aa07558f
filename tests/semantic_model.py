"""A tiny segmentor with random weights, and a small data set for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.tasks import TASKS
from conftest import ROOT, draw_noise

SIZE = (72, 128)

_CONFIG = """\
_base_ = [
    '{root}/sem_seg/configs/_base_/models/fcn_r50-d8.py',
    '{root}/{task}/configs/_base_/datasets/{task}_bdd100k_512x1024.py',
    '{root}/sem_seg/configs/_base_/schedules/schedule_40k.py',
    '{root}/sem_seg/configs/_base_/default_runtime.py'
]
model = dict(
    pretrained=None,
    backbone=dict(depth=18, stem_channels=8, base_channels=8),
    decode_head=dict(in_channels=64, channels=16, num_convs=1, concat_input=False, num_classes={classes}),
    auxiliary_head=dict(in_channels=32, channels=8, num_classes={classes}))
"""


def write_config(folder: Path, task: str) -> Path:
    """Write the config of a tiny model of a task, with the task's own data sets and recipe."""
    path = folder / f"tiny_{task}.py"
    classes = len(TASKS[task].categories)
    path.write_text(_CONFIG.format(root=ROOT.as_posix(), task=task, classes=classes))
    return path


def write_checkpoint(config: Path, path: Path) -> Path:
    """Write random weights that predict many classes."""
    torch.manual_seed(0)
    model: Any = build_model(load_config(config))
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    pixels = cv2.imread(str(draw_noise(path.with_suffix(".png"), seed=100, size=(72, 128))))
    picture = cv2.resize(pixels, (1280, 720)).astype(np.float32).transpose(2, 0, 1)
    with torch.no_grad():
        scores = model.decode_head(model.extract_feat(torch.from_numpy(picture / 60 - 2)[None]))
        # no class may win everywhere
        spread, mean = torch.std_mean(scores, dim=(0, 2, 3))
        model.decode_head.conv_seg.weight /= spread[:, None, None, None]
        model.decode_head.conv_seg.bias -= mean / spread
    torch.save({"meta": {}, "state_dict": model.state_dict()}, path)
    return path


def random_map(seed: int, task: str, size: tuple[int, int] = SIZE, ignored: bool = True) -> np.ndarray:
    """Return a map of blocks of classes, some of no class (255)."""
    rng = np.random.default_rng(seed)
    values = [*range(len(TASKS[task].categories)), *([255] if ignored else [])]
    coarse = rng.choice(values, (size[0] // 8 + 1, size[1] // 8 + 1))
    return np.kron(coarse, np.ones((8, 8)))[: size[0], : size[1]].astype(np.uint8)


def coco_rle(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask with the COCO API."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"counts": rle["counts"].decode(), "size": [int(side) for side in rle["size"]]}


def write_data(root: Path, task: str, count: int, split: str = "val", size: tuple[int, int] = SIZE) -> Path:
    """Write pictures with labels, as masks and as run lengths."""
    images, masks, lists = (root / path for path in (TASKS[task].image_dir(split), *TASKS[task].label_paths(split)[:2]))
    masks.mkdir(parents=True)
    frames = []
    for index in range(count):
        draw_noise(images / f"{index}.jpg", seed=index, size=size)
        classes = random_map(index, task, size)
        Image.fromarray(classes).save(masks / f"{index}.png")
        labels = [
            {"id": str(value), "category": category, "rle": coco_rle(classes == value)}
            for value, category in enumerate(TASKS[task].categories)
            if (classes == value).any()
        ]
        frames.append({"name": f"{index}.jpg", "labels": labels})
    lists.parent.mkdir(parents=True, exist_ok=True)
    lists.write_text(json.dumps({"frames": frames}))
    return root
