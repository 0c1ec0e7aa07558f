"""mmcv's operators over torchvision's kernels, against plain float64 PyTorch and Python."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from bdd100k_models import compat
from bdd100k_models.errors import UnsupportedOpError
from ops_support import DEVICES, LOW, assert_rounded_once, rand

compat.activate()

from mmcv import ops  # noqa: E402

FEW = settings(max_examples=40)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


# ---------------------------------------------------------------------------------------------------------------- nms


def iou(a: list[float], b: list[float], offset: int) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    areas = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else math.nan


def naive_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int = 0) -> list[int]:
    rows, kept = boxes.tolist(), []
    for candidate in sorted(range(len(rows)), key=lambda i: -scores[i].item()):
        if not any(iou(rows[candidate], rows[other], offset) > threshold for other in kept):
            kept.append(candidate)
    return kept


@st.composite
def scored_boxes(draw: st.DrawFn, most: int = 25) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes on a coarse grid, so that touching, equal and empty ones are common; distinct scores; three classes."""
    count = draw(st.integers(1, most))
    numbers = st.lists(st.integers(0, 12), min_size=4, max_size=4)
    corners = torch.tensor(draw(st.lists(numbers, min_size=count, max_size=count)), dtype=torch.float64)
    low, high = torch.minimum(corners[:, :2], corners[:, 2:]), torch.maximum(corners[:, :2], corners[:, 2:])
    ranks = torch.tensor(draw(st.permutations(range(count))), dtype=torch.float64)
    labels = torch.tensor(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    return torch.cat([low, high], 1), (ranks + 1) / (count + 1), labels


@FEW
@given(scored_boxes(), st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]), st.sampled_from([0, 1]))
def test_nms_keeps_what_the_definition_keeps(
    scored: tuple[Tensor, Tensor, Tensor], threshold: float, offset: int
) -> None:
    boxes, scores, _ = scored
    detections, kept = ops.nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == naive_nms(boxes, scores, threshold, offset)
    assert torch.equal(detections, torch.cat([boxes, scores[:, None]], 1)[kept])


@FEW
@given(scored_boxes(), st.booleans(), st.sampled_from([1, 10_000]))
def test_batched_nms_is_nms_within_each_class(
    scored: tuple[Tensor, Tensor, Tensor], class_agnostic: bool, split_thr: int
) -> None:
    boxes, scores, labels = scored
    config = {"type": "nms", "iou_threshold": 0.5, "split_thr": 10_000 if class_agnostic else split_thr}
    _, kept = ops.batched_nms(boxes, scores, labels, config, class_agnostic=class_agnostic)
    groups = torch.zeros_like(labels) if class_agnostic else labels
    expected = []
    for group in groups.unique():
        members = (groups == group).nonzero().flatten()
        expected += members[naive_nms(boxes[members], scores[members], 0.5)].tolist()
    assert kept.tolist() == sorted(expected, key=lambda i: -scores[i].item())


def test_nms_on_many_boxes(device: str) -> None:
    corners = torch.rand(3000, 2, dtype=torch.float64) * 1000
    boxes = torch.cat([corners, corners + torch.rand(3000, 2, dtype=torch.float64) * 200], 1)
    scores = torch.randperm(3000).double() / 3000
    _, kept = ops.nms(boxes.to(device), scores.to(device), 0.5)
    assert kept.device.type == device
    chosen = kept.cpu()
    overlaps = torchvision.ops.box_iou(boxes, boxes)
    better = scores[chosen][None, :] > scores[:, None]
    suppressed = ((overlaps[:, chosen] > 0.5) & better).any(1)
    assert torch.equal(suppressed.logical_not().nonzero().flatten(), chosen.sort().values)


def test_nms_takes_equal_scores_in_the_order_of_an_unstable_sort() -> None:
    """As mmcv's own kernels do; saturated scores are common, and which box goes first decides which ones stay."""
    corners = torch.rand(1000, 2) * 300
    boxes = torch.cat([corners, corners + 20 + torch.rand(1000, 2) * 60], 1)
    scores = torch.rand(1000).mul(5).round().div(5)
    order = scores.sort(0, descending=True)[1]
    overlaps = torchvision.ops.box_iou(boxes, boxes)
    expected: list[int] = []
    for index in order.tolist():
        if not (overlaps[index, expected] > 0.5).any():
            expected.append(index)
    assert ops.nms(boxes, scores, 0.5)[1].tolist() == expected


def test_nms_of_nothing(device: str) -> None:
    detections, kept = ops.nms(torch.zeros(0, 4, device=device), torch.zeros(0, device=device), 0.5)
    assert detections.shape == (0, 5) and kept.shape == (0,) and kept.dtype == torch.long
    detections, kept = ops.nms(torch.rand(3, 4), torch.zeros(3), 0.5, score_threshold=0.5)
    assert detections.shape == (0, 5) and kept.shape == (0,)


def test_nms_options_and_numpy() -> None:
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 10, 9], [90, 90, 99, 99]], np.float32)
    scores = np.array([0.5, 0.9, 0.8, 0.1], np.float32)
    detections, kept = ops.nms(boxes, scores, 0.5, score_threshold=0.2, max_num=1)
    assert isinstance(detections, np.ndarray) and kept.tolist() == [1]
    assert ops.nms(boxes, scores, 0.5)[1].tolist() == [1, 2, 3]


def test_nms_keeps_an_overlap_equal_to_the_threshold_and_zero_area_boxes() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [3, 3, 3, 3], [3, 3, 3, 3]])
    _, kept = ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), 0.5)
    assert kept.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", LOW)
def test_nms_in_16_bit(dtype: torch.dtype, device: str) -> None:
    boxes = (torch.rand(50, 4) * 50).to(dtype)
    boxes[:, 2:] += boxes[:, :2]
    scores = (torch.randperm(50) / 64).to(dtype)
    with torch.autocast(device, dtype):
        detections, kept = ops.nms(boxes.to(device), scores.to(device), 0.4)
    assert kept.tolist() == naive_nms(boxes.float(), scores.float(), 0.4)
    assert detections.dtype == dtype


# ----------------------------------------------------------------------------------------------------------- RoIAlign


def bilinear(feature: Tensor, y: float, x: float) -> Tensor:
    """RoIAlign's interpolation in a (C, H, W) map: zero more than a pixel outside, else clamped to the map."""
    height, width = feature.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return feature.new_zeros(feature.size(0))
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    fy, fx = y - top, x - left
    upper = (1 - fx) * feature[:, top, left] + fx * feature[:, top, right]
    lower = (1 - fx) * feature[:, bottom, left] + fx * feature[:, bottom, right]
    return (1 - fy) * upper + fy * lower


def naive_roi_align(
    features: Tensor, rois: Tensor, size: tuple[int, int], scale: float, ratio: int, aligned: bool
) -> Tensor:
    pooled = features.new_zeros(len(rois), features.size(1), *size)
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (c * scale - 0.5 * aligned for c in box)
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1.0), max(width, 1.0)
        rows, columns = height / size[0], width / size[1]
        samples_y, samples_x = (ratio, ratio) if ratio > 0 else (math.ceil(rows), math.ceil(columns))
        for i, j in itertools.product(range(size[0]), range(size[1])):
            for a, b in itertools.product(range(samples_y), range(samples_x)):
                y = y1 + rows * (i + (a + 0.5) / samples_y)
                x = x1 + columns * (j + (b + 0.5) / samples_x)
                pooled[k, :, i, j] += bilinear(features[int(image)], y, x) / max(samples_y * samples_x, 1)
    return pooled


@st.composite
def regions(draw: st.DrawFn) -> Tensor:
    """Regions of interest in a 24x32 pixel image, some reaching out of it, some flat."""
    coordinate = st.floats(-6, 38, width=32)
    rows = draw(st.lists(st.tuples(st.integers(0, 1), *[coordinate] * 4), max_size=4))
    return torch.tensor(
        [(n, min(a, c), min(b, d), max(a, c), max(b, d)) for n, a, b, c, d in rows], dtype=torch.float64
    ).view(-1, 5)


@FEW
@given(regions(), st.sampled_from([(1, 1), (2, 3)]), st.sampled_from([0, 2]), st.booleans(), st.sampled_from([0.25, 1]))
def test_roi_align_is_the_mean_of_its_samples(
    rois: Tensor, size: tuple[int, int], ratio: int, aligned: bool, scale: float
) -> None:
    features = rand(2, 3, 6, 8)
    pooled = ops.RoIAlign(size, scale, ratio, aligned=aligned)(features, rois)
    torch.testing.assert_close(pooled, naive_roi_align(features, rois, size, scale, ratio, aligned))


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_gradient(ratio: int, aligned: bool, device: str) -> None:
    rois = torch.tensor([[0, 1, 2, 20, 13.5], [1, -5, 3, 9, 40], [1, 4, 4, 4, 4]], dtype=torch.float64, device=device)
    features = rand(2, 2, 5, 6, device=device, grad=True)
    layer = ops.RoIAlign((2, 3), 0.25, ratio, aligned=aligned)
    assert gradcheck(lambda x: layer(x, rois), features, nondet_tol=1e-12)
    expected = torch.autograd.grad(
        naive_roi_align(features, rois, (2, 3), 0.25, ratio, aligned).square().sum(), features
    )
    torch.testing.assert_close(torch.autograd.grad(layer(features, rois).square().sum(), features), expected)


def test_roi_align_of_nothing(device: str) -> None:
    features = rand(1, 4, 5, 5, device=device, grad=True)
    pooled = ops.RoIAlign(7)(features, torch.zeros(0, 5, dtype=torch.float64, device=device))
    assert pooled.shape == (0, 4, 7, 7)
    pooled.sum().backward()
    assert features.grad is not None and not features.grad.any()


@pytest.mark.parametrize("dtype", LOW)
def test_roi_align_in_16_bit(dtype: torch.dtype, device: str) -> None:
    features = torch.rand(1, 3, 9, 9, device=device).to(dtype).requires_grad_()
    rois = torch.tensor([[0, 3.0, 4, 30, 28]], device=device)
    layer = ops.RoIAlign(3, 0.25)
    with torch.autocast(device, dtype):
        pooled = layer(features, rois)
        pooled.sum().backward()
    wide = features.detach().float().requires_grad_()
    exact = layer(wide, rois)
    exact.sum().backward()
    assert pooled.dtype == dtype and features.grad is not None and wide.grad is not None
    assert_rounded_once(pooled, exact)
    assert_rounded_once(features.grad, wide.grad)


def test_max_pooling_says_that_it_is_missing() -> None:
    with pytest.raises(UnsupportedOpError, match=r"pool_mode='max'.*compile"):
        ops.RoIAlign(2, pool_mode="max")(torch.rand(1, 1, 4, 4), torch.tensor([[0, 0.0, 0, 3, 3]]))


# ------------------------------------------------------------------------------------------------- sigmoid focal loss


def plain_focal_loss(logits: Tensor, target: Tensor, gamma: float, alpha: float, weight: Tensor | None) -> Tensor:
    rows = []
    for row, label in zip(logits, target.tolist(), strict=True):
        entries = []
        for c, logit in enumerate(row):
            p = 1 / (1 + (-logit).exp())
            entry = -alpha * (1 - p) ** gamma * p.log() if c == label else -(1 - alpha) * p**gamma * (1 - p).log()
            entries.append(entry if weight is None or label == len(row) else entry * weight[label])
        rows.append(torch.stack(entries))
    return torch.stack(rows)


@FEW
@given(
    st.integers(0, 2**31),
    st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
    st.sampled_from(["none", "mean", "sum"]),
)
def test_focal_loss_and_gradient(seed: int, gamma: float, alpha: float, weighted: bool, reduction: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, classes = (int(torch.randint(1, 6, (), generator=generator)) for _ in range(2))
    logits = (torch.randn(rows, classes, dtype=torch.float64, generator=generator) * 4).requires_grad_()
    target = torch.randint(0, classes + 1, (rows,), generator=generator)
    weight = torch.rand(classes, dtype=torch.float64, generator=generator) if weighted else None
    ours = ops.sigmoid_focal_loss(logits, target, gamma, alpha, weight, reduction)
    expected = plain_focal_loss(logits, target, gamma, alpha, weight)
    expected = {"none": expected, "mean": expected.sum() / rows, "sum": expected.sum()}[reduction]
    torch.testing.assert_close(ours, expected)
    cotangent = 1.5 if reduction != "none" else 1.0
    found = torch.autograd.grad(ours.sum() * cotangent, logits)
    torch.testing.assert_close(found, torch.autograd.grad(expected.sum() * cotangent, logits))


def test_focal_loss_against_torchvision_and_gradcheck(device: str) -> None:
    logits = rand(6, 3, device=device, grad=True)
    target = torch.tensor([0, 1, 2, 3, 3, 0], device=device)
    loss = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")
    expected = torchvision.ops.sigmoid_focal_loss(logits, F.one_hot(target, 4)[:, :3].double(), 0.25, 2.0)
    torch.testing.assert_close(loss, expected)
    weight = torch.rand(3, dtype=torch.float64, device=device)
    assert gradcheck(lambda x: ops.sigmoid_focal_loss(x, target, 2.0, 0.25, weight, "mean"), logits)


def test_focal_loss_of_hopeless_logits_is_finite(device: str) -> None:
    logits = torch.tensor([[1000.0, -1000, 0], [1e30, -1e30, -90]], device=device, requires_grad=True)
    loss = ops.sigmoid_focal_loss(logits, torch.tensor([1, 3], device=device), 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_focal_loss_of_nothing(device: str) -> None:
    logits = torch.zeros(0, 4, device=device, requires_grad=True)
    loss = ops.sigmoid_focal_loss(logits, torch.zeros(0, dtype=torch.long, device=device), 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and logits.grad.shape == (0, 4)


@pytest.mark.parametrize("dtype", LOW)
def test_focal_loss_in_16_bit(dtype: torch.dtype, device: str) -> None:
    logits = torch.randn(8, 4, device=device).to(dtype).requires_grad_()
    wide = logits.detach().float().requires_grad_()
    target = torch.randint(0, 5, (8,), device=device)
    with torch.autocast(device, dtype):
        loss = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")
        loss.sum().backward()
    exact = ops.sigmoid_focal_loss(wide, target, 2.0, 0.25, None, "none")
    exact.sum().backward()
    assert loss.dtype == dtype and logits.grad is not None and wide.grad is not None
    assert_rounded_once(loss, exact)
    assert_rounded_once(logits.grad, wide.grad)


# ------------------------------------------------------------------------------------------------------------ PSA mask


def naive_psa_mask(masks: Tensor, kind: str, mask_size: tuple[int, int]) -> Tensor:
    """For every pair of positions, the weight of the first's mask that falls on the second, pair by pair."""
    batch, _, height, width = masks.shape
    relative = masks.view(batch, *mask_size, height, width)
    absolute = masks.new_zeros(batch, height, width, height, width)
    positions = list(itertools.product(range(height), range(width)))
    for (h, w), (y, x) in itertools.product(positions, positions):
        row, column = y - h + (mask_size[0] - 1) // 2, x - w + (mask_size[1] - 1) // 2
        if 0 <= row < mask_size[0] and 0 <= column < mask_size[1]:
            value = relative[:, row, column, h, w]
            if kind == "collect":
                absolute[:, y, x, h, w] = value
            else:
                absolute[:, h, w, y, x] = value
    return absolute.view(batch, height * width, height, width)


@FEW
@given(
    st.sampled_from(["collect", "distribute"]),
    st.tuples(*[st.integers(1, 9)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2),
    st.integers(1, 2),
)
def test_psa_mask(kind: str, mask_size: tuple[int, int], size: tuple[int, int], batch: int) -> None:
    masks = rand(batch, mask_size[0] * mask_size[1], *size, grad=True)
    ours = ops.PSAMask(kind, mask_size)(masks)
    expected = naive_psa_mask(masks, kind, mask_size)
    assert torch.equal(ours, expected)
    cotangent = torch.randn_like(ours)
    assert torch.equal(*(torch.autograd.grad(out, masks, cotangent)[0] for out in (ours, expected)))


@pytest.mark.parametrize("kind", ["collect", "distribute"])
def test_psa_mask_gradcheck(kind: str, device: str) -> None:
    masks = rand(2, 5 * 3, 3, 4, device=device, grad=True)
    assert gradcheck(ops.PSAMask(kind, (5, 3)), masks)


@pytest.mark.parametrize("kind", ["collect", "distribute"])
@pytest.mark.parametrize("dtype", LOW)
def test_psa_mask_in_16_bit_and_other_memory_formats(kind: str, dtype: torch.dtype, device: str) -> None:
    masks = torch.rand(2, 15, 3, 4, device=device).to(dtype)
    expected = naive_psa_mask(masks, kind, (3, 5))
    with torch.autocast(device, dtype):
        assert torch.equal(ops.PSAMask(kind, (3, 5))(masks), expected)
    assert torch.equal(ops.PSAMask(kind, (3, 5))(masks.to(memory_format=torch.channels_last)), expected)


def test_psa_mask_of_no_images() -> None:
    assert ops.PSAMask("collect", (3, 3))(torch.zeros(0, 9, 2, 2)).shape == (0, 4, 2, 2)


# ---------------------------------------------------------------------------- operators that are plain PyTorch in mmcv


def test_criss_cross_attention_attends_to_row_and_column(device: str) -> None:
    module = ops.CrissCrossAttention(16).double().to(device)
    module.gamma.scale.data.fill_(0.7)
    x = rand(1, 16, 3, 4, device=device)
    query, key, value = module.query_conv(x)[0], module.key_conv(x)[0], module.value_conv(x)[0]
    out = module(x)[0]
    for h, w in itertools.product(range(3), range(4)):
        cross = [(i, w) for i in range(3) if i != h] + [(h, j) for j in range(4)]
        keys, values = (torch.stack([t[:, i, j] for i, j in cross], 1) for t in (key, value))
        attention = (query[:, h, w] @ keys).softmax(0)
        torch.testing.assert_close(out[:, h, w], 0.7 * (values @ attention) + x[0, :, h, w])


def test_point_sample_interpolates(device: str) -> None:
    features = rand(1, 3, 5, 6, device=device)
    points = torch.rand(1, 20, 2, dtype=torch.float64, device=device) * 0.6 + 0.2  # inside, so nothing is clamped
    sampled = ops.point_sample(features, points)
    for k, (x, y) in enumerate(points[0].tolist()):
        torch.testing.assert_close(sampled[0, :, k], bilinear(features[0], y * 5 - 0.5, x * 6 - 0.5))
