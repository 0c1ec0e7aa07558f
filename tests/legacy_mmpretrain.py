"""Both generations of tagging configs in one vocabulary, for mmpretrain; see :mod:`legacy`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from legacy import Recipe, _finish, _hook_facts, epochs_and_batch, flatten, published_config, surroundings

GPUS = 4  # the published tagging models were trained on four


def _tag(kind: str) -> str:
    return kind.removeprefix("BDD100K").removesuffix("TaggingDataset").lower()


def _published_data(split: str, data: dict[str, Any]) -> Recipe:
    root = "../data/bdd100k/"
    where = f"data.{split}"
    facts: Recipe = {f"{where}.tag": _tag(data.pop("type"))}
    facts[f"{where}.labels"] = data.pop("ann_file").removeprefix(root)
    facts[f"{where}.images"] = data.pop("data_prefix").removeprefix(root)
    assert data.pop("test_mode", False) == (split != "train")
    order = []
    for step in data.pop("pipeline"):
        kind = step.pop("type")
        order.append(kind)
        if kind == "LoadImageFromFile":
            facts[f"{where}.float"] = step.pop("to_float32")
        elif kind == "Resize":
            assert step.pop("size") == [256, -1]
            facts[f"{where}.short_edge"] = 256
        elif kind in ("CenterCrop", "RandomCrop", "RandomResizedCrop"):
            facts[f"{where}.{kind}"] = step.pop("crop_size", None) or step.pop("size")
        elif kind == "RandomFlip":
            assert step.pop("direction") == "horizontal"
            facts[f"{where}.flip"] = step.pop("flip_prob")
        elif kind == "Normalize":
            facts |= {f"normalise.{name}": step.pop(name) for name in ("mean", "std", "to_rgb")}
        else:
            assert kind in ("ImageToTensor", "ToTensor", "Collect"), kind
            assert set(step.pop("keys")) <= {"img", "gt_label"}
        _finish(step, f"{where}.{kind}")
    facts[f"{where}.order"] = [
        kind for kind in order if kind not in ("Normalize", "ImageToTensor", "ToTensor", "Collect")
    ]
    _finish(data, where)
    return facts


def published_recipe(task: str, name: str) -> Recipe:
    """Name every fact of the config of mmcv 1.x that a model was published with."""
    config = published_config(task, name)
    for helper in ("dataset_type", "data_root", "img_norm_cfg", "train_pipeline", "test_pipeline"):
        config.pop(helper)  # variables that the parts below were made of
    facts = dict(flatten(config.pop("model"), "model"))
    data = config.pop("data")
    batch, workers = data.pop("samples_per_gpu"), data.pop("workers_per_gpu")
    for split in ("train", "val", "test"):
        facts |= _published_data(split, data.pop(split))
        facts[f"data.{split}.workers"] = workers
    _finish(data, "data")
    facts |= {"data.train.batch": batch, "data.train.total_batch": batch * GPUS}
    facts |= flatten(config.pop("optimizer"), "optimizer")
    assert config.pop("optimizer_config") == {"grad_clip": None}
    rate = config.pop("lr_config")
    assert rate.pop("policy") == "step"
    facts |= {"schedule.milestones": rate.pop("step"), "schedule.gamma": 0.1}
    _finish(rate, "lr_config")
    runner = config.pop("runner")
    assert runner.pop("type") == "EpochBasedRunner"
    facts["schedule.epochs"] = runner.pop("max_epochs")
    _finish(runner, "runner")
    assert config.pop("workflow") == [["train", 1]]
    facts["evaluation.interval"] = 1  # the default of mmcls, which nothing changes
    facts["checkpoint.interval"] = config.pop("checkpoint_config")["interval"]
    log = config.pop("log_config")
    facts["log.interval"] = log.pop("interval")
    assert log.pop("hooks") == [{"type": "TextLoggerHook"}]
    _finish(log, "log_config")
    facts |= {"distributed.backend": config.pop("dist_params")["backend"], "log.level": config.pop("log_level")}
    facts["distributed.find_unused"] = config.pop("find_unused_parameters", False)
    # the defaults of the original's set-up of processes
    facts |= {"process.start": "fork", "process.opencv_threads": 0, "process.cudnn_benchmark": False}
    facts |= {"load_from": config.pop("load_from"), "resume": bool(config.pop("resume_from"))}
    _finish(config, name)
    return facts


def _data(split: str, loader: dict[str, Any]) -> Recipe:
    where = f"data.{split}"
    facts: Recipe = {f"{where}.workers": loader.pop("num_workers")}
    batch = loader.pop("batch_size")
    if split == "train":
        facts[f"{where}.batch"] = batch
    assert loader.pop("sampler") == {"type": "DefaultSampler", "shuffle": split == "train"}
    assert loader.pop("persistent_workers") and not loader.pop("drop_last", False)
    data = loader.pop("dataset")
    _finish(loader, f"{split}_dataloader")
    assert data.pop("type") == "BDD100KTaggingDataset" and data.pop("data_root") == "data/bdd100k/"
    assert data.pop("test_mode", False) == (split != "train")
    facts |= {f"{where}.tag": data.pop("tag"), f"{where}.labels": data.pop("ann_file")}
    facts[f"{where}.images"] = data.pop("data_prefix")["img_path"]
    order = []
    for step in data.pop("pipeline"):
        kind = step.pop("type")
        order.append("Resize" if kind == "ResizeEdge" else kind)
        if kind == "LoadImageFromFile":
            facts[f"{where}.float"] = step.pop("to_float32")
        elif kind == "ResizeEdge":
            assert step.pop("edge") == "short"
            facts[f"{where}.short_edge"] = step.pop("scale")
        elif kind in ("CenterCrop", "RandomCrop", "RandomResizedCrop"):
            facts[f"{where}.{kind}"] = step.pop("crop_size", None) or step.pop("scale")
        elif kind == "RandomFlip":
            facts[f"{where}.flip"] = step.pop("prob")
        else:
            assert kind == "PackInputs", kind
        _finish(step, f"{where}.{kind}")
    facts[f"{where}.order"] = [kind for kind in order if kind != "PackInputs"]
    _finish(data, where)
    return facts


def recipe(config: Mapping[str, Any]) -> Recipe:
    """Name every fact of a config of mmengine, in the vocabulary of :func:`published_recipe`."""
    config = copy.deepcopy(dict(config))
    model = config.pop("model")
    inputs = model.pop("data_preprocessor")
    assert inputs.pop("type") == "ClsDataPreprocessor"
    facts: Recipe = {f"normalise.{name}": inputs.pop(name) for name in ("mean", "std", "to_rgb")}
    _finish(inputs, "data_preprocessor")
    facts |= flatten(model, "model")
    for split in ("train", "val", "test"):
        facts |= _data(split, config.pop(f"{split}_dataloader"))
    facts |= epochs_and_batch(config)
    (steps,) = config.pop("param_scheduler")
    assert steps.pop("type") == "MultiStepLR" and steps.pop("by_epoch") and steps.pop("begin") == 0
    assert steps.pop("end") == facts["schedule.epochs"]
    facts |= {"schedule.milestones": steps.pop("milestones"), "schedule.gamma": steps.pop("gamma")}
    _finish(steps, "param_scheduler")
    assert config.pop("val_cfg") == {"type": "ValLoop"} and config.pop("test_cfg") == {"type": "TestLoop"}
    scorer = config.pop("val_evaluator")
    assert config.pop("test_evaluator") == scorer
    assert scorer == {"type": "BDD100KMetric", "task": "tagging", "format": {"tag": facts["data.val.tag"]}}
    hooks = config.pop("default_hooks")
    facts["checkpoint.interval"] = hooks["checkpoint"].pop("interval")
    facts["log.interval"] = hooks["logger"].pop("interval")
    assert all(len(hook) == 1 for hook in hooks.values()), hooks
    facts |= _hook_facts(config.pop("custom_hooks"))
    facts["distributed.find_unused"] = config.pop("find_unused_parameters", False)
    facts |= surroundings(config, "mmpretrain")
    return facts
