"""Models of instances and panoptic segments: every kind of architecture predicts and learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model, predict
from bdd100k_models.formats.results import get_format
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import config_files

KINDS = [
    ("ins_seg", "mask_rcnn_r50_fpn_1x"),
    ("pan_seg", "panoptic_fpn_r50_fpn_1x"),
    *(
        pytest.param("ins_seg", name, marks=pytest.mark.slow)
        for name in (
            *("cascade_mask_rcnn_r50_fpn_1x", "mask_rcnn_r50_fpn_dconv_1x", "gcnet_mask_rcnn_r50_fpn_1x"),
            "mask_rcnn_hrnetv2p_w18_1x",
        )
    ),
]


@pytest.mark.parametrize(("task", "name"), KINDS)
def test_a_model_learns_and_predicts(task: str, name: str):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    size, state = (96, 160), torch.random.get_rng_state()
    torch.manual_seed(0)
    model: Any = build_model(load_config(config_files(task)[f"{name}_{task}_bdd100k"])).train()
    images = [torch.randint(0, 256, (3, *size)).float() for _ in range(2)]
    truth = []
    for image in range(2):
        mask = np.zeros((2, *size), np.uint8)
        mask[0, 10:60, 20:80], mask[1, 30:90, 90:150] = 1, 1
        boxes = torch.tensor([[20.0, 10, 80, 60], [90, 30, 150, 90]])
        found = InstanceData(bboxes=boxes, labels=torch.tensor([2, image]), masks=BitmapMasks(mask, *size))
        shape = {"img_shape": size, "ori_shape": (48, 80), "scale_factor": (2.0, 2.0), "img_path": "a.jpg"}
        sample = DetDataSample(gt_instances=found, ignored_instances=InstanceData(bboxes=boxes[:0]), metainfo=shape)
        classes = torch.randint(0, 41, (1, *size)).to(torch.uint8)
        classes[classes == 40] = 255
        sample.gt_sem_seg = PixelData(sem_seg=classes)
        truth.append(sample)
    losses = model(**model.data_preprocessor({"inputs": images, "data_samples": truth}, True), mode="loss")
    total, parts = model.parse_losses(losses)
    assert total.isfinite() and any("mask" in part for part in parts)
    assert task != "pan_seg" or parts["loss_seg"].item() > 0
    total.backward()
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert [key for key, value in trained.items() if value.grad is None] == []
    assert all(value.grad.isfinite().all() for value in trained.values())

    with torch.inference_mode():
        (result,) = predict(model.eval(), {"inputs": images[:1], "data_samples": truth[:1]})
    record = get_format(TASKS[task]).encode([result])
    assert record.size == (48, 80)
    if task == "ins_seg":
        assert record.boxes and result["pred_instances"]["masks"].shape == (len(record.boxes), 48, 80)
    torch.random.set_rng_state(state)
