"""Checks a data root: which splits and labels are there, whether they are whole, and whether they fit together.

Each folder of pictures is read once, however many tasks share it. Every file is opened: headers, all pixels and all
labels; the work is spread over processes.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bdd100k_models.datasets.check_compare import duplicates, mismatched_sizes, missing_frames, pair_findings
from bdd100k_models.datasets.check_files import Inspection, Job, inspect
from bdd100k_models.datasets.check_report import CheckReport, Finding, SplitReport, printable_finding
from bdd100k_models.datasets.images import pictures_in
from bdd100k_models.errors import InputError, MissingFileError
from bdd100k_models.formats.folders import entries_of, files_in, folders_in
from bdd100k_models.paths import exists, is_dir
from bdd100k_models.processes import cores, ordered_map
from bdd100k_models.progress import ProgressBar
from bdd100k_models.tasks import PUBLISHED_COUNTS, SPLITS, TASKS, Task, get_task

_LEAST_A_PROCESS = 200  # files that are worth the start of a process
_CHUNK = 16

#: Kinds of findings that say that there is less than was published; a part of the data set is no mistake by itself.
_INCOMPLETE = frozenset({"incomplete", "late start"})
#: Kinds that do no harm. The published data too have pictures without labels.
_HARMLESS = _INCOMPLETE | {"stray", "unlabelled"}


@dataclass
class _Found:
    """What lies below a root, and what the files turned out to be.

    Attributes:
        pictures: Names of the pictures, by folder below the root; of videos, below the video's name.
        labels: Jobs of each form of labels, by its path below the root and its task.
        inspections: What each job found.
        findings: What was noticed while looking around.
    """

    pictures: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[tuple[str, str], list[Job]] = field(default_factory=dict)
    inspections: dict[Job, Inspection] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_data(
    root: str | os.PathLike[str],
    *,
    tasks: Sequence[str] = (),
    splits: Sequence[str] = (),
    complete: bool = False,
    quick: bool = False,
    nproc: int | None = None,
) -> CheckReport:
    """Check a data root.

    Args:
        root: The folder that holds ``images`` and ``labels``.
        tasks: Tasks that must be there; none for all that are there.
        splits: Splits to look at; none for all.
        complete: Whether fewer images or videos than were published are a problem, not a remark.
        quick: Look at the headers of pictures, but decode neither their pixels nor those of masks.
        nproc: Number of processes; by default one for each core.

    Returns:
        What there is, and what is wrong with it.

    Raises:
        InputError: A task or split is unknown, or ``nproc`` is less than 1.
        MissingFileError: There is no such folder, it cannot be read, or nothing of the data set is in it.
    """
    started = time.monotonic()
    chosen = [get_task(name) for name in tasks or TASKS]
    if unknown := [split for split in splits if split not in SPLITS]:
        raise InputError(f"there is no split {unknown[0]!r}; the splits are {', '.join(SPLITS)}")
    if nproc is not None and nproc < 1:
        raise InputError(f"--nproc must be at least 1, not {nproc}")
    pairs = [(task, split) for task in dict.fromkeys(chosen) for split in SPLITS if split in (splits or SPLITS)]
    root = Path(root)
    found = _look_around(root, pairs, quick)
    if not tasks and not any(found.pictures.values()) and not found.labels:
        raise MissingFileError(
            f"{root}: nothing of the data set is in this folder; name the one with images/ and labels/"
        )
    _inspect_all(root, found, quick, nproc)
    rows = [_split_report(task, split, found) for task, split in pairs]
    noticed = [
        *found.findings,
        *_file_findings(root, found),
        *_relations(root, pairs, found),
        *_gaps(rows, bool(tasks)),
        *_counts(rows),
    ]
    harmless = _HARMLESS - _INCOMPLETE if complete else _HARMLESS
    problems = [printable_finding(finding) for finding in noticed if finding.kind not in harmless]
    remarks = [printable_finding(finding) for finding in noticed if finding.kind in harmless]
    return CheckReport(
        str(root), tuple(rows), tuple(problems), tuple(remarks), len(found.inspections), time.monotonic() - started
    )


def _look_around(root: Path, pairs: Iterable[tuple[Task, str]], quick: bool) -> _Found:
    if not is_dir(root):
        raise MissingFileError(f"{root}: no such folder; name the one that holds images/ and labels/")
    found = _Found()
    for task, split in pairs:
        folder = task.image_dir(split)
        if folder not in found.pictures:
            found.pictures[folder] = _pictures(root / folder, task.videos, found, folder)
        for path in task.label_paths(split):
            if exists(root / path):
                found.labels[path, task.name] = jobs = list(_label_jobs(root, path, task, quick))
                if not jobs:
                    found.findings.append(Finding("labels", path, "this folder holds no labels"))
    return found


def _pictures(folder: Path, videos: bool, found: _Found, where: str) -> list[str]:
    """Return the names of all pictures of a folder, sorted; remark on files that are none."""
    if not is_dir(folder):
        return []
    names: list[str] = []
    others: list[str] = []
    for part in folders_in(folder) if videos else [folder]:
        pictures = {path.name for path in pictures_in(part)}
        for file in entries_of(part):
            name = f"{part.name}/{file}" if videos else file
            (names if file in pictures else others).append(name)
    if others:
        found.findings.append(Finding("stray", where, "not pictures, and not used", tuple(sorted(others))))
    return sorted(names)


def _label_jobs(root: Path, path: str, task: Task, quick: bool) -> Iterator[Job]:
    """Yield what there is to look into of one form of a split's labels, which is at ``path`` below the root."""
    place = root / path
    if not is_dir(place):
        yield Job("frames", place, task.name)
        return
    for folder in folders_in(place) if task.videos else [place]:
        for file in files_in(folder, ".png"):
            yield Job("bitmask" if "bitmasks" in Path(path).parts else "mask", file, task.name, quick)
    for file in files_in(place, ".json"):
        yield Job("frames", file, task.name)


def _inspect_all(root: Path, found: _Found, quick: bool, nproc: int | None) -> None:
    jobs = [Job("image", root / folder / name, "", quick) for folder, names in found.pictures.items() for name in names]
    # large files first, so that no process is left alone with them at the end
    labels = [job for group in found.labels.values() for job in group]
    jobs = [job for job in labels if job.kind == "frames"] + jobs + [job for job in labels if job.kind != "frames"]
    count = min(nproc or cores(), max(1, len(jobs) // _LEAST_A_PROCESS))
    killed = InputError("a process that checks was killed, perhaps for want of memory; set a lower --nproc")
    with ProgressBar(len(jobs), "checking", unit="files") as bar, ordered_map(count, _CHUNK, killed) as run:
        for job, inspection in zip(jobs, run(inspect, jobs), strict=True):
            found.inspections[job] = inspection
            bar.advance()


def _split_report(task: Task, split: str, found: _Found) -> SplitReport:
    names = found.pictures[task.image_dir(split)]
    count = len({name.partition("/")[0] for name in names}) if task.videos else len(names)
    published = PUBLISHED_COUNTS[task.images][split]
    labels = {
        path: len(_labelled(found, path, task)) for path in task.label_paths(split) if (path, task.name) in found.labels
    }
    if not names and not labels:
        state = "absent"
    elif not names:
        state = "no images"
    elif not labels and split != "test":
        state = "no labels"
    else:
        state = "complete" if count >= published else "partial"
    return SplitReport(task.name, split, "videos" if task.videos else "images", count, published, labels, state)


def _labelled(found: _Found, path: str, task: Task) -> dict[str, Job]:
    """Return what a form of labels covers: stems of pictures, below their video's name, and the job that says so."""
    covered: dict[str, Job] = {}
    for job in found.labels[path, task.name]:
        if job.kind == "frames":
            covered |= {_stem(name): job for name in found.inspections[job].names}
        else:
            name = f"{job.path.parent.name}/{job.path.name}" if task.videos else job.path.name
            covered[_stem(name)] = job
    return covered


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _file_findings(root: Path, found: _Found) -> Iterator[Finding]:
    """Group what is wrong with single files: one finding for each folder and message."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for job, inspection in found.inspections.items():
        path = job.path.relative_to(root)
        for kind, message in inspection.problems:
            if job.kind == "frames":
                groups[kind, path.as_posix(), message] = []
            else:
                groups[kind, path.parent.as_posix(), message].append(path.name)
    for (kind, where, message), files in groups.items():
        yield Finding(kind, where, message, tuple(files))


def _relations(root: Path, pairs: Sequence[tuple[Task, str]], found: _Found) -> Iterator[Finding]:
    """Compare pictures with labels, and pictures with each other."""
    for task, split in pairs:
        folder = task.image_dir(split)
        pictures = {_stem(name): name for name in found.pictures[folder]}
        for path in task.label_paths(split):
            if (path, task.name) not in found.labels:
                continue
            covered = _labelled(found, path, task)
            yield from pair_findings(path, folder, set(pictures), set(covered))
            sizes = {
                stem: (
                    found.inspections[job].size,
                    found.inspections[_image_job(root, folder, pictures[stem], found)].size,
                )
                for stem, job in covered.items()
                if job.kind != "frames" and stem in pictures
            }
            yield from mismatched_sizes(path, sizes)
    for pattern in dict.fromkeys(task.images for task, _ in pairs):
        folders = {split: pattern.format(split=split) for split in SPLITS}
        known = {folder: found.pictures[folder] for folder in folders.values() if found.pictures.get(folder)}
        digests = {
            f"{folder}/{name}": found.inspections[_image_job(root, folder, name, found)].digest
            for folder, names in known.items()
            for name in names
        }
        videos = any(task.videos for task, _ in pairs if task.images == pattern)
        yield from duplicates(known, digests, videos)
        if videos:
            yield from missing_frames(known)


def _image_job(root: Path, folder: str, name: str, found: _Found) -> Job:
    job = Job("image", root / folder / name)
    return job if job in found.inspections else Job("image", root / folder / name, "", quick=True)


def _gaps(rows: Iterable[SplitReport], asked: bool) -> Iterator[Finding]:
    """Say what is wholly missing: anything that was asked for, and the pictures of labels that are there."""
    for row in rows:
        task = TASKS[row.task]
        if row.state == "no images":
            yield Finding("no images", task.image_dir(row.split), f"no images, but {row.task} has labels of them")
        elif row.state == "absent" and asked:
            yield Finding("absent", task.image_dir(row.split), f"neither images nor labels of {row.task} {row.split}")
        elif row.state == "no labels" and asked:
            yield Finding("no labels", task.label_path(row.split), f"no labels of {row.task} {row.split}")


def _counts(rows: Iterable[SplitReport]) -> Iterator[Finding]:
    """Say which splits have fewer pictures than were published."""
    counts: Mapping[str, SplitReport] = {
        TASKS[row.task].image_dir(row.split): row for row in rows if 0 < row.found < row.published
    }
    for folder, row in counts.items():
        yield Finding("incomplete", folder, f"{row.found} of {row.published} published {row.unit}")
