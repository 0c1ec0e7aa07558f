"""What a graph computes, a class for each kind of task: the network, and what decides after it.

A graph has two parts. ``features`` takes a batch of any size; ``head`` takes what that gives. Where the head can only
take one image, as those that suppress boxes, ``one_by_one`` says so and the head's outputs have no batch axis.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bdd100k_models.datasets.joints import FLIP_INDICES
from bdd100k_models.errors import InputError
from bdd100k_models.export.heatmaps import find_joints
from bdd100k_models.export.prepare import Geometry
from bdd100k_models.tasks import Task

Tensors = tuple[Tensor, ...]


class Network(nn.Module):
    """A model between prepared images and results.

    Args:
        model: The model of OpenMMLab.
        geometry: Where the pixels of a picture are in its input.
        post: Whether to decide, or to give what the network itself says.

    Attributes:
        outputs: Names of what the head gives.
        one_by_one: Whether the head takes one image at a time.
    """

    one_by_one = False

    def __init__(self, model: nn.Module, geometry: Geometry, post: bool) -> None:
        super().__init__()
        self.model: Any = model
        self.geometry, self.post = geometry, post
        self.metas = geometry.metas()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensors:
        """Take float32 (N, 3, height, width), normalised and padded."""
        found = self.model.extract_feat(images)
        return tuple(found) if isinstance(found, (list, tuple)) else (found,)

    def head(self, *features: Tensor) -> Tensors:
        """Return the outputs."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Return what the runtime needs to know besides."""
        return {}


class TagNetwork(Network):
    """Probabilities (N, values) of a tag, or the logits."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return ("probabilities",) if self.post else ("logits",)

    def head(self, *features: Tensor) -> Tensors:
        """Return the outputs."""
        logits = self.model.head(features)
        return (functional.softmax(logits, dim=1) if self.post else logits,)


class MapNetwork(Network):
    """The class of each pixel, uint8 (N, H, W), or the logits (N, classes, H, W), at the size of the picture."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return ("classes",) if self.post else ("logits",)

    def features(self, images: Tensor) -> Tensors:
        """Return logits at the size of the network's input; sliding windows need the images themselves."""
        return (self.model.inference(images, [self.metas]),)

    def head(self, *features: Tensor) -> Tensors:
        """Return the outputs."""
        (logits,) = features
        height, width = self.geometry.network
        logits = logits[:, :, :height, :width]
        if self.geometry.network != self.geometry.image:
            size, corners = self.geometry.image, self.model.align_corners
            logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=corners)
        return (logits.argmax(dim=1).to(torch.uint8) if self.post else logits,)


class PoseNetwork(Network):
    """Joints (N, joints, 3: x, y, confidence) in pixels of the input, or heat maps (N, joints, height, width)."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return ("joints",) if self.post else ("heatmaps",)

    def features(self, images: Tensor) -> Tensors:
        """Return heat maps, the mean over the image and its mirror image where the config says so."""
        settings = self.model.test_cfg
        maps: Tensor = self.model.head(self.model.extract_feat(images))
        if not settings.get("flip_test"):
            return (maps,)
        mirrored = self.model.head(self.model.extract_feat(images.flip(-1))).flip(-1)
        mirrored = mirrored[:, list(FLIP_INDICES)]
        if settings.get("shift_heatmap"):
            mirrored = torch.cat([mirrored[..., :1], mirrored[..., :-1]], dim=-1)
        return ((maps + mirrored) * 0.5,)

    def head(self, *features: Tensor) -> Tensors:
        """Return the outputs."""
        (maps,) = features
        return (find_joints(maps, self.model.head.decoder) if self.post else maps,)


def network_of(model: nn.Module, task: Task, geometry: Geometry, post: bool) -> Network:
    """Return what a graph of a model computes.

    Raises:
        InputError: Graphs of such models cannot be made; the message says what stops them.
    """
    from bdd100k_models.export import detectors, trackers

    kinds: dict[str, type[Network]] = {
        "tagging": TagNetwork,
        "sem_seg": MapNetwork,
        "drivable": MapNetwork,
        "pose": PoseNetwork,
    }
    if task.name in kinds:
        return kinds[task.name](model, geometry, post)
    if task.videos:
        return trackers.tracker_network(model, geometry, post)
    kind = detectors.detector_kind(model)
    if kind is None:
        raise InputError(f"{type(model).__name__}: graphs of such models cannot be made")
    return kind(model, geometry, post)
