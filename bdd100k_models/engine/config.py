"""Configs, loaded with overrides and with every failure explained."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from bdd100k_models.datasets.images import find_data_root
from bdd100k_models.errors import ConfigError, InputError, MissingFileError
from bdd100k_models.tasks import TAGS, Task

#: Tasks whose results name classes in a way that takes any.
_ANY_CLASSES = ("det", "ins_seg", "sem_seg", "drivable", "mot", "mots")


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a config and its bases, then apply ``--cfg-options``.

    A config is Python, and is run. Of OpenMMLab's templates, those of the file's own name and of its bases' values are
    filled in (``{{ fileBasenameNoExtension }}``, ``{{ _base_.x }}``); those of the environment (``{{$NAME:default}}``)
    are left as they are, since what they stand for would be read as Python: give such values with ``--cfg-options``.

    Args:
        path: The config file.
        overrides: Values by dotted key, such as ``{"model.test_cfg.rcnn.score_thr": 0.1}``.

    Raises:
        MissingFileError: The file or one of its bases is not there.
        ConfigError: It is not valid Python, has objects in place of their names, a base cannot be merged, or an
            override does not fit.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such config")
    try:
        config = Config.fromfile(path, import_custom_modules=False, use_environment_variables=False)
        held = _find_object(config)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: a file that it builds on is missing ({error})") from None
    except (SyntaxError, NameError, LookupError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
        raise ConfigError(f"{path}: cannot be read as a config ({type(error).__name__}: {error})") from None
    except ImportError as error:
        raise ConfigError(f"{path}: imports what is not here ({error}); install it, or correct the name") from None
    if held:
        raise ConfigError(f"{path}: {held}, not a name; write type='NAME', and _base_ for read_base()")
    if overrides:
        try:
            config.merge_from_dict(dict(overrides))
        except (KeyError, TypeError, IndexError, AssertionError) as error:
            raise ConfigError(f"--cfg-options does not fit {path.name}: {error}") from None
    return config


def _find_object(values: Mapping[str, Any], place: str = "") -> str:
    """Return where classes or functions stand, as in configs with ``read_base()``; recipes are compared by names."""
    for key, value in values.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if callable(item):
                return f"{place}{key} is {item!r}"
            if isinstance(item, Mapping) and (found := _find_object(item, f"{place}{key}.")):
                return found
    return ""


def data_root_of(config: Config, dataset: Mapping[str, Any], given: str | None) -> Path:
    """Return the folder of the data that a data set of a config reads.

    Args:
        config: The config; ``fixed_data_root`` in it says that a run left it.
        dataset: The data set, with ``data_root`` or without.
        given: The value of ``--data-root``, or None.

    Raises:
        MissingFileError: It is not there; see :func:`~bdd100k_models.datasets.images.find_data_root` for the order.
    """
    return find_data_root(given, dataset.get("data_root"), fixed=bool(config.get("fixed_data_root")))


def with_own_classes(task: Task, config: Config) -> Task:
    """Return a task with the classes that a config names for its training data, where they are its own.

    Raises:
        ConfigError: Results of the task have the data set's classes alone.
    """
    dataset = (config.get("train_dataloader") or {}).get("dataset")
    while isinstance(dataset, Mapping):
        named = (dataset.get("metainfo") or {}).get("classes") or ()
        classes = (named,) if isinstance(named, str) else tuple(named)
        if classes and task.name in _ANY_CLASSES:
            return task if classes == task.categories else task.with_categories(classes)
        if classes and sorted(classes) not in [sorted(known) for known in (task.categories, *TAGS.values())]:
            raise ConfigError(
                f"{config.filename}: has classes of its own ({', '.join(classes[:3])} ...), and results of {task.name} "
                "have those of the data set alone; its models can be trained, not used"
            )
        dataset = dataset.get("dataset")
    return task


def use_views(config: Config) -> None:
    """Make a config's test pipeline give several views of each image, as its ``tta_pipeline`` says.

    Raises:
        InputError: The config has no such pipeline.
    """
    if "tta_pipeline" not in config:
        raise InputError(
            f"{Path(config.filename or 'the config').name}: has no tta_pipeline, which --aug-test needs; leave it out"
        )
    config.test_dataloader.dataset.pipeline = config.tta_pipeline


def parse_overrides(items: Sequence[str] | None) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` words as OpenMMLab does: numbers, booleans, None, lists in brackets, else text.

    Raises:
        InputError: A word has no ``=``, or a bracket without its like.
    """
    if not items:
        return {}
    if wrong := [item for item in items if "=" not in item]:
        raise InputError(f"--cfg-options takes KEY=VALUE, not {wrong[0]!r}")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--values", nargs="+", action=DictAction)
    try:
        values: dict[str, Any] = parser.parse_args(["--values", *items]).values
    except AssertionError as error:  # of a bracket without its like
        raise InputError(f"--cfg-options: {error}") from None
    return values
