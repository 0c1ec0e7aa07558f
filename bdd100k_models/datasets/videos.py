"""Videos with tracks, read as downloaded: whole for tests, in pairs of frames for training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets.base_video_dataset import BaseVideoDataset
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from pycocotools import mask as coco_mask
from torch.utils.data import Sampler

from bdd100k_models.datasets.categories import canonical_category
from bdd100k_models.datasets.detection import instances_of_frame
from bdd100k_models.datasets.images import find_labels_in_any_form
from bdd100k_models.datasets.segments import check_size
from bdd100k_models.datasets.video_images import bitmasks_in, frame_index_of, frames_by_video, frames_in
from bdd100k_models.errors import ConfigError, LabelError, MissingFileError
from bdd100k_models.formats.bitmask import CROWD, IGNORED, read_bitmask
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.folders import files_in, holds_folders
from bdd100k_models.formats.rle import decode_runs, encode_labels
from bdd100k_models.formats.scalabel import Box2D, Frame, ImageSize, Label
from bdd100k_models.paths import is_dir
from bdd100k_models.tasks import IMAGE_SIZE, TASKS, get_task

Record = dict[str, Any]


def read_videos(labels: Path, image_dir: Path, classes: Iterable[str], min_area: float = 0.0) -> list[list[Record]]:
    """Read the frames of videos with their tracks.

    Args:
        labels: A file of frames, a folder of such files (as the data set has them: one a video), or a folder of
            folders of bitmasks. Run lengths hold the same as bitmasks, which are all opened, and are read faster.
        image_dir: The folder of the videos' folders.
        classes: Names, in the order of the labels' numbers.
        min_area: Boxes with fewer square pixels are left out.

    Returns:
        The frames of each video, in order. A frame has ``img_path``, ``img_id`` (its number among all), ``name``,
        ``height``, ``width``, ``video_id`` (the video's number), ``frame_id`` (position in the video, from 0),
        ``frame_index`` (as the labels have it), ``video_length`` and ``instances``: ``bbox`` (exclusive corners),
        ``bbox_label``, ``ignore_flag``, ``instance_id`` (the track's number in its video, from 1) and, where the labels
        have masks, ``mask`` (COCO's run lengths), whose bounds the box then is.

    Raises:
        MissingFileError: There are no labels.
        LabelError: A file or a folder of bitmasks holds no frames; they name an unknown category, or break the order of
            frames or tracks (see :func:`~bdd100k_models.datasets.video_images.frames_by_video`); or the name of a
            bitmask does not tell which frame it is.
    """
    label_of = {name: index for index, name in enumerate(classes)}
    videos: list[list[Record]] = []
    count = 0
    source = _bitmask_videos(labels, tuple(label_of)) if holds_folders(labels) else frames_in(labels)
    for name, frames in frames_by_video(source, str(labels)).items():
        numbers: dict[str, int] = {}
        records = []
        for position, frame in enumerate(frames):
            for label in frame.labels or ():
                # the first is 1: other tools take 0 for no track
                numbers.setdefault(str(label.id), len(numbers) + 1)
            record = _record(frame, image_dir / name / Path(frame.name).name, label_of, numbers, labels, min_area)
            record |= {"img_id": count, "video_id": len(videos), "frame_id": position, "video_length": len(frames)}
            records.append(record | {"frame_index": frame.frameIndex})
            count += 1
        videos.append(records)
    return videos


def read_stills(labels: Path, image_dir: Path, classes: Iterable[str], min_area: float = 0.0) -> list[list[Record]]:
    """Read single images as videos of one frame; their objects are numbered from 1.

    Objects of classes that are only known to other tasks, such as traffic lights, are left out.

    Args:
        labels: A file of frames, COCO JSON, or a folder of bitmasks.
        image_dir: The folder of the images.
        classes: Names, in the order of the labels' numbers.
        min_area: Boxes with fewer square pixels are left out.

    Returns:
        As :func:`read_videos`.

    Raises:
        MissingFileError: There are no labels.
        LabelError: They name an unknown category.
    """
    label_of = {name: index for index, name in enumerate(classes)}
    elsewhere = set(TASKS["det"].categories).difference(TASKS["mot"].categories, label_of)
    videos = []
    bitmasks = is_dir(labels) and bool(files_in(labels, ".png"))
    source = _bitmask_frames(files_in(labels, ".png"), tuple(label_of)) if bitmasks else load_any_frames(labels)
    for count, frame in enumerate(source):
        named = [(label, canonical_category(label.category, label_of)[0]) for label in frame.labels or ()]
        frame.labels = [label for label, category in named if category not in elsewhere]
        numbers = {str(label.id): number for number, label in enumerate(frame.labels, 1)}
        record = _record(frame, image_dir / frame.name, label_of, numbers, labels, min_area)
        record |= {"img_id": count, "video_id": count, "frame_id": 0, "video_length": 1, "frame_index": 0}
        videos.append([record])
    return videos


def _bitmask_videos(labels: Path, classes: Sequence[str]) -> Iterator[Frame]:
    for video, files in bitmasks_in(labels):
        for path, frame in zip(files, _bitmask_frames(files, classes), strict=True):
            frame.videoName, frame.frameIndex = video, frame_index_of(path)
            yield frame


def _bitmask_frames(files: Iterable[Path], classes: Sequence[str]) -> Iterator[Frame]:
    """Read bitmasks as frames with run lengths; a pixel of each object tells what it is."""
    names = dict(enumerate(classes, TASKS["mots"].first_id))
    for path in files:
        bitmask = read_bitmask(path)
        height, width = bitmask.ids.shape
        present, first = np.unique(bitmask.ids, return_index=True)
        categories, flags = bitmask.category.ravel()[first].tolist(), bitmask.attributes.ravel()[first].tolist()
        masks = encode_labels(bitmask.ids.astype(np.int32))
        yield Frame(
            path.with_suffix(".jpg").name,
            size=ImageSize(width, height),
            labels=[
                Label(
                    number,
                    category=names.get(category, str(category)),
                    attributes={"crowd": bool(flag & CROWD), "ignored": bool(flag & IGNORED)},
                    rle=masks[number],
                )
                for number, category, flag in zip(present.tolist(), categories, flags, strict=True)
                if number
            ],
        )


def _record(
    frame: Frame, path: Path, label_of: dict[str, int], numbers: Mapping[str, int], labels: Path, min_area: float
) -> Record:
    masks = (label.rle.size for label in frame.labels or () if label.rle is not None)
    height, width = (frame.size.height, frame.size.width) if frame.size else next(masks, IMAGE_SIZE)
    instances = [
        instance | {"instance_id": numbers[str(label.id)]}
        for label in frame.labels or ()
        for instance in _instance(frame, label, label_of, (width, height), labels)
        if _area(instance["bbox"]) >= min_area
    ]
    return {"img_path": str(path), "name": frame.name, "height": height, "width": width, "instances": instances}


def _instance(
    frame: Frame, label: Label, label_of: dict[str, int], size: tuple[int, int], labels: Path
) -> list[dict[str, Any]]:
    """Return a label's object as a list of one, or of none where it lies outside or is too small."""
    mask = {}
    if label.rle is not None:
        where = f"{labels}: frame {frame.name}, label {label.id}"
        decode_runs(label.rle, where)  # the COCO API checks nothing
        check_size(label.rle.size, size[::-1], where)
        mask = {"mask": {"size": list(label.rle.size), "counts": label.rle.counts}}
        x, y, width, height = coco_mask.toBbox(mask["mask"]).tolist()
        label.box2d = Box2D(x, y, x + width - 1, y + height - 1)
    alone = Frame(frame.name, labels=[label])
    return [instance | mask for instance in instances_of_frame(alone, label_of, size, labels)]


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


#: The task whose single images are mixed with a task's videos.
_STILLS = {"mot": "det", "mots": "ins_seg"}


def _metainfo(task: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    row = get_task(task)
    return {"classes": row.categories, "palette": row.palette, **(given or {})}


class _LabelsInAnyForm(BaseDataset):  # type: ignore[misc]
    """Labels of a task's videos, in another form where that which the config names was not downloaded."""

    task: str
    ann_file: str

    def full_init(self) -> None:
        """Find the labels and read them, once."""
        named, root = Path(self.ann_file), Path(self.data_root or "")
        self.ann_file = str(find_labels_in_any_form(get_task(self.task), named, root))
        super().full_init()


@DATASETS.register_module()
class BDD100KVideoDataset(_LabelsInAnyForm, BaseVideoDataset):  # type: ignore[misc]
    """Whole videos, frame by frame, for mmengine's test loop; ``ann_file`` is a folder of JSON files, one a video.

    Use it with :class:`VideoSampler`, which gives each process whole videos.

    Args:
        task: ``mot`` or ``mots``: whose classes.
        metainfo: Other ``classes``.
        options: Of mmdet's data set; ``ann_file`` and ``data_prefix`` (``img``) are needed.
    """

    def __init__(self, task: str = "mot", metainfo: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.task = task
        super().__init__(metainfo=_metainfo(task, metainfo), **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the videos.

        Returns:
            One dict a video: ``video_id``, ``video_length`` and ``images``, the records of :func:`read_videos`.

        Raises:
            MissingFileError: There are no labels.
            LabelError: See :func:`read_videos`.
        """
        folder = Path(self.data_prefix["img"])
        videos = read_videos(Path(self.ann_file), folder, self._metainfo["classes"])
        indices = {
            Path(record["img_path"]).relative_to(folder).as_posix(): record["frame_index"]
            for records in videos
            for record in records
        }
        # the metric reads the same files again, and calls frames as they do
        self._metainfo |= {"ann_file": str(self.ann_file), "image_dir": str(folder), "frame_indices": indices}
        return [
            {"video_id": number, "video_length": len(records), "images": records}
            for number, records in enumerate(videos)
        ]

    def filter_data(self) -> list[dict[str, Any]]:
        """Keep every frame: a tracker sees all of a video."""
        return list(self.data_list)


@DATA_SAMPLERS.register_module()
class VideoSampler(Sampler[tuple[int, int]]):
    """Deals whole videos out to the processes, which get their frames in order; of fewer videos some get none.

    Args:
        dataset: A :class:`BDD100KVideoDataset`.
        seed: The run's seed; nothing is random.
    """

    def __init__(self, dataset: BaseVideoDataset, seed: int | None = None) -> None:
        rank, processes = get_dist_info()
        videos = range(rank, len(dataset), processes)
        self.places = [(video, frame) for video in videos for frame in range(dataset.get_len_per_video(video))]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the number of a video and of a frame in it."""
        return iter(self.places)

    def __len__(self) -> int:
        """Return how many frames this process has."""
        return len(self.places)


@DATASETS.register_module()
class BDD100KTrackPairs(_LabelsInAnyForm):
    """Pairs of a key frame and one near it, with the same tracks, for training.

    Every frame with an object is the key of one pair an epoch. The other frame is drawn from those at most
    ``frame_range`` away, with or without objects, and never the key itself. Single images can be mixed in: they are
    their own partners. A sample is a dict of lists, of the key and of its partner, with ``key_frame_flags``.

    Args:
        task: ``mot`` or ``mots``: whose classes.
        frame_range: How far away in frames a partner may be.
        still: ``ann_file`` and ``data_prefix`` of single images to mix in; None for none.
        keep_unmatched: Also give pairs that share no track; otherwise another key is drawn instead.
        min_area: Boxes with fewer square pixels are left out.
        metainfo: Other ``classes``.
        options: Of mmengine's data set; ``ann_file`` and ``data_prefix`` (``img``) are needed.

    Raises:
        ConfigError: ``frame_range`` is less than 1.
        MissingFileError: There are no labels.
        LabelError: See :func:`read_videos`; or no frame has an object, or no pair shares a track and
            ``keep_unmatched`` is not set, or some objects have masks and others none.
    """

    def __init__(
        self,
        task: str = "mot",
        frame_range: int = 3,
        still: dict[str, Any] | None = None,
        keep_unmatched: bool = False,
        min_area: float = 0.0,
        metainfo: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if frame_range < 1:
            raise ConfigError(f"frame_range is {frame_range}; it must be at least 1")
        self.task = task
        self.frame_range = frame_range
        self.still = still
        self.keep_unmatched = keep_unmatched
        self.min_area = min_area
        super().__init__(metainfo=_metainfo(task, metainfo), **options)

    def load_data_list(self) -> list[Record]:
        """Read the frames of all videos, one after the other, and then the single images."""
        classes = self._metainfo["classes"]
        videos = read_videos(Path(self.ann_file), Path(self.data_prefix["img"]), classes, self.min_area)
        videos += self._read_stills()
        records = [record for video in videos for record in video]
        if self.task == "mots":
            _check_masks(records)
        self._keys = np.array([index for index, record in enumerate(records) if _tracks(record)], dtype=np.int64)
        if not len(self._keys):
            raise LabelError(f"{self.ann_file}: no frame has an object of the classes; training needs labelled frames")
        if not self.keep_unmatched and not any(_share_track(video, self.frame_range) for video in videos):
            raise LabelError(
                f"{self.ann_file}: no two frames at most {self.frame_range} apart share a track; an object needs the "
                "same id in all frames of its video"
            )
        self._metainfo["ann_file"] = str(self.ann_file)
        return records

    def _read_stills(self) -> list[list[Record]]:
        if self.still is None:
            return []
        root = Path(self.data_root or "")
        try:
            labels = find_labels_in_any_form(get_task(_STILLS[self.task]), root / self.still["ann_file"], root)
        except MissingFileError as error:
            raise MissingFileError(
                f"{error}; to train without single images, set train_dataloader.dataset.still=None by "
                "--cfg-options (in recipes that mix images train_dataloader.dataset.dataset.still=None)"
            ) from None
        folder = root / self.still["data_prefix"]["img"]
        return read_stills(labels, folder, self._metainfo["classes"], self.min_area)

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> list[Record]:
        """Keep the key frames that mmengine's ``indices`` name; their partners may be any frames."""
        if isinstance(indices, int):
            self._keys = self._keys[:indices] if indices >= 0 else self._keys[indices:]
        else:
            self._keys = self._keys[np.asarray(indices, dtype=np.int64)]
        records: list[Record] = self.data_list
        return records

    @force_full_init
    def __len__(self) -> int:
        """Return the number of key frames."""
        return len(self._keys)

    def prepare_data(self, idx: int) -> Any:
        """Draw the partner of a key frame and run the pipeline.

        Returns:
            What the pipeline returns; None where the two share no track, which makes mmengine draw another key.
        """
        index = int(self._keys[idx])
        key = self.get_data_info(index)
        partner = self.get_data_info(index + self._draw_offset(key["frame_id"], key["video_length"]))
        if not self.keep_unmatched and not _tracks(key) & _tracks(partner):
            return None
        pair = {name: [value, partner[name]] for name, value in key.items()}
        return self.pipeline(pair | {"key_frame_flags": [True, False]})

    def _draw_offset(self, position: int, length: int) -> int:
        """Return how far away the partner of a frame is; 0 only in a video of one frame."""
        offsets = [
            offset
            for offset in range(-self.frame_range, self.frame_range + 1)
            if offset and 0 <= position + offset < length
        ]
        return int(np.random.choice(offsets)) if offsets else 0  # noqa: NPY002  # mmengine seeds this generator

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the classes of a key frame's objects."""
        return [instance["bbox_label"] for instance in self.get_data_info(int(self._keys[idx]))["instances"]]


def _check_masks(records: Iterable[Record]) -> None:
    """Refuse objects without masks beside others with them, such as those of polygons."""
    masked: set[bool] = set()
    for record in records:
        masked |= {"mask" in instance for instance in record["instances"]}
        if len(masked) > 1:
            raise LabelError(
                f"{record['img_path']}: its labels do not have masks as those before do, or the other way round; take "
                "bitmasks or run lengths of all"
            )


def _share_track(video: Sequence[Record], frame_range: int) -> bool:
    """Tell whether any frame of a video and a partner of it share a track; the partner of a single image is itself."""
    tracks = [_tracks(record) for record in video]
    if len(tracks) == 1:
        return bool(tracks[0])
    return any(here & there for place, here in enumerate(tracks) for there in tracks[place + 1 :][:frame_range])


def _tracks(record: Record) -> set[int]:
    """Return the tracks of a frame that are to be learned from."""
    return {instance["instance_id"] for instance in record["instances"] if not instance["ignore_flag"]}
