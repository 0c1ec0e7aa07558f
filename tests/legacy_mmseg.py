"""Both generations of configs in one vocabulary, for mmsegmentation; see :mod:`legacy`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from legacy import GPUS, Recipe, _finish, _hook_facts, flatten, published_config, surroundings

ROOT = "../data/bdd100k/"
DATASETS = {"BDD100KSemSegDataset": "sem_seg", "BDD100KDrivableDataset": "drivable"}

#: Scales of ``--aug-test``, which the original's test script sets: it is in none of its configs.
RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def _scheduled(schedule: Mapping[str, Any], kind: str, warm: Mapping[str, Any] | None, slack: int) -> Recipe:
    """Name the facts of a schedule; ``slack`` is how many iterations before its end it has reached its last value."""
    facts = {
        "schedule.kind": kind,
        "schedule.least_rate": schedule["eta_min"],
        "schedule.power": schedule["power"],
        "schedule.least_rate_at": schedule["end"] - slack,
    }
    if warm is not None:
        facts |= {"schedule.warmup.ratio": warm["ratio"], "schedule.warmup.full_rate_at": warm["end"] - slack}
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
            inner[0]["img_scale"] = scale
            facts |= _published_steps(inner, where)
            order += facts.pop(f"{where}.steps")
        elif kind == "LoadImageFromFile":
            facts[f"{where}.load_float"] = step.pop("to_float32")
        elif kind == "Resize":
            facts[f"{where}.resize.size"] = step.pop("img_scale")[::-1]
            facts[f"{where}.resize.ratio_range"] = step.pop("ratio_range", [1.0, 1.0])
            facts[f"{where}.resize.keep_ratio"] = step.pop("keep_ratio", True)
            order.append("resize")
        elif kind == "RandomCrop":
            facts[f"{where}.crop.size"] = step.pop("crop_size")
            facts[f"{where}.crop.largest_share"] = step.pop("cat_max_ratio")
            order.append("crop")
        elif kind == "RandomFlip":
            facts[f"{where}.flip.probability"] = step.pop("prob")
            order.append("flip")
        elif kind == "PhotoMetricDistortion":
            order.append("photometric")
        elif kind == "Normalize":
            facts |= {f"normalise.{name}": step.pop(name) for name in ("mean", "std", "to_rgb")}
        elif kind == "Pad":
            facts |= {f"pad.{name}": step.pop(name) for name in ("size", "pad_val", "seg_pad_val")}
        else:
            assert kind in ("LoadAnnotations", "DefaultFormatBundle", "ImageToTensor", "Collect"), kind
            step.pop("keys", None)
        _finish(step, f"{where}: {kind}")
    return facts | {f"{where}.steps": order}


def _published_data(split: str, data: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    facts = _published_steps(data.pop("pipeline"), where)
    facts[f"{where}.task"] = DATASETS[data.pop("type")]
    labels, images = data.pop("ann_dir"), data.pop("img_dir")
    assert labels.startswith(ROOT) and images.startswith(ROOT)
    facts |= {f"{where}.labels": labels[len(ROOT) :], f"{where}.images": images[len(ROOT) :]}
    _finish(data, where)
    return facts


def published_recipe(task: str, name: str) -> Recipe:
    """Name every fact of the config of mmcv 1.x that a model was published with."""
    config = published_config(task, name)
    # variables that the parts below were made of
    for helper in ("dataset_type", "data_root", "img_norm_cfg", "train_pipeline", "test_pipeline", "crop_size"):
        config.pop(helper)
    for helper in ("norm_cfg", "backbone_norm_cfg", "checkpoint_file"):
        config.pop(helper, None)
    facts = dict(flatten(config.pop("model"), "model"))
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
    precision = config.pop("optimizer_config")
    facts["half_precision"] = precision.pop("type", None) == "Fp16OptimizerHook"
    assert config.pop("fp16", {}) == {}  # says nothing beyond the hook
    facts["loss_scale"] = precision.pop("loss_scale", None)
    _finish(precision, "optimizer_config")

    runner = config.pop("runner")
    assert runner.pop("type") == "IterBasedRunner"
    iterations = facts["schedule.iterations"] = runner.pop("max_iters")
    _finish(runner, "runner")
    rate = config.pop("lr_config")
    assert rate.pop("by_epoch") is False
    warm = None
    if (kind := rate.pop("warmup", None)) is not None:
        assert kind == "linear"
        warm = {"ratio": rate.pop("warmup_ratio", 0.1), "end": rate.pop("warmup_iters")}
    schedule = {"eta_min": rate.pop("min_lr"), "power": rate.pop("power"), "end": iterations}
    facts |= _scheduled(schedule, rate.pop("policy"), warm, slack=0)
    _finish(rate, "lr_config")
    assert config.pop("workflow") == [["train", 1]]

    facts |= flatten(config.pop("evaluation"), "evaluation")
    saving = config.pop("checkpoint_config")
    assert saving.pop("by_epoch") is False
    facts["checkpoint.interval"] = saving.pop("interval")
    _finish(saving, "checkpoint_config")
    log = config.pop("log_config")
    facts["log.interval"] = log.pop("interval")
    assert log.pop("hooks") == [{"type": "TextLoggerHook", "by_epoch": False}]
    _finish(log, "log_config")
    imports = config.pop("custom_imports", {}).get("imports", [])
    facts |= {f"imports.{module}": True for module in ([imports] if isinstance(imports, str) else imports)}
    facts |= {"distributed.backend": config.pop("dist_params")["backend"], "log.level": config.pop("log_level")}
    facts["process.cudnn_benchmark"] = config.pop("cudnn_benchmark")
    # the defaults of the original's set-up of processes
    facts |= {"process.start": "fork", "process.opencv_threads": 0}
    facts |= {"load_from": config.pop("load_from"), "resume": bool(config.pop("resume_from"))}
    _finish(config, name)
    return facts


# ----------------------------------------------------------------------------------------------------- mmengine


def _steps(pipeline: list[dict[str, Any]], where: str, task: str) -> Recipe:
    """Name the steps of a pipeline; sizes become (height, width)."""
    facts: Recipe = {}
    order = []
    for step in pipeline:
        kind = step.pop("type")
        if kind == "LoadImageFromFile":
            facts[f"{where}.load_float"] = step.pop("to_float32")
        elif kind == "LoadSemanticLabels":
            assert step.pop("task") == task
        elif kind in ("Resize", "RandomResize"):
            facts[f"{where}.resize.size"] = list(step.pop("scale"))[::-1]
            facts[f"{where}.resize.ratio_range"] = list(step.pop("ratio_range", (1.0, 1.0)))
            facts[f"{where}.resize.keep_ratio"] = step.pop("keep_ratio")
            order.append("resize")
        elif kind == "RandomCrop":
            facts[f"{where}.crop.size"] = list(step.pop("crop_size"))
            facts[f"{where}.crop.largest_share"] = step.pop("cat_max_ratio")
            order.append("crop")
        elif kind == "RandomFlip":
            facts[f"{where}.flip.probability"] = step.pop("prob")
            order.append("flip")
        elif kind == "PhotoMetricDistortion":
            order.append("photometric")
        else:
            assert kind == "PackSegInputs", kind
        _finish(step, f"{where}: {kind}")
    return facts | {f"{where}.steps": order}


def _data(split: str, loader: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    data = loader.pop("dataset")
    task = DATASETS[data.pop("type")]
    facts = _steps(data.pop("pipeline"), where, task)
    facts |= {f"{where}.task": task, f"{where}.labels": data.pop("ann_file")}
    facts[f"{where}.images"] = data.pop("data_prefix")["img"]
    assert data.pop("data_root") == "data/bdd100k/" and data.pop("test_mode", False) == (split != "train")
    _finish(data, where)
    sampler = {"type": "InfiniteSampler", "shuffle": True} if split == "train" else {"type": "DefaultSampler"}
    assert loader.pop("sampler") == {"shuffle": False} | sampler
    assert loader.pop("persistent_workers") and not loader.pop("drop_last", False)
    facts |= {f"{where}.batch": loader.pop("batch_size"), f"{where}.workers": loader.pop("num_workers")}
    _finish(loader, f"{split}_dataloader")
    return facts


def _schedule(schedulers: list[dict[str, Any]], iterations: int) -> Recipe:
    *warming, poly = schedulers
    assert all(part.pop("by_epoch") is False and part.pop("begin") == 0 for part in schedulers)
    warm = None
    if warming:
        assert len(warming) == 1 and warming[0].pop("type") == "LinearLR"
        warm = {"ratio": warming[0].pop("start_factor"), "end": warming[0].pop("end")}
        _finish(warming[0], "LinearLR")
    assert poly["end"] == iterations and poly.pop("type") == "PolyLR" and set(poly) == {"eta_min", "power", "end"}
    # mmengine spreads a schedule over the steps between its iterations, one fewer than they are
    return _scheduled(poly, "poly", warm, slack=1)


def _check_views(pipeline: list[dict[str, Any]], size: list[int]) -> None:
    """Check that ``--aug-test`` does what the original's test script sets up."""
    load, views = pipeline
    assert load == {"type": "LoadImageFromFile", "to_float32": True} and views["type"] == "TestTimeAug"
    scales, flips, pack = views["transforms"]
    height, width = size
    assert [tuple(step["scale"]) for step in scales] == [(int(width * r), int(height * r)) for r in RATIOS]
    assert all(step["type"] == "Resize" and step["keep_ratio"] for step in scales)
    assert [(step["type"], step["prob"], step["direction"]) for step in flips] == [
        ("RandomFlip", 0.0, "horizontal"),
        ("RandomFlip", 1.0, "horizontal"),
    ]
    assert pack == [{"type": "PackSegInputs"}]


def recipe(config: Mapping[str, Any]) -> Recipe:
    """Name every fact of a config of mmengine, in the vocabulary of :func:`published_recipe`."""
    config = copy.deepcopy(dict(config))
    model = config.pop("model")
    inputs = model.pop("data_preprocessor")
    assert inputs.pop("type") == "SegDataPreProcessor"
    facts: Recipe = {"normalise.mean": inputs.pop("mean"), "normalise.std": inputs.pop("std")}
    facts |= {"normalise.to_rgb": inputs.pop("bgr_to_rgb"), "pad.size": list(inputs.pop("size"))}
    facts |= {f"pad.{name}": inputs.pop(name) for name in ("pad_val", "seg_pad_val")}
    _finish(inputs, "data_preprocessor")
    facts |= flatten(model, "model")

    for split in ("train", "val", "test"):
        facts |= _data(split, config.pop(f"{split}_dataloader"))
    _check_views(config.pop("tta_pipeline"), facts["data.test.resize.size"])
    assert config.pop("tta_model") == {"type": "SegTTAModel"}
    scaling = config.pop("auto_scale_lr")
    assert scaling.pop("enable") is False
    facts["data.train.total_batch"] = scaling.pop("base_batch_size")
    _finish(scaling, "auto_scale_lr")

    wrapper = config.pop("optim_wrapper")
    facts["optimizer.constructor"] = wrapper.pop("constructor", "DefaultOptimizerConstructor")
    facts |= flatten(wrapper.pop("optimizer"), "optimizer")
    facts |= flatten(wrapper.pop("paramwise_cfg", {}), "optimizer.paramwise_cfg")
    facts["half_precision"] = wrapper.pop("type") == "AmpOptimWrapper"
    facts["loss_scale"] = wrapper.pop("loss_scale", None)
    _finish(wrapper, "optim_wrapper")

    loop = config.pop("train_cfg")
    assert loop.pop("type") == "IterBasedTrainLoop"
    facts |= {"schedule.iterations": loop.pop("max_iters"), "evaluation.interval": loop.pop("val_interval")}
    _finish(loop, "train_cfg")
    facts |= _schedule(config.pop("param_scheduler"), facts["schedule.iterations"])
    assert config.pop("val_cfg") == {"type": "ValLoop"} and config.pop("test_cfg") == {"type": "TestLoop"}
    scorer = config.pop("val_evaluator")
    assert config.pop("test_evaluator") == scorer
    facts["evaluation.metric"] = f"{scorer.pop('type')} {scorer.pop('task')}"
    _finish(scorer, "val_evaluator")

    hooks = config.pop("default_hooks")
    saving, logging = hooks.pop("checkpoint"), hooks.pop("logger")
    assert saving.pop("by_epoch") is False and logging.pop("log_metric_by_epoch") is False
    facts |= {"checkpoint.interval": saving.pop("interval"), "log.interval": logging.pop("interval")}
    assert all(len(hook) == 1 for hook in (saving, logging, *hooks.values()))
    facts |= _hook_facts(config.pop("custom_hooks", []))
    facts |= surroundings(config, "mmseg")
    return facts
