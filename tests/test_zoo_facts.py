"""What is counted about models: as other counters have it, and true to what stands in the zoo's data."""

from __future__ import annotations

import pytest
import torch
import torchvision
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.weightless import build_weightless, count_parameters
from bdd100k_models.zoo.facts import _sample, _windows, count_flops, flop_counter
from bdd100k_models.zoo.records import all_models, resolve_config

QUICK = [
    "resnet18_5x_224x224_weather_tag_bdd100k",
    "res50_256x192_1x_pose_bdd100k",
    "retinanet_r50_fpn_1x_det_bdd100k",
    "fcn_r50-d8_769x769_40k_sem_seg_bdd100k",
]


def config_of(name: str) -> Config:
    return load_config(resolve_config(all_models()[name][0], name))


@pytest.mark.parametrize("name", QUICK)
def test_the_zoo_holds_what_is_counted(name: str) -> None:
    model = all_models()[name][2]
    config = config_of(name)
    assert count_flops(config) == model.flops
    assert count_parameters(build_weightless(config)) == model.parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faster_rcnn_r50_fpn_1x_det_bdd100k"])
def test_the_zoo_holds_what_is_counted_of_models_that_have_to_run(name: str) -> None:
    flops = all_models()[name][2].flops
    assert flops is not None
    assert abs(count_flops(config_of(name)) - flops) <= 0.01 * flops


def test_flops_are_twice_the_products_of_another_counter() -> None:
    from bdd100k_models.engine.model import build_model

    name = "resnet18_5x_224x224_weather_tag_bdd100k"
    config = config_of(name)
    model = build_model(config)
    products = FlopAnalyzer(model, (torch.zeros(1, 3, 224, 224),)).by_operator()
    counted = sum(products[kind] for kind in ("conv", "linear"))
    assert count_flops(config_of(name)) == 2 * counted


@pytest.mark.parametrize("groups", [1, 2])
def test_a_deformable_convolution_counts_as_much_as_a_plain_one(groups: int) -> None:
    inputs, weight = torch.rand(2, 6, 9, 8), torch.rand(4, 6 // groups, 3, 3)
    with flop_counter() as plain:
        torch.nn.functional.conv2d(inputs, weight, stride=2, groups=groups)
    with flop_counter() as deformable:
        torchvision.ops.deform_conv2d(inputs, torch.zeros(2, 18, 4, 3), weight, stride=2)
    assert deformable.get_total_flops() == plain.get_total_flops() > 0


def test_sliding_models_see_overlapping_windows() -> None:
    config = Config({"model": {"test_cfg": {"mode": "slide", "crop_size": (4, 4), "stride": (3, 3)}}})
    for size, windows in (((4, 4), 1), ((4, 5), 2), ((7, 4), 2), ((8, 8), 9), ((3, 3), 1)):
        data, times = _windows(config, {"inputs": [torch.zeros(3, *size)]})
        assert times == windows
        assert data["inputs"][0].shape[-2:] == (min(4, size[0]), min(4, size[1]))
    whole = Config({"model": {"test_cfg": {"mode": "whole"}}})
    assert _windows(whole, {"inputs": [torch.zeros(3, 9, 9)]})[1] == 1


def test_a_grey_image_is_prepared_as_for_the_test() -> None:
    data = _sample(config_of("retinanet_r50_fpn_1x_det_bdd100k"), "cpu")
    assert data["inputs"][0].shape == (3, 720, 1280)
    assert data["data_samples"][0].ori_shape == (720, 1280)
    assert _sample(config_of("res50_256x192_1x_pose_bdd100k"), "meta")["inputs"][0].shape == (3, 256, 192)
