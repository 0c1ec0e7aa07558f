"""The small models' decoder: its parts against those of OpenMMLab that it stands beside."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.seg_heads import PanopticFPNHead
from mmseg.models.backbones import ResNetV1c

from bdd100k_models.models.ladder_head import LadderHead, thin_labels
from bdd100k_models.models.panoptic_ladder import PanopticLadderHead
from bdd100k_models.models.stem_resnet import StemResNet
from bdd100k_models.registry import enter_scope

BACKBONE = {"depth": 18, "base_channels": 8, "stem_channels": 8}
DECODER = {"in_channels": [4, 6, 8], "rungs": [5, 7], "norm_cfg": {"type": "BN"}, "align_corners": False}


@pytest.fixture(scope="module", autouse=True)
def _scope() -> None:
    enter_scope("mmdet")  # not that of an earlier test's model


def pyramid(height: int, width: int, channels: tuple[int, ...], count: int = 2) -> list[torch.Tensor]:
    """Return random maps, each of half the size of the one before, as strided convolutions round it."""
    maps = []
    for number in channels:
        maps.append(torch.randn(count, number, height, width))
        height, width = -(-height // 2), -(-width // 2)
    return maps


def test_the_stem_comes_first_and_the_rest_is_a_resnet_s() -> None:
    torch.manual_seed(0)
    ours, stock = StemResNet(**BACKBONE), ResNetV1c(**BACKBONE)
    ours.eval(), stock.eval()  # which return nothing
    assert stock.load_state_dict(ours.state_dict()) is not None  # raises where a name or shape differs
    pictures = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        stem, *stages = ours(pictures)
        assert stem.shape == (2, 8, 32, 48)
        torch.testing.assert_close(stem, stock.stem(pictures))
        for one, other in zip(stages, stock(pictures), strict=True):
            torch.testing.assert_close(one, other)


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 21), st.integers(3, 21))
def test_the_decoder_gives_classes_where_its_first_input_has_pixels(height: int, width: int) -> None:
    head = LadderHead(num_classes=9, **DECODER)
    inputs = pyramid(height, width, (4, 6, 8))
    logits = head(inputs)
    assert logits.shape == (2, 9, height, width)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_every_input_counts() -> None:
    torch.manual_seed(0)
    head = LadderHead(num_classes=3, **DECODER).eval()
    inputs = pyramid(16, 24, (4, 6, 8))
    with torch.no_grad():
        before = head(inputs)
        for index in range(3):
            changed = [value.clone() for value in inputs]
            changed[index] += 1
            assert not torch.allclose(head(changed), before)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_a_label_of_each_block_is_kept(step: int, height: int, width: int) -> None:
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    wanted = torch.stack((rows * 16 + columns, rows + 100 - columns)).to(torch.uint8)
    blocks = wanted.repeat_interleave(step, 1).repeat_interleave(step, 2)
    kept = thin_labels(blocks, (height, width))
    assert kept.dtype == torch.uint8
    assert torch.equal(kept, wanted)


def test_labels_are_kept_from_all_sides_of_their_blocks() -> None:
    torch.manual_seed(0)
    rows, columns = torch.arange(200)[:, None], torch.arange(200)
    counts = thin_labels((rows % 2 * 2 + columns % 2)[None], (100, 100)).flatten().bincount()
    assert counts.sum() == 10_000 and counts.min() > 2_300 and counts.max() < 2_700  # expected 2,500 +- 43


def test_the_head_s_loss_is_that_of_the_labels_it_keeps() -> None:
    """Where the labels of each block agree, it is mmseg's own loss over labels of the map's size; classes weigh."""
    torch.manual_seed(0)
    weight = [1.0, 2.0, 0.5]
    loss = {"type": "mmseg.CrossEntropyLoss", "class_weight": weight}
    head = LadderHead(num_classes=3, loss_decode=loss, **DECODER)
    logits, classes = torch.randn(2, 3, 8, 12), torch.randint(0, 3, (2, 8, 12))
    classes[0, 0, :4] = 255
    large = classes.repeat_interleave(2, 1).repeat_interleave(2, 2)
    both = [
        head.loss_by_feat(logits, [SimpleNamespace(gt_sem_seg=SimpleNamespace(data=part[None])) for part in labels])
        for labels in (classes, large)
    ]
    expected = torch.nn.functional.cross_entropy(
        logits.double(), classes, torch.tensor(weight).double(), ignore_index=255
    )
    for losses in both:
        assert list(losses) == ["loss_ce"]
        assert losses["loss_ce"].item() == pytest.approx(expected.item(), rel=1e-5)


def panoptic_head() -> PanopticLadderHead:
    loss = {"type": "CrossEntropyLoss", "ignore_index": 255, "loss_weight": 1.0}
    return PanopticLadderHead(DECODER, num_things_classes=10, num_stuff_classes=30, loss_seg=loss)


def test_classes_of_labels_become_those_of_mmdet_s_head() -> None:
    stock = PanopticFPNHead(10, 30, in_channels=4, inner_channels=4, norm_cfg={"type": "GN", "num_groups": 2})
    labels = torch.cat((torch.arange(40), torch.tensor([255]))).reshape(1, 1, 41)
    torch.testing.assert_close(panoptic_head()._stuff_or_thing(labels).int(), stock._set_things_to_void(labels).int())


def test_the_panoptic_head_learns_what_its_labels_say() -> None:
    """The loss of one block of classes is cross-entropy's own; where all labels are void there is none."""
    torch.manual_seed(0)
    head = panoptic_head()
    features = (torch.randn(2, 99, 1, 1), *pyramid(8, 12, (4, 6, 8)))  # a level that the decoder does not take
    logits = head(features)["seg_preds"]
    assert logits.shape == (2, 31, 8, 12)
    classes = torch.randint(0, 40, (2, 8, 12))
    samples = [
        SimpleNamespace(gt_sem_seg=SimpleNamespace(sem_seg=part[None].repeat_interleave(2, 1).repeat_interleave(2, 2)))
        for part in classes
    ]
    wanted = torch.where(classes < 10, 30, classes - 10)
    head.eval()  # batch normalisation twice of the same would still move its averages
    expected = torch.nn.functional.cross_entropy(head(features)["seg_preds"].double(), wanted)
    assert head.loss(features, samples)["loss_seg"].item() == pytest.approx(expected.item(), rel=1e-5)
    for sample in samples:
        sample.gt_sem_seg.sem_seg.fill_(255)
    assert head.loss(features, samples)["loss_seg"].item() == 0
