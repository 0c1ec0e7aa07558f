"""Which task a model is of: its name alone says it, or its config."""

from __future__ import annotations

import os
from pathlib import Path

from bdd100k_models.errors import ConfigError, InputError, MissingFileError
from bdd100k_models.tasks import TASKS, Task, get_task
from bdd100k_models.zoo.records import config_files, nearest_names


def find_config(name_or_config: str | os.PathLike[str]) -> tuple[Task, Path]:
    """Return the task and the config of a model.

    Args:
        name_or_config: The stem of a model of any task, with or without ``.py``, or the path of a config.

    Raises:
        InputError: There is no such model; the message offers the nearest names.
        MissingFileError: There is no such config.
        ConfigError: The config does not say which task it is of.
    """
    given = os.fspath(name_or_config)
    path = Path(given)
    if path.suffix == ".py" and path.is_file():
        return _task_of(path), path
    known = {stem: (TASKS[task], file) for task in TASKS for stem, file in config_files(task).items()}
    stem = given.removesuffix(".py")
    if stem in known:
        return known[stem]
    if path.suffix == ".py" and path.name != given:
        raise MissingFileError(f"{given}: no such config")
    raise InputError(f"{given}: no such model; {nearest_names(stem, known)}`bdd100k-models zoo list` shows all")


def _task_of(path: Path) -> Task:
    """Return the task that a config names for its evaluation, with the classes that it has.

    Raises:
        ConfigError: It names none, or classes that results of its task cannot have.
    """
    from bdd100k_models.engine.config import load_config, with_own_classes

    config = load_config(path)
    evaluator = config.get("test_evaluator") or {}
    if "task" not in evaluator:
        raise ConfigError(f"{path}: does not say which task it is of; set test_evaluator = dict(task=...)")
    return with_own_classes(get_task(evaluator["task"]), config)
