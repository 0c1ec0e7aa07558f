"""Scores by weather, scene and time of day: the official evaluation of the frames of each alone.

A video belongs to the slices of its first frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bdd100k_models.errors import InputError, LabelError
from bdd100k_models.evaluation.parts import Assessment, Units
from bdd100k_models.evaluation.result import Result, format_score
from bdd100k_models.formats.arrays import Scene, SceneAttributes, scene_of
from bdd100k_models.formats.stream import stream_frames
from bdd100k_models.tasks import TAGS
from bdd100k_models.text_tables import align

_NOTHING: Scene = (None, None, None)


class _Frame(msgspec.Struct, gc=False):
    name: str | int
    videoName: str | None = None
    frameIndex: int | None = None
    attributes: SceneAttributes | None = None


@dataclass(frozen=True)
class Slice:
    """The scores of a part of the data set.

    Attributes:
        tag: ``weather``, ``scene`` or ``timeofday``.
        value: What its images or videos have in common, such as ``night``.
        units: How many they are.
        result: Their scores, without notes.
    """

    tag: str
    value: str
    units: int
    result: Result


def read_scenes(path: Path, units: Units) -> Units:
    """Return units with the scenes that another file of labels gives: masks themselves do not carry any.

    Args:
        path: Scalabel JSON, a file or a folder; frames belong to units by name without folder and suffix, or to videos
            by ``videoName``.
        units: The units.

    Raises:
        MissingFileError: There is no such file.
        LabelError: The file breaks the format, or none of its frames is of these units.
    """
    scenes: dict[str, Scene] = {}
    order: dict[str, int] = {}
    for _, _, frame in stream_frames(path, _Frame):
        scene = scene_of(frame.attributes)
        name = Path(str(frame.name)).stem
        if units.kind == "videos":
            # the frame with the least index stands for its video
            name, index = frame.videoName or "", frame.frameIndex or 0
            if name in order and order[name] <= index:
                continue
            order[name] = index
        scenes[name] = scene
    found = [scenes.get(name if units.kind == "videos" else Path(name).stem) for name in units.names]
    if units.names and not any(found):
        raise LabelError(f"{path}: none of its frames is of these {units.kind}; name the labels of the same split")
    return replace(units, scenes=[scene or _NOTHING for scene in found])


def check_tags(tags: Sequence[str]) -> None:
    """Require tags to be those of the data set.

    Raises:
        InputError: There is no such tag.
    """
    if unknown := [tag for tag in tags if tag not in TAGS]:
        raise InputError(f"there are no slices by {unknown[0]!r}; choose of {', '.join(TAGS)}")


def slice_scores(assessment: Assessment, tags: Sequence[str] = tuple(TAGS)) -> list[Slice]:
    """Score every slice.

    Args:
        assessment: What was found in the whole data set.
        tags: By what to slice.

    Returns:
        The slices that hold anything: by tag, the known values in the order of ``TAGS``, then others.

    Raises:
        InputError: There is no such tag.
        LabelError: No unit carries any of the tags.
    """
    check_tags(tags)
    slices = []
    for tag in dict.fromkeys(tags):
        place = list(TAGS).index(tag)
        values = [scene[place] for scene in assessment.units.scenes]
        counts = Counter(value for value in values if value is not None)
        known = [value for value in TAGS[tag] if value in counts]
        for value in [*known, *sorted(set(counts) - set(known))]:
            rows = np.array([index for index, one in enumerate(values) if one == value], np.int64)
            slices.append(Slice(tag, value, len(rows), assessment.parts.take(rows).result()))
    if not slices and assessment.units.names:
        raise LabelError(
            f"the ground truth gives no {', '.join(tags)} of any of its {assessment.units.kind}; name labels whose "
            "frames have these attributes: --attributes FILE"
        )
    return slices


def averages(result: Result) -> dict[str, float]:
    """Return the scores of a summary that are no category's."""
    return {metric: value for metric, value in result.summary().items() if "/" not in metric}


def slices_table(slices: Sequence[Slice], whole: Result, units: Units) -> str:
    """Return a table: a row for each slice, the averages of the summary as columns.

    Args:
        slices: The slices.
        whole: The scores of everything.
        units: All units.
    """
    metrics = list(averages(whole))
    rows = [("", units.kind, *metrics), ("all", str(len(units.names)), *_cells(whole))]
    rows += [(f"{one.tag}: {one.value}", str(one.units), *_cells(one.result)) for one in slices]
    lines = align(rows, figures=1)
    previous = "all"
    ruled = lines[:1]
    for line, tag in zip(lines[1:], ["all", *(one.tag for one in slices)], strict=True):
        if tag != previous or tag == "all":
            ruled.append("-" * len(lines[0]))
        previous = tag
        ruled.append(line)
    return "\n".join(ruled) + "\n"


def _cells(result: Result) -> list[str]:
    return [format_score(value).strip() for value in averages(result).values()]


def slices_json(slices: Sequence[Slice], units: Units) -> Mapping[str, Any]:
    """Return the slices as JSON: by tag and value, the number of units and the summary."""
    content: dict[str, dict[str, Any]] = {}
    for one in slices:
        content.setdefault(one.tag, {})[one.value] = {units.kind: one.units, "scores": one.result.summary()}
    return content


def slice_notes(tags: Sequence[str], units: Units) -> list[str]:
    """Say how many units are in no slice of a tag."""
    notes = []
    for tag in dict.fromkeys(tags):
        place = list(TAGS).index(tag)
        without = sum(scene[place] is None for scene in units.scenes)
        if without:
            notes.append(f"{without} of {len(units.names)} {units.kind} have no {tag}; they are in none of its slices")
    return notes
