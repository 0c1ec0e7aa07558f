"""Predictions of a contribution: valid for the task, and there for every image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bdd100k_models.errors import LabelError
from bdd100k_models.formats import rle
from bdd100k_models.formats.arrays import check_box
from bdd100k_models.formats.scalabel import Frame, Label
from bdd100k_models.formats.stream import stream_frames
from bdd100k_models.tasks import IMAGE_SIZE, JOINTS, NAME_MAPPING, TAGS, Task

#: How many problems are told before the rest is only counted.
SHOWN = 5


@dataclass
class Found:
    """What is in a file of predictions.

    Attributes:
        images: Name of each image; in the tasks of tracking below its video's.
        problems: What is wrong, the first of each kind.
        count: How many problems there are.
    """

    images: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    count: int = 0
    _kinds: set[str] = field(default_factory=set)

    def add(self, problem: str) -> None:
        """Note a problem; others that differ only in place and number are counted, not kept."""
        self.count += 1
        kind = re.sub(r"[\w.-]*\d[\w.-]*", "", problem)
        if kind not in self._kinds and len(self.problems) < SHOWN:
            self._kinds.add(kind)
            self.problems.append(problem)


def look_at_predictions(task: Task, path: Path, tag: str | None = None) -> Found:
    """Check every frame of a file, or folder of files, of predictions.

    Args:
        task: The task they are for.
        path: Scalabel JSON.
        tag: The one tag that they have to be of, if the task is tagging; None for any.

    Raises:
        MissingFileError: There is nothing at ``path``.
        LabelError: It is not Scalabel JSON.
    """
    found = Found()
    seen: set[str] = set()
    for _, _, frame in stream_frames(path, Frame):
        name = f"{frame.videoName}/{frame.name}" if task.videos else frame.name
        where = f"frame {name}"
        if name in seen:
            found.add(f"{where}: appears twice")
        seen.add(name)
        found.images.append(name)
        for problem in _frame_problems(task, frame, where, tag):
            found.add(problem)
    return found


def compare_images(found: list[str], expected: list[str], files: bool = False) -> Iterator[str]:
    """Yield how the images of predictions differ from those of the split, one line a kind.

    Args:
        found: Names in the predictions.
        expected: Names in the split.
        files: Whether to compare without suffixes, as where labels are PNG files.
    """
    names, wanted = _keys(found, files), _keys(expected, files)
    if missing := [name for name in wanted if name not in names]:
        yield f"{len(missing)} of {len(wanted)} images are missing ({_some(missing)})"
    if foreign := [name for name in names if name not in wanted]:
        yield f"{len(foreign)} images are not of the validation set ({_some(foreign)})"


def _keys(names: list[str], files: bool) -> dict[str, None]:
    return dict.fromkeys(_stem(PurePosixPath(name)) if files else name for name in names)


def _stem(path: PurePosixPath) -> str:
    return str(path.with_suffix("") if path.name else path)


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (", ..." if len(names) > 2 else "")


def _frame_problems(task: Task, frame: Frame, where: str, tag: str | None) -> Iterator[str]:
    if task.videos and (not frame.videoName or frame.frameIndex is None):
        yield f"{where}: videoName or frameIndex is missing"
    if task.name == "tagging":
        yield from _tag_problems(frame, where, tag)
        return
    ids: set[str] = set()
    for index, label in enumerate(frame.labels or ()):
        place = f"{where}, label {index}"
        if task.videos and str(label.id) in ids:
            yield f"{place}: the track {label.id} is in this frame already"
        ids.add(str(label.id))
        for check in _LABEL_CHECKS[task.name]:
            try:
                check(task, label, place)
            except LabelError as error:
                yield str(error)


def _tag_problems(frame: Frame, where: str, wanted: str | None) -> Iterator[str]:
    tags = {tag: value for tag, value in (frame.attributes or {}).items() if tag in TAGS}
    if wanted is None and not tags:
        yield f"{where}: has none of the attributes {', '.join(TAGS)}"
    elif wanted is not None and set(tags) != {wanted}:
        yield f"{where}: its tags are {', '.join(tags) or 'none'}; its group has {wanted} alone"
    for tag, value in tags.items():
        if value not in TAGS[tag]:
            yield f"{where}: {tag} is {str(value)[:60]!r}; the values are {', '.join(TAGS[tag])}"


def _category(task: Task, label: Label, where: str) -> None:
    if label.category not in task.categories and NAME_MAPPING.get(str(label.category)) not in task.categories:
        raise LabelError(f"{where}: category is {label.category!r}, which {task.name} does not have")


def _person(task: Task, label: Label, where: str) -> None:
    if label.category is not None:
        _category(task, label, where)


def _score(task: Task, label: Label, where: str) -> None:
    if label.score is None:
        raise LabelError(f"{where}: score is missing")
    if not 0 <= label.score <= 1:
        raise LabelError(f"{where}: score is {label.score}, not from 0 to 1")


def _box(task: Task, label: Label, where: str) -> None:
    if label.box2d is None:
        raise LabelError(f"{where}: box2d is missing")
    check_box(label.box2d, where)


def _mask(task: Task, label: Label, where: str) -> None:
    if label.rle is None:
        raise LabelError(f"{where}: rle is missing")
    if tuple(label.rle.size) != IMAGE_SIZE:
        raise LabelError(f"{where}: rle.size is {list(label.rle.size)}, images have {list(IMAGE_SIZE)}")
    rle.decode_runs(label.rle, where)


def _joints(task: Task, label: Label, where: str) -> None:
    if label.graph is None:
        raise LabelError(f"{where}: graph is missing")
    names = [node.category for node in label.graph.nodes]
    if sorted(names) != sorted(JOINTS):
        raise LabelError(f"{where}: graph has {len(set(names) & set(JOINTS))} of the {len(JOINTS)} joints")


_Check = Callable[[Task, Label, str], None]

#: What is looked at in each label, by task.
_LABEL_CHECKS: Mapping[str, tuple[_Check, ...]] = {
    "det": (_category, _score, _box),
    "ins_seg": (_category, _score, _mask),
    "sem_seg": (_category, _mask),
    "drivable": (_category, _mask),
    "pan_seg": (_category, _mask),
    "pose": (_person, _score, _joints),
    "mot": (_category, _box),
    "mots": (_category, _mask),
}
