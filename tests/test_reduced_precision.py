"""Reduced precision, layouts and folded normalisation change how a model is computed, not what it says."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split

import pytest
import torch
from mmcv.ops import RoIAlign
from mmdet.models.necks import FPN
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmpretrain.models.necks import GlobalAveragePooling
from torch import nn

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model, lay_channels_last, prepare_model
from bdd100k_models.errors import InputError
from bdd100k_models.registry import enter_scope
from bdd100k_models.zoo.records import config_files

CPU = torch.device("cpu")
_META = {"img_shape": (720, 1280), "ori_shape": (720, 1280), "scale_factor": (1.0, 1.0)}
_TEST = ConfigDict(score_thr=0.05, nms_pre=100, nms={"type": "nms", "iou_threshold": 0.5}, max_per_img=50)


@pytest.fixture(autouse=True)
def scope() -> None:
    enter_scope("mmdet")  # whatever library the test before was about


@pytest.mark.parametrize("mended", [True, False])
def test_dense_boxes_are_decoded_in_full_precision(mended: bool) -> None:
    """mmdet alone rounds them; once it does not, compat/full_precision_boxes.py may go."""
    head = MODELS.build({"type": "RetinaHead", "num_classes": 10, "in_channels": 8, "feat_channels": 8}).eval()
    generator = torch.Generator().manual_seed(0)
    sizes = [(90, 160), (45, 80), (23, 40), (12, 20), (6, 10)]
    scores = [torch.randn(1, 90, *size, generator=generator).bfloat16() for size in sizes]
    moves = [0.2 * torch.randn(1, 36, *size, generator=generator).bfloat16() for size in sizes]
    method = type(head).predict_by_feat if mended else type(head).predict_by_feat.__wrapped__
    given = ([part.float() for part in maps] for maps in (scores, moves))
    with torch.inference_mode():
        (expected,) = method(head, *given, batch_img_metas=[_META], cfg=_TEST)
        with torch.autocast("cpu", torch.bfloat16):
            (found,) = method(head, scores, moves, batch_img_metas=[_META], cfg=_TEST)
    assert (expected.bboxes[:, 0] > 1024).any()
    same = found.bboxes.dtype == torch.float32 and len(found) == len(expected)
    assert (same and torch.allclose(found.bboxes, expected.bboxes)) is mended


def test_boxes_of_regions_are_decoded_in_full_precision() -> None:
    head = BBoxHead(in_channels=4, roi_feat_size=1, num_classes=10, reg_class_agnostic=True)
    rois = torch.tensor([[0, 1100.3, 500.6, 1119.9, 520.1], [0, 1121.3, 500.6, 1140.9, 520.1]])
    scores = torch.full((2, 11), -4.0)
    scores[:, 9] = 4.0
    moves = torch.full((2, 4), 0.01).bfloat16()
    given = {"rois": (rois,), "batch_img_metas": [_META], "rcnn_test_cfg": _TEST}
    with torch.inference_mode():
        (expected,) = head.predict_by_feat(cls_scores=(scores,), bbox_preds=(moves.float(),), **given)
        with torch.autocast("cpu", torch.bfloat16):
            (found,) = head.predict_by_feat(cls_scores=(scores.bfloat16(),), bbox_preds=(moves,), **given)
    assert len(found) == len(expected) == 2
    torch.testing.assert_close(found.bboxes, expected.bboxes)


@pytest.mark.parametrize("mended", [True, False])
def test_features_are_pooled_from_where_the_boxes_are(mended: bool) -> None:
    """mmdet alone rounds the boxes, by up to four pixels; once it does not, the mend may go."""
    extractor = MODELS.build(
        {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 0},
            "out_channels": 2,
            "featmap_strides": [4, 8],
        }
    ).eval()
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(1, 2, 184, 320, generator=generator), torch.randn(1, 2, 92, 160, generator=generator)]
    features = [level.bfloat16() for level in features]
    rois = torch.tensor([[0, 1099.3, 500.6, 1119.9, 520.1], [0, 1030.7, 300.6, 1190.9, 420.1]])
    method = type(extractor).forward if mended else type(extractor).forward.__wrapped__
    with torch.inference_mode():
        expected = method(extractor, [level.float() for level in features], rois)
        with torch.autocast("cpu", torch.bfloat16):
            found = method(extractor, features, rois)
    assert found.dtype == torch.bfloat16 and expected.dtype == torch.float32
    assert torch.equal(found, expected.bfloat16()) is mended
    with torch.no_grad():
        learning = extractor.train()(features, rois)
    assert torch.equal(learning, type(extractor).forward.__wrapped__(extractor, features, rois))


def test_training_is_left_alone() -> None:
    seen = []

    class Head(torch.nn.Module):
        def predict(self, value: torch.Tensor) -> None:
            seen.append(value.dtype)

    from bdd100k_models.compat.full_precision_boxes import _widening

    method = _widening(Head.predict)
    method(Head(), torch.zeros(1, dtype=torch.bfloat16))
    with torch.no_grad():
        method(Head(), torch.zeros(1, dtype=torch.bfloat16))
    assert seen == [torch.bfloat16, torch.float32]


def small(task: str, name: str):  # type: ignore[no-untyped-def]
    return load_config(config_files(task)[name])


def test_gradients_of_regions_have_channels_last() -> None:
    """RoIAlign's come with the pixels last: a neck, and what is before it, would compute with those."""
    torch.manual_seed(0)
    neck, align = FPN([4, 6], out_channels=5, num_outs=2), RoIAlign(7, 0.5)
    model, gradients = nn.ModuleDict({"neck": neck}), []
    lay_channels_last(model)
    maps = [torch.randn(2, 4, 16, 24), torch.randn(2, 6, 8, 12)]
    rois = torch.tensor([[0, 4.0, 4.0, 20.0, 24.0], [1, 0.0, 8.0, 30.0, 31.0]])
    for _ in range(2):
        output = neck([value.contiguous(memory_format=torch.channels_last) for value in maps])[0]
        output.register_hook(gradients.append)
        align(output, rois).square().sum().backward()
        neck._forward_hooks.clear()  # as without
    laid, plain = gradients
    assert laid.is_contiguous(memory_format=torch.channels_last)
    assert not plain.is_contiguous(memory_format=torch.channels_last)  # or what is above may go
    assert torch.equal(laid, plain)


@pytest.mark.parametrize("several", [False, True])
def test_necks_without_pixels_learn_with_channels_last(several: bool) -> None:
    neck = GlobalAveragePooling()
    lay_channels_last(nn.ModuleDict({"neck": neck}))
    features = torch.randn(2, 4, 3, 3, requires_grad=True)
    pooled = neck((features, features) if several else features)
    sum(pooled).sum().backward() if several else pooled.sum().backward()
    assert features.grad is not None and features.grad.unique().numel() == 1


def test_networks_that_flatten_run_with_channels_last() -> None:
    config = small("tagging", "vgg11_5x_224x224_scene_tag_bdd100k")
    torch.manual_seed(0)
    plain = prepare_model(config, None, CPU)
    torch.manual_seed(0)
    last = prepare_model(config, None, CPU, channels_last=True)
    last.load_state_dict(plain.state_dict())
    picture = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = plain.extract_feat(picture)
        found = last.extract_feat(picture.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found[-1], expected[-1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("way", ["channels_last", "fuse_conv_bn"])
def test_dmnet_says_the_same_in_any_way(way: str) -> None:
    config = small("drivable", "dmnet_r50-d8_512x1024_40k_drivable_bdd100k")
    torch.manual_seed(0)
    plain = build_model(config)
    for module in plain.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    head = plain.decode_head
    features = [torch.randn(2, channels, 8, 16) for channels in (256, 512, 1024, 2048)]
    with torch.inference_mode():
        expected = head(features)
        if way == "channels_last":
            from bdd100k_models.engine.model import _keep_flat_layouts

            _keep_flat_layouts(plain)
            plain.to(memory_format=torch.channels_last)
            features = [part.contiguous(memory_format=torch.channels_last) for part in features]
        else:
            from bdd100k_models.engine.model import _fuse

            before = sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in plain.modules())
            _fuse(plain)
            after = sum(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in plain.modules())
            assert 0 < after < before / 10  # those of the filters' outputs stay
        torch.testing.assert_close(head(features), expected, rtol=1e-3, atol=1e-3)


def test_brackets_that_do_not_close_are_told() -> None:
    from bdd100k_models.engine.config import parse_overrides

    for word in ("a=(0,1,2", "a=[1,2", "a=[(1,2]"):
        with pytest.raises(InputError, match="--cfg-options"):
            parse_overrides([word])


def test_an_overlap_equal_to_the_threshold_is_kept() -> None:
    from bdd100k_models.compat.mmcv_ext.nms import nms

    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 6.0]])
    for threshold, kept in ((0.6, 2), (0.59, 1)):
        assert len(nms(boxes, torch.tensor([0.9, 0.8]), threshold, 0)) == kept
    boxes[1, 3] = 3
    assert len(nms(boxes, torch.tensor([0.9, 0.8]), 0.3, 0)) == 2
