"""What is known of the published models, and both generations of configs in one vocabulary.

``published_recipe`` reads a config of mmcv 1.x, ``recipe`` one of mmengine. Both give a flat dict from a dotted name to
a plain value, so that equal recipes are equal dicts. Each reader takes its config apart piece by piece and refuses to
finish while a piece is left: nothing goes uncompared unseen.
"""

from __future__ import annotations

import copy
import functools
import gzip
import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from conftest import ROOT, SHARED

Recipe = dict[str, Any]
GPUS = 8  # the published models were trained on eight
ABSENT = "absent"

#: Published configs that no row of the tables names, by task.
WITHOUT_ROW: dict[str, tuple[str, ...]] = {
    "sem_seg": (
        "deeplabv3+_r50-d8_769x769_40k_bdd100k",
        "deeplabv3_r50-d8_769x769_40k_bdd100k",
        "fcn_r50-d8_769x769_40k_bdd100k",
        "nonlocal_r50-d8_512x1024_40k_bdd100k",
        "pointrend_r50_512x1024_40k_bdd100k",
    ),
}


@functools.cache
def _read(name: str) -> Any:
    path = SHARED / "facts" / name
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        return json.load(file)


def published_config(task: str, name: str) -> dict[str, Any]:
    """Return a copy of the resolved config of mmcv 1.x that a model was published with.

    The configs of models for twice the batch were never published: theirs is that of the plain model with twice the
    images and, by the linear rule, twice the learning rate.
    """
    config: dict[str, Any] = copy.deepcopy(_read("legacy_configs.json.gz")[f"{task}/{_plain_name(name)}"])
    if name != _plain_name(name):
        config["data"]["samples_per_gpu"] *= 2
        config["optimizer"]["lr"] *= 2
        config["load_from"] = config["load_from"].replace(_plain_name(name), name)
    return config


def _plain_name(name: str) -> str:
    return name.replace("_32bs_", "_")


def published_state(task: str, name: str) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and shape of each tensor of a published checkpoint."""
    facts = _read("legacy_state_dicts.json.gz")
    tensors = facts["state_dicts"][facts["models"][f"{task}/{_plain_name(name)}"]]
    return {key: (dtype, tuple(shape)) for key, (dtype, shape) in tensors.items()}


def published_links(task: str) -> dict[str, dict[str, str]]:
    """Return the links of each published model of a task, by its name."""
    return {row["name"]: row["links"] for table in _read("zoo.json") if table["task"] == task for row in table["rows"]}


def flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Name each leaf of nested dicts and lists; a list of plain values is one leaf, an empty dict none."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(item, f"{name}.{key}")
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from flatten(item, f"{name}.{index}")
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def _finish(rest: Mapping[str, Any], where: str) -> None:
    assert not rest, f"{where}: nothing compares {sorted(rest)}"


def _model_facts(model: dict[str, Any]) -> Recipe:
    """Name the parts of a model; a single head of several stages stands for as many equal ones."""
    roi_head = model.get("roi_head") or {}
    if "num_stages" in roi_head and isinstance(roi_head["bbox_head"], dict):
        roi_head["bbox_head"] = [roi_head["bbox_head"]] * roi_head["num_stages"]
    if "pretrained" in model:
        model["backbone"]["init_cfg"] = {"type": "Pretrained", "checkpoint": model.pop("pretrained")}
    return dict(flatten(model, "model"))


def _scheduled(kind: str, iterations: int, ratio: float, full_at: int, milestones: list[int], gamma: float) -> Recipe:
    return {
        "schedule.warmup.kind": kind,
        "schedule.warmup.iterations": iterations,
        "schedule.warmup.ratio": ratio,
        "schedule.warmup.full_rate_at": full_at,
        "schedule.milestones": milestones,
        "schedule.gamma": gamma,
    }


def _hook_facts(hooks: list[dict[str, Any]]) -> Recipe:
    facts: Recipe = {}
    for hook in hooks:
        kind = hook.pop("type")
        facts[f"hooks.{kind}"] = True
        facts |= flatten(hook, f"hooks.{kind}")
    return facts


def epochs_and_batch(config: dict[str, Any]) -> Recipe:
    """Take the batch, the optimizer and the length out of a config whose wrapper has nothing but an optimizer."""
    scaling = config.pop("auto_scale_lr")
    assert scaling.pop("enable") is False
    facts: Recipe = {"data.train.total_batch": scaling.pop("base_batch_size")}
    wrapper = config.pop("optim_wrapper")
    assert wrapper.pop("type") == "OptimWrapper"
    facts |= flatten(wrapper.pop("optimizer"), "optimizer")
    _finish(wrapper, "optim_wrapper")
    loop = config.pop("train_cfg")
    assert loop.pop("type") == "EpochBasedTrainLoop"
    facts |= {"schedule.epochs": loop.pop("max_epochs"), "evaluation.interval": loop.pop("val_interval")}
    _finish(loop, "train_cfg")
    return facts


def surroundings(config: dict[str, Any], scope: str) -> Recipe:
    """Take imports, the process and logging out of a config, after which nothing may be left of it."""
    imports = config.pop("custom_imports")
    assert imports.pop("allow_failed_imports") is False
    facts: Recipe = {f"imports.{module}": True for module in imports.pop("imports")}
    _finish(imports, "custom_imports")
    process = config.pop("env_cfg")
    workers = process.pop("mp_cfg")
    facts |= {
        "process.start": workers.pop("mp_start_method"),
        "process.opencv_threads": workers.pop("opencv_num_threads"),
        "process.cudnn_benchmark": process.pop("cudnn_benchmark"),
        "distributed.backend": process.pop("dist_cfg")["backend"],
        "log.level": config.pop("log_level"),
    }
    _finish(process | workers, "env_cfg")
    # how messages and pictures are shown changes no model
    for part in ("log_processor", "visualizer", "vis_backends"):
        config.pop(part)
    assert config.pop("default_scope") == scope
    facts |= {"load_from": config.pop("load_from"), "resume": config.pop("resume")}
    _finish(config, "config")
    return facts


# ----------------------------------------------------------------------------------------------------- mmcv 1.x


def _published_steps(pipeline: list[dict[str, Any]], where: str) -> Recipe:
    """Name the steps of a pipeline; sizes become (height, width)."""
    facts: Recipe = {}
    order = []
    for step in pipeline:
        kind = step.pop("type")
        if kind == "MultiScaleFlipAug":
            assert step.pop("flip") is False
            scale = step.pop("img_scale")
            # ``flip`` governs the flip among these
            inner = [part for part in step.pop("transforms") if part["type"] != "RandomFlip"]
            next(part for part in inner if part["type"] == "Resize")["img_scale"] = scale
            facts |= _published_steps(inner, where)
            order += facts.pop(f"{where}.steps")
        elif kind == "LoadImageFromFile":
            facts[f"{where}.load_float"] = step.pop("to_float32", False)
        elif kind in ("LoadAnnotations", "LoadPanopticAnnotations"):
            assert step.pop("with_bbox") is True
            facts |= {f"{where}.{part}": step.pop(f"with_{part}") for part in ("mask", "seg") if f"with_{part}" in step}
        elif kind == "SegRescale":
            facts[f"{where}.seg_scale"] = step.pop("scale_factor")
        elif kind == "Resize":
            scales = step.pop("img_scale")
            many = isinstance(scales[0], list)
            assert not many or step.pop("multiscale_mode") == "value"
            facts[f"{where}.resize.sizes"] = [scale[::-1] for scale in (scales if many else [scales])]
            facts[f"{where}.resize.ratio_range"] = step.pop("ratio_range", [1.0, 1.0])
            facts[f"{where}.resize.keep_ratio"] = step.pop("keep_ratio", True)
            order.append("resize")
        elif kind == "RandomFlip":
            facts[f"{where}.flip.probability"] = step.pop("flip_ratio")
            order.append("flip")
        elif kind in ("Mosaic", "MixUp"):
            facts[f"{where}.{kind.lower()}.size"] = step.pop("img_scale")
            order.append(kind.lower())
        elif kind == "RandomCrop":
            facts[f"{where}.crop.size"] = step.pop("crop_size")
            facts[f"{where}.crop.without_boxes"] = step.pop("allow_negative_crop", False)
            order.append("crop")
        elif kind == "PhotoMetricDistortion":
            order.append("photometric")
        elif kind == "Normalize":
            facts["normalise.mean"], facts["normalise.std"] = step.pop("mean"), step.pop("std")
            facts["normalise.to_rgb"] = step.pop("to_rgb", True)
        elif kind == "Pad":
            # with the values that mmdet 2 pads masks and maps of classes with
            facts |= {"pad_divisor": step.pop("size_divisor"), "pad.mask": 0, "pad.seg": 255}
        elif kind == "Collect":
            facts[f"{where}.collects"] = step.pop("keys")
        else:
            assert kind in ("DefaultFormatBundle", "ImageToTensor"), kind
            step.pop("keys", None)
        _finish(step, f"{where}: {kind}")
    return facts | {f"{where}.steps": order}


#: What a pipeline of mmdet 2 hands on beside boxes and labels, by what it loads.
_COLLECTED = {"mask": "gt_masks", "seg": "gt_semantic_seg"}


def _published_data(split: str, data: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    mixed = data["type"] == "MultiImageMixDataset"
    facts: Recipe = {f"{where}.mixes_images": mixed}
    steps = []
    if mixed:
        outer, data = data, data.pop("dataset")
        outer.pop("type")
        steps = outer.pop("pipeline")
        _finish(outer, where)
    facts |= _published_steps(data.pop("pipeline") + steps, where)
    facts[f"{where}.type"] = data.pop("type")
    root = "../data/bdd100k/"
    folders = {"labels": "ann_file", "images": "img_prefix", "segments": "seg_prefix", "instances": "ins_ann_file"}
    paths = {part: data.pop(key) for part, key in folders.items() if key in data}
    assert all(path.startswith(root) for path in paths.values())
    facts |= {f"{where}.root": root} | {f"{where}.{part}": path[len(root) :] for part, path in paths.items()}
    if split == "train":
        extras = [key for part, key in _COLLECTED.items() if facts.get(f"{where}.{part}")]
        assert facts.pop(f"{where}.collects") == ["img", "gt_bboxes", "gt_labels", *extras]
        # the base class's defaults
        facts |= {f"{where}.filter_empty": data.pop("filter_empty_gt", True), f"{where}.min_size": 32}
        facts |= {f"{where}.by_aspect_ratio": True}
    else:
        assert facts.pop(f"{where}.collects") == ["img"]
    facts[f"{where}.persistent_workers"] = False
    _finish(data, where)
    return facts


def published_recipe(task: str, name: str) -> Recipe:
    """Name every fact of the config of mmcv 1.x that a model was published with."""
    config = published_config(task, name)
    for helper in ("dataset_type", "data_root", "img_norm_cfg", "train_pipeline", "test_pipeline", "train_dataset"):
        config.pop(helper, None)  # variables that the parts below were made of
    for helper in ("checkpoint", "checkpoint_file", "pretrained", "crop_size", "min_values"):
        config.pop(helper, None)
    for helper in ("num_stages", "num_proposals"):
        config.pop(helper, None)
    model = config.pop("model")
    for stage in (model.get("train_cfg") or {}).get("rcnn") or []:
        if isinstance(stage, dict) and stage["assigner"]["type"] == "HungarianAssigner":
            costs = stage["assigner"]
            costs["match_costs"] = [costs.pop(part) for part in ("cls_cost", "reg_cost", "iou_cost")]
    facts = _model_facts(model)

    data = config.pop("data")
    batch, workers = data.pop("samples_per_gpu"), data.pop("workers_per_gpu")
    for split in ("train", "val", "test"):
        facts |= _published_data(split, data.pop(split))
        facts |= {f"data.{split}.batch": batch if split == "train" else 1, f"data.{split}.workers": workers}
    _finish(data, "data")
    facts["data.train.total_batch"] = batch * GPUS

    optimizer = config.pop("optimizer")
    facts["optimizer.constructor"] = optimizer.pop("constructor", "DefaultOptimizerConstructor")
    facts |= flatten(optimizer, "optimizer")
    limits = config.pop("optimizer_config")
    facts |= flatten(limits.pop("grad_clip"), "clip_grad")
    _finish(limits, "optimizer_config")
    half = config.pop("fp16", None)
    facts["half_precision"] = half is not None
    facts |= flatten((half or {}).pop("loss_scale", {}), "loss_scale")
    _finish(half or {}, "fp16")

    rate = config.pop("lr_config")
    assert rate.pop("policy") == "step"
    warm = rate.pop("warmup_iters")
    facts |= _scheduled(
        rate.pop("warmup"), warm, rate.pop("warmup_ratio"), warm, rate.pop("step"), rate.pop("gamma", 0.1)
    )
    _finish(rate, "lr_config")
    runner = config.pop("runner")
    assert runner.pop("type") == "EpochBasedRunner"
    facts["schedule.epochs"] = runner.pop("max_epochs")
    _finish(runner, "runner")
    assert config.pop("workflow") == [["train", 1]]

    facts |= flatten(config.pop("evaluation"), "evaluation")
    facts |= flatten(config.pop("checkpoint_config", {}), "checkpoint")
    log = config.pop("log_config")
    facts["log.interval"] = log.pop("interval")
    (text,) = log.pop("hooks")
    assert text.pop("type") == "TextLoggerHook"
    text.pop("by_epoch", None)  # how messages count changes no model
    _finish(log | text, "log_config")
    facts |= _hook_facts(config.pop("custom_hooks"))
    facts |= {f"imports.{module}": True for module in config.pop("custom_imports", {}).get("imports", [])}
    facts |= {"distributed.backend": config.pop("dist_params")["backend"], "log.level": config.pop("log_level")}
    # the defaults of the original's set-up of processes
    facts |= {"process.start": "fork", "process.opencv_threads": 0}
    facts["process.cudnn_benchmark"] = config.pop("cudnn_benchmark", False)
    facts |= {"load_from": config.pop("load_from"), "resume": bool(config.pop("resume_from"))}
    _finish(config, name)
    return facts


# ----------------------------------------------------------------------------------------------------- mmengine


def _steps(pipeline: list[dict[str, Any]], where: str) -> Recipe:
    """Name the steps of a pipeline; sizes become (height, width)."""
    facts: Recipe = {}
    order = []
    for step in pipeline:
        kind = step.pop("type")
        if kind == "LoadImageFromFile":
            facts[f"{where}.load_float"] = step.pop("to_float32", False)
        elif kind == "LoadAnnotations":
            assert step.pop("with_bbox") is True
        elif kind in ("LoadInstanceLabels", "LoadPanopticLabels"):
            facts |= {f"{where}.{part}": True for part in ("mask", "seg")[: 1 + (kind == "LoadPanopticLabels")]}
        elif kind in ("Resize", "RandomChoiceResize", "RandomResize"):
            scales = step.pop("scales") if kind == "RandomChoiceResize" else [step.pop("scale")]
            facts[f"{where}.resize.sizes"] = [list(scale)[::-1] for scale in scales]
            facts[f"{where}.resize.ratio_range"] = list(step.pop("ratio_range", (1.0, 1.0)))
            facts[f"{where}.resize.keep_ratio"] = step.pop("keep_ratio", False)
            order.append("resize")
        elif kind == "RandomFlip":
            facts[f"{where}.flip.probability"] = step.pop("prob")
            order.append("flip")
        elif kind in ("Mosaic", "MixUp"):
            facts[f"{where}.{kind.lower()}.size"] = list(step.pop("img_scale"))[::-1]
            order.append(kind.lower())
        elif kind == "RandomCrop":
            facts[f"{where}.crop.size"] = list(step.pop("crop_size"))[::-1]
            facts[f"{where}.crop.without_boxes"] = step.pop("allow_negative_crop", False)
            order.append("crop")
        elif kind == "PhotoMetricDistortion":
            order.append("photometric")
        else:
            assert kind == "PackDetInputs", kind
            step.pop("meta_keys", None)
        _finish(step, f"{where}: {kind}")
    return facts | {f"{where}.steps": order}


def _data(split: str, loader: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    data = loader.pop("dataset")
    mixed = data["type"] == "MultiImageMixDataset"
    facts: Recipe = {f"{where}.mixes_images": mixed}
    steps = []
    if mixed:
        outer, data = data, data.pop("dataset")
        outer.pop("type")
        steps = outer.pop("pipeline")
        _finish(outer, where)
    facts |= _steps(data.pop("pipeline") + steps, where)
    facts |= {f"{where}.type": data.pop("type"), f"{where}.root": data.pop("data_root")}
    facts |= {f"{where}.labels": data.pop("ann_file"), f"{where}.images": data.pop("data_prefix")["img"]}
    sampler = loader.pop("sampler")
    assert sampler == {"type": "DefaultSampler", "shuffle": split == "train"}
    if split == "train":
        chosen = data.pop("filter_cfg")
        facts |= {f"{where}.filter_empty": chosen.pop("filter_empty_gt"), f"{where}.min_size": chosen.pop("min_size")}
        _finish(chosen, f"{where}: filter_cfg")
        facts[f"{where}.by_aspect_ratio"] = loader.pop("batch_sampler") == {"type": "AspectRatioBatchSampler"}
    else:
        assert data.pop("test_mode") is True and loader.pop("drop_last") is False
    facts |= {f"{where}.batch": loader.pop("batch_size"), f"{where}.workers": loader.pop("num_workers")}
    facts[f"{where}.persistent_workers"] = loader.pop("persistent_workers")
    _finish(data, where)
    _finish(loader, f"{split}_dataloader")
    return facts


def _schedule(schedulers: list[dict[str, Any]], epochs: int) -> Recipe:
    warm, steps = schedulers
    kind = warm.pop("type")
    ratio = warm.pop("start_factor" if kind == "LinearLR" else "factor")
    length = warm.pop("end")
    assert warm == {"by_epoch": False, "begin": 0} and kind in ("LinearLR", "ConstantLR")
    milestones, gamma = steps.pop("milestones"), steps.pop("gamma")
    assert steps == {"type": "MultiStepLR", "by_epoch": True, "begin": 0, "end": epochs}
    name = {"LinearLR": "linear", "ConstantLR": "constant"}[kind]
    # mmengine spreads the warm-up over the steps between its iterations, one fewer than they are
    return _scheduled(name, length, ratio, length - 1, milestones, gamma)


def recipe(config: Mapping[str, Any]) -> Recipe:
    """Name every fact of a config of mmengine, in the vocabulary of :func:`published_recipe`."""
    config = copy.deepcopy(dict(config))
    model = config.pop("model")
    inputs = model.pop("data_preprocessor")
    assert inputs.pop("type") == "DetDataPreprocessor"
    facts: Recipe = {"normalise.mean": inputs.pop("mean"), "normalise.std": inputs.pop("std")}
    facts |= {"normalise.to_rgb": inputs.pop("bgr_to_rgb"), "pad_divisor": inputs.pop("pad_size_divisor")}
    facts |= {"pad.mask": inputs.pop("mask_pad_value", 0), "pad.seg": inputs.pop("seg_pad_value", 255)}
    padded = [part for part in ("mask", "seg") if inputs.pop(f"pad_{part}", False)]
    _finish(inputs, "data_preprocessor")
    semantic = model.get("semantic_head")
    facts |= _model_facts(model)

    for split in ("train", "val", "test"):
        facts |= _data(split, config.pop(f"{split}_dataloader"))
    assert padded == [part for part in ("mask", "seg") if facts.get(f"data.train.{part}")]
    if semantic is not None:
        # mmdet 3 shrinks the map of classes in the head, by the stride of the features that it begins with
        facts["data.train.seg_scale"] = 0.25 / 2 ** semantic["start_level"]
    scaling = config.pop("auto_scale_lr")
    assert scaling.pop("enable") is False
    facts["data.train.total_batch"] = scaling.pop("base_batch_size")
    _finish(scaling, "auto_scale_lr")

    wrapper = config.pop("optim_wrapper")
    facts["optimizer.constructor"] = wrapper.pop("constructor", "DefaultOptimizerConstructor")
    facts |= flatten(wrapper.pop("optimizer"), "optimizer")
    facts |= flatten(wrapper.pop("paramwise_cfg", {}), "optimizer.paramwise_cfg")
    facts |= flatten(wrapper.pop("clip_grad", None), "clip_grad")
    facts["half_precision"] = wrapper.pop("type") == "AmpOptimWrapper"
    facts |= flatten(wrapper.pop("loss_scale", {}), "loss_scale")
    _finish(wrapper, "optim_wrapper")

    loop = config.pop("train_cfg")
    assert loop.pop("type") == "EpochBasedTrainLoop"
    facts |= {"schedule.epochs": loop.pop("max_epochs"), "evaluation.interval": loop.pop("val_interval")}
    _finish(loop, "train_cfg")
    facts |= _schedule(config.pop("param_scheduler"), facts["schedule.epochs"])
    assert config.pop("val_cfg") == {"type": "ValLoop"} and config.pop("test_cfg") == {"type": "TestLoop"}
    scorer = config.pop("val_evaluator")
    assert config.pop("test_evaluator") == scorer
    facts["evaluation.metric"] = f"{scorer.pop('type')} {scorer.pop('task')}"
    _finish(scorer, "val_evaluator")

    hooks = config.pop("default_hooks")
    facts |= {
        "checkpoint.interval": hooks["checkpoint"].pop("interval"),
        "log.interval": hooks["logger"].pop("interval"),
    }
    # mmcv 1.x's runner did the work of these by itself
    built_in = ("IterTimerHook", "ParamSchedulerHook", "DistSamplerSeedHook", "CheckpointHook", "LoggerHook")
    facts |= _hook_facts([hook for hook in hooks.values() if hook["type"] not in built_in or len(hook) > 1])
    facts |= _hook_facts(config.pop("custom_hooks"))
    facts |= surroundings(config, "mmdet")
    return facts


# -------------------------------------------------------------------------------------------------- differences


def differences(published: Recipe, ours: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return what the two recipes disagree on: the published value and ours, ``ABSENT`` where there is none."""
    names = published.keys() | ours.keys()
    pairs = {name: (published.get(name, ABSENT), ours.get(name, ABSENT)) for name in names}
    return {name: pair for name, pair in sorted(pairs.items()) if pair[0] != pair[1]}


def intended(entries: list[dict[str, Any]], name: str) -> dict[str, tuple[Any, Any]]:
    """Return the differences that the list promises for a model."""
    mine = (entry for entry in entries if any(fnmatchcase(name, pattern) for pattern in entry["models"]))
    promised: dict[str, tuple[Any, Any]] = {}
    for entry in mine:
        for fact in entry["facts"]:
            assert fact not in promised, f"{fact} of {name} is on the list twice"
            promised[fact] = (entry["published"], entry["here"])
    return promised


@functools.cache
def listed_differences(task: str) -> list[dict[str, Any]]:
    """Return the differences from the published recipes that a task's configs promise."""
    entries: list[dict[str, Any]] = json.loads((ROOT / task / "configs" / "differences.json").read_text())[
        "differences"
    ]
    return entries
