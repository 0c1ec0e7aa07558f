"""Batches for inference: images read, checked and prepared by worker processes."""

from __future__ import annotations

import copy
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.dataset import Compose
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader, Dataset

from bdd100k_models.datasets.images import ImageItem, ImageSet, read_image
from bdd100k_models.engine.shards import Problem
from bdd100k_models.errors import ConfigError, ImageError

#: What a pipeline is told about the regions of each image, by the image's name.
Regions: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]

_LOADING = ("LoadImageFromFile", "LoadImage")
_REMARKS_SHOWN = 3


@dataclass
class Batch:
    """Some images of a run.

    Attributes:
        indices: Place of each readable image in the run's order.
        data: ``inputs`` and ``data_samples`` as the model takes them, one entry a sample.
        owners: The index of each sample's image; an image has one sample, or one for each of its regions.
        remarks: What was unusual about an image that is in ``indices``, by index.
        failures: What was wrong with the others, by index.
    """

    indices: list[int] = field(default_factory=list)
    data: dict[str, list[Any]] = field(default_factory=lambda: {"inputs": [], "data_samples": []})
    owners: list[int] = field(default_factory=list)
    remarks: dict[int, Problem] = field(default_factory=dict)
    failures: dict[int, Problem] = field(default_factory=dict)


class Preparation:
    """What a config's test pipeline makes of pixels that were already read.

    Args:
        pipeline: The test pipeline, which begins with ``LoadImageFromFile``.

    Raises:
        ConfigError: The pipeline begins with something else, or cannot be built.
    """

    def __init__(self, pipeline: Sequence[dict[str, Any]]) -> None:
        loading, steps = _without_loading(pipeline)
        self.in_videos = loading is not pipeline[0]
        self.as_float = bool(loading.get("to_float32", False))
        try:
            self.transform = Compose(steps)
        except (KeyError, TypeError, AssertionError) as error:
            raise ConfigError(f"test_pipeline cannot be built ({error})") from None

    def add(
        self,
        batch: Batch,
        index: int,
        item: ImageItem,
        pixels: npt.NDArray[np.uint8],
        remark: str | None = None,
        regions: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add an image to a batch.

        Args:
            batch: The batch.
            index: Place of the image in the run's order.
            item: The image.
            pixels: uint8 (height, width, 3), blue-green-red.
            remark: What is unusual about it, if anything.
            regions: What the pipeline is told about each region of the image, which may have none; None: the image
                is one sample. A region that a transform refuses is left out, with a remark.

        Raises:
            ImageError: A transform refuses the image, of which then nothing is in the batch.
        """
        remarks = [] if remark is None else [remark]
        sample: dict[str, Any] = {
            "img": pixels.astype(np.float32) if self.as_float else pixels,
            "img_path": str(item.path),
            "img_id": index,
            "img_shape": pixels.shape[:2],
            "ori_shape": pixels.shape[:2],
        }
        place: dict[str, Any] = {} if item.video is None else {"frame_id": item.position, "video_id": item.video}
        sample |= place
        if self.in_videos:
            # transforms for videos take lists, here of one frame
            sample = {key: [value] for key, value in sample.items()}
        prepared = []
        for region in [{}] if regions is None else regions:
            try:
                prepared.append(self._transform({**sample, **copy.deepcopy(dict(region))}, pixels.shape))
            except ImageError as error:
                if regions is None:
                    raise
                remarks.append(str(error))
        batch.indices.append(index)
        for packed in prepared:
            batch.owners.append(index)
            if isinstance(packed["data_samples"], BaseDataElement):  # and no list of views
                packed["data_samples"].set_metainfo(place)
            batch.data["inputs"].append(packed["inputs"])
            batch.data["data_samples"].append(packed["data_samples"])
        if remarks:
            batch.remarks[index] = Problem(name=item.name, message=_shorten(remarks), predicted=True)

    def _transform(self, sample: dict[str, Any], shape: tuple[int, ...]) -> Any:
        try:
            return self.transform(sample)
        except cv2.error:  # OpenCV cannot make a picture without height
            raise ImageError(f"{shape[1]}x{shape[0]} pixels cannot be scaled for the network") from None


class InferenceImages(Dataset[Batch]):
    """Maps a number to a prepared batch; which images form a batch is fixed beforehand.

    Args:
        images: The run's images.
        batches: Indices of the images of each batch.
        preparation: What the config's test pipeline does with an image.
        regions: For models that look at regions: what the pipeline is told about each region of an image, by the
            image's name. None: each image is one sample.
    """

    def __init__(
        self,
        images: ImageSet,
        batches: Sequence[Sequence[int]],
        preparation: Preparation,
        regions: Regions | None = None,
    ) -> None:
        self.images = images
        self.batches = batches
        self.regions = regions
        self.preparation = preparation

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        batch = Batch()
        for index in self.batches[number]:
            item = self.images.items[index]
            try:
                pixels, remark = read_image(item.path, self.images.expected_size)
            except ImageError as error:
                batch.failures[index] = Problem(name=item.name, message=str(error))
                continue
            regions = None if self.regions is None else self.regions.get(item.name, ())
            try:
                self.preparation.add(batch, index, item, pixels, remark, regions)
            except ImageError as error:
                batch.failures[index] = Problem(name=item.name, message=str(error))
        return batch


def _shorten(remarks: Sequence[str]) -> str:
    """Join remarks; of many, the first and how many more there are."""
    shown = "; ".join(remarks[:_REMARKS_SHOWN])
    return shown if len(remarks) <= _REMARKS_SHOWN else f"{shown}; and {len(remarks) - _REMARKS_SHOWN} more"


def _without_loading(pipeline: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the step that loads an image, and the others; in pipelines for videos it stands in a broadcaster.

    Raises:
        ConfigError: The pipeline does not begin with that step.
    """
    first: dict[str, Any] = pipeline[0] if pipeline else {"type": ""}
    if _kind(first) == "TransformBroadcaster" and first["transforms"]:
        loading, *rest = first["transforms"]
        steps = [{**first, "transforms": [step for step in rest if not _kind(step).endswith("Annotations")]}]
    else:
        loading, steps = first, []
    if _kind(loading) not in _LOADING:
        raise ConfigError("test_pipeline must begin with LoadImageFromFile")
    return loading, steps + [step for step in pipeline[1:] if _kind(step) != "LoadAnnotations"]


def _kind(step: Mapping[str, Any]) -> str:
    return str(step["type"]).rpartition(".")[2]


def _begin_worker(_: int) -> None:
    """Leave interruptions to the main process, which ends its workers; none of them has anything to say about it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.excepthook = _say_unless_cut_off


def _say_unless_cut_off(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, (EOFError, ConnectionError, KeyboardInterrupt)):
        sys.__excepthook__(kind, error, trace)


def load_batches(dataset: InferenceImages, workers: int) -> Iterator[Batch]:
    """Yield the batches in order, prepared ahead by ``workers`` processes (0: in this one)."""
    # the workers are the parallelism; and a forked worker waits for ever for threads that OpenCV had started before
    cv2.setNumThreads(0)
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_begin_worker,
        prefetch_factor=2 if workers else None,
    )
    yield from loader
