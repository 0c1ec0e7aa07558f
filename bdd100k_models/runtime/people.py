"""People from joints: their scores, and which of them are one and the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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


def person_scores(confidences: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32], visible: float) -> Floats:
    """Return each person's score: the mean over joints that are sure enough, times that of the box; 0 without any.

    Args:
        confidences: (n, joints).
        boxes: Scores of the boxes, (n,).
        visible: Joints count above this.
    """
    sure = np.where(confidences > visible, confidences, 0).astype(np.float64)
    counts = np.maximum((confidences > visible).sum(axis=1), 1)
    scores: Floats = sure.sum(axis=1) / counts * boxes
    return scores


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
