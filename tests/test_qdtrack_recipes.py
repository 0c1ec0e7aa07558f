"""What each QDTrack config says, pinned to the published recipes: those of the original and of Vis4D's zoo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.registry import DATASETS

import bdd100k_models.registry  # noqa: F401
from qdtrack_model import NAME, YOLOX, config_of

PLAIN = "qdtrack-frcnn_r50_fpn_1x_mot_bdd100k"
STRONG = "qdtrack-frcnn_r50_fpn_augs_1x_mot_bdd100k"

#: In the order of the files that `bdd100k.label.to_coco` makes, by which the published weights count.
CATEGORIES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")

#: All four recipes.
COMMON: dict[str, Any] = {
    "model.tracker.match_score_thr": 0.5,
    "model.tracker.memo_tracklet_frames": 10,
    "model.tracker.memo_backdrop_frames": 1,
    "model.tracker.memo_momentum": 0.8,
    "model.tracker.nms_conf_thr": 0.5,
    "model.tracker.nms_backdrop_iou_thr": 0.3,
    "model.tracker.nms_class_iou_thr": 0.7,
    "model.tracker.with_cats": True,
    "model.track_head.embed_head.num_convs": 4,
    "model.track_head.embed_head.num_fcs": 1,
    "model.track_head.embed_head.embed_channels": 256,
    "model.track_head.embed_head.norm_cfg.num_groups": 32,
    "model.track_head.embed_head.loss_track.loss_weight": 0.25,
    "model.track_head.embed_head.loss_track_aux.loss_weight": 1.0,
    "model.track_head.embed_head.loss_track_aux.neg_pos_ub": 3,
    "model.track_head.embed_head.loss_track_aux.hard_mining": True,
    "model.track_head.train_cfg.assigner.pos_iou_thr": 0.7,
    "model.track_head.train_cfg.assigner.neg_iou_thr": 0.3,
    "model.track_head.train_cfg.sampler.num": 256,
    "model.track_head.train_cfg.sampler.pos_fraction": 0.5,
    "model.track_head.train_cfg.sampler.neg_pos_ub": 3,
}

#: The three with Faster R-CNN.
TWO_STAGES: dict[str, Any] = {
    "model.tracker.init_score_thr": 0.7,
    "model.tracker.obj_score_thr": 0.3,
    "model.track_head.roi_extractor.finest_scale": None,  # mmdet's default of 56 is right for four levels
    "model.track_head.roi_extractor.featmap_strides": [4, 8, 16, 32],
    "model.detector.backbone.frozen_stages": 1,
    "model.detector.backbone.norm_eval": True,
    "model.detector.rpn_head.loss_bbox.beta": 1 / 9,
    "model.detector.test_cfg.rpn.max_per_img": 1000,
    "model.detector.test_cfg.rcnn.score_thr": 0.05,
    "model.detector.test_cfg.rcnn.nms.iou_threshold": 0.5,
    "model.detector.test_cfg.rcnn.max_per_img": 100,
    "model.data_preprocessor.mean": [123.675, 116.28, 103.53],
    "model.data_preprocessor.std": [58.395, 57.12, 57.375],
    "model.data_preprocessor.pad_size_divisor": 32,
    "test_dataloader.dataset.pipeline.0.transforms.1.scale": (1296, 720),
    "optim_wrapper.type": "OptimWrapper",
    "optim_wrapper.optimizer.type": "SGD",
    "optim_wrapper.optimizer.lr": 0.02,
    "optim_wrapper.optimizer.momentum": 0.9,
    "optim_wrapper.optimizer.weight_decay": 1e-4,
    "param_scheduler.0.type": "LinearLR",
    "param_scheduler.0.end": 1000,
    "param_scheduler.1.milestones": [8, 11],
    "param_scheduler.1.gamma": 0.1,
    "train_cfg.max_epochs": 12,
    "auto_scale_lr.base_batch_size": 16,
}

#: The two of Vis4D among them.
OF_VIS4D: dict[str, Any] = {
    "model.detector.roi_head.bbox_head.loss_bbox.type": "SmoothL1Loss",
    "model.detector.roi_head.bbox_head.loss_bbox.beta": 1.0,
    "model.track_head.embed_head.loss_track_aux.neg_margin": 0.3,
    "optim_wrapper.clip_grad.max_norm": 35,
    "param_scheduler.0.start_factor": 0.1,
    "train_dataloader.batch_size": 4,
}

#: Strong augmentation, by the place of its steps; pictures of the network's size are its scale.
MIXING: dict[str, Any] = {
    "train_dataloader.dataset.dataset.frame_range": 3,
    "train_dataloader.dataset.dataset.keep_unmatched": True,
    "train_dataloader.dataset.dataset.min_area": 1.0,
    "train_dataloader.dataset.pipeline.0.type": "PairMosaic",
    "train_dataloader.dataset.pipeline.1.type": "PairRandomAffine",
    "train_dataloader.dataset.pipeline.1.max_rotate_degree": 10.0,
    "train_dataloader.dataset.pipeline.1.max_translate_ratio": 0.1,
    "train_dataloader.dataset.pipeline.1.max_shear_degree": 2.0,
    "train_dataloader.dataset.pipeline.1.scaling_ratio_range": (0.5, 1.5),
    "train_dataloader.dataset.pipeline.2.type": "PairMixUp",
    "train_dataloader.dataset.pipeline.2.ratio_range": (0.8, 1.6),
    "train_dataloader.dataset.pipeline.3.share_random_params": None,  # each frame draws its own
    "train_dataloader.dataset.pipeline.3.transforms.0.hue_delta": 5,
    "train_dataloader.dataset.pipeline.3.transforms.0.saturation_delta": 30,
    "train_dataloader.dataset.pipeline.3.transforms.0.value_delta": 30,
    "train_dataloader.dataset.pipeline.3.transforms.1.prob": 0.5,
    "train_dataloader.dataset.pipeline.3.transforms.2.ratio_range": (0.5, 1.5),
}

RECIPES: dict[str, dict[str, Any]] = {
    NAME: COMMON
    | TWO_STAGES
    | {
        "model.detector.roi_head.bbox_head.loss_bbox.type": "L1Loss",
        "model.track_head.embed_head.loss_track_aux.neg_margin": 0.1,
        "model.data_preprocessor.bgr_to_rgb": True,
        "optim_wrapper.clip_grad": None,
        "param_scheduler.0.start_factor": 0.001,
        "train_cfg.val_interval": 2,
        "train_dataloader.batch_size": 2,
        "train_dataloader.dataset.frame_range": 3,
        "train_dataloader.dataset.keep_unmatched": None,  # pairs without a common track are drawn again
        "train_dataloader.dataset.min_area": None,
        "train_dataloader.dataset.pipeline.0.share_random_params": True,
        "train_dataloader.dataset.pipeline.0.transforms.2.scale": (1296, 720),
        "train_dataloader.dataset.pipeline.0.transforms.3.prob": 0.5,
    },
    PLAIN: COMMON
    | TWO_STAGES
    | OF_VIS4D
    | {
        "model.data_preprocessor.bgr_to_rgb": True,
        "train_dataloader.dataset.frame_range": 3,
        "train_dataloader.dataset.keep_unmatched": True,
        "train_dataloader.dataset.min_area": 49.0,
        "train_dataloader.dataset.pipeline.0.share_random_params": True,
        "train_dataloader.dataset.pipeline.0.transforms.3.prob": 0.5,
    },
    STRONG: COMMON
    | TWO_STAGES
    | OF_VIS4D
    | MIXING
    | {
        "model.data_preprocessor.bgr_to_rgb": False,
        "custom_hooks.0.type": "PairModeSwitchHook",
        "custom_hooks.0.num_last_epochs": 3,
        "train_dataloader.dataset.pipeline.0.img_scale": (1280, 720),
        "train_dataloader.dataset.pipeline.3.transforms.3.crop_size": (1280, 720),
    },
    YOLOX: COMMON
    | MIXING
    | {
        "model.tracker.init_score_thr": 0.5,
        "model.tracker.obj_score_thr": 0.35,
        "model.clip_boxes": True,
        "model.track_head.roi_extractor.finest_scale": 112,
        "model.track_head.roi_extractor.featmap_strides": [8, 16, 32],
        "model.track_head.roi_extractor.out_channels": 320,
        "model.track_head.embed_head.in_channels": 320,
        "model.track_head.embed_head.conv_out_channels": 256,
        "model.track_head.embed_head.loss_track_aux.neg_margin": 0.3,
        "model.detector.test_cfg.score_thr": 0.1,
        "model.detector.test_cfg.nms.iou_threshold": 0.65,
        "model.proposal_cfg.nms_pre": 2000,
        "model.proposal_cfg.nms.iou_threshold": 0.7,
        "model.proposal_cfg.max_per_img": 1000,
        "model.data_preprocessor.mean": None,
        "model.data_preprocessor.std": None,
        "model.data_preprocessor.bgr_to_rgb": None,
        "model.data_preprocessor.pad_value": 114.0,
        "model.data_preprocessor.pad_size_divisor": 32,
        "test_dataloader.dataset.pipeline.0.transforms.1.scale": (1440, 800),
        "train_dataloader.dataset.pipeline.0.img_scale": (1440, 800),
        "train_dataloader.dataset.pipeline.3.transforms.3.crop_size": (1440, 800),
        "train_dataloader.batch_size": 8,
        "auto_scale_lr.base_batch_size": 64,
        "optim_wrapper.type": "AmpOptimWrapper",
        "optim_wrapper.clip_grad": None,
        "optim_wrapper.optimizer.type": "SGD",
        "optim_wrapper.optimizer.lr": 0.001,
        "optim_wrapper.optimizer.momentum": 0.9,
        "optim_wrapper.optimizer.nesterov": True,
        "optim_wrapper.optimizer.weight_decay": 5e-4,
        "optim_wrapper.paramwise_cfg.norm_decay_mult": 0.0,
        "optim_wrapper.paramwise_cfg.bias_decay_mult": 0.0,
        "param_scheduler.0.type": "QuadraticWarmupLR",
        "param_scheduler.0.end": 1,
        "param_scheduler.1.type": "CosineAnnealingLR",
        "param_scheduler.1.T_max": 39,
        "param_scheduler.1.eta_min": 5e-5,  # 5 % of the rate
        "train_cfg.max_epochs": 25,
        "custom_hooks.0.type": "EMAHook",
        "custom_hooks.0.ema_type": "ExpMomentumEMA",
        "custom_hooks.0.momentum": 2e-4,  # of the new: the old has 0.9998
        "custom_hooks.0.gamma": 2000,
    },
}


def entry(config: Any, path: str) -> Any:
    """Return an entry of a config by its path; None where it is not there."""
    for part in path.split("."):
        config = config[int(part)] if part.isdecimal() else config.get(part)
    return list(config) if isinstance(config, tuple) else config


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_is_as_published(name: str) -> None:
    config = config_of(name)
    expected = {path: list(value) if isinstance(value, tuple) else value for path, value in RECIPES[name].items()}
    assert {path: entry(config, path) for path in expected} == expected


@pytest.mark.parametrize("task", ["mot", "mots"])
@pytest.mark.parametrize("kind", ["BDD100KVideoDataset", "BDD100KTrackPairs"])
def test_the_categories_count_in_the_order_of_the_data_set(tmp_path: Path, task: str, kind: str) -> None:
    box = {"x1": 1, "y1": 2, "x2": 30, "y2": 40}
    # in another order, since none of the files may decide
    labels = [{"id": name, "category": name, "box2d": box} for name in sorted(CATEGORIES, reverse=True)]
    frames = [{"name": f"a-{n}.jpg", "videoName": "a", "frameIndex": n, "labels": labels} for n in (0, 1)]
    (tmp_path / "a.json").write_text(json.dumps(frames))
    where = {"ann_file": str(tmp_path), "data_prefix": {"img": "images"}}
    dataset = DATASETS.build({"type": kind, "task": task, "pipeline": [], **where})
    assert dataset.metainfo["classes"] == CATEGORIES
    dataset.full_init()
    record = dataset.get_data_info(0)
    instances = (record["images"][0] if "images" in record else record)["instances"]
    # tracks are numbered as they come
    numbers = {instance["instance_id"]: instance["bbox_label"] for instance in instances}
    assert [numbers[place] for place in range(1, 9)] == [CATEGORIES.index(label["category"]) for label in labels]
