"""Which detection of a frame continues which track: the steps of quasi-dense association, as functions.

Each takes and returns arrays and keeps nothing; :mod:`.tracker` holds the memory between frames. Source: Pang et al.,
"Quasi-Dense Similarity Learning for Multiple Object Tracking", CVPR 2021, section 3.3, with the thresholds and the
order of steps of the published BDD100K models.
"""

from __future__ import annotations

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor

#: The id of a detection that is no track (yet).
UNTRACKED = -1

#: The id of a detection that only shadows a track: neither a new track nor a backdrop.
SHADOW = -2


def sort_and_deduplicate(
    boxes: Tensor, scores: Tensor, *, low_score: float, low_overlap: float, high_overlap: float
) -> Tensor:
    """Sort detections by score and leave out duplicates, whatever their class.

    A detection goes if it overlaps any better one by too much, even one that goes itself. Equal scores keep the order
    in which they came.

    Args:
        boxes: Corners (x1, y1, x2, y2) in pixels, (N, 4).
        scores: 0 to 1, (N,).
        low_score: Detections with a lower score are held to ``low_overlap``, the others to ``high_overlap``.
        low_overlap: Intersection over union above which a weak detection goes.
        high_overlap: Intersection over union above which a strong detection goes.

    Returns:
        Indices of those that stay, best first, (M,) int64; M is 0 for no detections.
    """
    order = scores.argsort(descending=True, stable=True)
    limits = torch.where(scores[order] < low_score, low_overlap, high_overlap)
    overlaps = bbox_overlaps(boxes[order], boxes[order]).tril(diagonal=-1)
    return order[(overlaps <= limits[:, None]).all(dim=1)]


def bidirectional_softmax(embeddings: Tensor, memory: Tensor) -> Tensor:
    """Compare each detection with each remembered object; both have to choose each other.

    Args:
        embeddings: Of the detections, (M, E).
        memory: Of the remembered objects, (T, E).

    Returns:
        Similarities, 0 to 1, (M, T): the mean of the softmax of the dot products over the remembered objects and of
        that over the detections.
    """
    products = embeddings @ memory.t()
    return (products.softmax(dim=1) + products.softmax(dim=0)) / 2


def take_ids(
    similarities: Tensor,
    scores: Tensor,
    memory_ids: Tensor,
    *,
    match_score: float,
    object_score: float,
    shadow_score: float,
) -> Tensor:
    """Let each detection, best first, take the id of what it resembles most.

    An id that is taken is out of reach for all others, as is what it was taken from.

    Args:
        similarities: Of detections to remembered objects, (M, T); 0 where the classes differ.
        scores: Of the detections, falling, (M,).
        memory_ids: Ids of the remembered objects, (T,); below 0 for a backdrop.
        match_score: Similarity above which two are the same.
        object_score: Score above which a detection continues a track.
        shadow_score: Similarity above which a weaker detection shadows the track.

    Returns:
        Ids (M,) int64 on the CPU: that of a track, :data:`UNTRACKED` or :data:`SHADOW`.
    """
    table = similarities.detach().cpu().numpy().copy()
    owners, confidences = memory_ids.tolist(), scores.tolist()
    ids = torch.full((len(table),), UNTRACKED, dtype=torch.long)
    if not table.size:
        return ids
    for row, values in enumerate(table):
        column = int(values.argmax())
        similarity = values[column]
        if similarity <= match_score or owners[column] < 0:
            continue
        if confidences[row] > object_score:
            ids[row] = owners[column]
            table[row + 1 :, column] = 0
        elif similarity > shadow_score:
            ids[row] = SHADOW
    return ids


def number_new_tracks(ids: Tensor, scores: Tensor, *, first: int, new_score: float) -> Tensor:
    """Give new ids to confident detections without one.

    Args:
        ids: As :func:`take_ids` returns them, (M,).
        scores: (M,).
        first: The first id that is free.
        new_score: Score above which a detection begins a track.

    Returns:
        A copy of the ids, (M,), with ``first``, ``first + 1``, ... in the order of the detections.
    """
    ids = ids.clone()
    new = (ids == UNTRACKED) & (scores.cpu() > new_score)
    ids[new] = torch.arange(first, first + int(new.sum()))
    return ids


def find_backdrops(boxes: Tensor, ids: Tensor, *, overlap: float) -> Tensor:
    """Find the detections without a track that stand apart from every better one.

    They are remembered for a frame, so that what looks like background there does not begin or continue a track.

    Args:
        boxes: Of the detections, best first, (M, 4).
        ids: (M,).
        overlap: Intersection over union with a better detection up to which one stands apart.

    Returns:
        Indices (B,) int64, rising.
    """
    apart = (bbox_overlaps(boxes, boxes).tril(diagonal=-1) <= overlap).all(dim=1)
    rows: Tensor = ((ids.to(boxes.device) == UNTRACKED) & apart).nonzero().squeeze(1)
    return rows
