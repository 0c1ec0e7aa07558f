"""Scores files: the one entry of the command line, of ``test --eval`` and of validation during training."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.config import EvalConfig, Options, default_config, load_config, load_tag_config
from bdd100k_models.evaluation.official import evaluate_officially
from bdd100k_models.evaluation.result import Result
from bdd100k_models.tasks import TASKS

__all__ = ["ENGINES", "TASK_NAMES", "Options", "evaluate", "settings_of", "task_name"]

#: What the official tool calls each task; tagging it evaluates by another command.
TASK_NAMES = (
    *("det", "ins_seg", "sem_seg", "drivable", "pan_seg"),
    *("pose", "box_track", "seg_track", "lane_mark", "tagging"),
)

ENGINES = ("ours", "official")

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
        InputError: There is no such task or engine, or an option does not go with them.
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format; the message names file, frame and field.
        ConfigError: The config cannot be used.
    """
    name = task_name(task)
    if engine not in _EVALUATORS:
        raise InputError(f"there is no engine {engine!r}; choose one of {', '.join(ENGINES)}")
    settings = options or Options()
    if settings.hota and (engine != "ours" or name not in ("box_track", "seg_track")):
        raise InputError("HOTA is for box_track and seg_track, with --engine ours; leave --hota out")
    return _EVALUATORS[engine][name](Path(truth), Path(result), settings)


def settings_of(task: str, options: Options) -> EvalConfig:
    """Return the settings that ``--config`` names, or the task's own."""
    if options.config is None:
        return default_config(task)
    if options.config in TASK_NAMES and not Path(options.config).is_file():
        return default_config(options.config)
    return load_tag_config(options.config) if task == "tagging" else load_config(options.config)


def _given(task: str, options: Options) -> EvalConfig | None:
    """Return the settings that ``--config`` names, or None for the task's own."""
    return None if options.config is None else settings_of(task, options)


# each imports its own modules: SciPy alone takes as long as the evaluation of a small result


def _detection(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.detection import evaluate_detection
    from bdd100k_models.formats.arrays import load_boxes, table_from_frames
    from bdd100k_models.formats.coco import is_coco_file, load_any_frames

    config = settings_of("det", options)
    if options.coco_truth and is_coco_file(truth):
        labels = table_from_frames(load_any_frames(truth), str(truth))
    else:
        labels = load_boxes(truth)
    return evaluate_detection(labels, load_boxes(result), config=config)


def _instances(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.instance_files import evaluate_instance_files

    return evaluate_instance_files(truth, result, options, settings_of("ins_seg", options))


def _panoptic(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.panoptic_files import evaluate_panoptic_files

    return evaluate_panoptic_files(truth, result, options, settings_of("pan_seg", options))


def _semantic(task: str, truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.semantic import evaluate_semantic

    return evaluate_semantic(task, truth, result, _given(task, options), options.processes)


def _lane(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.lane import evaluate_lane

    return evaluate_lane(truth, result, _given("lane_mark", options), options.processes)


def _pose(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.pose import evaluate_pose

    return evaluate_pose(truth, result, settings_of("pose", options))


def _tagging(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.tagging import evaluate_tagging

    return evaluate_tagging(truth, result, _given("tagging", options))


def _box_tracks(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.tracking_files import evaluate_box_tracks

    return evaluate_box_tracks(truth, result, options, settings_of("box_track", options))


def _mask_tracks(truth: Path, result: Path, options: Options) -> Result:
    from bdd100k_models.evaluation.tracking_files import evaluate_mask_tracks

    return evaluate_mask_tracks(truth, result, options, settings_of("seg_track", options))


#: By engine and task: what scores its files.
_EVALUATORS: dict[str, dict[str, Evaluate]] = {
    "ours": {
        "det": _detection,
        "ins_seg": _instances,
        "sem_seg": partial(_semantic, "sem_seg"),
        "drivable": partial(_semantic, "drivable"),
        "pan_seg": _panoptic,
        "pose": _pose,
        "box_track": _box_tracks,
        "seg_track": _mask_tracks,
        "lane_mark": _lane,
        "tagging": _tagging,
    },
    "official": {task: partial(evaluate_officially, task) for task in TASK_NAMES},
}
