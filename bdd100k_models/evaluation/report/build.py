"""Puts a report together: one page that needs no network, with everything inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from bdd100k_models.evaluation.coco import IOU_THRESHOLDS
from bdd100k_models.evaluation.parts import Assessment, CurveParts, SummedParts
from bdd100k_models.evaluation.report import plots
from bdd100k_models.evaluation.report.faults import Faults, find_faults
from bdd100k_models.evaluation.report.pictures import Pair, Sources, draw_worst, task_of
from bdd100k_models.evaluation.result import Result, format_score
from bdd100k_models.evaluation.slices import Slice, averages
from bdd100k_models.evaluation.tracking import unpack_counts
from bdd100k_models.formats.files import make_folder
from bdd100k_models.visualization.page import Section, write_page

#: Overlaps whose curves are drawn.
_OVERLAPS = (0.5, 0.75)


def write_report(
    folder: Path, assessment: Assessment, slices: Sequence[Slice], sources: Sources, *, worst: int = 12
) -> Path:
    """Write a page about a result.

    Args:
        folder: Where ``index.html`` goes; made if needed.
        assessment: What the evaluation found.
        slices: Scores by slice, if any.
        sources: The files evaluated, and the pictures.
        worst: How many of the worst images (in tracking: videos) to show.

    Returns:
        The page.

    Raises:
        OutputError: The folder cannot be written.
    """
    make_folder(folder)
    faults = find_faults(assessment)
    sections = [_scores(assessment.result)]
    sections += _curves(assessment)
    sections += _confusions(assessment, faults.threshold)
    sections += _tracks(assessment)
    sections += _slices(assessment.result, slices)
    sections += _worst(assessment, faults, sources, worst)
    task = task_of(assessment.result.task)
    title = f"{task.title if task else 'Lane Marking'}: evaluation"
    units = assessment.units
    lead = f"{sources.result} against {sources.truth}: {len(units.names)} {units.kind}."
    page = folder / "index.html"
    write_page(page, title, lead, sections)
    return page


def main_metric(official: str) -> str:
    """Return the key of the score that ranks results of a task, given by its official name."""
    task = task_of(official)
    return task.metric if task else "F1_pix5"


def _scores(result: Result) -> Section:
    facts = {name: format_score(value).strip() for name, value in averages(result).items()}
    metrics = [name for name, groups in result.scores.items() if not isinstance(groups, (int, float))]
    table = [["", *metrics], *([cell.strip() for cell in row] for row in result.rows(metrics))] if metrics else []
    return Section("Scores", facts=facts, text=result.notes, table=table)


def _curves(assessment: Assessment) -> list[Section]:
    parts = assessment.parts
    if not isinstance(parts, CurveParts) or not parts.matches.counts[:, :, 0].any():
        return []
    precision = parts.matches.curves(parts.rules).precision[..., 0]
    drawings = []
    for overlap in _OVERLAPS:
        values = precision[int(np.argmin(np.abs(IOU_THRESHOLDS - overlap)))]
        counted = [place for place in range(values.shape[1]) if not np.isnan(values[0, place])]
        curves = {assessment.categories[place]: values[:, place] for place in counted}
        what = "similarity of key points" if parts.task == "pose" else "overlap"
        caption = f"at {'a' if parts.task == 'pose' else 'an'} {what} of {overlap}; behind each name its AP"
        drawings.append((plots.precision_plot(curves, values[:, counted].mean(axis=1)), caption))
    return [Section("Precision and recall", plots=drawings, wide=True)]


def _confusions(assessment: Assessment, threshold: float) -> list[Section]:
    tables = [table for table in assessment.confusions(threshold) if table.counts.any()]
    if not tables:
        return []
    text = "Each row shows, in percent, what is predicted where its category is labelled; behind its name, how often."
    if threshold:
        text += f" Detections count that score {threshold:.2f} or more, where the F1-score of all is best."
    drawings = [(plots.confusion_plot(table), table.title) for table in tables]
    return [Section("Confusion", text=[text], plots=drawings, wide=True)]


def _tracks(assessment: Assessment) -> list[Section]:
    parts = assessment.parts
    if assessment.result.task not in ("box_track", "seg_track") or not isinstance(parts, SummedParts):
        return []
    counts, _ = unpack_counts(parts.table.sum(axis=0), len(assessment.categories))
    rows = [(name, one) for name, one in zip(assessment.categories, counts, strict=True) if one.objects]
    if not rows:
        return []
    shares = {
        "found": ([one.detected - one.switches for _, one in rows], "#3a8f8f"),
        "found, identity switched": ([one.switches for _, one in rows], "#e0a030"),
        "missed": ([one.objects - one.detected for _, one in rows], "#b84a4a"),
    }
    head = ["", "objects", "missed", "wrong", "identity switches", "fragmentations"]
    table = []
    for name, one in zip(assessment.categories, counts, strict=True):
        if one.objects or one.predictions:
            numbers = one.objects, one.objects - one.detected, one.predictions - one.detected
            table.append([name, *map(str, (*numbers, one.switches, one.fragmentations))])
    drawing = plots.stack_plot([name for name, _ in rows], shares, "labelled objects")
    return [Section("Misses and switches", table=[head, *table], plots=[(drawing, "labelled objects")], wide=True)]


def _slices(result: Result, slices: Sequence[Slice]) -> list[Section]:
    if not slices:
        return []
    metric = main_metric(result.task)
    whole = averages(result)
    drawings = []
    for tag, members in groupby(slices, key=lambda one: one.tag):
        bars = [(f"{one.value} ({one.units})", averages(one.result)[metric]) for one in members]
        drawings.append((plots.bar_plot(bars, whole[metric], metric), f"{metric} by {tag}"))
    head = ["", "number", *whole]
    table = [
        [f"{one.tag}: {one.value}", str(one.units), *(format_score(v).strip() for v in averages(one.result).values())]
        for one in slices
    ]
    return [Section("Slices", plots=drawings, table=[head, *table], wide=True)]


def _worst(assessment: Assessment, faults: Faults, sources: Sources, number: int) -> list[Section]:
    """Return the worst units: with pictures a section each, else a table."""
    kind = assessment.units.kind
    chosen = faults.worst(number)
    title = f"Worst {kind}"
    if not chosen:
        return [Section(title, text=[f"There are no {kind} with faults."])]
    names = [assessment.units.names[unit] for unit in chosen]
    pairs = draw_worst(assessment.result.task, names, sources, faults.threshold)
    text = [f"By {faults.rule}."]
    if sources.images is None:
        text.append("There are no pictures, since no folder of images was given (--images).")
    undrawn = [(name, pair, unit) for name, pair, unit in zip(names, pairs, chosen, strict=True) if pair.labels is None]
    table: list[list[str]] = []
    if undrawn:
        table = [["name", "what is wrong", *(["why there is no picture"] if sources.images else [])]]
        for name, pair, unit in undrawn:
            table.append([name, faults.describe(unit), *([pair.problem] if sources.images else [])])
    drawn = [(name, pair, unit) for name, pair, unit in zip(names, pairs, chosen, strict=True) if pair.labels]
    return [Section(title, text=text, table=table), *(_pictures(*one, faults) for one in drawn)]


def _pictures(name: str, pair: Pair, unit: int, faults: Faults) -> Section:
    title = pair.name if pair.name.startswith(Path(name).stem) else f"{name}: {pair.name}"
    shown = [(pair.labels or b"", "labels"), (pair.predictions or b"", "predictions")]
    shade = f" Drawn from a score of {faults.threshold:.2f}." if not math.isclose(faults.threshold, 0) else ""
    return Section(title, text=[f"{faults.describe(unit)}.{shade}"], pictures=shown, wide=True)
