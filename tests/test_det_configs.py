"""Detection models as configured: they find boxes, learn, and are trained by the published schedule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, PARAM_SCHEDULERS, init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model, predict
from bdd100k_models.engine.weightless import build_weightless
from conftest import ROOT, draw_noise
from legacy import differences, intended, listed_differences, published_config, published_recipe, recipe

CONFIGS = ROOT / "det" / "configs"

# one of each kind of detector, neck and backbone
KINDS = (
    "faster_rcnn_r50_fpn_1x",
    "retinanet_r50_fpn_1x",
    "fcos_tricks_r50_fpn_1x",
    "atss_r50_fpn_dyhead_1x",
    "cascade_rcnn_swin-t_fpn_3x",
    "atss_r50_fpn_1x",
    "cascade_rcnn_convnext-t_fpn_fp16_1x",
    "faster_rcnn_hrnetv2p_w18_1x",
    "faster_rcnn_r50_fpn_dconv_1x",
    "fcos_r50_fpn_1x",
    "libra_faster_rcnn_r50_fpn_1x",
    "retinanet_pvt-t_fpn_1x",
    "retinanet_pvtv2-b0_fpn_1x",
    "sparse_rcnn_r50_fpn_1x",
)
# training steps of these take more than five seconds each
HEAVY = ("atss_r50_fpn_dyhead_1x", "cascade_rcnn_swin-t_fpn_3x", "cascade_rcnn_convnext-t_fpn_fp16_1x")


def config_of(name: str) -> Config:
    stem = name if name.endswith("_det_bdd100k") else f"{name}_det_bdd100k"
    return load_config(CONFIGS / "det" / f"{stem}.py")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  OpenMMLab draws from the global generator


# ----------------------------------------------------------------------------------------------------- the models


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_finds_boxes(kind: str):
    model = build_model(config_of(kind))
    rng = np.random.default_rng(0)
    (result,) = predict(model, as_batch([rng.integers(0, 256, (128, 192, 3), dtype=np.uint8)]))
    boxes, scores = result["pred_instances"]["bboxes"], result["pred_instances"]["scores"]
    assert boxes.shape == (len(scores), 4) and len(scores) <= 100
    assert boxes.isfinite().all() and scores.isfinite().all() and (scores >= 0).all() and (scores <= 1).all()
    assert len(scores) == 0 or result["pred_instances"]["labels"].max() < 10


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind in HEAVY else []) for kind in KINDS]
)
def test_a_model_learns(kind: str):
    """Assigners, samplers and losses work as configured: finite losses, and a gradient for each free parameter."""
    model = build_model(config_of(kind)).train()
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (192, 256, 3), dtype=np.uint8) for _ in range(2)]
    boxes = [np.array([[20, 30, 120, 140], [100, 60, 220, 180]]), np.empty((0, 4))]
    losses = model(**model.data_preprocessor(as_batch(images, boxes), True), mode="loss")
    total, named = model.parse_losses(losses)
    assert total.isfinite() and total > 0 and len(named) > 2, named
    total.backward()
    free = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not [name for name, gradient in free.items() if gradient is None or not gradient.isfinite().all()]


def as_batch(images: list[np.ndarray], boxes: list[np.ndarray] | None = None) -> dict[str, Any]:
    from mmdet.structures import DetDataSample  # not before the package's registry has mended mmdet's imports

    samples = []
    for index, image in enumerate(images):
        shape = image.shape[:2]
        meta = {"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0), "img_id": index}
        sample = DetDataSample(metainfo=meta)
        truth = torch.as_tensor(boxes[index] if boxes else np.empty((0, 4)), dtype=torch.float32)
        sample.gt_instances = InstanceData(bboxes=truth, labels=torch.arange(len(truth)) * 2)
        sample.ignored_instances = InstanceData(bboxes=torch.empty(0, 4), labels=torch.empty(0, dtype=torch.long))
        samples.append(sample)
    return {"inputs": [torch.from_numpy(image).permute(2, 0, 1) for image in images], "data_samples": samples}


# ---------------------------------------------------------------------------------------------------- the recipes


@pytest.mark.parametrize(
    ("override", "fact"),
    [
        ({"optim_wrapper.optimizer.lr": 0.03}, "optimizer.lr"),
        ({"optim_wrapper.type": "AmpOptimWrapper"}, "half_precision"),
        ({"optim_wrapper.paramwise_cfg": {"bias_lr_mult": 2.0}}, "optimizer.paramwise_cfg.bias_lr_mult"),
        ({"model.train_cfg.rpn.assigner.pos_iou_thr": 0.6}, "model.train_cfg.rpn.assigner.pos_iou_thr"),
        ({"model.data_preprocessor.bgr_to_rgb": False}, "normalise.to_rgb"),
        ({"model.roi_head.bbox_head.loss_bbox.beta": 1.0}, "model.roi_head.bbox_head.loss_bbox.beta"),
        ({"train_dataloader.dataset.pipeline.3.prob": 0.0}, "data.train.flip.probability"),
        ({"train_dataloader.dataset.pipeline.2.scale": (720, 1280)}, "data.train.resize.sizes"),
        ({"train_dataloader.batch_size": 1}, "data.train.batch"),
        ({"param_scheduler.1.milestones": [8, 10]}, "schedule.milestones"),
        ({"default_hooks.checkpoint.interval": 2}, "checkpoint.interval"),
    ],
)
def test_a_changed_recipe_is_found(shared: Path, override: dict[str, Any], fact: str):
    name = "faster_rcnn_r50_fpn_1x_det_bdd100k"
    config = config_of(name)
    config.merge_from_dict(override)
    found = differences(published_recipe("det", name), recipe(config.to_dict()))
    assert found.keys() - intended(listed_differences("det"), name).keys() == {fact}


def test_an_option_that_nothing_compares_is_refused():
    config = config_of("faster_rcnn_r50_fpn_1x").to_dict()
    config["optim_wrapper"]["accumulative_counts"] = 4
    with pytest.raises(AssertionError, match="accumulative_counts"):
        recipe(config)


def published_rate(config: dict[str, Any], epoch: int, iteration: int) -> float:
    """Return the rate of mmcv 1.x's step policy with warm-up, from its documentation."""
    rate, policy = config["optimizer"]["lr"], config["lr_config"]
    rate *= policy.get("gamma", 0.1) ** sum(epoch >= step for step in policy["step"])
    if iteration >= policy["warmup_iters"]:
        return rate
    if policy["warmup"] == "constant":
        return rate * policy["warmup_ratio"]
    return rate * (policy["warmup_ratio"] + (1 - policy["warmup_ratio"]) * iteration / policy["warmup_iters"])


SCHEDULES = (
    "faster_rcnn_r50_fpn_1x",
    "faster_rcnn_r50_fpn_3x",
    "faster_rcnn_r50_fpn_5x",
    "faster_rcnn_swin-t_fpn_1x",
    "faster_rcnn_swin-t_fpn_3x",
    "fcos_r50_fpn_1x",
    "fcos_tricks_r50_fpn_1x",
    "sparse_rcnn_r50_fpn_3x",
)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_learning_rates_follow_the_published_schedule(shared: Path, kind: str):
    published = published_config("det", f"{kind}_det_bdd100k")
    config = config_of(kind)
    epochs, length = config.train_cfg.max_epochs, 1100 // config.train_cfg.max_epochs + 1
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=config.optim_wrapper.optimizer.lr)
    given = {"optimizer": optimizer}
    schedulers = [PARAM_SCHEDULERS.build(part, default_args=given) for part in config.param_scheduler]
    assert published["runner"]["max_epochs"] == epochs
    optimizer.step()
    for epoch in range(epochs):
        for iteration in range(epoch * length, (epoch + 1) * length):
            rate = optimizer.param_groups[0]["lr"]
            expected = published_rate(published, epoch, iteration)
            # in the warm-up mmengine is ahead by less than one iteration
            ahead = published_rate(published, epoch, iteration + 1)
            assert expected * (1 - 1e-9) <= rate <= ahead * (1 + 1e-9), (epoch, iteration)
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()


# Rates and decays, as multiples of the optimiser's, that the published recipe gives to a parameter.
GROUPS = {
    "fcos_r50_fpn_1x": {
        "bbox_head.conv_cls.bias": (2.0, 0.0),
        "bbox_head.conv_cls.weight": (1.0, 1.0),
        "bbox_head.cls_convs.0.gn.bias": (1.0, 1.0),
    },
    "faster_rcnn_r50_fpn_rsb_1x": {
        "backbone.layer2.0.bn1.weight": (1.0, 0.0),
        "backbone.layer2.0.conv1.weight": (1.0, 1.0),
        "roi_head.bbox_head.fc_cls.bias": (1.0, 1.0),
    },
    "faster_rcnn_swin-t_fpn_1x": {
        "backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table": (1.0, 0.0),
        "backbone.stages.0.blocks.0.norm1.weight": (1.0, 0.0),
        "backbone.stages.0.blocks.0.attn.w_msa.qkv.weight": (1.0, 1.0),
    },
    # 6 layers of ConvNeXt between the stem (0) and everything behind the backbone (7); no decay of vectors
    "faster_rcnn_convnext-t_fpn_fp16_1x": {
        "backbone.downsample_layers.0.0.weight": (0.95**7, 1.0),
        "backbone.downsample_layers.0.0.bias": (0.95**7, 0.0),
        "backbone.stages.0.2.depthwise_conv.weight": (0.95**6, 1.0),
        "backbone.stages.1.0.depthwise_conv.weight": (0.95**5, 1.0),
        "backbone.stages.2.0.depthwise_conv.weight": (0.95**4, 1.0),
        "backbone.stages.2.8.depthwise_conv.weight": (0.95**2, 1.0),
        "backbone.stages.3.0.depthwise_conv.weight": (0.95**1, 1.0),
        "roi_head.bbox_head.fc_cls.weight": (1.0, 1.0),
    },
}


@pytest.mark.parametrize("kind", GROUPS)
def test_parameters_get_their_own_rates_and_decays(kind: str):
    model = build_weightless(config_of(kind))
    settings = config_of(kind).optim_wrapper
    settings.type = "OptimWrapper"  # scaling of losses needs a GPU and groups no parameters
    settings.pop("loss_scale", None)
    wrapper = build_optim_wrapper(model, settings)
    rate, decay = settings.optimizer.lr, settings.optimizer.weight_decay
    groups = {id(p): group for group in wrapper.optimizer.param_groups for p in group["params"]}
    parameters = dict(model.named_parameters())
    for name, expected in GROUPS[kind].items():
        group = groups[id(parameters[name])]
        assert (group["lr"] / rate, group["weight_decay"] / decay) == pytest.approx(expected), name


# ------------------------------------------------------------------------------------------------------- the data


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root of four pictures, as downloaded: two boxes on each but the last."""
    root = tmp_path_factory.mktemp("road")
    frames = []
    for index in range(4):
        draw_noise(root / f"images/100k/train/{index}.jpg", index)
        boxes = [(100, 200, 400, 500), (700, 300, 1200, 700)] if index < 3 else []
        labels = [
            {"id": str(n), "category": "car", "box2d": dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))}
            for n, box in enumerate(boxes)
        ]
        frames.append({"name": f"{index}.jpg", "labels": labels})
    path = root / "labels/det_20/det_train.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(frames))
    return root


def training_data(kind: str, root: Path) -> Any:
    init_default_scope("mmdet")
    settings = config_of(kind).train_dataloader.dataset
    settings.get("dataset", settings).data_root = str(root)
    return DATASETS.build(settings)


@pytest.mark.parametrize(
    ("kind", "heights", "dtype"),
    [
        ("faster_rcnn_r50_fpn_1x", {720}, torch.uint8),
        ("faster_rcnn_r50_fpn_3x", {600, 624, 648, 672, 696, 720}, torch.uint8),
        ("fcos_r50_fpn_3x", {600, 624, 648, 672, 696, 720}, torch.float32),
        ("sparse_rcnn_r50_fpn_3x", {600, 624, 648, 672, 696, 720}, torch.float32),
    ],
)
def test_training_images_have_the_published_sizes(road: Path, kind: str, heights: set[int], dtype: torch.dtype):
    data = training_data(kind, road)
    assert len(data) == 3, "images without boxes are no training images"
    shapes = set()
    for turn in range(36):
        item = data[turn % len(data)]
        shapes.add(tuple(item["inputs"].shape))
        assert item["inputs"].dtype == dtype
        assert len(item["data_samples"].gt_instances) == 2
    assert {height for _, height, _ in shapes} == heights
    assert {round(width / height, 2) for _, height, width in shapes} == {1.78}


def test_strong_augmentation_keeps_the_shape_of_the_road(road: Path):
    """Mixed, scaled and cropped images are at most 720 pixels high and 1280 wide, and some are that large."""
    data = training_data("faster_rcnn_swin-t_fpn_3x_strong", road)
    shapes = set()
    for turn in range(12):
        item = data[turn % len(data)]
        shapes.add(tuple(item["inputs"].shape[1:]))
        boxes = item["data_samples"].gt_instances.bboxes
        boxes = getattr(boxes, "tensor", boxes)
        height, width = item["inputs"].shape[1:]
        assert (boxes[:, 0::2] <= width).all() and (boxes[:, 1::2] <= height).all() and (boxes >= 0).all()
    assert max(shapes) == (720, 1280) and all(h <= 720 and w <= 1280 for h, w in shapes)


def test_batches_of_strong_augmentation_are_loaded(road: Path):
    init_default_scope("mmdet")
    settings = config_of("faster_rcnn_swin-t_fpn_3x_strong").train_dataloader
    settings.dataset.dataset.data_root = str(road)
    settings.update(num_workers=0, persistent_workers=False)
    batch = next(iter(Runner.build_dataloader(settings, seed=0)))
    assert len(batch["inputs"]) == len(batch["data_samples"]) == 2
