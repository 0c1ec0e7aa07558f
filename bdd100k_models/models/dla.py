"""Deep Layer Aggregation, the backbone of the best published tagging models.

Source: Yu, Wang, Shelhamer, Darrell: "Deep Layer Aggregation", CVPR 2018. Levels 2 to 5 are trees of residual blocks
whose roots merge everything below them. The classifier is part of the backbone, as in the published weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import nn

_CARDINALITY = 32  # groups of the DLA-X blocks


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, groups=groups, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return features (N, outputs, H / stride, W / stride); the shortcut is ``residual``, or else ``x``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + (x if residual is None else residual)
        result: torch.Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, with a shortcut.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the 3x3 convolution.
    """

    groups = 1

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        middle = self._middle(outputs)
        self.conv1 = _conv(inputs, middle, 1)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = _conv(middle, middle, 3, stride, self.groups)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = _conv(middle, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    @staticmethod
    def _middle(outputs: int) -> int:
        return outputs // 2

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return features (N, outputs, H / stride, W / stride); the shortcut is ``residual``, or else ``x``."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out)) + (x if residual is None else residual)
        result: torch.Tensor = self.relu(out)
        return result


class BottleneckX(Bottleneck):
    """The bottleneck of DLA-X: full width inside, the 3x3 convolution in 32 groups."""

    groups = _CARDINALITY

    @staticmethod
    def _middle(outputs: int) -> int:
        return outputs


_BLOCKS = {"BasicBlock": BasicBlock, "Bottleneck": Bottleneck, "BottleneckX": BottleneckX}


class Root(nn.Module):
    """Merges feature maps: concatenation, 1x1 convolution, normalisation.

    Args:
        inputs: Channels of all maps together.
        outputs: Channels that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _conv(inputs, outputs, 1)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, *children: torch.Tensor) -> torch.Tensor:
        """Return the merged map (N, outputs, H, W) of maps of equal size."""
        result: torch.Tensor = self.relu(self.bn(self.conv(torch.cat(children, dim=1))))
        return result


class Tree(nn.Module):
    """A binary tree of blocks whose root sees every subtree on the way (hierarchical deep aggregation, figure 3f).

    Args:
        depth: Levels of the tree; 1 is two blocks and a root.
        block: The block at the leaves.
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the first block.
        level_root: The root also sees the tree's input.
        root_inputs: Channels of the maps that ancestors hand down to the root.
    """

    def __init__(
        self,
        depth: int,
        block: type[nn.Module],
        inputs: int,
        outputs: int,
        stride: int = 1,
        level_root: bool = False,
        root_inputs: int = 0,
    ) -> None:
        super().__init__()
        root_inputs = (root_inputs or 2 * outputs) + (inputs if level_root else 0)
        self.level_root = level_root
        if depth == 1:
            self.tree1 = block(inputs, outputs, stride)
            self.tree2 = block(outputs, outputs, 1)
            self.root = Root(root_inputs, outputs)
        else:
            self.tree1 = Tree(depth - 1, block, inputs, outputs, stride)
            self.tree2 = Tree(depth - 1, block, outputs, outputs, root_inputs=root_inputs + outputs)
        self.depth = depth
        self.downsample = nn.MaxPool2d(stride, stride=stride) if stride > 1 else nn.Identity()
        # in a tree of several levels its result is not used, but the published weights hold it
        self.project = (
            nn.Sequential(_conv(inputs, outputs, 1), nn.BatchNorm2d(outputs)) if inputs != outputs else nn.Identity()
        )

    def forward(
        self, x: torch.Tensor, residual: torch.Tensor | None = None, children: Sequence[torch.Tensor] = ()
    ) -> torch.Tensor:
        """Return features (N, outputs, H / stride, W / stride).

        Args:
            x: Features (N, inputs, H, W).
            residual: Ignored: a tree makes its own shortcut. Blocks, which stand in the same places, use it.
            children: Maps that ancestors hand down to the root.
        """
        bottom = self.downsample(x)
        shortcut = self.project(bottom)
        handed = [*children, bottom] if self.level_root else list(children)
        first = self.tree1(x, shortcut)
        result: torch.Tensor
        if self.depth == 1:
            second = self.tree2(first)
            result = self.root(second, first, *handed)
        else:
            result = self.tree2(first, children=[*handed, first])
        return result


@MODELS.register_module()
class DLA(BaseModule):  # type: ignore[misc]
    """Backbone and classifier of Deep Layer Aggregation.

    Args:
        levels: Depth of each of the six levels.
        channels: Channels of each level.
        num_classes: Outputs of the classifier.
        block: ``BasicBlock`` (DLA-34), ``Bottleneck`` (DLA-60) or ``BottleneckX`` (DLA-X-60).
        pool_size: Height and width in pixels of the last feature map; 7 for images of 224x224.
        init_cfg: Initialisation in mmengine's form, after the paper's own.

    Raises:
        ValueError: There is no such block, or not six levels.
    """

    def __init__(
        self,
        levels: Sequence[int],
        channels: Sequence[int],
        num_classes: int,
        block: str = "BasicBlock",
        pool_size: int = 7,
        init_cfg: dict[str, object] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if block not in _BLOCKS:
            raise ValueError(f"block {block!r}: choose one of {', '.join(_BLOCKS)}")
        if len(levels) != 6 or len(channels) != 6:
            raise ValueError(f"six levels and six widths are needed, not {len(levels)} and {len(channels)}")
        kind = _BLOCKS[block]
        self.base_layer = nn.Sequential(_conv(3, channels[0], 7), nn.BatchNorm2d(channels[0]), nn.ReLU(inplace=True))
        self.level0 = _plain_level(levels[0], channels[0], channels[0], 1)
        self.level1 = _plain_level(levels[1], channels[0], channels[1], 2)
        for number in range(2, 6):
            tree = Tree(levels[number], kind, channels[number - 1], channels[number], 2, level_root=number > 2)
            setattr(self, f"level{number}", tree)
        self.avgpool = nn.AvgPool2d(pool_size)
        self.num_classes = num_classes
        self.fc = nn.Conv2d(channels[-1], num_classes, 1)
        self._draw_weights()

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Classify images.

        Args:
            images: Normalised images (N, 3, H, W); H and W are 32 times the pool's size.

        Returns:
            One logit a class (N, num_classes), in a tuple, as mmpretrain's heads expect their features.
        """
        x = self.base_layer(images)
        for number in range(6):
            x = getattr(self, f"level{number}")(x)
        return (self.fc(self.avgpool(x)).flatten(1),)


def _plain_level(depth: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [_conv(outputs if index else inputs, outputs, 3, 1 if index else stride)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
