"""Small models of every task that can be exported, loaded for it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import mask_models
import pose_model
import semantic_model
from bdd100k_models.export.load import load_for_export
from bdd100k_models.inference.model import Model
from det_model import MODEL as DETECTOR
from det_model import make_checkpoint
from predict_support import tracker_files

SIZE = (72, 128)

_TAGGER = """\
_base_ = ['{base}']
model = dict(backbone=dict(depth=18, stem_channels=8, base_channels=8, init_cfg=None), head=dict(in_channels=64))
load_from = None
"""


def make_detector(folder: Path) -> Model:
    return load_for_export(DETECTOR, make_checkpoint(folder / "det.pth"), SIZE)


def make_masks(folder: Path, task: str) -> Model:
    config = mask_models.write_config(folder, task)
    return load_for_export(config, mask_models.write_checkpoint(config, folder / f"{task}.pth"), SIZE)


def make_segmentor(folder: Path) -> Model:
    config = semantic_model.write_config(folder, "drivable")
    return load_for_export(config, semantic_model.write_checkpoint(config, folder / "drivable.pth"), SIZE)


def make_pose(folder: Path) -> Model:
    config = pose_model.make_config(folder)
    return load_for_export(config, pose_model.make_weights(config, folder / "pose.pth"))


def make_tagger(folder: Path) -> Model:
    import torch

    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.model import build_model
    from bdd100k_models.zoo.records import resolve_config

    path = folder / "tiny_tagger.py"
    path.write_text(
        _TAGGER.format(base=resolve_config("tagging", "resnet18_5x_224x224_weather_tag_bdd100k").as_posix())
    )
    torch.manual_seed(0)
    torch.save({"meta": {}, "state_dict": build_model(load_config(path)).state_dict()}, folder / "tagger.pth")
    return load_for_export(path, folder / "tagger.pth")


MAKERS: dict[str, Callable[[Path], Model]] = {
    "det": make_detector,
    "ins_seg": functools.partial(make_masks, task="ins_seg"),
    "pan_seg": functools.partial(make_masks, task="pan_seg"),
    "drivable": make_segmentor,
    "pose": make_pose,
    "tagging": make_tagger,
    "mot": lambda folder: load_for_export(*tracker_files(folder), SIZE),
}


def size_of(task: str) -> tuple[int, int]:
    """Return the size of the pictures that a task's small model is exported for."""
    return (720, 1280) if task in ("pose", "tagging") else SIZE
