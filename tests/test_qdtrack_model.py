"""QDTrack's losses and inference, and the defects of the stock parts that it mends."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from bdd100k_models.engine.checkpoint import load_weights
from bdd100k_models.engine.model import inference_mode
from bdd100k_models.errors import CheckpointError
from bdd100k_models.models.qdtrack.heads import match_tracks
from qdtrack_model import NAME, YOLOX, config_of, frame_sample, pair_sample, small_model, total, tracker_of

# ------------------------------------------------------------------------------------------------------------- losses


def embed_head(name: str = NAME) -> Any:
    init_default_scope("mmdet")
    config = config_of(name).model.track_head.embed_head
    config.update(num_convs=0, num_fcs=0, in_channels=6, embed_channels=6, norm_cfg=None)
    return MODELS.build(config)


def sampling(positives: list[int], negatives: int, truth: int) -> SamplingResult:
    """Sampled regions of one image: the instance of each positive, and so many negatives."""
    boxes = torch.rand(len(positives) + negatives, 4)
    assigned = AssignResult(
        truth,
        torch.tensor([place + 1 for place in positives] + [0] * negatives),
        torch.zeros(len(boxes)),
        torch.zeros(len(boxes), dtype=torch.long),
    )
    return SamplingResult(
        torch.arange(len(positives)),
        torch.arange(len(positives), len(boxes)),
        boxes,
        torch.rand(truth, 4),
        assigned,
        torch.zeros(len(boxes), dtype=torch.uint8),
    )


def losses_by_hand(keys: np.ndarray, references: np.ndarray, same: np.ndarray, margin: float) -> tuple[float, float]:
    """The two losses of one pair of images, term by term in double precision."""
    rows = []
    for i in range(len(keys)):
        if same[i].any():
            total = 1.0
            for p in np.flatnonzero(same[i]):
                for n in np.flatnonzero(~same[i]):
                    total += np.exp(keys[i] @ references[n] - keys[i] @ references[p])
            rows.append(np.log(total))
    matching = 0.25 * sum(rows) / len(rows) if rows else 0.0
    positive, negative = [], []
    for i in range(len(keys)):
        for j in range(len(references)):
            cosine = keys[i] @ references[j] / np.linalg.norm(keys[i]) / np.linalg.norm(references[j])
            if same[i, j]:
                positive.append((min(max(cosine, 0), 1) - 1) ** 2)
            else:
                negative.append(min(max(cosine - margin, 0), 1) ** 2)
    if len(negative) > 3 * len(positive):
        negative = sorted(negative, reverse=True)[: 3 * len(positive)]
    kept = positive + negative
    return matching, sum(kept) / len(kept) if kept else 0.0


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from([NAME, YOLOX]))
@settings(max_examples=40)
def test_losses_of_embeddings_are_those_of_the_equations(seed: int, name: str):
    rng = np.random.default_rng(seed)
    head = embed_head(name)
    margin = {NAME: 0.1, YOLOX: 0.3}[name]
    pairs, key_embeds, reference_embeds, expected = [], [], [], []
    for _ in range(int(rng.integers(1, 4))):
        key_ids, reference_ids = (rng.permutation(5)[: rng.integers(1, 5)] for _ in range(2))
        key = sampling(rng.integers(0, len(key_ids), rng.integers(1, 6)).tolist(), 2, len(key_ids))
        reference = sampling(rng.integers(0, len(reference_ids), rng.integers(1, 6)).tolist(), 4, len(reference_ids))
        pairs.append((key, reference, match_tracks(torch.from_numpy(key_ids), torch.from_numpy(reference_ids))))
        own = rng.normal(0, 1, (len(key.pos_priors), 6))
        other = rng.normal(0, 1, (len(reference.priors), 6))
        tracks = np.concatenate([reference_ids[reference.pos_assigned_gt_inds.numpy()], [-9] * 4])
        same = key_ids[key.pos_assigned_gt_inds.numpy()][:, None] == tracks[None]
        key_embeds.append(own)
        reference_embeds.append(other)
        expected.append(losses_by_hand(own, other, same, margin))
    losses = head.loss_by_feat(
        torch.from_numpy(np.concatenate(key_embeds)),
        torch.from_numpy(np.concatenate(reference_embeds)),
        [key for key, _, _ in pairs],
        [reference for _, reference, _ in pairs],
        [matches for _, _, matches in pairs],
    )
    matching, auxiliary = np.mean(expected, axis=0)
    assert float(losses["loss_track"]) == pytest.approx(matching, rel=1e-6, abs=1e-9)
    assert float(losses["loss_track_aux"]) == pytest.approx(auxiliary, rel=1e-6, abs=1e-9)


def test_every_track_is_found_again_that_with_number_0_too():
    assert match_tracks(torch.tensor([0, 5, 9]), torch.tensor([9, 0, 3])).tolist() == [1, -1, 0]
    assert match_tracks(torch.tensor([0, 1]), torch.zeros(0, dtype=torch.long)).tolist() == [-1, -1]
    assert match_tracks(torch.zeros(0, dtype=torch.long), torch.tensor([1])).tolist() == []


# ------------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("kind", ["two-stage", "one-stage"])
def test_everything_that_is_to_learn_gets_a_gradient(kind: str):
    model = small_model(kind).train()
    sample = pair_sample([5, 3], [7, 8])
    losses = model.loss(torch.rand(2, 2, 3, 96, 128), [sample, copy.deepcopy(sample)])
    assert {"loss_track", "loss_track_aux"} <= losses.keys()
    total(losses).backward()
    without = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
    assert without == []
    assert all(torch.isfinite(value.grad).all() for value in model.parameters() if value.grad is not None)


def test_the_second_stage_learns_the_true_classes(monkeypatch: pytest.MonkeyPatch):
    model = small_model().train()
    head = model.detector.roi_head.bbox_head
    seen: list[torch.Tensor] = []
    learn = head.loss

    def spy(cls_score: Any, bbox_pred: Any, rois: Any, labels: torch.Tensor, *rest: Any, **options: Any) -> Any:
        seen.append(labels)
        return learn(cls_score, bbox_pred, rois, labels, *rest, **options)

    monkeypatch.setattr(head, "loss", spy)
    sample = pair_sample([5, 3], [7, 8])
    model.loss(torch.rand(1, 2, 3, 96, 128), [sample])
    assert set(seen[0].tolist()) == {5, 3, 8}  # 8 is background
    assert sample[0].gt_instances.labels.tolist() == [5, 3]


def test_the_first_stage_learns_one_class(monkeypatch: pytest.MonkeyPatch):
    model = small_model().train()
    head = model.detector.rpn_head
    seen: list[list[int]] = []
    learn = head.loss_by_feat

    def spy(*arguments: Any, **options: Any) -> Any:
        seen.extend(instances.labels.tolist() for instances in arguments[2])
        return learn(*arguments, **options)

    monkeypatch.setattr(head, "loss_by_feat", spy)
    losses = model.loss(torch.rand(1, 2, 3, 96, 128), [pair_sample([5, 3], [7, 8])])
    assert seen == [[0, 0]]
    assert {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"} <= losses.keys()


def test_an_object_with_number_0_is_learned_like_any_other():
    values = []
    for ids in ([0, 1], [1, 2]):
        model = small_model().train()
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  # mmdet draws from this generator
        losses = model.loss(torch.ones(1, 2, 3, 96, 128), [pair_sample([1, 1], ids)])
        values.append((float(losses["loss_track"]), float(losses["loss_track_aux"])))
    assert values[0] == values[1]
    assert values[0][0] > 0


def test_a_frame_is_measured_against_its_own_ignored_regions(monkeypatch: pytest.MonkeyPatch):
    model = small_model().train()
    seen = []
    assign = model.track_head.bbox_assigner.assign

    def spy(priors: Any, instances: Any, ignored: Any) -> Any:
        seen.append(ignored.bboxes.tolist())
        return assign(priors, instances, ignored)

    monkeypatch.setattr(model.track_head.bbox_assigner, "assign", spy)
    sample = pair_sample([1], [1])
    for number, frame in enumerate(sample.video_data_samples):
        frame.ignored_instances = InstanceData(
            bboxes=torch.full((1, 4), float(number)), labels=torch.zeros(1, dtype=torch.long)
        )
    model.loss(torch.rand(1, 2, 3, 96, 128), [sample])
    assert seen == [[[0.0] * 4], [[1.0] * 4]]


@pytest.mark.parametrize("reference_ids", [[], [9, 10]])
def test_a_pair_without_a_common_track_has_no_track_loss_but_trains(reference_ids: list[int]):
    model = small_model().train()
    losses = model.loss(torch.rand(1, 2, 3, 96, 128), [pair_sample([1, 2], [1, 2], reference_ids)])
    assert float(losses["loss_track"]) == 0
    total(losses).backward()


# ---------------------------------------------------------------------------------------------------------- inference


def run(model: Any, pieces: list[list[tuple[int, str]]], images: torch.Tensor) -> list[DetDataSample]:
    """Show a model frames (number and video of each) in pieces."""
    frames, start = [], 0
    for piece in pieces:
        sample = TrackDataSample()
        sample.video_data_samples = [frame_sample(number, video_id=video) for number, video in piece]
        (done,) = model.predict(images[None, start : start + len(piece)], [sample])
        frames += done.video_data_samples
        start += len(piece)
    return frames


def tracked(frame: DetDataSample) -> list[list[float]]:
    tracks = frame.pred_track_instances
    columns = (tracks.instances_id, tracks.labels, tracks.scores, *tracks.bboxes.t())
    return torch.stack([column.double() for column in columns], dim=1).tolist()


def sure_model(kind: str = "two-stage") -> Any:
    """A model whose random scores are high enough to begin tracks, and whose embeddings tell boxes apart."""
    model = small_model(kind).eval()
    model.tracker = tracker_of(init_score_thr=0.0, obj_score_thr=0.0)
    torch.nn.init.normal_(model.track_head.embed_head.fc_embed.weight, 0, 30)
    return model


@pytest.mark.parametrize("kind", ["two-stage", "one-stage"])
def test_frames_may_come_in_pieces_and_videos_know_nothing_of_each_other(kind: str):
    model = sure_model(kind)
    images = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(1)).repeat(3, 1, 1, 1)
    images += 0.01 * torch.rand(3, 3, 96, 128, generator=torch.Generator().manual_seed(2))
    whole = run(model, [[(0, "a"), (1, "a"), (2, "a")]], images)
    assert len(tracked(whole[0])) > 0
    again = run(model, [[(0, "b")], [(1, "b")], [(2, "b")]], images)
    assert [tracked(frame) for frame in again] == [tracked(frame) for frame in whole]
    assert {row[0] for row in tracked(whole[1])} & {row[0] for row in tracked(whole[0])}  # something was followed


@pytest.mark.parametrize("kind", ["two-stage", "one-stage"])
def test_the_network_may_run_in_half_precision(kind: str):
    model = sure_model(kind)
    with inference_mode(torch.device("cpu"), amp=True):
        frames = run(model, [[(0, "a"), (1, "a")]], torch.rand(1, 3, 96, 128).repeat(2, 1, 1, 1))
    assert all(tracked(frame) for frame in frames)


def test_embeddings_are_compared_in_full_precision_all_the_same():
    tracker = tracker_of()
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [20.0, 0.0, 29.0, 9.0]])
    looks = torch.tensor([[100.0, -2.0], [100.0, 2.0]])  # products of 9996 and 10004, equal in bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for frame in range(2):
            result = tracker.track(frame, boxes, torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.long), looks)
    assert result.ids.tolist() == [0, 1]


def test_a_video_whose_first_frame_is_missing_is_a_new_one():
    model = sure_model()
    images = torch.rand(2, 3, 96, 128)
    run(model, [[(0, "a")]], images)
    (first,) = run(model, [[(1, "b")]], images)
    assert min(row[0] for row in tracked(first)) == 0
    (first,) = run(model, [[(1, "b")]], images)  # a number that does not grow
    assert min(row[0] for row in tracked(first)) == 0


@pytest.mark.parametrize("kind", ["two-stage", "one-stage"])
def test_an_image_without_detections_gives_no_tracks(kind: str):
    never = {
        "two-stage": {"model.detector.test_cfg.rcnn.score_thr": 2.0},
        "one-stage": {"model.detector.test_cfg.score_thr": 2.0},
    }[kind]
    model = small_model(kind, **never).eval()
    (frame,) = run(model, [[(0, "a")]], torch.rand(1, 3, 96, 128))
    assert len(frame.pred_instances) == len(frame.pred_track_instances) == 0
    assert frame.pred_track_instances.instances_id.shape == (0,)


def test_boxes_are_in_the_pixels_of_the_original_and_embeddings_in_those_of_the_input(monkeypatch: pytest.MonkeyPatch):
    model = sure_model()
    seen = []
    embed = model.track_head.predict
    monkeypatch.setattr(
        model.track_head, "predict", lambda features, boxes: seen.append(boxes[0]) or embed(features, boxes)
    )
    sample = TrackDataSample()
    sample.video_data_samples = [frame_sample(0, scale_factor=(2.0, 4.0), ori_shape=(24, 64))]
    model.predict(torch.rand(1, 1, 3, 96, 128), [sample])
    found = sample[0].pred_instances.bboxes
    assert float(found[:, [0, 2]].max()) <= 64 and float(found[:, [1, 3]].max()) <= 24
    torch.testing.assert_close(seen[0], found * torch.tensor([2.0, 4.0, 2.0, 4.0]))


def test_boxes_of_yolox_are_cut_off_at_the_border():
    model = small_model("one-stage").eval()
    (frame,) = run(model, [[(0, "a")]], torch.rand(1, 3, 96, 128))
    boxes = frame.pred_instances.bboxes
    assert len(boxes) and float(boxes.min()) >= 0
    assert float(boxes[:, 2].max()) <= 128 and float(boxes[:, 3].max()) <= 96
    model.clip_boxes = False
    (frame,) = run(model, [[(0, "a")]], torch.rand(1, 3, 96, 128))
    assert float(frame.pred_instances.bboxes.min()) < 0


def test_weights_of_another_number_of_classes_are_named_by_their_old_names_too(tmp_path: Path):
    model = small_model()
    old = {
        key.replace("track_head.embed_head.", "roi_head.track_head.").removeprefix("detector."): value
        for key, value in model.state_dict().items()
    }
    torch.save({"state_dict": old}, tmp_path / "old.pth")
    load_weights(model, tmp_path / "old.pth")
    old["roi_head.bbox_head.fc_cls.weight"] = torch.zeros(4, 32)
    torch.save({"state_dict": old}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"another number of classes: detector\.roi_head\.bbox_head\.fc_cls"):
        load_weights(model, tmp_path / "other.pth")
