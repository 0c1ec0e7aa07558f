"""Videos of a tracking evaluation: found in JSON files or folders of bitmasks, paired, and read a frame at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.evaluation.frames import FramePair, FrameReader
from bdd100k_models.evaluation.lazy import LazySequence
from bdd100k_models.evaluation.parts import Units
from bdd100k_models.formats.arrays import Scene, SceneAttributes, scene_of
from bdd100k_models.formats.folders import files_below
from bdd100k_models.formats.stream import stream_frames


class _Key(msgspec.Struct):
    name: str | int
    videoName: str | None = None
    frameIndex: int | None = None
    attributes: SceneAttributes | None = None


@dataclass(frozen=True)
class VideoFrame:
    """Where a frame stands.

    Attributes:
        name: Image name.
        index: Its ``frameIndex``, or None.
        file: The JSON file.
        place: Which frame of the file it is, from 0.
        scene: Its weather, scene and time of day.
    """

    name: str
    index: int | None
    file: str
    place: int
    scene: Scene = (None, None, None)

    def where(self) -> str:
        """Name file and frame, for a message."""
        return f"{self.file}: frame {self.name}"


def find_videos(path: Path) -> dict[str, list[VideoFrame]]:
    """Find the videos of a JSON file, or of every ``*.json`` file of a folder.

    Returns:
        By name in ascending order, the frames of each by ascending ``frameIndex``; only places, no labels.

    Raises:
        MissingFileError: There is nothing at ``path``, or the folder holds no JSON file.
        LabelError: The text is not JSON, is COCO JSON, or a frame lacks its name or video or stands twice.
    """
    videos: dict[str, list[VideoFrame]] = {}
    file, place = "", 0
    for source, _, key in stream_frames(path, _Key):
        file, place = source, place + 1 if source == file else 0
        frame = VideoFrame(str(key.name), key.frameIndex, file, place, scene_of(key.attributes))
        if key.videoName is None:
            raise LabelError(f"{frame.where()}: videoName is missing; every frame of a track needs one")
        videos.setdefault(key.videoName, []).append(frame)
    for name, frames in videos.items():
        frames.sort(key=lambda frame: frame.index or 0)
        _refuse_repeated(name, frames)
    return dict(sorted(videos.items()))


def _refuse_repeated(video: str, frames: Sequence[VideoFrame]) -> None:
    seen: set[int | str] = set()
    for frame in frames:
        key = frame.name if frame.index is None else frame.index
        if key in seen:
            field = "frame" if frame.index is None else "frameIndex"
            raise LabelError(f"{frame.where()}: {field} {key} stands twice in video {video}; keep one of them")
        seen.add(key)


class VideoPairs(LazySequence[FramePair]):
    """The frames of all videos of the ground truth, video after video, each with its predictions.

    Only where frames stand is kept; their text is read when its turn comes, a file at a time.

    Attributes:
        lengths: Frames of each video.
        notes: What to tell about videos on one side only.

    Args:
        truth: The ground truth, a JSON file or a folder of them.
        result: Predictions, likewise.

    Raises:
        MissingFileError: A file does not exist.
        LabelError: A file breaks its format, predictions are of another video, or a video has a frame on one side only.
    """

    def __init__(self, truth: Path, result: Path) -> None:
        videos, found = find_videos(truth), find_videos(result)
        stems = [
            {name: [Path(one.name).stem for one in frames] for name, frames in side.items()} for side in (videos, found)
        ]
        partners = _partners(stems[0], stems[1], (truth, result))
        self.lengths = [len(frames) for frames in videos.values()]
        self.notes = _misnamed(partners)
        if missing := len(videos) - len(partners):
            self.notes.append(f"{missing} of {len(videos)} videos have no predictions; all of their objects are missed")
        # the scene of a video is that of its first frame
        self._units = Units(tuple(videos), tuple(frames[0].scene for frames in videos.values()), "videos")
        self._result = str(result)
        self._pairs: list[tuple[VideoFrame, VideoFrame | None]] = []
        for name, frames in videos.items():
            if name in partners:
                predicted = found[partners[name]]
                _check_frames(name, frames, predicted, result)
                self._pairs.extend(zip(frames, predicted, strict=True))
            else:
                self._pairs.extend((frame, None) for frame in frames)
        self._readers = (FrameReader(), FrameReader())

    def __len__(self) -> int:
        return len(self._pairs)

    def units(self) -> Units:
        """Return the videos."""
        return self._units

    def stems(self) -> list[str]:
        """Return the image name of each true frame, without suffix."""
        return [Path(truth.name).stem for truth, _ in self._pairs]

    def item(self, index: int) -> FramePair:
        """Return a pair."""
        truth, result = self._pairs[index]
        return FramePair(
            name=truth.name,
            truth=self._readers[0].read(truth.file, truth.place),
            truth_where=truth.where(),
            result=self._readers[1].read(result.file, result.place) if result is not None else None,
            where=result.where() if result is not None else self._result,
        )


def _check_frames(video: str, truth: Sequence[VideoFrame], result: Sequence[VideoFrame], source: Path) -> None:
    """Require a video to have the same frame indices on both sides."""
    indices, found = ({frame.index for frame in side} for side in (truth, result))
    for frame in result:
        if frame.index is None and None not in indices:
            raise LabelError(f"{frame.where()}: frameIndex is missing; it tells which frame of the video this is")
        if frame.index not in indices:
            raise LabelError(f"{frame.where()}: frameIndex {frame.index} is not in the ground truth of video {video}")
    for frame in truth:
        if frame.index not in found:
            raise LabelError(
                f"{source}: video {video} has no frame with frameIndex {frame.index} ({frame.name}); write every "
                "frame, if with empty labels"
            )
    if len(truth) != len(result):
        raise LabelError(
            f"{source}: video {video} has {len(result)} frames, but {len(truth)} in the ground truth; write every frame"
        )


@dataclass(frozen=True)
class MaskVideos:
    """The bitmasks of all videos of the ground truth, video after video.

    Attributes:
        pairs: The two files of each frame.
        lengths: Frames of each video.
        notes: What to tell about frames and videos on one side only.
        names: The videos.
    """

    pairs: tuple[tuple[Path, Path], ...]
    lengths: tuple[int, ...]
    notes: tuple[str, ...]
    names: tuple[str, ...]

    def units(self) -> Units:
        """Return the videos; masks do not say anything of their scenes."""
        return Units(self.names, kind="videos")


def pair_mask_videos(truth: Path, result: Path) -> MaskVideos:
    """Find the bitmasks below two folders, a folder for each video, and pair them by file name.

    Raises:
        MissingFileError: The predictions lack a video or a frame.
        LabelError: There are predictions of another video.
    """
    videos, found = _find_folders(truth), _find_folders(result)
    stems = [{name: [file.stem for file in files] for name, files in side.items()} for side in (videos, found)]
    partners = _partners(stems[0], stems[1], (truth, result))
    pairs, foreign = [], 0
    for name, files in videos.items():
        if name not in partners:
            raise MissingFileError(f"{result}: no folder for video {name}; write a bitmask for every frame")
        masks = {file.stem: file for file in found[partners[name]]}
        for file in files:
            if file.stem not in masks:
                folder = result / partners[name]
                raise MissingFileError(
                    f"{folder}: no bitmask {file.name}; write one for every frame, if without pixels"
                )
            pairs.append((truth / file, result / masks[file.stem]))
        foreign += len(masks) - len(files)
    notes = _misnamed(partners)
    if foreign:
        notes.append(f"{foreign} predicted bitmasks are of no frame of the ground truth; they are left out")
    return MaskVideos(tuple(pairs), tuple(len(files) for files in videos.values()), tuple(notes), tuple(videos))


def _find_folders(root: Path) -> dict[str, list[Path]]:
    """Return the PNG files of each folder, relative to ``root``, in the order of their paths."""
    folders: dict[str, list[Path]] = {}
    for file in files_below(root, ".png"):
        folders.setdefault(str(file.parent), []).append(file)
    return {name: sorted(files) for name, files in folders.items()}


def _partners(
    videos: Mapping[str, Sequence[str]], found: Mapping[str, Sequence[str]], sources: tuple[Path, Path]
) -> dict[str, str]:
    """Find for each video of the ground truth the one of the predictions.

    The official tool pairs videos in order, whatever their names, if there are as many on both sides. So does this, if
    the frames of the two have the same names.

    Args:
        videos: Stems of the frames of each labelled video, in the official order.
        found: Those of each predicted video, likewise.
        sources: Where the two come from, for errors.

    Returns:
        Name of the predicted video by name of the labelled one; the missing ones are left out.

    Raises:
        LabelError: There are predictions of a video that is not labelled.
    """
    foreign = next((name for name in found if name not in videos), None)
    if foreign is None:
        return {name: name for name in videos if name in found}
    if len(videos) == len(found):
        partners = dict(zip(videos, found, strict=True))
        if all(name == other or set(videos[name]) <= set(found[other]) for name, other in partners.items()):
            return partners
    raise LabelError(
        f"{sources[1]}: video {foreign} is not in the ground truth {sources[0]}; these may be results for another split"
    )


def _misnamed(partners: Mapping[str, str]) -> list[str]:
    misnamed = [(name, other) for name, other in partners.items() if name != other]
    if not misnamed:
        return []
    name, other = misnamed[0]
    return [
        f"{len(misnamed)} videos of the predictions have names that are not in the ground truth; as in the official "
        f"tool, they are paired in order ({other} with {name}), since their frames have the same names"
    ]
