"""The refinement of a track's mask by prototypes of its past (instance-level cross-attention)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.registry import MODELS
from mmengine import dist
from torch import Tensor
from torch.nn import functional

from bdd100k_models.models.pcan.prototypes import attend, find_prototypes, masked_mean, random_prototypes


class PrototypePair(NamedTuple):
    """Prototypes of instances and of what surrounds them, each (1, C, K)."""

    positive: Tensor
    negative: Tensor


@MODELS.register_module()
class PrototypeRefineHead(FCNMaskHead):
    """Draws an instance's mask anew, comparing its pixels with prototypes of the instance and of its surroundings.

    The prototypes are fitted first to a reference (the track's last appearance), then to the instance itself. What
    follows the comparison is a mask head for one class. Source: the paper named in
    :mod:`bdd100k_models.models.pcan.prototypes`.

    Args:
        num_convs: 3x3 convolutions, the first of which takes in the comparison.
        in_channels: Channels C of the features.
        num_prototypes: Prototypes of each kind, K.
        rounds: Rounds of expectation maximisation.
        momentum: Share of the old prototypes when they move.
        options: Of mmdet's mask head.
    """

    def __init__(
        self,
        num_convs: int = 4,
        in_channels: int = 256,
        num_prototypes: int = 10,
        rounds: int = 6,
        momentum: float = 0.95,
        **options: Any,
    ) -> None:
        super().__init__(num_convs=num_convs - 1, in_channels=in_channels, class_agnostic=True, **options)
        self.rounds = rounds
        self.momentum = momentum
        # beside the features: a map of the instance, one of its surroundings, and its mask so far
        self.conv1 = ConvModule(in_channels + 3, in_channels, 3, padding=1, act_cfg=None)
        self.conv2 = ConvModule(in_channels, in_channels, 1, act_cfg=None)
        self.pos_mu: Tensor
        self.neg_mu: Tensor
        self.register_buffer("pos_mu", random_prototypes(in_channels, num_prototypes))
        self.register_buffer("neg_mu", random_prototypes(in_channels, num_prototypes))

    @property
    def prototypes(self) -> PrototypePair:
        """The prototypes as trained."""
        return PrototypePair(self.pos_mu, self.neg_mu)

    def move_prototypes(self, prototypes: PrototypePair) -> None:
        """Keep prototypes as the trained ones, of several processes their mean; for training."""
        for own, moved in zip(self.prototypes, prototypes, strict=True):
            own.copy_(moved)
            dist.all_reduce(own, op="mean")

    def forward(
        self,
        features: Tensor,
        logits: Tensor,
        reference_features: Tensor,
        reference_logits: Tensor,
        prototypes: PrototypePair | None = None,
    ) -> tuple[Tensor, PrototypePair]:
        """Refine the masks of R instances.

        Args:
            features: RoI features of the instances, (R, C, H, W).
            logits: Their masks so far, for their own class, (R, 1, h, w).
            reference_features: RoI features of their references, (R, C, H, W).
            reference_logits: Masks of the references, for the class of the instance, (R, 1, h, w).
            prototypes: Where the fits begin; the trained ones by default.

        Returns:
            Logits of the refined masks, (R, 1, 2H, 2W), and the prototypes moved towards those of these instances.
            They stay where they are if R is 0.
        """
        start = prototypes or self.prototypes
        size = features.shape[-2:]
        own_logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        own_mask = _binary(own_logits)
        reference_mask = _binary(
            functional.interpolate(reference_logits, size=size, mode="bilinear", align_corners=False)
        )
        own, reference = features.flatten(2), reference_features.flatten(2)
        positive = self._fit(start.positive, reference, reference_mask, own, own_mask)
        negative = self._fit(start.negative, reference, ~reference_mask, own, ~own_mask)
        attention = attend(own, torch.cat([positive, negative], dim=2)).transpose(1, 2)
        maps = torch.stack([half.sum(dim=1) for half in attention.chunk(2, dim=1)], dim=1)
        maps = maps.view(len(features), 2, *size).to(features.dtype)
        summary = masked_mean(reference, reference_mask).unsqueeze(3)
        mixed = self.conv1(torch.cat([features, maps, own_logits.to(features.dtype)], dim=1)) + self.conv2(summary)
        return super().forward(mixed), self._moved(start, positive, negative)

    def _fit(self, start: Tensor, reference: Tensor, reference_mask: Tensor, own: Tensor, own_mask: Tensor) -> Tensor:
        """Fit prototypes (R, C, K) to the masked pixels of the references, then to those of the instances."""
        prototypes = find_prototypes(reference, start.expand(len(own), -1, -1), self.rounds, reference_mask)
        return find_prototypes(own, prototypes, self.rounds, own_mask)

    def _moved(self, start: PrototypePair, positive: Tensor, negative: Tensor) -> PrototypePair:
        if not len(positive):
            return start
        keep = self.momentum
        return PrototypePair(
            *(
                keep * old + (1 - keep) * new.mean(dim=0, keepdim=True)
                for old, new in zip(start, (positive, negative), strict=True)
            )
        )


def _binary(logits: Tensor) -> Tensor:
    """Threshold masks (R, 1, H, W) at probability one half: bool (R, 1, H * W)."""
    return logits.sigmoid().ge(0.5).flatten(2)
