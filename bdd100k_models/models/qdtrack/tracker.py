"""What is remembered of a video from frame to frame, and how a frame changes it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import torch
from mmdet.registry import MODELS
from torch import Tensor

from bdd100k_models.errors import ConfigError
from bdd100k_models.models.qdtrack.association import (
    UNTRACKED,
    bidirectional_softmax,
    find_backdrops,
    number_new_tracks,
    sort_and_deduplicate,
    take_ids,
)


class Tracked(NamedTuple):
    """The detections of a frame that belong to a track.

    Attributes:
        rows: Which of the detections they are, best first, (K,) int64 on the detections' device.
        ids: Their tracks, (K,) int64 on the CPU.
    """

    rows: Tensor
    ids: Tensor


@dataclass
class Tracks:
    """The tracks in memory, in the order in which they began.

    Attributes:
        ids: (T,) int64 on the CPU.
        last_frames: When each was last seen, (T,) int64 on the CPU.
        boxes: Where, (T, 4), pixels.
        labels: Class, (T,) int64.
        embeddings: Moving average of what each looks like, (T, E).
    """

    ids: Tensor
    last_frames: Tensor
    boxes: Tensor
    labels: Tensor
    embeddings: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Tensor) -> Tracks:
        """Return the tracks of some rows, (R,) int64 on the CPU."""
        there = rows.to(self.boxes.device)
        return Tracks(
            self.ids[rows], self.last_frames[rows], self.boxes[there], self.labels[there], self.embeddings[there]
        )

    def extend(self, other: Tracks) -> Tracks:
        """Return these tracks followed by others."""
        return Tracks(
            torch.cat([self.ids, other.ids]),
            torch.cat([self.last_frames, other.last_frames]),
            torch.cat([self.boxes, other.boxes]),
            torch.cat([self.labels, other.labels]),
            torch.cat([self.embeddings, other.embeddings]),
        )


@dataclass
class Backdrops:
    """Detections of one frame that became no track: labels (B,) int64 and embeddings (B, E)."""

    labels: Tensor
    embeddings: Tensor


@MODELS.register_module()
class BoxTracker:
    """Quasi-dense association over a video, as in the published BDD100K models.

    It takes detections and embeddings, and knows no network. :meth:`track` is a frame's whole way through :meth:`keep`,
    :meth:`match` and :meth:`remember`. The memory is bounded by the tracks of the last ``memo_tracklet_frames`` frames.

    Args:
        init_score_thr: A detection without a track begins one above this score.
        obj_score_thr: A detection continues a track above this score.
        match_score_thr: Similarity above which a detection and a track are the same.
        memo_tracklet_frames: A track not seen for so many frames is forgotten.
        memo_backdrop_frames: For how many frames backdrops are remembered.
        memo_momentum: Weight of a new embedding against the old average.
        nms_conf_thr: Similarity above which a detection too weak to continue a track shadows it.
        nms_backdrop_iou_thr: Overlap above which a weak detection is a duplicate, and above which a backdrop is none.
        nms_class_iou_thr: Overlap above which any detection is a duplicate.
        with_cats: Only objects of one class match.

    Raises:
        ConfigError: The momentum is not from 0 to 1, or a number of frames is negative.
    """

    def __init__(
        self,
        init_score_thr: float = 0.7,
        obj_score_thr: float = 0.3,
        match_score_thr: float = 0.5,
        memo_tracklet_frames: int = 10,
        memo_backdrop_frames: int = 1,
        memo_momentum: float = 0.8,
        nms_conf_thr: float = 0.5,
        nms_backdrop_iou_thr: float = 0.3,
        nms_class_iou_thr: float = 0.7,
        with_cats: bool = True,
    ) -> None:
        if not 0 <= memo_momentum <= 1:
            raise ConfigError(f"memo_momentum is {memo_momentum}; it must be from 0 to 1")
        for name, frames in (
            ("memo_tracklet_frames", memo_tracklet_frames),
            ("memo_backdrop_frames", memo_backdrop_frames),
        ):
            if frames < 0:
                raise ConfigError(f"{name} is {frames}; it must not be negative")
        self.init_score_thr = init_score_thr
        self.obj_score_thr = obj_score_thr
        self.match_score_thr = match_score_thr
        self.memo_tracklet_frames = memo_tracklet_frames
        self.memo_momentum = memo_momentum
        self.nms_conf_thr = nms_conf_thr
        self.nms_backdrop_iou_thr = nms_backdrop_iou_thr
        self.nms_class_iou_thr = nms_class_iou_thr
        self.with_cats = with_cats
        self.backdrops: deque[Backdrops] = deque(maxlen=memo_backdrop_frames)
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next id is 0."""
        self.tracks: Tracks | None = None
        self.backdrops.clear()
        self.next_id = 0

    def track(self, frame: int, boxes: Tensor, scores: Tensor, labels: Tensor, embeddings: Tensor) -> Tracked:
        """Associate the detections of the next frame, and remember them.

        A frame without detections changes nothing: tracks age by the numbers of later frames, and the backdrops stay
        those of the last frame that had detections.

        Args:
            frame: Its number in the video, larger than that of the frame before.
            boxes: (N, 4), pixels.
            scores: 0 to 1, (N,).
            labels: (N,) int64.
            embeddings: (N, E), in single or double precision.

        Returns:
            Which detections are tracked, and their ids, unique in the frame. Both may be empty.
        """
        if not len(boxes):
            return Tracked(labels.new_zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
        rows = self.keep(boxes, scores)
        boxes, scores, labels, embeddings = boxes[rows], scores[rows], labels[rows], embeddings[rows]
        ids = self.match(scores, labels, embeddings)
        self.remember(frame, ids, boxes, labels, embeddings)
        tracked = ids >= 0
        return Tracked(rows[tracked.to(rows.device)], ids[tracked])

    def keep(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """Sort detections by score and leave out duplicates.

        Args:
            boxes: (N, 4), pixels.
            scores: (N,).

        Returns:
            Indices of the kept, best first, (M,).
        """
        return sort_and_deduplicate(
            boxes,
            scores,
            low_score=self.obj_score_thr,
            low_overlap=self.nms_backdrop_iou_thr,
            high_overlap=self.nms_class_iou_thr,
        )

    def match(self, scores: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        """Give ids to the kept detections of a frame.

        Args:
            scores: (M,), falling.
            labels: (M,).
            embeddings: (M, E).

        Returns:
            Ids (M,) on the CPU; below 0 where a detection is no track.
        """
        # in half precision dot products of embeddings overflow, or cannot be told apart
        with torch.autocast(embeddings.device.type, enabled=False):
            known = self._match_known(scores, labels, embeddings)
        return number_new_tracks(known, scores, first=self.next_id, new_score=self.init_score_thr)

    def remember(self, frame: int, ids: Tensor, boxes: Tensor, labels: Tensor, embeddings: Tensor) -> None:
        """Take a frame into memory, and drop tracks that were not seen for long.

        Args:
            frame: Its number in the video.
            ids: As :meth:`match` returns them, (M,), at least one.
            boxes: (M, 4), pixels.
            labels: (M,).
            embeddings: (M, E).
        """
        self.next_id = max(self.next_id, int(ids.max()) + 1)
        rows = (ids >= 0).nonzero().squeeze(1)
        there = rows.to(boxes.device)
        seen = Tracks(ids[rows], torch.full_like(rows, frame), boxes[there], labels[there], embeddings[there])
        self.tracks = seen if self.tracks is None else self._merge(self.tracks, seen)
        self.tracks = self.tracks.select(
            (frame - self.tracks.last_frames < self.memo_tracklet_frames).nonzero().squeeze(1)
        )
        apart = find_backdrops(boxes, ids, overlap=self.nms_backdrop_iou_thr)
        self.backdrops.appendleft(Backdrops(labels[apart], embeddings[apart]))

    def _match_known(self, scores: Tensor, labels: Tensor, embeddings: Tensor) -> Tensor:
        """Return the ids of known tracks for the detections, (M,)."""
        if self.tracks is None or not len(self.tracks):
            # backdrops alone match nothing
            return torch.full((len(scores),), UNTRACKED, dtype=torch.long)
        memory = torch.cat([self.tracks.embeddings, *(backdrop.embeddings for backdrop in self.backdrops)])
        memory_labels = torch.cat([self.tracks.labels, *(backdrop.labels for backdrop in self.backdrops)])
        memory_ids = torch.full((len(memory),), UNTRACKED, dtype=torch.long)
        memory_ids[: len(self.tracks)] = self.tracks.ids
        similarities = bidirectional_softmax(embeddings, memory)
        if self.with_cats:
            similarities = similarities * (labels[:, None] == memory_labels[None])
        return take_ids(
            similarities,
            scores,
            memory_ids,
            match_score=self.match_score_thr,
            object_score=self.obj_score_thr,
            shadow_score=self.nms_conf_thr,
        )

    def _merge(self, known: Tracks, seen: Tracks) -> Tracks:
        """Return the known tracks brought up to date, and after them those that begin."""
        matches = (seen.ids[:, None] == known.ids[None]).nonzero()
        new, old = matches[:, 0], matches[:, 1]
        begun = torch.ones(len(seen), dtype=torch.bool)
        begun[new] = False
        again, there = seen.select(new), old.to(known.boxes.device)
        average = (1 - self.memo_momentum) * known.embeddings[there] + self.memo_momentum * again.embeddings
        updated = Tracks(
            known.ids,
            known.last_frames.index_copy(0, old, again.last_frames),
            known.boxes.index_copy(0, there, again.boxes),
            known.labels.index_copy(0, there, again.labels),
            known.embeddings.index_copy(0, there, average),
        )
        return updated.extend(seen.select(begun.nonzero().squeeze(1)))
