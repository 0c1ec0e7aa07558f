"""PCAN learns: its pairs, its stages, their losses."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.weightless import build_weightless
from bdd100k_models.errors import ConfigError
from bdd100k_models.models.pcan import PCAN
from bdd100k_models.models.pcan.keys import map_key
from bdd100k_models.models.pcan.pairs import match_same_track
from pcan_model import CONFIG, small_model

# -------------------------------------------------------------------------------------------------------------- pairs


def test_an_instance_is_paired_with_the_best_reference_of_its_own_track():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    references = torch.tensor([[1.0, 0.1], [0.9, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    key_ids, reference_ids = torch.tensor([4, 0, 7]), torch.tensor([0, 4, 0, 7])
    chosen, partners = match_same_track(embeddings, key_ids, references, reference_ids)
    assert chosen.tolist() == [0, 1]  # the third resembles its track too little
    assert partners.tolist() == [1, 2]  # not 0, which resembles the first more but is another track


def test_nothing_is_paired_where_nothing_is():
    none, some = torch.zeros(0, 2), torch.ones(3, 2)
    ids = torch.tensor([1, 2, 3])
    for arguments in ((none, ids[:0], some, ids), (some, ids, none, ids[:0]), (some, ids, some, ids + 3)):
        assert [len(part) for part in match_same_track(*arguments)] == [0, 0]


# ----------------------------------------------------------------------------------------------------------- training


def pair(seed: int, shift: int = 4, ids: tuple[int, ...] = (0, 5), count: int = 2) -> dict[str, Any]:
    """Two frames of bright squares that move to the right."""
    rng = np.random.default_rng(seed)
    images, samples = [], []
    for moved in (0, shift):
        image = rng.integers(0, 60, (3, 96, 128), dtype=np.uint8)
        masks = np.zeros((count, 96, 128), np.uint8)
        boxes = np.zeros((count, 4), np.float32)
        for i in range(count):
            x, y = 10 + 60 * i + moved, 20 + 10 * i
            masks[i, y : y + 40, x : x + 36] = 1
            boxes[i] = x, y, x + 36, y + 40
            image[i, y : y + 40, x : x + 36] += 150
        meta = {"ori_shape": (96, 128), "img_shape": (96, 128), "scale_factor": (1.0, 1.0), "frame_id": moved}
        sample = DetDataSample(metainfo=meta)
        sample.gt_instances = InstanceData(
            bboxes=torch.from_numpy(boxes),
            labels=torch.tensor([2, 0])[:count],
            instances_ids=torch.tensor(ids)[:count],
            masks=BitmapMasks(masks, 96, 128),
        )
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        images.append(torch.from_numpy(image))
        samples.append(sample)
    track = TrackDataSample(metainfo={"key_frames_inds": [0], "ref_frames_inds": [1]})
    track.video_data_samples = samples
    return {"inputs": [torch.stack(images)], "data_samples": [track]}


def batch_of(*pairs: dict[str, Any]) -> dict[str, Any]:
    return {key: [item for one in pairs for item in one[key]] for key in ("inputs", "data_samples")}


def losses_of(model: PCAN, batch: dict[str, Any]) -> dict[str, Any]:
    model.train()
    return model(**model.data_preprocessor(batch, True), mode="loss")


@pytest.mark.parametrize(("stage", "trained"), [("mask", "detector.roi_head.mask_head."), ("refine", "refine_head.")])
def test_a_stage_trains_its_head_and_nothing_else(stage: str, trained: str):
    model = small_model(stage=stage)
    losses = losses_of(model, batch_of(pair(0), pair(1)))
    assert set(losses) == {f"loss_{stage}"}
    total = losses[f"loss_{stage}"].sum()
    assert total.isfinite() and total > 0
    total.backward()
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved == {name for name, _ in model.named_parameters() if name.startswith(trained)}
    assert all(parameter.requires_grad == name.startswith(trained) for name, parameter in model.named_parameters())


def test_the_full_second_stage_trains_everything_but_the_stem_and_the_refinement():
    model = small_model(stage="segtrack")
    losses = losses_of(model, batch_of(pair(0), pair(1)))
    assert {"loss_rpn_cls", "loss_cls", "loss_bbox", "loss_mask", "loss_track", "loss_track_aux"} <= losses.keys()
    model.parse_losses(losses)[0].backward()
    still = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    stem = ("detector.backbone.conv1.", "detector.backbone.bn1.", "detector.backbone.layer1.", "refine_head.")
    assert still == {name for name, _ in model.named_parameters() if name.startswith(stem)}


def test_the_published_stages_train_as_many_tensors_as_the_original():
    before = CONFIG.parent / "segtrack-frcnn_r50_fpn_12e_fixed_mots_bdd100k.py"
    for config, count in ((before, 12), (CONFIG, 14)):
        model = build_weightless(load_config(config))
        assert sum(parameter.requires_grad for parameter in model.parameters()) == count


def test_training_moves_the_prototypes_and_lowers_the_loss():
    model = small_model(stage="refine")
    before = model.refine_head.pos_mu.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05, momentum=0.9)
    values = []
    for step in range(25):
        loss = losses_of(model, pair(step % 3))["loss_refine"].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert np.mean(values[-5:]) < 0.7 * np.mean(values[:3])
    assert not torch.equal(model.refine_head.pos_mu, before)


@pytest.mark.parametrize("count", [2, 0])
def test_processes_share_their_prototypes(monkeypatch: pytest.MonkeyPatch, count: int):
    """Also one without an instance, for which the others would wait."""
    shared = []

    def halve(value: torch.Tensor, op: str) -> None:
        shared.append(op)
        value /= 2

    monkeypatch.setattr("bdd100k_models.models.pcan.refine_head.dist.all_reduce", halve)
    model = small_model(stage="refine")
    before = model.refine_head.neg_mu.clone()
    losses_of(model, pair(0, count=count))
    assert shared == ["mean", "mean"]
    assert count or torch.equal(model.refine_head.neg_mu, before / 2)


def test_the_loss_is_the_mean_cross_entropy_of_the_matched_pairs():
    """Of logits that are zero everywhere it is log 2, whatever the targets."""
    model = small_model(stage="refine")
    torch.nn.init.zeros_(model.refine_head.conv_logits.weight)
    torch.nn.init.zeros_(model.refine_head.conv_logits.bias)
    assert losses_of(model, pair(0))["loss_refine"].item() == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize("agree", [True, False])
def test_references_are_the_same_track_or_the_instance_itself(agree: bool):
    model = small_model(stage="refine")
    data = pair(0)
    if not agree:
        data["data_samples"][0][1].gt_instances.instances_ids += 100
    seen: list[tuple[torch.Tensor, ...]] = []
    model.refine_head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    losses_of(model, data)
    features, logits, reference_features, reference_logits = seen[0][:4]
    assert len(features) == len(logits) == len(reference_features) == len(reference_logits) > 0
    assert torch.equal(features, reference_features) is not agree
    assert logits.shape == reference_logits.shape == (len(features), 1, 28, 28)


def test_what_is_not_there_cannot_be_trained():
    with pytest.raises(ConfigError, match=r"model\.refine_head"):
        losses_of(small_model(stage="refine", refine_head=None), pair(0))


def test_a_batch_without_instances_costs_nothing():
    for stage in ("mask", "refine"):
        model = small_model(stage=stage)
        before = model.refine_head.pos_mu.clone()
        loss = losses_of(model, pair(0, count=0))[f"loss_{stage}"].sum()
        loss.backward()
        assert float(loss.detach()) == 0.0
        assert torch.equal(model.refine_head.pos_mu, before)


def test_the_third_stage_begins_with_the_weights_of_a_second_which_refines_nothing(tmp_path: Path):
    before = small_model(seed=1, stage="mask", refine_head=None).state_dict()
    torch.save({"meta": {}, "state_dict": before}, tmp_path / "epoch_12.pth")
    model = small_model(seed=2, init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "epoch_12.pth")})
    model.init_weights()
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in before.items())
    assert {key.partition(".")[0] for key in state.keys() - before.keys()} == {"refine_head"}


def test_a_second_stage_begins_with_the_weights_of_a_tracker(tmp_path: Path):
    """The original's QDTrack has no masks; what it has is found under its old names."""
    source = small_model(seed=1)
    old = {
        key.replace("track_head.embed_head.", "roi_head.track_head.").removeprefix("detector."): value
        for key, value in source.state_dict().items()
        if not key.startswith(("mu", "refine_head", "detector.roi_head.mask_head"))
    }
    torch.save({"meta": {}, "state_dict": old}, tmp_path / "qdtrack.pth")
    model = small_model(seed=2, init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "qdtrack.pth")})
    model.init_weights()
    state = model.state_dict()
    assert len(old) > 100
    assert all(torch.equal(state[map_key(key)], value) for key, value in old.items())
