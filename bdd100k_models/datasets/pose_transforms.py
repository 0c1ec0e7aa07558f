"""A person's box in a pipeline: checked, made a centre and a size, and varied at random as in mmpose 0.24."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from bdd100k_models.errors import ImageError
from bdd100k_models.runtime.people import box_problem


@TRANSFORMS.register_module()
class PersonBoxCenterScale(BaseTransform):  # type: ignore[misc]
    """Turns the box into the centre and the size of what the model looks at.

    Reads ``bbox`` (1, 4), exclusive corners in pixels, and ``img_shape``; adds ``bbox_center`` and ``bbox_scale``
    (1, 2), both in pixels.

    Args:
        padding: Size of what the model looks at, in sizes of the box.
    """

    def __init__(self, padding: float = 1.25) -> None:
        self.padding = padding

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add centre and size.

        Raises:
            ImageError: The box is not finite, has no area, or no pixel of the image.
        """
        box = np.asarray(results["bbox"], np.float64)
        if problem := box_problem(box[0], results["img_shape"][:2]):
            raise ImageError(f"{problem}, left out")
        results["bbox"] = box
        results["bbox_center"] = (box[:, :2] + box[:, 2:]) * 0.5
        results["bbox_scale"] = (box[:, 2:] - box[:, :2]) * self.padding
        return results


@TRANSFORMS.register_module()
class RandomCenterShift(BaseTransform):  # type: ignore[misc]
    """Moves the centre evenly by up to a part of the box, before anything else is varied.

    Args:
        factor: Farthest shift to either side, in sizes of the box.
        prob: How often.
        padding: That of :class:`PersonBoxCenterScale`.
    """

    def __init__(self, factor: float = 0.2, prob: float = 0.3, padding: float = 1.25) -> None:
        self.factor, self.prob, self.padding = factor, prob, padding

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``bbox_center``."""
        if random.random() < self.prob:
            shift = np.array([[random.uniform(-self.factor, self.factor) for _ in range(2)]])
            results["bbox_center"] = results["bbox_center"] + shift * results["bbox_scale"] / self.padding
        return results


@TRANSFORMS.register_module()
class RandomScaleRotation(BaseTransform):  # type: ignore[misc]
    """Scales and rotates the box by normally distributed amounts, cut off where they get large.

    mmpose 1.x draws from truncated distributions instead, which reach the extremes far more often.

    Args:
        scale_factor: Standard deviation of the scale around 1, and its greatest distance from 1.
        rotate_factor: Standard deviation of the angle in degrees; its greatest size is twice that.
        rotate_prob: How often there is a rotation.
    """

    def __init__(self, scale_factor: float = 0.5, rotate_factor: float = 40.0, rotate_prob: float = 0.6) -> None:
        self.scale_factor, self.rotate_factor, self.rotate_prob = scale_factor, rotate_factor, rotate_prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``bbox_scale`` and add ``bbox_rotation`` (1,), in degrees."""
        spread, angle = self.scale_factor, self.rotate_factor
        factor = np.clip(random.gauss(1, spread), 1 - spread, 1 + spread)
        rotation = np.clip(random.gauss(0, angle), -2 * angle, 2 * angle)
        results["bbox_scale"] = results["bbox_scale"] * factor
        results["bbox_rotation"] = np.array([rotation if random.random() < self.rotate_prob else 0.0])
        return results
