"""Scores files: the one entry of the command line, of ``test --eval`` and of validation during training."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.config import EvalConfig, Options, default_config, load_config, load_tag_config
from bdd100k_models.evaluation.official import evaluate_officially
from bdd100k_models.evaluation.parts import Assessment
from bdd100k_models.evaluation.result import Result
from bdd100k_models.paths import is_file
from bdd100k_models.tasks import TASKS

__all__ = ["ENGINES", "TASK_NAMES", "Options", "assess", "evaluate", "settings_of", "task_name"]

#: What the official tool calls each task; tagging it evaluates by another command.
TASK_NAMES = (
    *("det", "ins_seg", "sem_seg", "drivable", "pan_seg"),
    *("pose", "box_track", "seg_track", "lane_mark", "tagging"),
)

ENGINES = ("ours", "official")

Assess = Callable[[Path, Path, Options], Assessment]

_ABOUT_HOTA = "HOTA is for box_track and seg_track, with --engine ours; leave --hota out"


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
    if engine not in ENGINES:
        raise InputError(f"there is no engine {engine!r}; choose one of {', '.join(ENGINES)}")
    if engine == "ours":
        return assess(task, truth, result, options).result
    settings = options or Options()
    if settings.hota:
        raise InputError(_ABOUT_HOTA)
    if settings.config is not None:
        settings = replace(settings, config=_config_name(settings.config))
    return evaluate_officially(task_name(task), Path(truth), Path(result), settings)


def assess(
    task: str, truth: str | os.PathLike[str], result: str | os.PathLike[str], options: Options | None = None
) -> Assessment:
    """Score a result, and keep what was found of each image (in tracking: video).

    From that follow slices (:mod:`bdd100k_models.evaluation.slices`), comparisons of two results
    (:mod:`bdd100k_models.evaluation.compare`) and reports (:mod:`bdd100k_models.evaluation.report`).

    Args:
        task: As in :func:`evaluate`, and so the others.
        truth: Label file or folder.
        result: Prediction file or folder.
        options: Settings that differ from the official tool's defaults.

    Raises:
        InputError: There is no such task, or an option does not go with it.
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format; the message names file, frame and field.
        ConfigError: The config cannot be used.
    """
    name = task_name(task)
    settings = options or Options()
    if settings.hota and name not in ("box_track", "seg_track"):
        raise InputError(_ABOUT_HOTA)
    return _ASSESSORS[name](Path(truth), Path(result), settings)


def settings_of(task: str, options: Options) -> EvalConfig:
    """Return the settings that ``--config`` names, or the task's own."""
    if options.config is None:
        return default_config(task)
    if (name := _config_name(options.config)) in TASK_NAMES:
        return default_config(name)
    return load_tag_config(options.config) if task == "tagging" else load_config(options.config)


def _config_name(config: str) -> str:
    """Return what ``--config`` names, where it is no file the official name of a task."""
    return task_name(config) if config in (*TASK_NAMES, *TASKS) and not is_file(Path(config)) else config


def _given(task: str, options: Options) -> EvalConfig | None:
    """Return the settings that ``--config`` names, or None for the task's own."""
    return None if options.config is None else settings_of(task, options)


# each imports its own modules: SciPy alone takes as long as the evaluation of a small result


def _detection(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.detection import DetectionEvaluator
    from bdd100k_models.formats.arrays import load_boxes, table_from_frames
    from bdd100k_models.formats.coco import is_coco_file, load_any_frames

    config = settings_of("det", options)
    evaluator = DetectionEvaluator(config)
    # the tables are not kept: for millions of boxes that is worth something
    if options.coco_truth and is_coco_file(truth):
        evaluator.process(table_from_frames(load_any_frames(truth), str(truth)), load_boxes(result))
    else:
        evaluator.process(load_boxes(truth), load_boxes(result))
    return evaluator.assess()


def _instances(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.instance_files import assess_instance_files

    return assess_instance_files(truth, result, options, settings_of("ins_seg", options))


def _panoptic(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.panoptic_files import assess_panoptic_files

    return assess_panoptic_files(truth, result, options, settings_of("pan_seg", options))


def _semantic(task: str, truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.semantic import assess_semantic

    given = _given(task, options)
    return assess_semantic(task, truth, result, given, options.processes, coco_truth=options.coco_truth)


def _lane(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.lane import assess_lane

    return assess_lane(truth, result, _given("lane_mark", options), options.processes)


def _pose(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.pose import assess_pose

    return assess_pose(truth, result, settings_of("pose", options), coco_truth=options.coco_truth)


def _tagging(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.tagging import assess_tagging

    return assess_tagging(truth, result, _given("tagging", options))


def _box_tracks(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.tracking_files import assess_box_tracks

    return assess_box_tracks(truth, result, options, settings_of("box_track", options))


def _mask_tracks(truth: Path, result: Path, options: Options) -> Assessment:
    from bdd100k_models.evaluation.tracking_files import assess_mask_tracks

    return assess_mask_tracks(truth, result, options, settings_of("seg_track", options))


#: By task: what scores its files.
_ASSESSORS: dict[str, Assess] = {
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
}
