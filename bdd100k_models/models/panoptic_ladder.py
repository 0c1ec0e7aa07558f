"""The semantic part of a Panoptic FPN that sees, and decides, at half the picture's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.seg_heads.base_semantic_head import BaseSemanticHead
from mmdet.registry import MODELS
from torch import Tensor

from bdd100k_models.models.ladder_head import LadderHead, thin_labels


@MODELS.register_module()
class PanopticLadderHead(BaseSemanticHead):  # type: ignore[misc]
    """A :class:`LadderHead` for stuff and, as one class more, all things.

    Classes are counted as those of mmdet's ``PanopticFPNHead``: each kind of stuff from 0, things last.

    Args:
        decoder: Arguments of :class:`LadderHead` but ``num_classes``; its inputs are the last maps that the neck gives.
        num_things_classes: Kinds of things; in labels these come first.
        num_stuff_classes: Kinds of stuff.
        kwargs: As of mmdet's semantic heads.
    """

    def __init__(
        self, decoder: Mapping[str, Any], num_things_classes: int, num_stuff_classes: int, **kwargs: Any
    ) -> None:
        super().__init__(num_classes=num_stuff_classes + 1, seg_rescale_factor=1.0, **kwargs)
        self.num_things_classes, self.num_stuff_classes = num_things_classes, num_stuff_classes
        self.decoder = LadderHead(num_classes=self.num_classes, **decoder)

    def forward(self, x: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return logits ``seg_preds`` (N, num_classes, H, W) at the resolution of the finest map."""
        return {"seg_preds": self.decoder(x[-len(self.decoder.in_channels) :])}

    def loss(self, x: Sequence[Tensor], batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Return ``loss_seg``, over the labels that :func:`~.ladder_head.thin_labels` keeps."""
        logits = self.forward(x)["seg_preds"]
        labels = torch.cat([sample.gt_sem_seg.sem_seg for sample in batch_data_samples])
        labels = self._stuff_or_thing(thin_labels(labels, logits.shape[2:]))
        logits = logits.permute(0, 2, 3, 1).reshape(-1, self.num_classes)
        return {"loss_seg": self.loss_seg(logits, labels.reshape(-1))}

    def _stuff_or_thing(self, labels: Tensor) -> Tensor:
        """Turn classes of labels (things first, 255 for none) into those of the head."""
        labels = labels.long()
        stuff = labels - self.num_things_classes
        stuff[labels < self.num_things_classes] = self.num_stuff_classes
        return torch.where(labels == 255, labels, stuff)
