"""Feature pyramids for two-stage detectors whose masks need finer maps than their boxes do.

The finer maps follow those that boxes are found on: whatever takes the first ones works, and learns, as without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmdet.models.dense_heads import RPNHead
from mmdet.models.necks import FPN
from mmdet.models.roi_heads import SingleRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor
from torch.nn import functional


@MODELS.register_module()
class FinerFPN(FPN):  # type: ignore[misc]
    """FPN with one level more, below its finest and after its others.

    The level is made as FPN makes its own, from the input before ``start_level`` and from the finest output.

    Args:
        args: As of mmdet's ``FPN``.
        kept: How many inputs, from the finest, follow as they are.
        kwargs: As of mmdet's ``FPN``.
    """

    def __init__(self, *args: Any, kept: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept = kept
        channels = self.in_channels[self.start_level - 1]
        plain: dict[str, Any] = {"norm_cfg": kwargs.get("norm_cfg"), "act_cfg": None}
        self.fine_lateral = ConvModule(channels, self.out_channels, 1, **plain)
        self.fine_smooth = ConvModule(self.out_channels, self.out_channels, 3, padding=1, **plain)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the pyramid, finest first, the finer level, and the inputs that are kept, finest first."""
        outputs = super().forward(inputs)
        lateral = self.fine_lateral(inputs[self.start_level - 1])
        fine = self.fine_smooth(lateral + functional.interpolate(outputs[0], lateral.shape[2:], mode="nearest"))
        return (*outputs, fine, *inputs[: self.kept])


@MODELS.register_module()
class LeadingRPNHead(RPNHead):  # type: ignore[misc]
    """RPN on the first maps of those that it is given: on as many as its anchors have strides."""

    def forward(self, x: Sequence[Tensor]) -> tuple[list[Tensor], ...]:
        """Return scores and box offsets of each of these maps."""
        outputs: tuple[list[Tensor], ...] = super().forward(tuple(x[: self.prior_generator.num_levels]))
        return outputs


@MODELS.register_module()
class FinerRoIExtractor(SingleRoIExtractor):  # type: ignore[misc]
    """Takes small regions from the level that :class:`FinerFPN` adds, others from the level of their size.

    Args:
        fine_below: In pixels of the network's input: the side of a square whose area a region of the last level must
            not reach.
        kwargs: As of mmdet's ``SingleRoIExtractor``; ``featmap_strides`` end with that of the level that is added.
    """

    def __init__(self, fine_below: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fine_below = fine_below

    def map_roi_levels(self, rois: Tensor, num_levels: int) -> Tensor:
        """Return the place of the level of each region (N, 5: image, x1, y1, x2, y2), int64 (N,)."""
        levels = super().map_roi_levels(rois, num_levels - 1)
        area = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
        return torch.where(area < self.fine_below**2, num_levels - 1, levels)
