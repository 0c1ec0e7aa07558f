"""Scores files: the one entry of the command line, of ``test --eval`` and of validation during training."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.config import EvalConfig, default_config, load_config
from bdd100k_models.evaluation.detection import evaluate_detection
from bdd100k_models.evaluation.official import evaluate_detection_officially
from bdd100k_models.evaluation.result import Result
from bdd100k_models.formats.arrays import load_boxes, table_from_frames
from bdd100k_models.formats.coco import is_coco_file, load_any_frames
from bdd100k_models.tasks import TASKS

#: What the official tool calls each task; tagging it evaluates by another command.
TASK_NAMES = (
    *("det", "ins_seg", "sem_seg", "drivable", "pan_seg"),
    *("pose", "box_track", "seg_track", "lane_mark", "tagging"),
)

ENGINES = ("ours", "official")


@dataclass(frozen=True)
class Options:
    """Settings of an evaluation.

    Attributes:
        config: A config file of the official tool, or a task's name; the task's own settings by default.
        iou_threshold: Least overlap of a match in tracking.
        ignore_iof_threshold: Share of a box inside an ignored region from which it is left out, in tracking.
        processes: Worker processes where a task uses them; detection needs one.
        score_file: Scores of instance masks, beside a folder of bitmasks.
        coco_truth: Take a COCO conversion as ground truth too, which the official tool does not.
    """

    config: str | None = None
    iou_threshold: float = 0.5
    ignore_iof_threshold: float = 0.5
    processes: int | None = None
    score_file: Path | None = None
    coco_truth: bool = False


Evaluate = Callable[[Path, Path, Options], Result]


def task_name(name: str) -> str:
    """Return the official name of a task, given that or this project's (``mot``, ``mots``).

    Raises:
        InputError: There is no such task; the message names the nearest.
    """
    if name in TASK_NAMES:
        return name
    if name in TASKS and (official := TASKS[name].official):
        return official
    near = difflib.get_close_matches(name, [*TASK_NAMES, *TASKS], n=1)
    hint = f"did you mean {near[0]}?" if near else f"the tasks are {', '.join(TASK_NAMES)}"
    raise InputError(f"there is no evaluation of {name!r}; {hint}")


def evaluate(
    task: str,
    truth: str | os.PathLike[str],
    result: str | os.PathLike[str],
    options: Options | None = None,
    *,
    engine: str = "ours",
) -> Result:
    """Score a result of ``task`` against the ground truth.

    Args:
        task: ``det``, ``ins_seg``, ... as the official tool names it, or this project's name of it.
        truth: Label file or folder.
        result: Prediction file or folder.
        options: Settings that differ from the official tool's defaults.
        engine: ``ours``, or ``official`` to run the official package.

    Returns:
        The scores, and notes on what they leave out.

    Raises:
        InputError: There is no such task or engine, or the task cannot be evaluated by it yet.
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format; the message names file, frame and field.
        ConfigError: The config cannot be used.
    """
    name = task_name(task)
    if engine not in _EVALUATORS:
        raise InputError(f"there is no engine {engine!r}; choose one of {', '.join(ENGINES)}")
    evaluators = _EVALUATORS[engine]
    if name not in evaluators:
        available = ", ".join(evaluators)
        raise InputError(f"the evaluation of {name} is not available yet (--engine {engine}); available: {available}")
    return evaluators[name](Path(truth), Path(result), options or Options())


def _settings(task: str, options: Options) -> EvalConfig:
    """Return the settings that ``--config`` names, or the task's own."""
    if options.config is None:
        return default_config(TASKS[task])
    if options.config in TASK_NAMES and not Path(options.config).is_file():
        by_official = {row.official: row for row in TASKS.values()}
        if options.config in by_official:
            return default_config(by_official[options.config])
    return load_config(options.config)


def _detection(truth: Path, result: Path, options: Options) -> Result:
    config = _settings("det", options)
    if options.coco_truth and is_coco_file(truth):
        labels = table_from_frames(load_any_frames(truth), str(truth))
    else:
        labels = load_boxes(truth)
    return evaluate_detection(labels, load_boxes(result), config=config)


def _official_detection(truth: Path, result: Path, options: Options) -> Result:
    return evaluate_detection_officially(truth, result, options.config, options.processes)


_EVALUATORS: dict[str, dict[str, Evaluate]] = {
    "ours": {"det": _detection},
    "official": {"det": _official_detection},
}
