"""Which frames of the ground truth and of the predictions are of the same image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from bdd100k_models.errors import LabelError


class NamedFrames(Protocol):
    """Frames of a file or folder.

    Attributes:
        source: Path that was read, for messages.
        names: Image name of each frame.
        videos: Video name of each frame, or None.
        files: File that each frame stands in.
    """

    source: str
    names: list[str]
    videos: list[str | None]
    files: list[str]


def pair_keys(truth: NamedFrames, result: NamedFrames) -> tuple[list[str], list[str]]:
    """Return what tells the frames of each side apart; frames of equal keys belong together.

    As in the official tool that is the image name, and where names repeat video and name, if every frame has a video.

    Raises:
        LabelError: A key stands twice on a side.
    """
    sides = truth, result
    repeated = any(len(set(side.names)) < len(side.names) for side in sides)
    if repeated and all(all(side.videos) for side in sides):
        keys = [[f"{video}/{name}" for video, name in zip(side.videos, side.names, strict=True)] for side in sides]
    else:
        keys = [side.names for side in sides]
    for side, own in zip(sides, keys, strict=True):
        refuse_repeated(own, side.files)
    return keys[0], keys[1]


def foreign_frames(keys: Sequence[str], truth: NamedFrames, result: NamedFrames) -> LabelError:
    """Return the error for predictions, with these keys, none of which is of an image of the ground truth."""
    return LabelError(
        f"{result.source}: none of its {len(keys)} frames (the first is {keys[0]}) is in the ground truth "
        f"{truth.source}; these may be results for another split"
    )


def refuse_repeated(names: Sequence[str], files: Sequence[str]) -> None:
    """Require names to be distinct; ``files`` says where each stands.

    Raises:
        LabelError: One stands twice.
    """
    if len(set(names)) == len(names):
        return
    name = next(name for name, count in Counter(names).items() if count > 1)
    first = names.index(name)
    second = names.index(name, first + 1)
    beside = f" ({files[first]} has it too)" if files[first] != files[second] else ""
    raise LabelError(f"{files[second]}: frame {name} appears twice{beside}; keep one of them")
