"""Tracks through videos: boxes as a JSON file a video, masks as bitmasks a frame and as JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import ConfigError, InputError
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import OFFICIAL_OBJECTS, write_bitmask
from bdd100k_models.formats.folders import files_below, files_in, holds_json
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.scalabel import RLE, Box2D, Frame, Label
from bdd100k_models.paths import is_dir


class TrackRecord(msgspec.Struct, gc=False):
    """The tracks of one frame.

    Attributes:
        boxes: Inclusive corners in pixels, four numbers a track: x1, y1, x2, y2.
        scores: Confidence of each, 0 to 1.
        classes: Index of each one's category in the task's order.
        ids: Of each track, from 0 in each video.
    """

    boxes: list[tuple[float, float, float, float]]
    scores: list[float]
    classes: list[int]
    ids: list[int]


class MaskTrackRecord(TrackRecord, gc=False):
    """The tracks of one frame with their masks; ids count from 1, since 0 is the background of bitmasks.

    Attributes:
        size: Height and width of the frame in pixels.
        masks: Run-length counts, one a track; they do not overlap, and none is empty.
    """

    size: tuple[int, int]
    masks: list[str]


class BoxTrackFormat(ResultFormat):
    """Boxes with track ids: ``box_track/VIDEO.json``."""

    record_type: type[msgspec.Struct] = TrackRecord
    paths = {"json": "box_track"}
    defaults: tuple[str, ...] = ("json",)

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> TrackRecord:
        """Turn the tracks of one frame into a record.

        Args:
            samples: One, whose ``pred_track_instances`` hold ``bboxes`` (n, 4; exclusive corners in pixels of the
                original image), ``scores`` (n,), ``labels`` (n,) and ``instances_id`` (n,) as tensors on any device.

        Returns:
            Tracks in order of their ids; corners inclusive, so one pixel less in x2 and y2.

        Raises:
            ConfigError: The model predicts no tracks.
        """
        columns = _columns(_tracks_of(samples))
        order = np.argsort(columns["instances_id"], kind="stable")
        return TrackRecord(**_plain(columns, order))

    def empty(self, size: tuple[int, int]) -> Any:
        """Return a record without tracks."""
        return TrackRecord(boxes=[], scores=[], classes=[], ids=[])

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write a JSON file a video; returns how many boxes there are in all frames."""
        count = 0
        for video, frames in _by_video(records):
            with self._json(video, out_dir) as add:
                for place, (path, record) in enumerate(frames):
                    name, index = PurePosixPath(path).name, self.frame_indices.get(path, place)
                    count += len(record.ids)
                    add(Frame(name=name, videoName=video, frameIndex=index, labels=self.labels(record)))
        return count

    def refuse_foreign(self, names: Iterable[str], out_dir: Path, output: str) -> None:
        """Refuse to write beside results of other videos, which the evaluation would refuse when all is done."""
        folder = out_dir / self.paths[output]
        if not is_dir(folder):
            return
        found = [path.stem for path in files_in(folder, ".json")] if output == "json" else _folders_of_masks(folder)
        if foreign := sorted(set(found) - {_video_of(name) for name in names}):
            raise InputError(
                f"{folder}: holds results of other videos ({foreign[0]}), with which these cannot be scored; "
                "use another --format-dir, or move them away"
            )

    @contextlib.contextmanager
    def _json(self, video: str, out_dir: Path) -> Iterator[Callable[[msgspec.Struct], None]]:
        if "json" not in self.outputs:
            yield lambda frame: None
            return
        with frame_writer(out_dir / self.paths["json"] / f"{video}.json", bare=True) as add:
            yield add

    def labels(self, record: Any) -> list[Label]:
        """Return a label a track."""
        names = self.task.categories
        return [
            Label(id=str(number), score=score, category=names[class_index], box2d=Box2D(*box))
            for number, box, score, class_index in zip(
                record.ids, record.boxes, record.scores, record.classes, strict=True
            )
        ]

    def raw(self, record: Any) -> Any:
        """Return one float32 array (n, 6: id, x1, y1, x2, y2 exclusive, score) a category, as trackers pickled."""
        rows = np.array(
            [(number, *box, score) for number, box, score in zip(record.ids, record.boxes, record.scores, strict=True)]
        ).reshape(-1, 6)
        rows[:, 3:5] += 1
        classes = np.asarray(record.classes, dtype=np.int64)
        return [rows[classes == index].astype(np.float32) for index in range(len(self.task.categories))]


class MaskTrackFormat(BoxTrackFormat):
    """Masks with track ids: ``seg_track/VIDEO/FRAME.png``, or ``seg_track_json/VIDEO.json`` with run lengths."""

    record_type = MaskTrackRecord
    paths = {"bitmasks": "seg_track", "json": "seg_track_json"}
    defaults = ("bitmasks", "json")

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> MaskTrackRecord:
        """Turn the tracks of one frame into a record.

        Where masks overlap, the pixel is that of the track with the higher score; tracks without a pixel are left out,
        and so are those beyond the hundred of highest scores, which the official tool cannot count.

        Args:
            samples: As for boxes; ``pred_track_instances`` also hold ``masks`` bool (n, height, width).

        Raises:
            ConfigError: The model predicts no tracks, or none with masks.
        """
        tracks = _tracks_of(samples)
        if "masks" not in tracks:
            raise ConfigError("the model tracks boxes without masks; name a model of mots, or follow one of ins_seg")
        columns, masks = _columns(tracks), tracks["masks"]
        columns["instances_id"] = columns["instances_id"] + 1
        size = tuple(masks.shape[-2:]) if len(masks) else tuple(samples[0]["ori_shape"][:2])
        painted = np.zeros(size, np.int32)
        best = np.argsort(-columns["scores"], kind="stable")[:OFFICIAL_OBJECTS]
        for row in best[::-1]:
            painted[_to_numpy(masks[int(row)]) > 0] = row + 1
        coded = rle.encode_labels(painted)
        seen = np.array([row for row in range(len(columns["scores"])) if row + 1 in coded], np.int64)
        order = seen[np.argsort(columns["instances_id"][seen], kind="stable")]
        return MaskTrackRecord(
            **_plain(columns, order),
            size=(int(size[0]), int(size[1])),
            masks=[coded[int(row) + 1].counts for row in order],
        )

    def empty(self, size: tuple[int, int]) -> MaskTrackRecord:
        """Return a record without tracks."""
        return MaskTrackRecord(boxes=[], scores=[], classes=[], ids=[], size=size, masks=[])

    def save_image(self, name: str, record: MaskTrackRecord, out_dir: Path) -> None:
        """Write the bitmask of a frame."""
        if "bitmasks" not in self.outputs:
            return
        category, ids = np.zeros(record.size, np.uint8), np.zeros(record.size, np.int32)
        for number, class_index, counts in zip(record.ids, record.classes, record.masks, strict=True):
            mask = rle.decode(RLE(counts, record.size), name)
            category[mask] = class_index + self.task.first_id
            ids[mask] = number
        write_bitmask((out_dir / self.paths["bitmasks"] / name).with_suffix(".png"), category, ids)

    def labels(self, record: Any) -> list[Label]:
        """Return a label a track, with its box and its mask."""
        labels = super().labels(record)
        for label, counts in zip(labels, record.masks, strict=True):
            label.rle = RLE(counts, record.size)
        return labels

    def raw(self, record: Any) -> dict[int, dict[str, Any]]:
        """Return box (x1, y1, x2, y2 exclusive, score), category and COCO run lengths of each track by its id."""
        height, width = record.size
        return {
            number: {
                "bbox": np.array([x1, y1, x2 + 1, y2 + 1, score], np.float32),
                "label": class_index,
                "segm": {"size": [height, width], "counts": counts.encode()},
            }
            for number, (x1, y1, x2, y2), score, class_index, counts in zip(
                record.ids, record.boxes, record.scores, record.classes, record.masks, strict=True
            )
        }

    def pickled(self, results: list[Any]) -> dict[str, list[Any]]:
        """Return the tracks of all frames under the name that PCAN's original gave them."""
        return {"track_result": results}

    def output_for(self, truth: Path) -> str:
        """Return ``json`` for labels in JSON, else ``bitmasks``."""
        return "json" if holds_json(truth) else "bitmasks"


def _folders_of_masks(folder: Path) -> set[str]:
    return {file.parent.as_posix() for file in files_below(folder, ".png")}


def _tracks_of(samples: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    (sample,) = samples
    if "pred_track_instances" not in sample:
        raise ConfigError("the model does not track what it finds; follow that with --tracker bytetrack")
    tracks: Mapping[str, Any] = sample["pred_track_instances"]
    return tracks


def _columns(instances: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    return {
        "bboxes": _to_numpy(instances["bboxes"].float()).astype(np.float64).reshape(-1, 4),
        "scores": _to_numpy(instances["scores"].float()).astype(np.float64),
        "labels": _to_numpy(instances["labels"]),
        "instances_id": _to_numpy(instances["instances_id"]),
    }


def _to_numpy(tensor: Any) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.detach().cpu().numpy()
    return array


def _plain(columns: Mapping[str, npt.NDArray[Any]], order: npt.NDArray[np.int64]) -> dict[str, Any]:
    boxes = columns["bboxes"][order]
    boxes[:, 2:] -= 1
    return {
        "boxes": boxes.tolist(),
        "scores": columns["scores"][order].tolist(),
        "classes": columns["labels"][order].tolist(),
        "ids": columns["instances_id"][order].tolist(),
    }


def _by_video(records: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Iterator[tuple[str, Any]]]]:
    """Yield each video with the names and records of its frames. Names are ``VIDEO/FRAME``."""
    return groupby(records, key=lambda pair: _video_of(pair[0]))


def _video_of(name: str) -> str:
    return str(PurePosixPath(name).parent)
