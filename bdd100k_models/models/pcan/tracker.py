"""The quasi-dense tracker that also remembers what a track's mask was drawn from."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from torch import Tensor

from bdd100k_models.models.qdtrack.association import number_new_tracks, sort_and_deduplicate
from bdd100k_models.models.qdtrack.tracker import BoxTracker


class MaskMemory(NamedTuple):
    """What the mask of a track was last drawn from.

    Attributes:
        features: (C, H, W).
        logits: Its mask for each class before refinement, (K, h, w).
    """

    features: Tensor
    logits: Tensor


@MODELS.register_module()
class MaskTracker(BoxTracker):
    """Quasi-dense association in steps, so that masks can be refined between them.

    A frame goes through :meth:`keep`, :meth:`match`, :meth:`references` and :meth:`remember`. The last appearance of a
    track is remembered as long as the track is, so the memory does not grow with a video's length.

    Args:
        options: Of the tracker of boxes.
    """

    def __init__(self, **options: Any) -> None:
        self.masks: dict[int, MaskMemory] = {}
        super().__init__(**options)

    def reset(self) -> None:
        """Forget everything; the next id is 0."""
        super().reset()
        self.masks.clear()

    def keep(self, boxes: Tensor, scores: Tensor) -> Tensor:
        """Sort detections by score and leave out duplicates.

        Args:
            boxes: (N, 4), pixels of the original image.
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
        with torch.autocast(embeddings.device.type, enabled=False):
            known = self._match(scores, labels, embeddings)
        return number_new_tracks(known, scores, first=self.next_id, new_score=self.init_score_thr)

    def references(self, ids: Tensor, features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each detection's mask is compared with: its track's last appearance, or else itself.

        Args:
            ids: As :meth:`match` returns them, (M,).
            features: Mask features of the detections, (M, C, H, W).
            logits: Their masks for each class, before refinement, (M, K, h, w).

        Returns:
            Features and logits of the references, of the same shapes.
        """
        known = {row: self.masks[key] for row, key in enumerate(ids.tolist()) if key in self.masks}
        if not known:
            return features, logits
        rows = list(known)
        features, logits = features.clone(), logits.clone()
        features[rows] = torch.stack([mask.features for mask in known.values()])
        logits[rows] = torch.stack([mask.logits for mask in known.values()])
        return features, logits

    def remember(
        self,
        frame: int,
        ids: Tensor,
        boxes: Tensor,
        labels: Tensor,
        embeddings: Tensor,
        features: Tensor,
        logits: Tensor,
    ) -> None:
        """Take a frame into memory, and drop tracks that were not seen for long.

        Args:
            frame: Its number in the video.
            ids: (M,), at least one.
            boxes: (M, 4), pixels of the original image.
            labels: (M,).
            embeddings: (M, E).
            features: Mask features, (M, C, H, W).
            logits: Masks before refinement, (M, K, h, w).
        """
        self.next_id = max(self.next_id, int(ids.max()) + 1)
        self._remember(frame, ids, boxes, labels, embeddings)
        for row, key in enumerate(ids.tolist()):
            if key >= 0:
                # copies: a view would keep the features of every other box of its frame
                self.masks[key] = MaskMemory(features[row].clone(), logits[row].clone())
        alive = set() if self.tracks is None else set(self.tracks.ids.tolist())
        self.masks = {key: mask for key, mask in self.masks.items() if key in alive}
