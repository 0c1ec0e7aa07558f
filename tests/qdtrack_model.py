"""A QDTrack of a few channels, and frames to run it on."""

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
from bdd100k_models.models.qdtrack import BoxTracker
from conftest import ROOT

CONFIGS = ROOT / "mot" / "configs" / "mot"
NAME = "qdtrack-frcnn_r50_fpn_12e_mot_bdd100k"
YOLOX = "qdtrack-yolox_x_25e_mot_bdd100k"


def config_of(name: str, overrides: dict[str, Any] | None = None) -> Config:
    return load_config(CONFIGS / f"{name}.py", overrides)


def tracker_of(name: str = NAME, **changed: Any) -> BoxTracker:
    options = dict(config_of(name).model.tracker) | changed
    options.pop("type")
    return BoxTracker(**options)


SMALL = {
    "model.detector.backbone.depth": 18,
    "model.detector.backbone.base_channels": 8,
    "model.detector.backbone.stem_channels": 8,
    "model.detector.backbone.init_cfg": None,
    "model.detector.neck.in_channels": [8, 16, 32, 64],
    "model.detector.neck.out_channels": 16,
    "model.detector.rpn_head.in_channels": 16,
    "model.detector.rpn_head.feat_channels": 16,
    "model.detector.roi_head.bbox_roi_extractor.out_channels": 16,
    "model.detector.roi_head.bbox_head.in_channels": 16,
    "model.detector.roi_head.bbox_head.fc_out_channels": 32,
    "model.detector.test_cfg.rpn.nms_pre": 50,
    "model.detector.test_cfg.rpn.max_per_img": 30,
    "model.detector.test_cfg.rcnn.max_per_img": 20,
    "model.track_head.roi_extractor.out_channels": 16,
}
SMALL_YOLOX = {
    "model.detector.init_cfg": None,
    "model.detector.backbone.deepen_factor": 0.1,
    "model.detector.backbone.widen_factor": 0.125,
    "model.detector.neck.in_channels": [32, 64, 128],
    "model.detector.neck.out_channels": 32,
    "model.detector.neck.num_csp_blocks": 1,
    "model.detector.bbox_head.in_channels": 32,
    "model.detector.bbox_head.feat_channels": 32,
    "model.detector.test_cfg.score_thr": 0.0,
    "model.proposal_cfg.nms_pre": 60,
    "model.proposal_cfg.max_per_img": 40,
    "model.track_head.roi_extractor.out_channels": 32,
    "model.tracker.init_score_thr": 0.0,
    "model.tracker.obj_score_thr": 0.0,
}
SMALL_HEAD = {
    "model.track_head.embed_head.conv_out_channels": 16,
    "model.track_head.embed_head.norm_cfg.num_groups": 4,
    "model.track_head.embed_head.fc_out_channels": 16,
    "model.track_head.embed_head.embed_channels": 8,
}


def small_model(kind: str = "two-stage", **overrides: Any) -> Any:
    init_default_scope("mmdet")
    torch.manual_seed(3)
    name, small, channels = (NAME, SMALL, 16) if kind == "two-stage" else (YOLOX, SMALL_YOLOX, 32)
    config = config_of(name, small | SMALL_HEAD | {"model.track_head.embed_head.in_channels": channels} | overrides)
    model = MODELS.build(config.model)
    model.init_weights()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.08) if parameter.ndim > 1 else None
    return model


def frame_sample(number: int, size: tuple[int, int] = (96, 128), **meta: Any) -> DetDataSample:
    return DetDataSample(
        metainfo={
            "frame_id": number,
            "ori_shape": size,
            "img_shape": size,
            "batch_input_shape": size,
            "pad_shape": size,
            "scale_factor": (1.0, 1.0),
            **meta,
        }
    )


def truth(labels: list[int], ids: list[int], shift: float = 0.0) -> InstanceData:
    corners = torch.arange(len(labels))[:, None] * 25.0 + torch.tensor([[2.0, 8.0, 24.0, 40.0]]) + shift
    return InstanceData(bboxes=corners, labels=torch.tensor(labels), instances_ids=torch.tensor(ids))


def pair_sample(labels: list[int], ids: list[int], reference_ids: list[int] | None = None) -> TrackDataSample:
    sample = TrackDataSample(metainfo={"key_frames_inds": [0], "ref_frames_inds": [1]})
    frames = [frame_sample(0), frame_sample(1)]
    known = ids if reference_ids is None else reference_ids
    frames[0].gt_instances = truth(labels, ids)
    frames[1].gt_instances = truth((labels * 9)[: len(known)], known, shift=1.0)
    for frame in frames:
        frame.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    sample.video_data_samples = frames
    return sample


def total(losses: dict[str, Any]) -> torch.Tensor:
    parts = [part for value in losses.values() for part in (value if isinstance(value, list) else [value])]
    return sum(part for part in parts if part.requires_grad)
