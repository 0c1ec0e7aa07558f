"""Both generations of pose configs in one vocabulary, for mmpose; see :mod:`legacy`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from bdd100k_models.datasets.joints import JOINT_WEIGHTS, mirrored
from bdd100k_models.evaluation.config import POSE_SIGMAS
from bdd100k_models.tasks import JOINTS, LIMBS
from legacy import Recipe, _finish, _hook_facts, _scheduled, epochs_and_batch, flatten, published_config, surroundings

GPUS = 4  # the published pose models were trained on four

ROOT = "../data/bdd100k/"

#: What mmpose 0.24 did without being told, in the vocabulary below.
_DEFAULTS: Recipe = {
    "box.padding": 1.25,
    "data.train.shift.factor": 0.2,
    "data.train.shift.probability": 0.3,
    "data.train.shift.drawn": "once",
    "data.train.half_body.least_upper": 3,
    "data.train.half_body.least_lower": 3,
    "data.train.half_body.upper_first": 0.5,
    "data.train.half_body.padding": 1.5,
    "data.train.rotation.probability": 0.6,
    "schedule.gamma": 0.1,
    "process.cudnn_benchmark": False,
    "process.start": "fork",
    "process.opencv_threads": 0,
}


# ----------------------------------------------------------------------------------------------------- mmcv 1.x


def _check_joints(info: dict[str, Any]) -> None:
    """Compare the published joints with those of this package; colours are a matter of taste."""
    joints = info.pop("keypoint_info")
    names = [joints[str(index)]["name"] for index in range(len(joints))]
    assert tuple(names) == JOINTS
    for index, joint in enumerate(joints.values()):
        assert joint["id"] == index and (joint["swap"] or joint["name"]) == mirrored(joint["name"])
    lower = {joint["name"] for joint in joints.values() if joint["type"] == "lower"}
    assert lower == {name for name in JOINTS if name.split("_")[-1] in ("hip", "knee", "ankle", "foot")}
    links = {frozenset(link["link"]) for link in info.pop("skeleton_info").values()}
    assert links == {frozenset((JOINTS[start], JOINTS[end])) for start, end, _ in LIMBS}
    assert tuple(info.pop("joint_weights")) == JOINT_WEIGHTS and tuple(info.pop("sigmas")) == POSE_SIGMAS
    assert info.pop("dataset_name") == "bdd100k" and info.pop("paper_info")
    _finish(info, "dataset_info")


def _published_steps(split: str, pipeline: list[dict[str, Any]]) -> Recipe:
    where = f"data.{split}"
    facts: Recipe = {f"{where}.udp": False}
    order = []
    for step in pipeline:
        kind = step.pop("type")
        if kind == "LoadImageFromFile":
            facts[f"{where}.float"] = step.pop("to_float32")
            assert step.pop("channel_order") == "bgr"
        elif kind == "TopDownRandomFlip":
            facts[f"{where}.flip"] = step.pop("flip_prob")
        elif kind == "TopDownHalfBodyTransform":
            facts[f"{where}.half_body.more_than"] = step.pop("num_joints_half_body")
            facts[f"{where}.half_body.probability"] = step.pop("prob_half_body")
        elif kind == "TopDownGetRandomScaleRotation":
            facts[f"{where}.rotation.spread"] = step.pop("rot_factor")
            facts[f"{where}.scale.spread"] = step.pop("scale_factor")
        elif kind == "TopDownAffine":
            facts[f"{where}.udp"] = step.pop("use_udp", False)
        elif kind == "NormalizeTensor":
            facts |= {"normalise.mean": step.pop("mean"), "normalise.std": step.pop("std")}
        elif kind == "TopDownGenerateTarget":
            udp = step.pop("encoding", "MSRA") == "UDP"
            assert step.pop("target_type", "GaussianHeatmap") == "GaussianHeatmap"
            facts |= {"target.sigma": step.pop("sigma"), "target.udp": udp}
            facts["target.unbiased"] = step.pop("unbiased_encoding", False)
        else:
            assert kind in ("ToTensor", "Collect"), kind
            step.clear()
        _finish(step, f"{where}.{kind}")
        order.append(_STEPS.get(kind, kind))
    return facts | {f"{where}.order": [kind for kind in order if kind]}


#: The steps of mmpose 0.24 by their names here; "" is no step of its own here.
_STEPS = {
    "LoadImageFromFile": "load",
    "TopDownRandomFlip": "flip",
    "TopDownHalfBodyTransform": "half body",
    "TopDownGetRandomScaleRotation": "scale and rotation",
    "TopDownAffine": "cut out",
    "TopDownGenerateTarget": "target",
    "ToTensor": "",
    "NormalizeTensor": "",
    "Collect": "",
}


def _published_data(split: str, data: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    assert data.pop("type") == "TopDownBDD100KPoseDataset"
    _check_joints(data.pop("dataset_info"))
    facts: Recipe = {f"{where}.labels": data.pop("ann_file").removeprefix(ROOT)}
    facts[f"{where}.images"] = data.pop("img_prefix").removeprefix(ROOT).rstrip("/")
    facts |= _published_steps(split, data.pop("pipeline"))
    settings = data.pop("data_cfg")
    facts |= {"input": settings.pop("image_size"), "heat_map": settings.pop("heatmap_size")}
    joints = list(range(len(JOINTS)))
    assert settings.pop("num_joints") == settings.pop("num_output_channels") == len(joints)
    assert settings.pop("dataset_channel") == [joints] and settings.pop("inference_channel") == joints
    assert not settings.pop("crowd_matching") and not settings.pop("soft_nms") and not settings.pop("use_gt_bbox")
    settings.pop("nms_thr")  # which nothing read
    similarity, visibility = settings.pop("oks_thr"), settings.pop("vis_thr")
    boxes, least = settings.pop("bbox_file"), settings.pop("det_bbox_thr")
    if split != "train":
        facts |= {"result.similarity": similarity, "result.visibility": visibility}
        facts |= {f"{where}.boxes": boxes.removeprefix(ROOT), f"{where}.least_score": least}
    _finish(settings, "data_cfg")
    _finish(data, where)
    return facts


def _published_model(model: dict[str, Any]) -> Recipe:
    head, test = model.pop("keypoint_head"), model.pop("test_cfg")
    assert model.pop("type") == "TopDown" and head.pop("type") == "TopdownHeatmapSimpleHead"
    facts: Recipe = {"model.pretrained": model.pop("pretrained")}
    facts |= flatten(model.pop("backbone"), "model.backbone")
    facts["model.head.deconvolutions"] = head.pop("num_deconv_layers", 3)
    facts["model.head.last_kernel"] = head.pop("extra", {"final_conv_kernel": 1})["final_conv_kernel"]
    assert head.pop("loss_keypoint") == {"type": "JointsMSELoss", "use_target_weight": True}
    facts |= {"loss.squared": True, "loss.weighs_joints": True}
    facts |= flatten(head, "model.head")
    facts |= {"test.flip": test.pop("flip_test"), "test.shift": test.pop("shift_heatmap")}
    facts |= {"test.kernel": test.pop("modulate_kernel"), "test.unbiased": test.pop("post_process") == "unbiased"}
    facts["test.udp"] = test.pop("use_udp", False)
    assert test.pop("target_type", "GaussianHeatmap") == "GaussianHeatmap"
    _finish(test, "test_cfg")
    assert model.pop("train_cfg") == {}
    _finish(model, "model")
    return facts


def published_recipe(task: str, name: str) -> Recipe:
    """Name every fact of the config of mmcv 1.x that a model was published with."""
    config = published_config(task, name)
    for helper in ("dataset_info", "data_root", "data_cfg", "channel_cfg", "train_pipeline", "val_pipeline"):
        config.pop(helper, None)  # variables that the parts below were made of
    for helper in ("test_pipeline", "target_type"):
        config.pop(helper, None)
    facts = _DEFAULTS | _published_model(config.pop("model"))
    data = config.pop("data")
    facts["data.train.batch"] = data.pop("samples_per_gpu")
    facts["data.train.total_batch"] = facts["data.train.batch"] * GPUS
    facts["data.workers"] = data.pop("workers_per_gpu")
    for split in ("val", "test"):
        facts[f"data.{split}.batch"] = data.pop(f"{split}_dataloader")["samples_per_gpu"]
    for split in ("train", "val", "test"):
        if split in data:
            facts |= _published_data(split, data.pop(split))
    _finish(data, "data")
    facts |= flatten(config.pop("optimizer"), "optimizer")
    assert config.pop("optimizer_config") == {"grad_clip": None}
    rate = config.pop("lr_config")
    assert rate.pop("policy") == "step"
    warm = rate.pop("warmup_iters")
    facts |= _scheduled(rate.pop("warmup"), warm, rate.pop("warmup_ratio"), warm, rate.pop("step"), 0.1)
    _finish(rate, "lr_config")
    facts["schedule.epochs"] = config.pop("total_epochs")
    assert config.pop("workflow") == [["train", 1]]
    checks = config.pop("evaluation")
    assert checks.pop("metric") == "mAP"
    facts["evaluation.interval"] = checks.pop("interval")
    _finish(checks, "evaluation")
    facts["checkpoint.interval"] = config.pop("checkpoint_config")["interval"]
    log = config.pop("log_config")
    facts["log.interval"] = log.pop("interval")
    assert log.pop("hooks") == [{"type": "TextLoggerHook"}]
    _finish(log, "log_config")
    facts |= {"distributed.backend": config.pop("dist_params")["backend"], "log.level": config.pop("log_level")}
    facts |= {"load_from": config.pop("load_from"), "resume": bool(config.pop("resume_from"))}
    _finish(config, name)
    return facts


# ----------------------------------------------------------------------------------------------------- mmengine


def _codec(codec: dict[str, Any], kind: str) -> Recipe:
    """Name the facts of a codec; ``kind`` is what it is used for, ``target`` or ``test``."""
    udp = codec.pop("type") == "PublishedUDPHeatmap"
    facts: Recipe = {"input": list(codec.pop("input_size")), "heat_map": list(codec.pop("heatmap_size"))}
    facts |= {f"{kind}.udp": udp, f"{kind}.unbiased": codec.pop("unbiased", False)}
    facts |= {"target.sigma": codec.pop("sigma"), "test.kernel": codec.pop("blur_kernel_size")}
    _finish(codec, "codec")
    return facts


def _steps(split: str, pipeline: list[dict[str, Any]]) -> Recipe:
    where = f"data.{split}"
    facts: Recipe = {}
    order = []
    for step in pipeline:
        kind = step.pop("type")
        if kind == "LoadImage":
            order.append("load")
            facts[f"{where}.float"] = step.pop("to_float32")
        elif kind == "PersonBoxCenterScale":
            facts["box.padding"] = step.pop("padding")
        elif kind == "RandomCenterShift":
            facts |= {f"{where}.shift.factor": step.pop("factor"), f"{where}.shift.probability": step.pop("prob")}
            facts[f"{where}.shift.drawn"] = "each time"
        elif kind == "RandomFlip":
            order.append("flip")
            facts[f"{where}.flip"] = step.pop("prob")
        elif kind == "RandomHalfBody":
            order.append("half body")
            facts[f"{where}.half_body.more_than"] = step.pop("min_total_keypoints") - 1
            facts[f"{where}.half_body.probability"] = step.pop("prob")
            facts[f"{where}.half_body.least_upper"] = step.pop("min_upper_keypoints")
            facts[f"{where}.half_body.least_lower"] = step.pop("min_lower_keypoints")
            facts[f"{where}.half_body.upper_first"] = step.pop("upper_prioritized_prob")
            facts[f"{where}.half_body.padding"] = step.pop("padding")
        elif kind == "RandomScaleRotation":
            order.append("scale and rotation")
            facts[f"{where}.rotation.spread"] = step.pop("rotate_factor")
            facts[f"{where}.rotation.probability"] = step.pop("rotate_prob")
            facts[f"{where}.scale.spread"] = step.pop("scale_factor")
        elif kind == "TopdownAffine":
            order.append("cut out")
            facts |= {"input": list(step.pop("input_size")), f"{where}.udp": step.pop("use_udp", False)}
        elif kind == "GenerateTarget":
            order.append("target")
            facts |= _codec(step.pop("encoder"), "target")
        else:
            assert kind == "PackPoseInputs", kind
        _finish(step, f"{where}.{kind}")
    return facts | {f"{where}.order": order}


def _data(split: str, loader: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    facts: Recipe = {"data.workers": loader.pop("num_workers"), f"{where}.batch": loader.pop("batch_size")}
    assert loader.pop("sampler") == {"type": "DefaultSampler", "shuffle": split == "train"}
    assert loader.pop("persistent_workers") and not loader.pop("drop_last", False)
    data = loader.pop("dataset")
    _finish(loader, f"{split}_dataloader")
    assert data.pop("type") == "BDD100KPoseDataset" and data.pop("data_root") == "data/bdd100k/"
    assert data.pop("test_mode", False) == (split != "train")
    facts |= {f"{where}.labels": data.pop("ann_file"), f"{where}.images": data.pop("data_prefix")["img"]}
    if split != "train":
        facts[f"{where}.boxes"] = data.pop("bbox_file")
        facts[f"{where}.least_score"] = data.pop("filter_cfg")["bbox_score_thr"]
    facts |= _consistent(facts, _steps(split, data.pop("pipeline")))
    _finish(data, where)
    return facts


def _consistent(facts: Recipe, more: Recipe) -> Recipe:
    """Return ``more``, whose values must be those that ``facts`` has already."""
    for name in facts.keys() & more.keys():
        assert facts[name] == more[name], f"{name}: {facts[name]} and {more[name]} in one config"
    return more


def _model(model: dict[str, Any]) -> Recipe:
    assert model.pop("type") == "TopdownPoseEstimator"
    inputs = model.pop("data_preprocessor")
    assert inputs.pop("type") == "PoseDataPreprocessor" and inputs.pop("bgr_to_rgb") is False
    facts: Recipe = {f"normalise.{name}": inputs.pop(name) for name in ("mean", "std")}
    _finish(inputs, "data_preprocessor")
    backbone, head, test = model.pop("backbone"), model.pop("head"), model.pop("test_cfg")
    initial = backbone.pop("init_cfg")
    assert initial.pop("type") == "Pretrained"
    facts["model.pretrained"] = initial.pop("checkpoint")
    facts |= flatten(backbone, "model.backbone")
    assert head.pop("type") == "HeatmapHead"
    facts["model.head.deconvolutions"] = 3 if "deconv_out_channels" not in head else 0
    assert head.pop("deconv_out_channels", None) is None
    facts["model.head.last_kernel"] = head.pop("final_layer", {"kernel_size": 1})["kernel_size"]
    loss = head.pop("loss")
    facts |= {
        "loss.squared": loss.pop("type") == "KeypointMSELoss",
        "loss.weighs_joints": loss.pop("use_target_weight"),
    }
    _finish(loss, "loss")
    facts |= _codec(head.pop("decoder"), "test")
    facts |= flatten(head, "model.head")
    facts |= {"test.flip": test.pop("flip_test"), "test.shift": test.pop("shift_heatmap")}
    assert test.pop("flip_mode") == "heatmap"
    _finish(test, "test_cfg")
    _finish(model, "model")
    return facts


def recipe(config: Mapping[str, Any]) -> Recipe:
    """Name every fact of a config of mmengine, in the vocabulary of :func:`published_recipe`."""
    config = copy.deepcopy(dict(config))
    facts = _model(config.pop("model"))
    for split in ("train", "val", "test"):
        facts |= _consistent(facts, _data(split, config.pop(f"{split}_dataloader")))
    facts |= epochs_and_batch(config)
    warm, steps = config.pop("param_scheduler")
    assert warm.pop("type") == "LinearLR" and warm.pop("by_epoch") is False and warm.pop("begin") == 0
    assert steps.pop("type") == "MultiStepLR" and steps.pop("by_epoch") and steps.pop("begin") == 0
    assert steps.pop("end") == facts["schedule.epochs"]
    end = warm.pop("end")
    facts |= _scheduled("linear", end, warm.pop("start_factor"), end, steps.pop("milestones"), steps.pop("gamma"))
    _finish(warm | steps, "param_scheduler")
    assert config.pop("val_cfg") == {"type": "ValLoop"} and config.pop("test_cfg") == {"type": "TestLoop"}
    scorer = config.pop("val_evaluator")
    assert config.pop("test_evaluator") == scorer
    assert scorer.pop("type") == "BDD100KMetric" and scorer.pop("task") == "pose"
    settings = scorer.pop("format")
    facts |= {"result.similarity": settings.pop("oks_thr"), "result.visibility": settings.pop("vis_thr")}
    _finish(scorer | settings, "val_evaluator")
    hooks = config.pop("default_hooks")
    facts["checkpoint.interval"] = hooks["checkpoint"].pop("interval")
    facts["log.interval"] = hooks["logger"].pop("interval")
    assert all(len(hook) == 1 for hook in hooks.values()), hooks
    facts |= _hook_facts(config.pop("custom_hooks"))
    facts |= surroundings(config, "mmpose")
    return facts
