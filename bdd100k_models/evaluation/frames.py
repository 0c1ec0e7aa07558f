"""Frames of JSON files for an evaluation: found and paired first, decoded one at a time when their turn comes.

Files are mapped, not copied, so memory follows the number of frames and not the size of the text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar, overload

import msgspec

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.masks import refuse_repeated
from bdd100k_models.formats.stream import stream_frames

_Struct = TypeVar("_Struct")


class _Key(msgspec.Struct):
    name: str | int
    videoName: str | None = None


@dataclass
class FrameTexts:
    """The frames of a file or folder, not decoded yet.

    Attributes:
        source: Path that was read, for messages.
        names: Image name of each frame.
        videos: Video name of each frame, or None.
        files: File that each frame stands in.
        texts: JSON of each frame.
    """

    source: str
    names: list[str] = field(default_factory=list)
    videos: list[str | None] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    texts: list[msgspec.Raw] = field(default_factory=list)

    def where(self, index: int) -> str:
        """Name file and frame, for a message."""
        return f"{self.files[index]}: frame {self.names[index]}"


def load_texts(path: str | os.PathLike[str]) -> FrameTexts:
    """Find the frames of a file, or of every ``*.json`` file of a folder in name order.

    Args:
        path: Scalabel JSON, a list of frames or a dict with ``frames``; or a folder of such files.

    Raises:
        MissingFileError: There is nothing at ``path``, or the folder holds no JSON file.
        LabelError: The text is not JSON, is COCO JSON, or a frame has no name.
    """
    frames = FrameTexts(str(path))
    for file, text, key in stream_frames(path, _Key):
        frames.names.append(str(key.name))
        frames.videos.append(key.videoName)
        frames.files.append(file)
        frames.texts.append(text)
    return frames


def decode_frame(text: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[_Struct], where: str) -> _Struct:
    """Decode one frame; ``where`` names file and frame.

    Raises:
        LabelError: A field has the wrong type, or the text is malformed.
    """
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise LabelError(f"{where}: {error}; this is not the Scalabel format") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LabelError(f"{where}: not valid JSON ({error})") from None


@dataclass(frozen=True)
class FramePair:
    """One image: JSON of its labels and of its predictions.

    Attributes:
        name: Image name.
        truth: JSON of the true frame.
        truth_where: Names its file and frame.
        result: JSON of the predicted frame, or None where there is none.
        where: Names the predicted frame's file and frame.
    """

    name: str
    truth: bytes | msgspec.Raw
    truth_where: str
    result: bytes | msgspec.Raw | None
    where: str


class FramePairs(Sequence[FramePair]):
    """The images of an evaluation in the order of the ground truth, each with its predictions.

    As in the official tool, frames belong together by image name, and where names repeat by video and name.

    Args:
        truth: The ground truth.
        result: The predictions.

    Attributes:
        truth: The ground truth.
        result: The predictions.
        positions: For each true frame the place of its predictions in ``result``, or None.
        foreign: How many predicted frames are of other images.

    Raises:
        LabelError: A name stands twice on a side, or there are predictions but none is for an image of the truth (not
            even under a name that differs in its suffix only).
    """

    def __init__(self, truth: FrameTexts, result: FrameTexts) -> None:
        self.truth, self.result = truth, result
        repeated = any(len(set(frames.names)) < len(frames.names) for frames in (truth, result))
        by_video = repeated and all(all(frames.videos) for frames in (truth, result))
        true_keys, result_keys = _keys(truth, by_video), _keys(result, by_video)
        refuse_repeated(true_keys, truth.source)
        refuse_repeated(result_keys, result.source)
        place = {key: index for index, key in enumerate(result_keys)}
        self.positions: list[int | None] = [place.get(key) for key in true_keys]
        self.foreign = len(place) - sum(position is not None for position in self.positions)
        self._other_suffix = False
        if self.positions and self.foreign and self.foreign == len(place):
            self._other_suffix = not _stems(true_keys).isdisjoint(_stems(result_keys))
            if not self._other_suffix:
                raise LabelError(
                    f"{result.source}: none of its {len(place)} frames (the first is {result_keys[0]}) is in the "
                    f"ground truth {truth.source}; these may be results for another split"
                )

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> FramePair: ...

    @overload
    def __getitem__(self, index: slice) -> list[FramePair]: ...

    def __getitem__(self, index: int | slice) -> FramePair | list[FramePair]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = self.positions[index]
        return FramePair(
            name=self.truth.names[index],
            truth=self.truth.texts[index],
            truth_where=self.truth.where(index),
            result=self.result.texts[position] if position is not None else None,
            where=self.result.where(position) if position is not None else self.result.source,
        )

    @property
    def missing(self) -> int:
        """How many images have no predictions."""
        return sum(position is None for position in self.positions)

    def notes(self, consequence: str) -> list[str]:
        """Return what to tell about images on one side only; ``consequence`` says how missing ones count."""
        notes = []
        if not self.positions:
            notes.append("the ground truth holds no frames")
        if self._other_suffix:
            notes.append(
                f"no name of the predictions ({self.result.names[0]}) is one of the ground truth "
                f"({self.truth.names[0]}), though some differ in their suffix only; the official tool compares whole "
                "names, so nothing counts as predicted: rename them"
            )
        if self.missing:
            notes.append(f"{self.missing} of {len(self)} images have no predictions; {consequence}")
        if self.foreign:
            notes.append(f"{self.foreign} frames of the predictions are not in the ground truth; they are left out")
        return notes


def pair_frames(truth: str | os.PathLike[str], result: str | os.PathLike[str]) -> FramePairs:
    """Find and pair the frames of two files or folders; see :func:`load_texts` and :class:`FramePairs`."""
    return FramePairs(load_texts(truth), load_texts(result))


def _keys(frames: FrameTexts, by_video: bool) -> list[str]:
    if not by_video:
        return frames.names
    return [f"{video}/{name}" for video, name in zip(frames.videos, frames.names, strict=True)]


def _stems(names: Sequence[str]) -> set[str]:
    return {name.rpartition(".")[0] or name for name in names}
