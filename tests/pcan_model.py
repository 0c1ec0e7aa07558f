"""A PCAN of a few channels, and frames to run it on."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split

from typing import Any

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from bdd100k_models.engine.config import load_config
from bdd100k_models.models.pcan import PCAN
from conftest import ROOT

NAME = "pcan-frcnn_r50_fpn_12e_mots_bdd100k"
CONFIG = ROOT / "mots" / "configs" / "mots" / f"{NAME}.py"


def small_config(**changed: Any) -> Config:
    """The published config with a backbone and heads of a few channels."""
    config = load_config(CONFIG)
    model = config.model
    model.init_cfg = None
    model.detector.backbone.update(depth=18, base_channels=8)
    model.detector.neck.update(in_channels=[8, 16, 32, 64], out_channels=16)
    model.detector.rpn_head.update(in_channels=16, feat_channels=16)
    for extractor in (
        model.detector.roi_head.bbox_roi_extractor,
        model.detector.roi_head.mask_roi_extractor,
        model.track_head.roi_extractor,
    ):
        extractor.out_channels = 16
    model.detector.roi_head.bbox_head.update(in_channels=16, fc_out_channels=32)
    model.detector.roi_head.mask_head.update(in_channels=16, conv_out_channels=16)
    model.track_head.embed_head.update(in_channels=16, conv_out_channels=32, fc_out_channels=32, embed_channels=16)
    if model.refine_head:
        model.refine_head.update(in_channels=16, conv_out_channels=16)
    model.update(changed)
    return config


def small_model(seed: int = 0, **changed: Any) -> PCAN:
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    model = MODELS.build(small_config(**changed).model).eval()
    # scores far from even and embeddings far apart, so that some boxes are certain and found again
    torch.nn.init.normal_(model.detector.roi_head.bbox_head.fc_cls.weight, std=3.0)
    torch.nn.init.normal_(model.track_head.embed_head.fc_embed.weight, std=3.0)
    return model


def make_frame(index: int, size: tuple[int, int] = (96, 128), seed: int | None = None) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(index if seed is None else seed)
    image = torch.randint(0, 256, (1, 3, *size), generator=generator, dtype=torch.uint8)
    meta = {
        "frame_id": index,
        "ori_shape": size,
        "img_shape": size,
        "scale_factor": (1.0, 1.0),
        "img_path": f"{index}.jpg",
    }
    sample = TrackDataSample()
    sample.video_data_samples = [DetDataSample(metainfo=meta)]
    return {"inputs": [image], "data_samples": [sample]}


def predict(model: PCAN, data: dict[str, Any]) -> TrackDataSample:
    with torch.inference_mode():
        (sample,) = model(**model.data_preprocessor(data, False), mode="predict")
    return sample


def run(model: PCAN, data: dict[str, Any]) -> InstanceData:
    return predict(model, data)[0].pred_track_instances
