"""Heat maps and joints, from one to the other as when the published models were evaluated.

mmpose 1.x decodes some maps otherwise than mmpose 0.24 did, by up to a pixel of the map (four of the network's input):

- next to an edge it moves a peak a quarter pixel along one axis, where 0.24 left the peak alone;
- for UDP it blurs maps as if they were surrounded by zeros and restores their peak, where 0.24 mirrored them at the
  edge and did not.

Encoding is the same in both.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.codecs.utils import get_heatmap_maximum
from mmpose.codecs.utils.refinement import refine_keypoints_dark
from mmpose.registry import KEYPOINT_CODECS

from bdd100k_models.compat import pose_accuracy

pose_accuracy.install()

Floats = npt.NDArray[np.float32]

_QUARTER = 0.25
_LEAST, _MOST = 1e-3, 50.0  # bounds of a response before its logarithm is taken


class _DecodesAnyPrecision:
    """Decodes the maps of a batch, a person at a time; mmpose's heads fail at bfloat16, which NumPy does not have."""

    support_batch_decoding = True

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        """Find the joints of one person."""
        raise NotImplementedError

    def batch_decode(self, encoded: torch.Tensor) -> tuple[list[Floats], list[Floats]]:
        """Find the joints of each person.

        Args:
            encoded: Heat maps (people, joints, height, width) in any precision, on any device.

        Returns:
            What :meth:`decode` returns of each person.
        """
        decoded = [self.decode(maps) for maps in encoded.detach().float().cpu().numpy()]
        return [points for points, _ in decoded], [scores for _, scores in decoded]


@KEYPOINT_CODECS.register_module()
class PublishedMSRAHeatmap(_DecodesAnyPrecision, MSRAHeatmap):  # type: ignore[misc]
    """One Gaussian a joint; ``unbiased`` refines peaks as DARK does (https://arxiv.org/abs/1910.06278)."""

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        """Find the joints of one person.

        Args:
            encoded: Heat maps, float32 (joints, height, width); not changed.

        Returns:
            Joints (1, joints, 2), x and y in pixels of the network's input, and the heights of their peaks (1, joints).
            A joint whose map is nowhere positive is at a pixel of the map before the first.
        """
        peaks, scores = get_heatmap_maximum(encoded)
        if self.unbiased:
            points = refine_keypoints_dark(peaks[None], encoded.copy(), blur_kernel_size=self.blur_kernel_size)
        else:
            points = _towards_higher_side(peaks, encoded)[None]
        return points * self.scale_factor, scores[None]


def _towards_higher_side(peaks: Floats, maps: Floats) -> Floats:
    """Move peaks a quarter pixel towards their higher neighbour on both axes, unless they are near an edge."""
    joints, height, width = maps.shape
    x, y = peaks.T.astype(np.int64)
    inner = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    rows = np.arange(joints)[inner]
    x, y = x[inner], y[inner]
    slope = np.stack([maps[rows, y, x + 1] - maps[rows, y, x - 1], maps[rows, y + 1, x] - maps[rows, y - 1, x]], axis=1)
    moved = peaks.copy()
    moved[inner] += np.sign(slope) * np.float32(_QUARTER)
    return moved


@KEYPOINT_CODECS.register_module()
class PublishedUDPHeatmap(_DecodesAnyPrecision, UDPHeatmap):  # type: ignore[misc]
    """One Gaussian a joint, in unbiased coordinates (https://arxiv.org/abs/1911.07524)."""

    def decode(self, encoded: Floats) -> tuple[Floats, Floats]:
        """Find the joints of one person; see :meth:`PublishedMSRAHeatmap.decode`."""
        peaks, scores = get_heatmap_maximum(encoded)
        points = peaks - _newton_step(peaks, encoded, self.blur_kernel_size)
        width, height = self.heatmap_size
        return (points / [width - 1, height - 1] * self.input_size)[None], scores[None]


def _newton_step(peaks: Floats, maps: Floats, kernel: int) -> npt.NDArray[np.float64]:
    """Return how far peaks are from the maximum of a quadratic through the logarithms around them.

    Args:
        peaks: Pixels (joints, 2), x and y.
        maps: Heat maps (joints, height, width).
        kernel: Size of the Gaussian that smooths the maps, in pixels.

    Returns:
        Pixels (joints, 2), float64.
    """
    joints, height, width = maps.shape
    smooth = np.stack([cv2.GaussianBlur(heatmap, (kernel, kernel), 0) for heatmap in maps])
    # one row of numbers: what a peak before the first pixel sees on its far side are pixels of the map before its own
    values = np.pad(np.log(np.clip(smooth, _LEAST, _MOST)), ((0, 0), (1, 1), (1, 1)), mode="edge").ravel()
    row = width + 2
    x, y = peaks.T
    here = (x + 1 + (y + 1) * row + np.arange(joints) * row * (height + 2)).astype(np.int64)
    centre, right, left = values[here], values[here + 1], values[here - 1]
    below, above = values[here + row], values[here - row]
    slope = 0.5 * np.stack([right - left, below - above], axis=1)
    xx, yy = right - 2 * centre + left, below - 2 * centre + above
    xy = 0.5 * (values[here + row + 1] - right - below + centre + centre - left - above + values[here - row - 1])
    curvature = np.stack([xx, xy, xy, yy], axis=1).reshape(joints, 2, 2)
    inverse = np.linalg.inv(curvature + np.finfo(np.float32).eps * np.eye(2))
    step: npt.NDArray[np.float64] = np.einsum("kmn,kn->km", inverse, slope)
    return step
