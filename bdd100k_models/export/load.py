"""Models for export: on the CPU in full precision, for pictures of one size."""

from __future__ import annotations

import copy
import os
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from bdd100k_models.datasets.loader import Preparation
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.fit import check_categories
from bdd100k_models.engine.model import prepare_model
from bdd100k_models.engine.weights import find_weights
from bdd100k_models.errors import InputError
from bdd100k_models.inference.find import find_config
from bdd100k_models.inference.model import Model
from bdd100k_models.tasks import Task

_CPU = torch.device("cpu")


def load_for_export(
    name_or_config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str] | None = None,
    size: tuple[int, int] | None = None,
) -> Model:
    """Load a model that is to be exported.

    Args:
        name_or_config: A model's name, or the path of a config.
        checkpoint: Weights; by default those that the config names.
        size: Height and width that the network sees pictures at; by default what the config says.

    Raises:
        InputError: There is no such model, or it cannot look at pictures of another size.
        MissingFileError, ConfigError, CheckpointError, DownloadError: See
            :func:`bdd100k_models.inference.model.load_model`.
    """
    task, path = find_config(name_or_config)
    config = load_config(path)
    if size is not None:
        config = with_size(config, size, path.stem)
    weights = find_weights(None if checkpoint is None else os.fspath(checkpoint), config)
    network = prepare_model(config, weights, _CPU)
    check_categories(network, task)
    return as_model(path.stem, task, config, network)


def as_model(name: str, task: Task, config: Config, network: nn.Module) -> Model:
    """Return a network as a model that can be called.

    Args:
        name: What to call it.
        task: Its task.
        config: Its config.
        network: On the CPU, filled with weights.

    Raises:
        ConfigError: Its test pipeline cannot be built.
    """
    preparation = Preparation(config.test_dataloader.dataset.pipeline)
    return Model(name, task, config, network.eval(), preparation, device=_CPU)


def with_size(config: Config, size: tuple[int, int], name: str) -> Config:
    """Return a config whose test pipeline scales pictures to another size.

    Args:
        config: The config; it is left as it is.
        size: Height and width.
        name: Names the model in errors.

    Raises:
        InputError: Nothing in the pipeline scales whole pictures.
    """
    changed = copy.deepcopy(config)
    steps = changed.test_dataloader.dataset.pipeline
    flat = [inner for step in steps for inner in step.get("transforms", [step])]
    resizes: list[Any] = [step for step in flat if str(step["type"]).rpartition(".")[2] == "Resize"]
    if not resizes:
        raise InputError(f"{name}: always looks at pictures at the size of its config; leave out --size")
    for step in resizes:
        step.scale = (size[1], size[0])
    return changed
