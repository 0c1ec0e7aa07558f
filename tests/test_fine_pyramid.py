"""Pyramids with finer levels: what comes before these is as in mmdet's own parts, to the bit."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split
import pytest
import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.models.necks import FPN
from mmdet.models.roi_heads import SingleRoIExtractor

from bdd100k_models.models.fine_pyramid import FinerFPN, FinerRoIExtractor, LeadingRPNHead
from bdd100k_models.registry import enter_scope

CHANNELS = [4, 6, 8, 10]
NECK = {"in_channels": CHANNELS, "out_channels": 5, "start_level": 2, "num_outs": 3, "add_extra_convs": "on_output"}
ANCHORS = {"type": "AnchorGenerator", "scales": [8], "ratios": [1.0], "strides": [4, 8]}
ALIGN = {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 2}


@pytest.fixture(scope="module", autouse=True)
def _scope() -> None:
    enter_scope("mmdet")  # not that of an earlier test's model


def maps() -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, number, 32 >> level, 48 >> level) for level, number in enumerate(CHANNELS)]


def test_the_level_below_the_finest_comes_last_and_sees_both() -> None:
    neck = FinerFPN(**NECK, norm_cfg={"type": "BN"})
    outputs = neck(maps())
    assert len(outputs) == 4 and outputs[3].shape == (2, 5, 16, 24)
    outputs[3].square().sum().backward()
    without = {name for name, parameter in neck.named_parameters() if parameter.grad is None}
    assert {name.split(".")[0] for name in without} == {"fpn_convs"}  # of the levels above the finest alone
    assert not any(name.startswith("fpn_convs.0") for name in without)


def test_inputs_that_are_kept_follow() -> None:
    outputs = FinerFPN(**NECK, kept=3)(maps())
    assert len(outputs) == 7
    assert all(torch.equal(one, other) for one, other in zip(outputs[4:], maps(), strict=False))


def test_the_other_levels_are_a_pyramid_s_own() -> None:
    ours, stock = FinerFPN(**NECK).eval(), FPN(**NECK).eval()
    stock.load_state_dict({name: value for name, value in ours.state_dict().items() if not name.startswith("fine_")})
    for one, other in zip(ours(maps())[:3], stock(maps()), strict=True):
        assert torch.equal(one, other)


def test_regions_are_proposed_on_the_levels_that_have_anchors() -> None:
    options = {"in_channels": 5, "feat_channels": 5, "anchor_generator": dict(ANCHORS)}
    ours, stock = LeadingRPNHead(**options).eval(), RPNHead(**options).eval()
    stock.load_state_dict(ours.state_dict())
    levels = [torch.randn(1, 5, 8 >> level, 8 >> level) for level in range(2)]
    for one, other in zip(ours((*levels, torch.randn(1, 9, 3, 3))), stock(tuple(levels)), strict=True):
        assert len(one) == 2 and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_small_regions_come_from_the_last_level() -> None:
    torch.manual_seed(0)
    levels = [torch.randn(1, 5, 16, 16), torch.randn(1, 5, 8, 8), torch.randn(1, 5, 32, 32)]  # strides 8, 16, 4
    settings = {"roi_layer": ALIGN, "out_channels": 5, "finest_scale": 40}
    ours = FinerRoIExtractor(30, featmap_strides=[8, 16, 4], **settings)
    rois = torch.tensor([[0, 5, 5, 34.9, 34.9], [0, 5, 5, 35, 35], [0, 0, 0, 100, 120], [0, 4, 4, 4, 60]])
    found = ours(levels, rois)
    fine = SingleRoIExtractor(featmap_strides=[4], **settings)(levels[2:], rois)
    coarse = SingleRoIExtractor(featmap_strides=[8, 16], **settings)(levels[:2], rois)
    for row, expected in enumerate((fine, coarse, coarse, fine)):
        torch.testing.assert_close(found[row], expected[row])
    assert not torch.allclose(fine, coarse)
    assert ours(levels, torch.zeros(0, 5)).shape == (0, 5, 7, 7)
