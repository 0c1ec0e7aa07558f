"""People from joints: their scores, and which of them are one and the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import InputError

Floats = npt.NDArray[np.float64]

_LARGEST = float(np.finfo(np.float32).max)  # the models compute in float32


def scored_boxes(boxes: npt.ArrayLike) -> Floats:
    """Return boxes of people (n, 4) or (n, 5) with their scores, float64 (n, 5); of those without, it is 1.

    Raises:
        InputError: They are of another form.
    """
    array = np.asarray(boxes, np.float64)
    array = array.reshape(-1, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] not in (4, 5):
        raise InputError(f"boxes are (n, 4) or (n, 5) numbers: x1, y1, x2, y2 and a score, not {array.shape}")
    return array if array.shape[1] == 5 else np.column_stack([array, np.ones(len(array))])


def box_problem(box: Sequence[float], size: tuple[int, int]) -> str | None:
    """Tell what is wrong with a box.

    Args:
        box: Exclusive corners x1, y1, x2, y2 in pixels.
        size: (height, width) of the image in pixels.

    Returns:
        What is wrong: the box is not finite, has no area, or no pixel of the image; else None.
    """
    x1, y1, x2, y2 = (float(value) for value in box[:4])
    text = f"person box ({x1:g}, {y1:g}, {x2:g}, {y2:g})"
    if not all(abs(value) <= _LARGEST for value in (x1, y1, x2, y2)):
        return f"{text} is not finite"
    if x2 <= x1 or y2 <= y1:
        return f"{text} has no area"
    if x2 <= 0 or y2 <= 0 or x1 >= size[1] or y1 >= size[0]:
        return f"{text} lies outside the image"
    return None


def region_of(box: npt.ArrayLike, padding: float, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the centre, and the width and height, of what a pose model looks at, in pixels.

    Args:
        box: Corners of the person's box, exclusive, in pixels.
        padding: Size of what is looked at, in sizes of the box.
        size: Height and width of the network's input, for its proportions.
    """
    corners = np.asarray(box, np.float64)
    extent = (corners[2:4] - corners[:2]) * padding
    ratio = size[1] / size[0]
    width, height = (extent[0], extent[0] / ratio) if extent[0] > extent[1] * ratio else (extent[1] * ratio, extent[1])
    return (corners[:2] + corners[2:4]) * 0.5, np.array([width, height])


def person_score(confidences: npt.NDArray[np.float32], box: np.float32, visible: float) -> float:
    """Return a person's score: the mean over joints that are sure enough, times that of the box; 0 without any.

    Args:
        confidences: Of the joints, (joints,).
        box: Score of the box.
        visible: Joints count above this.
    """
    sure = confidences[confidences > visible].astype(np.float64)
    return float(sure.sum() / max(len(sure), 1) * box)


def distinct(joints: Floats, areas: Floats, scores: Floats, sigmas: Floats, similar: float) -> list[int]:
    """Return people by descending score, without those that are too similar to a better one.

    The similarity is COCO's for key points (https://cocodataset.org/#keypoints-eval) over all joints, with the mean of
    the two areas.

    Args:
        joints: x and y in pixels, (n, joints, 2).
        areas: In square pixels, (n,).
        scores: (n,).
        sigmas: Spread of each joint's labels, (joints,).
        similar: Greatest similarity of two that stay, 0 to 1.
    """
    places, sizes = joints.astype(np.float32), areas.astype(np.float32)
    left = np.argsort(scores, kind="stable")[::-1]
    if len(left) < 2:
        return [int(index) for index in left]
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        distances = ((places[left] - places[best]) ** 2).sum(axis=2)
        spread = (sizes[left] + sizes[best]) / 2 + np.spacing(1)
        likeness = np.exp(-distances / (sigmas * 2) ** 2 / spread[:, None] / 2).mean(axis=1)
        left = left[likeness <= similar]
    return kept
