"""Compares the files of a data root with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from bdd100k_models.datasets.check_report import Finding
from bdd100k_models.datasets.video_images import frame_number

Size = tuple[int, int]


def pair_findings(labels: str, folder: str, pictures: AbstractSet[str], covered: AbstractSet[str]) -> Iterator[Finding]:
    """Compare the pictures of a split with those that its labels cover.

    Args:
        labels: The labels' path, for messages.
        folder: The pictures' folder, for messages.
        pictures: Stems of the pictures that are there.
        covered: Stems of those that the labels cover.

    Yields:
        ``missing`` for labels without a picture, a problem; ``unlabelled`` for pictures without a label, which the
        published data have too. Neither where there are no pictures at all, which is said elsewhere.
    """
    if not pictures:
        return
    if missing := sorted(covered - pictures):
        text = f"{len(missing)} of {len(covered)} labelled images are not in {folder}"
        yield Finding("missing", labels, text, tuple(missing))
    if covered and (unlabelled := sorted(pictures - covered)):
        text = f"{len(unlabelled)} of {len(pictures)} images of {folder} have no label here"
        yield Finding("unlabelled", labels, text, tuple(unlabelled))


def mismatched_sizes(labels: str, sizes: Mapping[str, tuple[Size | None, Size | None]]) -> Iterator[Finding]:
    """Compare the sizes of masks and their pictures, each (height, width) or None where unreadable."""
    wrong = sorted(stem for stem, (mask, picture) in sizes.items() if mask and picture and mask != picture)
    if wrong:
        yield Finding("size", labels, "masks of another size than their images", tuple(wrong))


def duplicates(folders: Mapping[str, Iterable[str]], digests: Mapping[str, bytes], videos: bool) -> Iterator[Finding]:
    """Find pictures that are there more than once, by name and by content.

    Args:
        folders: Names of the pictures of each split's folder; of videos, below the video's name.
        digests: Fingerprints by folder and name; b"" for pictures that cannot be read.
        videos: Whether the pictures are frames of videos. A car that stands still may give equal frames in one video.

    Yields:
        ``duplicate name`` and ``duplicate content``, a finding a group.
    """
    by_stem: dict[str, list[str]] = defaultdict(list)
    by_digest: dict[bytes, list[str]] = defaultdict(list)
    for folder, names in folders.items():
        for name in names:
            # of frames, the split that their video is in
            by_stem[name.rpartition(".")[0]].append(f"{folder}/{name}")
    for path, digest in digests.items():
        if digest:
            by_digest[digest].append(path)
    where = _common_folder(folders)
    for paths in by_stem.values():
        if len(paths) > 1:
            yield Finding("duplicate name", where, "one name, several pictures", tuple(paths))
    for paths in by_digest.values():
        homes = {path.rpartition("/")[0] for path in paths} if videos else set(paths)
        if len(homes) > 1:
            yield Finding("duplicate content", where, "the same picture under several names", tuple(paths))


def missing_frames(folders: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    """Find videos whose frames are not numbered from 1 without a gap.

    Args:
        folders: Names ``VIDEO/VIDEO-0000001.jpg`` by split's folder; a name without a number is passed over.

    Yields:
        ``gap`` for frames that are missing between others, ``late start`` for those missing before the first.
    """
    for folder, names in folders.items():
        numbers: dict[str, list[int]] = defaultdict(list)
        for name in names:
            video, _, file = name.partition("/")
            if (number := frame_number(file)) is not None:
                numbers[video].append(number)
        for video, found in numbers.items():
            first, last, where = min(found), max(found), f"{folder}/{video}"
            if lost := sorted(set(range(first, last + 1)) - set(found)):
                yield Finding("gap", where, f"{len(lost)} frames are missing", tuple(f"frame {n}" for n in lost))
            if first > 1:
                yield Finding("late start", where, f"begins with frame {first}, not 1")


def _common_folder(folders: Iterable[str]) -> str:
    """Return the folder that all splits of a set are in."""
    return next(iter(folders), "images").rpartition("/")[0]
