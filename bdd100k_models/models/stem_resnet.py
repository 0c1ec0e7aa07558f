"""ResNet whose stem is one of its outputs, for masks finer than a quarter of the picture's size."""

from __future__ import annotations

from mmseg.models.backbones import ResNetV1c
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class StemResNet(ResNetV1c):
    """ResNet-v1c that puts what its stem makes, at half the picture's size, before the outputs of its stages.

    The stem has ``stem_channels`` channels. Parameters have the names of ResNet-v1c, so its weights load.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the stem's features (N, stem_channels, H / 2, W / 2), then those of ``out_indices``."""
        stem = self.stem(x)
        x = self.maxpool(stem)
        outputs = [stem]
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
