"""The quasi-dense tracker that also remembers what a track's mask was drawn from."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmdet.registry import MODELS
from torch import Tensor

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
    """Quasi-dense association, between whose steps masks can be refined.

    A frame goes through ``keep``, ``match``, :meth:`references` and :meth:`remember`. The last appearance of a track is
    remembered as long as the track is, so the memory does not grow with a video's length.

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

    def references(self, ids: Tensor, features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each detection's mask is compared with: its track's last appearance, or else itself.

        Args:
            ids: As ``match`` returns them, (M,).
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
        features: Tensor | None = None,
        logits: Tensor | None = None,
    ) -> None:
        """Take a frame into memory, and drop tracks that were not seen for long.

        Args:
            frame: Its number in the video.
            ids: As ``match`` returns them, (M,), at least one.
            boxes: (M, 4), pixels of the original image.
            labels: (M,).
            embeddings: (M, E).
            features: Mask features, (M, C, H, W); without them masks stay as they were last seen.
            logits: Masks before refinement, (M, K, h, w).
        """
        super().remember(frame, ids, boxes, labels, embeddings)
        if features is not None and logits is not None:
            for row, key in enumerate(ids.tolist()):
                if key >= 0:
                    # copies: a view would keep the features of every other box of its frame
                    self.masks[key] = MaskMemory(features[row].clone(), logits[row].clone())
        alive = set() if self.tracks is None else set(self.tracks.ids.tolist())
        self.masks = {key: mask for key, mask in self.masks.items() if key in alive}
