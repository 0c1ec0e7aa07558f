"""What a model says of one image, as NumPy arrays: one class for each kind of task.

Only NumPy is needed to hold results. Pixels are those of the original image; rows come first in shapes. A box has
exclusive corners, so its width is ``x2 - x1``; in Scalabel frames ``x2`` and ``y2`` are inclusive, one pixel less.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from bdd100k_models.formats.scalabel import Frame

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """What every result has.

    Attributes:
        name: Name of the image.
        size: Height and width of the image in pixels.
        video: Name of the video that the image is a frame of, if it is one.
        position: Place in the video, from 0.
        labelled: Whether these are labels, made by people: their scores mean nothing.
    """

    name: str
    size: tuple[int, int]
    video: str | None = None
    position: int | None = None
    labelled: bool = False

    def frame(self) -> Frame:
        """Return the result as a frame of Scalabel JSON; needs msgspec and OpenCV.

        Ids of objects are unique in the frame.
        """
        from bdd100k_models.inference.frames import to_frame

        return to_frame(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections(Result):
    """Objects with boxes; none is an empty array of the same dimensions.

    Attributes:
        categories: Names by index.
        boxes: float64 (n, 4): x1, y1, x2, y2 in pixels, exclusive.
        scores: float64 (n,): confidence, 0 to 1.
        classes: int64 (n,): index into ``categories``.
    """

    categories: tuple[str, ...]
    boxes: Floats
    scores: Floats
    classes: Ints

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The category of each object."""
        return [self.categories[index] for index in self.classes.tolist()]


@dataclass(frozen=True, kw_only=True, eq=False)
class Instances(Detections):
    """Objects with boxes and masks; a pixel is of one object at most.

    Attributes:
        segments: int32 (height, width): which object each pixel is of, counted from 1; 0 for none.
    """

    segments: npt.NDArray[np.int32]

    @property
    def masks(self) -> Bools:
        """The visible part of each object, bool (n, height, width); all False where others hide it."""
        return masks_of(self.segments, len(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks(Detections):
    """Objects followed through a video.

    Attributes:
        ids: int64 (n,): of each track, from 0 in each video.
    """

    ids: Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskTracks(Instances, Tracks):
    """Objects with masks followed through a video; their ids count from 1, as in bitmasks."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassMap(Result):
    """A class for each pixel.

    Attributes:
        categories: Names by class.
        classes: uint8 (height, width): index into ``categories``; 255 where there is none.
    """

    categories: tuple[str, ...]
    classes: npt.NDArray[np.uint8]

    def mask(self, category: str) -> Bools:
        """Return the pixels of a category, bool (height, width)."""
        inside: Bools = self.classes == self.categories.index(category)
        return inside


@dataclass(frozen=True, kw_only=True, eq=False)
class Panoptic(Result):
    """Segments of things and stuff; they do not overlap.

    Attributes:
        categories: Names by index, stuff before things.
        first_thing: Index of the first category that is a thing.
        segments: int32 (height, width): which segment each pixel is of, counted from 1; 0 for none.
        classes: int64 (n,): index of each segment's category.
        ids: int64 (n,): of each segment in the frame of Scalabel JSON.
    """

    categories: tuple[str, ...]
    first_thing: int
    segments: npt.NDArray[np.int32]
    classes: Ints
    ids: Ints

    def __len__(self) -> int:
        """Return how many segments there are."""
        return len(self.classes)

    @property
    def names(self) -> list[str]:
        """The category of each segment."""
        return [self.categories[index] for index in self.classes.tolist()]

    @property
    def things(self) -> Bools:
        """Whether each segment is a thing, bool (n,)."""
        things: Bools = self.classes >= self.first_thing
        return things

    @property
    def masks(self) -> Bools:
        """The pixels of each segment, bool (n, height, width)."""
        return masks_of(self.segments, len(self))


@dataclass(frozen=True, kw_only=True, eq=False)
class Tags(Result):
    """One tag of the whole image.

    Attributes:
        tag: What it is about, such as ``weather``.
        values: The values that it can have.
        scores: float64 (values,): a probability each, summing to 1; empty where nothing is known.
    """

    tag: str
    values: tuple[str, ...]
    scores: Floats

    @property
    def value(self) -> str | None:
        """The most probable value, or None where nothing is known."""
        return self.values[int(np.argmax(self.scores))] if len(self.scores) else None


@dataclass(frozen=True, kw_only=True, eq=False)
class People(Result):
    """People with their joints, best first.

    Attributes:
        joint_names: Names of the joints, in order.
        joints: float64 (n, joints, 3): x and y in pixels, and confidence of each joint; confidence 0 where a label
            has no place for it.
        scores: float64 (n,): confidence of each person.
        areas: float64 (n,): square pixels of what the model looked at.
    """

    joint_names: tuple[str, ...]
    joints: Floats
    scores: Floats
    areas: Floats = field(repr=False)

    def __len__(self) -> int:
        """Return how many people there are."""
        return len(self.scores)


def masks_of(segments: npt.NDArray[np.int32], count: int) -> Bools:
    """Return the pixels of each of ``count`` segments, bool (count, height, width)."""
    masks: Bools = segments[None] == np.arange(1, count + 1, dtype=np.int32)[:, None, None]
    return masks
