"""Scores of a contribution: what its table and files say, against an evaluation of its predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bdd100k_models.errors import LabelError, ZooError, first_line
from bdd100k_models.evaluation.result import Result, task_result
from bdd100k_models.evaluation.run import Options, evaluate, task_name
from bdd100k_models.tasks import TAGS, Task
from bdd100k_models.zoo.check.entry import SCORE

#: The key of a score that the official evaluation of instances does not have.
_BOX_AP = "AP of boxes"

#: What the tables call the official scores, and the key of each in an evaluation's summary.
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "det": {"Box AP": "AP"},
    "ins_seg": {"Mask AP": "AP", "Box AP": _BOX_AP},
    "sem_seg": {"mIoU": "mIoU"},
    "drivable": {"mIoU": "mIoU"},
    "pan_seg": {"PQ": "PQ"},
    "tagging": {"Acc": "accuracy"},
    "pose": {"Pose AP": "AP"},
    "mot": {"mMOTA": "mMOTA", "mIDF1": "mIDF1", "ID Sw.": "IDSw"},
    "mots": {"mMOTSA": "mMOTA", "mIDF1": "mIDF1", "ID Sw.": "IDSw"},
}

#: The tag that the models of a group are of, by the group's heading.
GROUP_TAGS: Mapping[str, str] = {f"{tag.capitalize()} Tagging": tag for tag in TAGS}

#: By how much a score in a file may differ from one computed here.
TOLERANCE = 1e-4

_MAX_BYTES = 1 << 24
_MAX_NUMBER = 1e12


def boxes_of_instances(truth: Path, predictions: Path) -> dict[str, float]:
    """Return the AP of the boxes of instances by the table's key; nothing where labels or predictions have no boxes."""
    try:
        score = evaluate("det", truth, predictions, Options(config="ins_seg")).summary()["AP"]
    except ZooError:
        return {}
    return {} if math.isnan(score) else {_BOX_AP: score}


def read_scores(task: Task, path: Path, tag: str | None = None) -> Result:
    """Read a file of scores as ``eval --out-file`` writes it.

    Args:
        task: The task.
        path: The file.
        tag: The one tag that it has to be of, if the task is tagging.

    Raises:
        LabelError: It is no such file.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict) or not content:
            raise ValueError("it holds no scores by metric")
        result = task_result("tagging" if task.official is None else task_name(task.name), _scores(content))
        result.summary()
        if tag is not None and _tags_of(result) != {tag}:
            raise ValueError(f"they are not of {tag} alone")
        return result
    except (OSError, ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise LabelError(
            f"{path.name}: no scores of {task.name} ({_reason(error)}); write it with eval --out-file"
        ) from None


def _scores(content: dict[str, Any]) -> dict[str, Any]:
    """Keep numbers and lists of rows of numbers; raise for anything else."""
    for metric, groups in content.items():
        for group in groups if isinstance(groups, list) else [{metric: groups}]:
            for name, value in group.items():
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError(f"{metric} of {name} is {value!r:.40}, not a number")
                if abs(value) > _MAX_NUMBER:
                    raise ValueError(f"{metric} of {name} is out of all bounds")
    return content


def _tags_of(result: Result) -> set[str]:
    return set(TAGS) & {row.partition(".")[0].lower() for row in _flat(result.scores["accuracy"])}


def _reason(error: Exception) -> str:
    return f"{error} is not there" if isinstance(error, KeyError) else first_line(error, 100)


def compare_scores(given: Result, computed: Result) -> Iterator[str]:
    """Yield each metric of a file of scores that is not there or differs from what was computed."""
    for metric, groups in computed.scores.items():
        if metric not in given.scores:
            yield f"{metric} is missing"
            continue
        ours, theirs = _flat(groups), _flat(given.scores[metric])
        for row, value in ours.items():
            if row not in theirs:
                yield f"{metric} of {row} is missing"
                break
            if not _equal(value, theirs[row], TOLERANCE):
                yield f"{metric} of {row} is {theirs[row]:.4f}, an evaluation of the predictions gives {value:.4f}"
                break


def _flat(groups: Any) -> dict[str, float]:
    if isinstance(groups, int | float):
        return {"all": groups}
    return {row: value for group in groups for row, value in group.items()}


def _equal(first: float, second: float, tolerance: float) -> bool:
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return abs(first - second) <= tolerance


def compare_cells(
    task: Task, columns: Mapping[str, str], split: str, summary: Mapping[str, float], origin: str
) -> Iterator[str]:
    """Yield each score in a row that is not the rounded score of a summary.

    Args:
        task: The task.
        columns: The row's cells.
        split: ``val`` or ``test``.
        summary: Scores by key; see :meth:`bdd100k_models.evaluation.result.Result.summary`.
        origin: Where the summary comes from, for the messages.
    """
    for column, key in _score_cells(task, columns, split).items():
        if key in summary and not _is_rounded(columns[column], summary[key]):
            yield f"{column} is {columns[column]}, {origin} gives {summary[key]:.4f}"


def cells_without(task: Task, columns: Mapping[str, str], split: str, summary: Mapping[str, float]) -> Iterator[str]:
    """Yield each score of a row that a summary does not have; see :func:`compare_cells`."""
    return (column for column, key in _score_cells(task, columns, split).items() if key not in summary)


def _score_cells(task: Task, columns: Mapping[str, str], split: str) -> dict[str, str]:
    """Return the key of each score of a row by its column; cells that hold no number are told elsewhere."""
    cells = {f"{title}-{split}": key for title, key in COLUMNS[task.name].items()}
    return {column: key for column, key in cells.items() if SCORE.fullmatch(columns.get(column, ""))}


def _is_rounded(cell: str, value: float) -> bool:
    """Tell whether a cell is a score, rounded to as many digits as it has."""
    digits = len(cell.partition(".")[2])
    return not math.isnan(value) and abs(float(cell) - value) <= 0.5 * 10**-digits + 1e-6
