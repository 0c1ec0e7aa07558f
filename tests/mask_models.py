"""Tiny models of instance and panoptic segmentation with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from conftest import ROOT

_BASES = {
    "ins_seg": "mask_rcnn_r50_fpn_1x_ins_seg_bdd100k",
    "pan_seg": "panoptic_fpn_r50_fpn_1x_pan_seg_bdd100k",
}

_CONFIG = """
_base_ = [{base!r}]
model = dict(
    backbone=dict(depth=18, base_channels=16, stem_channels=16, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=16)),
    test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=50), rcnn=dict(score_thr=0.12, max_per_img=30)))
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(logger=dict(interval=1))
load_from = None
"""


def write_config(folder: Path, task: str) -> Path:
    """Write the config of a tiny model, after the published one."""
    name = _BASES[task]
    text = _CONFIG.format(base=str(ROOT / task / "configs" / task / f"{name}.py"))
    if task == "pan_seg":
        text = text.replace(
            "\n    test_cfg=dict(",
            "\n    semantic_head=dict(in_channels=16, inner_channels=16, norm_cfg=dict(num_groups=4)),"
            "\n    test_cfg=dict(panoptic=dict(stuff_area_limit=64), ",
        )
    path = folder / f"tiny_{task}_bdd100k.py"
    path.write_text(text)
    return path


def write_checkpoint(config: Path, path: Path, seed: int = 0) -> Path:
    """Write random weights for a config."""
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.model import build_model

    torch.manual_seed(seed)
    state = build_model(load_config(config)).state_dict()
    for key in ("roi_head.bbox_head.fc_cls.weight", "semantic_head.conv_logits.weight"):
        if key in state:
            state[key].normal_(0, 1.0)  # classes that differ
    torch.save({"meta": {}, "state_dict": state}, path)
    return path
