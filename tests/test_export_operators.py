"""Operators that stand in graphs, against those that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torchvision.ops import deform_conv2d

from bdd100k_models.compat import activate

activate()

from bdd100k_models.export.operators import (  # noqa: E402
    deform_convolve,
    extract_regions,
    lay_out_masks,
    pool_adaptively,
    pool_largest_adaptively,
    suppress,
)
from bdd100k_models.export.prepare import plan_geometry  # noqa: E402

sides = st.integers(1, 23)


@settings(max_examples=40)
@given(sides, sides, st.integers(1, 9), st.integers(1, 9))
def test_adaptive_pooling(height: int, width: int, rows: int, columns: int) -> None:
    images = torch.rand(2, 3, height, width)
    expected = functional.adaptive_avg_pool2d(images, (rows, columns))
    torch.testing.assert_close(pool_adaptively(images, (rows, columns)), expected, atol=1e-6, rtol=1e-5)
    largest = functional.adaptive_max_pool2d(images, (rows, columns))
    torch.testing.assert_close(pool_largest_adaptively(images, (rows, columns)), largest, atol=0, rtol=0)


def test_adaptive_pooling_keeps_a_side_of_none() -> None:
    images = torch.rand(1, 2, 7, 5)
    expected = functional.adaptive_avg_pool2d(images, (None, 2))
    torch.testing.assert_close(pool_adaptively(images, (None, 2)), expected)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("groups", "offset_groups", "masked"), [(1, 1, True), (2, 1, False), (1, 2, True)])
def test_deformable_convolution(stride: int, groups: int, offset_groups: int, masked: bool) -> None:
    torch.manual_seed(stride + groups + offset_groups)
    input, weight, bias = torch.randn(2, 4, 9, 11), torch.randn(6, 4 // groups, 3, 3), torch.randn(6)
    height, width = (9 - 1) // stride + 1, (11 - 1) // stride + 1
    # displacements that also leave the map
    offset = torch.randn(2, offset_groups * 18, height, width) * 4
    mask = torch.rand(2, offset_groups * 9, height, width) if masked else None
    expected = deform_conv2d(input, offset, weight, bias, stride, 1, 1, mask)
    found = deform_convolve(input, offset, mask, weight, bias, (stride, stride), (1, 1), (1, 1), groups, offset_groups)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("psa_type", [0, 1])
@pytest.mark.parametrize(("size", "mask"), [((5, 7), (9, 13)), ((4, 6), (3, 5)), ((6, 3), (15, 15)), ((1, 1), (3, 3))])
def test_attention_masks(psa_type: int, size: tuple[int, int], mask: tuple[int, int]) -> None:
    from bdd100k_models.compat.mmcv_ext import psa_mask

    input = torch.randn(2, mask[0] * mask[1], *size)
    expected = torch.zeros(2, size[0] * size[1], *size)
    psa_mask.forward(
        input,
        expected,
        psa_type=psa_type,
        num_=2,
        h_feature=size[0],
        w_feature=size[1],
        h_mask=mask[0],
        w_mask=mask[1],
        half_h_mask=(mask[0] - 1) // 2,
        half_w_mask=(mask[1] - 1) // 2,
    )
    torch.testing.assert_close(lay_out_masks(input, psa_type, mask), expected)


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 40), st.integers(0, 2**31))
def test_suppression_keeps_what_mmcv_keeps(count: int, groups: int, most: int, seed: int) -> None:
    from mmcv.ops import batched_nms

    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (count, 2))
    boxes = torch.from_numpy(np.hstack([corners, corners + rng.uniform(1, 40, (count, 2))]).astype(np.float32))
    scores = torch.from_numpy(rng.permutation(count).astype(np.float32) / count)
    labels = torch.from_numpy(rng.integers(0, groups, count))
    sure = (scores > 0.2).nonzero().squeeze(1)
    kept = torch.empty(0, dtype=torch.long)
    if len(sure):
        kept = sure[batched_nms(boxes[sure], scores[sure], labels[sure], {"type": "nms", "iou_threshold": 0.5})[1]]
    places, valid = suppress(boxes, labels, scores, 0.5, 0.2, most)
    assert places.shape == valid.shape == (most,)
    assert places[valid].tolist() == kept[:most].tolist()
    assert valid.tolist() == sorted(valid.tolist(), reverse=True)


@pytest.mark.parametrize("sizes", [(5, 40, 200, 600), (30, 31), ()])
def test_regions_come_from_the_same_level(sizes: tuple[int, ...]) -> None:
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    extractor = SingleRoIExtractor({"type": "RoIAlign", "output_size": 7, "sampling_ratio": 0}, 4, [4, 8, 16, 32])
    features = tuple(torch.randn(1, 4, 256 // stride, 256 // stride) for stride in (4, 8, 16, 32))
    rois = torch.tensor([[0.0, 3, 5, 3 + size, 5 + size * 0.7] for size in sizes]).reshape(-1, 5)
    torch.testing.assert_close(extract_regions(extractor, features, rois), extractor(features, rois))


def test_geometry_follows_the_pipeline() -> None:
    resize = [{"type": "LoadImageFromFile"}, {"type": "Resize", "scale": (1440, 800), "keep_ratio": True}]
    planned = plan_geometry([{"type": "TransformBroadcaster", "transforms": resize}], (720, 1280), 32)
    assert (planned.resized, planned.network, planned.padded, planned.rounds) == (
        (800, 1422),
        (800, 1422),
        (800, 1440),
        True,
    )
    edge = [{"type": "ResizeEdge", "scale": 256, "edge": "short"}, {"type": "CenterCrop", "crop_size": 224}]
    assert plan_geometry(edge, (720, 1280), 1).crop == (16, 116)
    assert plan_geometry(edge, (1280, 720), 1).resized == (455, 256)


def test_geometry_refuses_unknown_steps() -> None:
    from bdd100k_models.errors import ConfigError

    with pytest.raises(ConfigError, match="RandomRotate"):
        plan_geometry([{"type": "RandomRotate"}], (720, 1280), 1)
