"""Runs the official tool (bdd100k, scalabel) in this process, to compare with.

It needs mends on today's libraries: NumPy 2 and matplotlib 3.10 took functions away that it calls, and its check for
overlapping run-length masks fails in worker processes, so that runs in this one.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import multiprocessing
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bdd100k_models.compat import motmetrics, tostring_rgb
from bdd100k_models.errors import InputError, LabelError, ZooError
from bdd100k_models.evaluation.config import Options, load_tag_config
from bdd100k_models.evaluation.result import Groups, Result, task_result
from bdd100k_models.tasks import TAGS

#: What the official tool raises for input that it cannot use; pydantic's ValidationError is a ValueError.
_ITS_ERRORS = (AssertionError, AttributeError, KeyError, TypeError, ValueError, OSError, IndexError)

#: Tasks whose labels are JSON in any case.
_JSON_TASKS = ("det", "box_track", "pose", "tagging")

#: Tasks whose run-length masks it cannot check for overlap in worker processes.
_OVERLAP_TASKS = ("ins_seg", "pan_seg", "seg_track")


def evaluate_officially(task: str, truth: Path, result: Path, options: Options | None = None) -> Result:
    """Score a result with the functions behind ``bdd100k.eval.run``, or ``scalabel.eval.tagging``.

    Args:
        task: The official name, or ``tagging``.
        truth: Label file or folder.
        result: Prediction file or folder.
        options: Settings that differ from the tool's defaults; ``config`` is a TOML file, or the name of a config that
            the tool carries. With several processes it forgets ``iou_threshold`` for bitmasks.

    Returns:
        Its scores, unchanged.

    Raises:
        InputError: The official tool is not installed, or not with the pydantic it needs.
        MissingFileError, ConfigError: The config of tags is not there, or cannot be used.
        LabelError: It stopped with an error, which the message holds.
    """
    _require_official()
    settings = options or Options()
    with _quiet(), _forking():
        try:
            import bdd100k.eval.run  # noqa: F401  (whether it imports is the question)
        except ImportError as error:
            raise InputError(f"the official tool does not import ({error}); install bdd100k-models[official]") from None
        motmetrics.install()
        tostring_rgb.install()
        try:
            if task == "tagging":
                scores = _tagging(truth, result, settings)
            elif task in _JSON_TASKS or not _is_png_folder(result):
                scores = _frames(task, truth, result, settings)
            else:
                scores = _bitmasks(task, truth, result, settings)
        except ZooError:
            raise
        except _ITS_ERRORS as error:
            first_line = (str(error).splitlines() or [""])[0]
            raise LabelError(
                f"{result}: the official tool stopped with {type(error).__name__}{f': {first_line}' * bool(first_line)}"
                f" (ground truth {truth}); run --engine ours to see what it objects to"
            ) from None
    return task_result(task, {metric: _plain(value) for metric, value in scores.items()})


def _require_official() -> None:
    """Check versions before anything is imported."""
    for name, major in (("bdd100k", "1"), ("scalabel", "0"), ("pydantic", "1")):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise InputError(f"--engine official needs {name}; install bdd100k-models[official]") from None
        if version.split(".")[0] != major:
            raise InputError(f"--engine official needs {name} {major}.x, found {version}; install pydantic<2 and retry")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what it prints, logs and draws, whatever one asks of it, and NumPy's remarks on its divisions by zero."""
    sink = io.StringIO()
    root = logging.getLogger()
    handlers = root.handlers[:]
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink), np.errstate(all="ignore"):
        try:
            yield
        finally:
            # it adds one on import, for the standard error of that moment
            root.handlers[:] = handlers


@contextlib.contextmanager
def _forking() -> Iterator[None]:
    """Let its workers be forks where the system has them; only those inherit the mends."""
    before = multiprocessing.get_start_method(allow_none=True)
    if "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)
    # its pools end their workers with SIGTERM; a fork that has just begun forgets what Python would handle of it, and
    # would then be waited for without end
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL) if main else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
        multiprocessing.set_start_method(before, force=True)


def _workers(options: Options) -> int:
    from scalabel.common.parallel import NPROC

    return options.processes or int(NPROC)


def _is_png_folder(result: Path) -> bool:
    """Decide between masks and JSON as it does.

    Raises:
        ValueError: Neither, with its own words.
    """
    from bdd100k.common.utils import list_files

    if not result.exists():
        raise FileNotFoundError(f"{result} does not exist.")
    files = list_files(str(result))
    if files and all(file.endswith(".png") for file in files):
        return True
    if result.name.endswith(".json") or all(file.endswith(".json") for file in files):
        return False
    raise ValueError(
        "Input should either be a directory of only bitmasks or a JSON file / directory of only JSON files"
    )


def _settings(task: str, options: Options) -> Any:
    from bdd100k.common.utils import load_bdd100k_config

    return load_bdd100k_config(options.config or task)


def _bitmasks(task: str, truth: Path, result: Path, options: Options) -> dict[str, Any]:
    from bdd100k.common.utils import list_files
    from bdd100k.eval.run import run_bitmask

    truths, results = (list_files(str(folder), ".png", with_prefix=True) for folder in (truth, result))
    scores = run_bitmask(
        _settings(task, options),
        task,
        truths,
        results,
        str(options.score_file) if options.score_file else None,
        options.iou_threshold,
        options.ignore_iof_threshold,
        quiet=True,
        nproc=_workers(options),
    )
    return dict(scores)


def _frames(task: str, truth: Path, result: Path, options: Options) -> dict[str, Any]:
    from bdd100k.eval.run import run_rle
    from bdd100k.label.to_scalabel import bdd100k_to_scalabel
    from scalabel.eval.detect import evaluate_det
    from scalabel.eval.mot import acc_single_video_mot, evaluate_track
    from scalabel.eval.pose import evaluate_pose
    from scalabel.label.io import group_and_sort, load

    settings, workers = _settings(task, options), _workers(options)
    truths, results = (bdd100k_to_scalabel(load(str(path), workers).frames, settings) for path in (truth, result))
    if task == "det":
        return dict(evaluate_det(truths, results, settings.scalabel, nproc=workers))
    if task == "pose":
        return dict(evaluate_pose(truths, results, settings.scalabel, nproc=workers))
    thresholds = {"iou_thr": options.iou_threshold, "ignore_iof_thr": options.ignore_iof_threshold}
    if task == "box_track":
        videos = (group_and_sort(truths), group_and_sort(results))
        return dict(evaluate_track(acc_single_video_mot, *videos, settings.scalabel, **thresholds, nproc=workers))
    if task in _OVERLAP_TASKS:
        workers = 1
    return dict(run_rle(settings, task, truths, results, **thresholds, nproc=workers))


def _tagging(truth: Path, result: Path, options: Options) -> dict[str, Any]:
    from scalabel.eval.tagging import evaluate_tagging
    from scalabel.label.io import load
    from scalabel.label.typing import Category, Config

    truths, results = (load(str(path), _workers(options)).frames for path in (truth, result))
    if options.config:
        tags: Mapping[str, tuple[str, ...]] = load_tag_config(options.config).groups
    else:  # it has no config of its own, and stops where a prediction lacks a tag of the config
        carried = [frame.attributes for frame in results if frame.attributes]
        tags = {tag: values for tag, values in TAGS.items() if carried and all(tag in one for one in carried)}
    tree = [Category(name=tag, subcategories=[Category(name=name) for name in names]) for tag, names in tags.items()]
    return dict(evaluate_tagging(truths, results, Config(categories=tree)))


def _plain(value: Any) -> Groups | float:
    """Turn NumPy's numbers into Python's, exactly."""
    if isinstance(value, list):
        return [{str(row): _number(score) for row, score in group.items()} for group in value]
    return _number(value)


def _number(value: Any) -> float:
    return int(value) if isinstance(value, (int, np.integer)) else float(value)
