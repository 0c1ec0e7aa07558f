"""One training step of any config at a reduced size, and whole small trainings through the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from bdd100k_models.cli import main
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.sampling import set_generators

#: By how much sides of images are reduced: the data set's 1280x720 pixels become 160x90.
REDUCTION = 8
#: Keys of a pipeline's steps that hold sizes of images in pixels.
_SIZES = ("scale", "scales", "crop_size", "img_scale", "border", "size")


@dataclass
class Step:
    """What one step of training gave.

    Attributes:
        loss: The sum of all losses.
        trained: How many parameters have a gradient.
        still: Names of those whose gradient is zero everywhere.
        without: Names of trainable parameters that have none.
        broken: Names of parameters whose gradient is not finite.
    """

    loss: float
    trained: int
    still: list[str]
    without: list[str]
    broken: list[str]


def _smaller(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_smaller(item) for item in value)
    if isinstance(value, int) and abs(value) > 100:
        return -(-value // REDUCTION)
    return value


def shrink(config: Config, data_root: Path) -> Config:
    """Make a config train on small images of ``data_root``, from random weights."""

    def reduce_pipeline(dataset: Any) -> None:
        for step in dataset.get("pipeline", ()):
            for part in step.get("transforms", [step]):
                for key in _SIZES:
                    if key in part and part["type"] != "RandomResizedCrop":
                        part[key] = _smaller(part[key])
        if "dataset" in dataset:
            reduce_pipeline(dataset.dataset)
        else:
            dataset.data_root = str(data_root)

    reduce_pipeline(config.train_dataloader.dataset)
    _forget_weights(config.model)
    _sample_less(config.model)
    preprocessor = config.model.get("data_preprocessor") or {}
    if preprocessor.get("size"):
        preprocessor.size = _smaller(preprocessor.size)
    return config


def _sample_less(node: Any) -> None:
    """Let heads of a second stage learn from few boxes, which is where most of a small image's time would go."""
    if isinstance(node, dict):
        if isinstance(node.get("sampler"), dict) and "num" in node["sampler"]:
            node["sampler"]["num"] = min(node["sampler"]["num"], 32)
        if "nms_pre" in node and "max_per_img" in node:
            node.update(nms_pre=min(node["nms_pre"], 200), max_per_img=min(node["max_per_img"], 100))
        for value in node.values():
            _sample_less(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _sample_less(value)


def _forget_weights(node: Any) -> None:
    if isinstance(node, dict):
        initial = node.get("init_cfg") or []
        if any("checkpoint" in part for part in (initial if isinstance(initial, list) else [initial])):
            node["init_cfg"] = None
        if node.get("pretrained"):
            node["pretrained"] = None
        if node.get("type") == "SyncBN":
            node["type"] = "BN"
        for value in node.values():
            _forget_weights(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _forget_weights(value)


def _open_branches(model: torch.nn.Module) -> None:
    """Let every branch of a model have its part in the first step.

    Weights that begin as zero, such as the last ones of residual branches, get small values, since nothing would reach
    what lies before them; and no branch is left out at random.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # a bias of zero lets everything through
            if not name.endswith("bias") and not bool(parameter.any()):
                parameter.normal_(0, 0.02)
    for module in model.modules():
        if hasattr(module, "drop_prob"):
            module.drop_prob = 0.0


def one_step(path: Path, data_root: Path, images: int = 2) -> Step:
    """Prepare images as a config says, and run its model forward and backward on them once."""
    import bdd100k_models.registry as registry

    # isort: split

    from mmengine.registry import DATASETS, FUNCTIONS, MODELS

    config = shrink(load_config(path), data_root)
    registry.enter_scope(config.get("default_scope"))
    set_generators(0)  # of the pipelines too
    dataset = DATASETS.build(config.train_dataloader.dataset)
    dataset.full_init()
    collate = FUNCTIONS.get(config.train_dataloader.get("collate_fn", {"type": "pseudo_collate"})["type"])
    batch = collate([dataset[index] for index in range(images)])
    model = MODELS.build(config.model)
    model.init_weights()
    _open_branches(model)
    model.train()
    losses = model(**model.data_preprocessor(batch, True), mode="loss")
    total, _ = model.parse_losses(losses)
    total.backward()
    trainable = {name: value for name, value in model.named_parameters() if value.requires_grad}
    gradients = {name: value.grad for name, value in trainable.items() if value.grad is not None}
    return Step(
        float(total.detach()),
        len(gradients),
        sorted(name for name, gradient in gradients.items() if not bool(gradient.any())),
        sorted(trainable.keys() - gradients.keys()),
        [name for name, gradient in gradients.items() if not bool(gradient.isfinite().all())],
    )


def train(task: str, config: str | Path, data_root: Path, work_dir: Path, *words: str) -> int:
    """Run ``bdd100k-models train`` in this process, on the CPU; returns its exit status."""
    fixed = ("--data-root", str(data_root), "--work-dir", str(work_dir), "--device", "cpu", "--seed", "0")
    return main(["train", task, str(config), *fixed, *words])


def losses(work_dir: Path) -> dict[int, float]:
    """Return the loss of each iteration, by step, over all runs in a work folder."""
    found = {}
    for file in sorted(work_dir.glob("*/vis_data/scalars.json")):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            if "loss" in record:
                found[record["step"]] = record["loss"]
    return found


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint made here."""
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=False)["state_dict"]
    return state
