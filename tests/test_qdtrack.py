"""QDTrack: association step by step, losses, weights of other code bases, and the original's tracks."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import prepare_model
from bdd100k_models.errors import ConfigError
from bdd100k_models.models.qdtrack import BoxQDTrack, BoxTracker, OneStageQDTrack
from bdd100k_models.models.qdtrack.association import SHADOW, UNTRACKED, number_new_tracks, take_ids
from bdd100k_models.models.qdtrack.heads import match_tracks
from bdd100k_models.models.qdtrack.keys import NAMINGS, map_key, map_keys
from bdd100k_models.tasks import TASKS
from conftest import ROOT

CONFIGS = ROOT / "mot" / "configs" / "mot"
NAME = "qdtrack-frcnn_r50_fpn_12e_mot_bdd100k"
YOLOX = "qdtrack-yolox_x_25e_mot_bdd100k"
VIDEO = "00091078-875c1f73"

seeds = st.integers(0, 2**32 - 1)


def config_of(name: str, overrides: dict[str, Any] | None = None) -> Config:
    return load_config(CONFIGS / f"{name}.py", overrides)


# ------------------------------------------------------------------------- association, written a second time in NumPy


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = sides.clip(0).prod()
    return shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


class TrackerByHand:
    """The specification, one detection and one number at a time."""

    def __init__(self) -> None:
        self.tracks: dict[int, dict[str, Any]] = {}
        self.backdrops: list[tuple[int, np.ndarray]] = []
        self.count = 0

    def step(self, frame: int, boxes: Any, scores: Any, labels: Any, embeds: Any) -> list[tuple[int, int]]:
        if len(boxes) == 0:
            return []
        order = sorted(range(len(boxes)), key=lambda i: -scores[i])
        kept: list[int] = []
        for place, i in enumerate(order):
            limit = 0.3 if scores[i] < 0.3 else 0.7
            if not any(overlap(boxes[i], boxes[j]) > limit for j in order[:place]):
                kept.append(i)
        ids = dict.fromkeys(kept, -1)
        if self.tracks:
            memory = [(key, track["label"], track["embed"]) for key, track in self.tracks.items()]
            memory += [(-1, label, embed) for label, embed in self.backdrops]
            products = np.array([[embeds[i] @ embed for _, _, embed in memory] for i in kept])
            table = np.zeros_like(products)
            for row in range(len(kept)):
                for column in range(len(memory)):
                    if labels[kept[row]] == memory[column][1]:
                        both = softmax(products[row])[column] + softmax(products[:, column])[row]
                        table[row, column] = both / 2
            for row, i in enumerate(kept):
                column = int(np.argmax(table[row]))
                similarity, owner = table[row, column], memory[column][0]
                if similarity > 0.5 and owner >= 0:
                    if scores[i] > 0.3:
                        ids[i] = owner
                        for other in range(len(kept)):
                            if other != row:
                                table[other, column] = 0
                    elif similarity > 0.5:
                        ids[i] = -2
        for i in kept:
            if ids[i] == -1 and scores[i] > 0.7:
                ids[i] = self.count
                self.count += 1
        for i in kept:
            if ids[i] >= 0:
                known = self.tracks.get(ids[i])
                embed = embeds[i] if known is None else 0.2 * known["embed"] + 0.8 * embeds[i]
                self.tracks.setdefault(ids[i], {}).update(label=labels[i], embed=embed, last=frame)
        self.backdrops = [
            (labels[i], embeds[i])
            for place, i in enumerate(kept)
            if ids[i] == -1 and not any(overlap(boxes[i], boxes[j]) > 0.3 for j in kept[:place])
        ]
        self.tracks = {key: track for key, track in self.tracks.items() if frame - track["last"] < 10}
        return [(i, ids[i]) for i in kept if ids[i] >= 0]


def random_video(seed: int, frames: int) -> list[tuple[np.ndarray, ...]]:
    """Objects that come, go and look alike, with noise: boxes, scores, labels and embeddings of each frame."""
    rng = np.random.default_rng(seed)
    objects = int(rng.integers(1, 9))
    looks = rng.normal(0, rng.uniform(0.2, 2), (objects, 8))
    classes = rng.integers(0, 3, objects)
    corners = rng.uniform(0, 200, (objects, 2))
    sizes = rng.uniform(20, 80, (objects, 2))
    video = []
    for _ in range(frames):
        seen = rng.permutation(objects)[: 0 if rng.random() < 0.15 else rng.integers(0, objects + 1)]
        seen = np.concatenate([seen, rng.choice(seen, len(seen) // 2)]) if len(seen) else seen  # some twice
        start = corners[seen] + rng.normal(0, 6, (len(seen), 2))
        boxes = np.concatenate([start, start + sizes[seen]], axis=1)
        looks_here = looks[seen] + rng.normal(0, 0.3, (len(seen), 8))
        labels = np.where(rng.random(len(seen)) < 0.1, rng.integers(0, 3, len(seen)), classes[seen])
        video.append((boxes, rng.uniform(0.05, 1, len(seen)), labels, looks_here))
    return video


def step(tracker: BoxTracker, frame: int, parts: tuple[np.ndarray, ...]) -> list[tuple[int, int]]:
    tracked = tracker.track(frame, *(torch.from_numpy(part) for part in parts))
    return list(zip(tracked.rows.tolist(), tracked.ids.tolist(), strict=True))


def tracker_of(name: str = NAME, **changed: Any) -> BoxTracker:
    options = dict(config_of(name).model.tracker) | changed
    options.pop("type")
    return BoxTracker(**options)


@given(seed=seeds)
@settings(max_examples=120, deadline=None)
def test_association_is_that_of_the_specification(seed: int):
    tracker, by_hand = tracker_of(), TrackerByHand()
    frame = 0
    for index, parts in enumerate(random_video(seed, 14)):
        frame += 1 + (seed % 5) * (index % 4 == 3)  # some frames are left out, so that tracks age
        assert step(tracker, frame, parts) == by_hand.step(frame, *parts)
        if tracker.tracks is not None:
            assert tracker.tracks.ids.tolist() == list(by_hand.tracks)
            assert tracker.tracks.last_frames.tolist() == [track["last"] for track in by_hand.tracks.values()]
            for embedding, track in zip(tracker.tracks.embeddings.numpy(), by_hand.tracks.values(), strict=True):
                np.testing.assert_allclose(embedding, track["embed"], rtol=1e-12, atol=1e-12)
    assert tracker.next_id == by_hand.count


@pytest.mark.parametrize("video", [0, 3])
def test_ids_are_those_of_the_original_tracker(shared: Path, video: int):
    golden = np.load(shared / "specs" / "golden" / "qdtrack_tracker.npz")
    tracker = tracker_of()
    for frame in range(14):
        prefix = f"v{video}_f{frame}_"
        boxes, labels, embeddings = (golden[prefix + part] for part in ("bboxes", "labels", "embeds"))
        pairs = step(tracker, frame, (boxes[:, :4], boxes[:, 4], labels, embeddings))
        out = golden[f"{prefix}out_ids"]
        rows = [row for row, _ in pairs]
        assert [identity for _, identity in pairs] == out[out >= 0].tolist()
        np.testing.assert_array_equal(boxes[rows], golden[f"{prefix}out_bboxes"][out >= 0])
        np.testing.assert_array_equal(labels[rows], golden[f"{prefix}out_labels"][out >= 0])


def apart(count: int) -> np.ndarray:
    return np.arange(count)[:, None] * 100.0 + np.array([0.0, 0.0, 50.0, 50.0])


def show(tracker: BoxTracker, frame: int, axes: list[int], scores: list[float] | None = None) -> list[tuple[int, int]]:
    """Show objects of class 0 that stand apart; each looks like nothing but itself."""
    looks = 10 * np.eye(6)[axes]
    return step(
        tracker, frame, (apart(len(axes)), np.array(scores or [0.9] * len(axes)), np.zeros(len(axes), int), looks)
    )


def test_a_frame_without_detections_changes_nothing():
    tracker = tracker_of()
    show(tracker, 0, [0, 1], [0.9, 0.5])
    before = copy.deepcopy((tracker.tracks, list(tracker.backdrops), tracker.next_id))
    assert show(tracker, 30, []) == []
    after = (tracker.tracks, list(tracker.backdrops), tracker.next_id)
    assert str(after) == str(before)
    assert show(tracker, 31, [0]) == [(0, 0)]  # 31 frames later: only a frame with detections lets tracks expire


def test_tracks_survive_nine_frames_unseen_but_not_ten():
    for gap, expected in ((9, 0), (10, 2)):
        tracker = tracker_of()
        show(tracker, 0, [0, 1])
        show(tracker, gap, [1])
        assert show(tracker, gap + 1, [0, 1]) == [(0, expected), (1, 1)]


def test_what_looked_like_background_a_frame_ago_is_no_track_of_another():
    tracker = tracker_of()
    show(tracker, 0, [0, 1], [0.9, 0.5])  # the second becomes a backdrop
    assert show(tracker, 1, [1, 0], [0.6, 0.9]) == [(1, 0)]
    assert show(tracker, 2, [1, 0], [0.95, 0.9]) == [(0, 1), (1, 0)]  # confident enough for a track of its own


def test_a_weak_detection_shadows_its_track_and_a_better_one_takes_it():
    similar = torch.tensor([[0.9, 0.1], [0.8, 0.1], [0.2, 0.7], [0.1, 0.6]], dtype=torch.float64)
    ids = take_ids(
        similar,
        torch.tensor([0.9, 0.8, 0.29, 0.28]),
        torch.tensor([4, 7]),
        match_score=0.5,
        object_score=0.3,
        shadow_score=0.5,
    )
    assert ids.tolist() == [4, UNTRACKED, SHADOW, SHADOW]
    assert similar[1, 0] == 0.8  # the caller's table is left alone
    assert number_new_tracks(ids, torch.tensor([0.9, 0.8, 0.9, 0.9]), first=8, new_score=0.7).tolist() == [4, 8, -2, -2]


def test_memory_is_bounded_and_keeps_nothing_of_old_frames():
    tracker = tracker_of()
    rng = np.random.default_rng(0)
    for frame in range(60):
        count = 5
        step(tracker, frame, (apart(count), np.full(count, 0.9), np.zeros(count, int), rng.normal(0, 5, (count, 16))))
        assert tracker.tracks is not None and len(tracker.tracks) <= 10 * count
        assert len(tracker.backdrops) <= 1
    assert tracker.tracks.embeddings.untyped_storage().nbytes() == tracker.tracks.embeddings.nbytes


@pytest.mark.parametrize(
    "changed", [{"memo_momentum": 1.5}, {"memo_tracklet_frames": -1}, {"memo_backdrop_frames": -1}]
)
def test_settings_of_the_tracker_are_checked(changed: dict[str, Any]):
    with pytest.raises(ConfigError, match=next(iter(changed))):
        tracker_of(**changed)


# ------------------------------------------------------------------------------------------------------------- losses


def embed_head(name: str = NAME) -> Any:
    init_default_scope("mmdet")
    config = config_of(name).model.track_head.embed_head
    config.update(num_convs=0, num_fcs=0, in_channels=6, embed_channels=6, norm_cfg=None)
    return MODELS.build(config)


def sampling(positives: list[int], negatives: int, truth: int) -> Any:
    """Sampled regions of one image: the instance of each positive, and so many negatives."""
    # these need the operators that importing the registry puts in place
    from mmdet.models.task_modules.assigners import AssignResult
    from mmdet.models.task_modules.samplers import SamplingResult

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


@given(seed=seeds, name=st.sampled_from([NAME, YOLOX]))
@settings(max_examples=40, deadline=None)
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


# ------------------------------------------------------------------------------------------------------- a small model

SMALL = {
    "model.detector.backbone.depth": 18,
    "model.detector.backbone.base_channels": 8,
    "model.detector.backbone.stem_channels": 8,
    "model.detector.backbone.init_cfg": None,
    "model.detector.neck.in_channels": [8, 16, 32, 64],
    "model.detector.neck.out_channels": 16,
    "model.detector.rpn_head.in_channels": 16,
    "model.detector.rpn_head.feat_channels": 16,
    "model.detector.roi_head.bbox_roi_extractor.out_channels": 16,
    "model.detector.roi_head.bbox_head.in_channels": 16,
    "model.detector.roi_head.bbox_head.fc_out_channels": 32,
    "model.detector.test_cfg.rpn.nms_pre": 50,
    "model.detector.test_cfg.rpn.max_per_img": 30,
    "model.detector.test_cfg.rcnn.max_per_img": 20,
    "model.track_head.roi_extractor.out_channels": 16,
}
SMALL_YOLOX = {
    "model.detector.init_cfg": None,
    "model.detector.backbone.deepen_factor": 0.1,
    "model.detector.backbone.widen_factor": 0.125,
    "model.detector.neck.in_channels": [32, 64, 128],
    "model.detector.neck.out_channels": 32,
    "model.detector.neck.num_csp_blocks": 1,
    "model.detector.bbox_head.in_channels": 32,
    "model.detector.bbox_head.feat_channels": 32,
    "model.detector.test_cfg.score_thr": 0.0,
    "model.proposal_cfg.nms_pre": 60,
    "model.proposal_cfg.max_per_img": 40,
    "model.track_head.roi_extractor.out_channels": 32,
    "model.tracker.init_score_thr": 0.0,
    "model.tracker.obj_score_thr": 0.0,
}
SMALL_HEAD = {
    "model.track_head.embed_head.conv_out_channels": 16,
    "model.track_head.embed_head.norm_cfg.num_groups": 4,
    "model.track_head.embed_head.fc_out_channels": 16,
    "model.track_head.embed_head.embed_channels": 8,
}


def small_model(kind: str = "two-stage", **overrides: Any) -> Any:
    init_default_scope("mmdet")
    torch.manual_seed(3)
    name, small, channels = (NAME, SMALL, 16) if kind == "two-stage" else (YOLOX, SMALL_YOLOX, 32)
    config = config_of(name, small | SMALL_HEAD | {"model.track_head.embed_head.in_channels": channels} | overrides)
    model = MODELS.build(config.model)
    model.init_weights()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.08) if parameter.ndim > 1 else None
    return model


def frame_sample(number: int, size: tuple[int, int] = (96, 128), **meta: Any) -> DetDataSample:
    return DetDataSample(
        metainfo={
            "frame_id": number,
            "ori_shape": size,
            "img_shape": size,
            "batch_input_shape": size,
            "pad_shape": size,
            "scale_factor": (1.0, 1.0),
            **meta,
        }
    )


def truth(labels: list[int], ids: list[int], shift: float = 0.0) -> InstanceData:
    corners = torch.arange(len(labels))[:, None] * 25.0 + torch.tensor([[2.0, 8.0, 24.0, 40.0]]) + shift
    return InstanceData(bboxes=corners, labels=torch.tensor(labels), instances_ids=torch.tensor(ids))


def pair_sample(labels: list[int], ids: list[int], reference_ids: list[int] | None = None) -> TrackDataSample:
    sample = TrackDataSample(metainfo={"key_frames_inds": [0], "ref_frames_inds": [1]})
    frames = [frame_sample(0), frame_sample(1)]
    known = ids if reference_ids is None else reference_ids
    frames[0].gt_instances = truth(labels, ids)
    frames[1].gt_instances = truth((labels * 9)[: len(known)], known, shift=1.0)
    for frame in frames:
        frame.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    sample.video_data_samples = frames
    return sample


def total(losses: dict[str, Any]) -> torch.Tensor:
    parts = [part for value in losses.values() for part in (value if isinstance(value, list) else [value])]
    return sum(part for part in parts if part.requires_grad)


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


# --------------------------------------------------------------------------------------------------------------- keys


def listed_keys(shared: Path, name: str) -> dict[str, tuple[int, ...]]:
    lines = (shared / "specs" / "keys" / name).read_text().splitlines()
    pairs = (line.split(" ", 1) for line in lines if line.strip())
    return {key: tuple(int(n) for n in shape.strip("()").split(",") if n.strip()) for key, shape in pairs}


ORIGINS = [
    ("qdtrack_original_genA.txt", NAME),
    ("qdtrack_original_genC.txt", NAME),
    ("vis4d_qdtrack_frcnn.txt", NAME),
    ("qdtrack_mmdet3.txt", NAME),
    ("vis4d_qdtrack_yolox.txt", YOLOX),
]


@pytest.mark.parametrize(("file", "name"), ORIGINS)
@pytest.mark.parametrize("wrapper", ["", "model.", "model.model."])
def test_every_key_of_every_code_base_has_its_place(
    shared: Path, build_weightless: Any, file: str, name: str, wrapper: str
):
    counters = "num_batches_tracked"
    own = {key: tuple(value.shape) for key, value in build_weightless(config_of(name)).state_dict().items()}
    original = {wrapper + key: shape for key, shape in listed_keys(shared, file).items()}
    mapped = map_keys(original)
    assert len(mapped) == len(original)
    assert {k: v for k, v in mapped.items() if counters not in k} == {k: v for k, v in own.items() if counters not in k}
    assert {key for key in mapped if counters in key} <= own.keys()
    assert map_keys(mapped) == mapped


def test_older_names_of_vis4d_stand_for_the_newer(shared: Path):
    new = listed_keys(shared, "vis4d_qdtrack_frcnn.txt")
    older = {}
    for key, shape in new.items():
        for now, then in (
            ("faster_rcnn_head.", "faster_rcnn_heads."),
            ("basemodel.", "backbone.body."),
            ("qdtrack_head.", "qdtrack."),
        ):
            key = then + key.removeprefix(now) if key.startswith(now) else key
        older[key] = shape
    assert older.keys().isdisjoint(key for key in new if not key.startswith("fpn"))
    assert map_keys(older) == map_keys(new)


def test_the_moving_average_is_taken_where_there_is_one():
    state = {
        "model.model.basemodel.stem.conv.weight": 1,
        "model.ema_model.basemodel.stem.conv.weight": 2,
        "model.ema_model.yolox_head.multi_level_conv_cls.0.bias": 3,
    }
    assert map_keys(state) == {
        "detector.backbone.stem.conv.conv.weight": 2,
        "detector.bbox_head.multi_level_conv_cls.0.bias": 3,
    }


def test_every_renaming_is_used_and_says_why(shared: Path):
    keys = [key for file, _ in ORIGINS for key in listed_keys(shared, file)]
    for naming in NAMINGS:
        for rule in naming.renamings:
            assert any(re.match(rule.pattern, key) for key in keys)
            assert len(rule.reason.split()) > 2
    assert map_key("unknown.weight", NAMINGS[0]) == "unknown.weight"


# ------------------------------------------------------------------------------------------------------------ configs


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_models_know_the_classes_of_the_data_in_its_order(path: Path, build_weightless: Any):
    config = load_config(path)
    model = build_weightless(config)
    heads = [module.num_classes for name, module in model.named_modules() if name.endswith("bbox_head")]
    assert heads == [len(TASKS["mot"].categories)] == [8]
    assert isinstance(model, OneStageQDTrack if "yolox" in path.stem else BoxQDTrack)


# ---------------------------------------------------------------------------------------------- the original's tracks


def match_boxes(ours: InstanceData, theirs: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Pair our boxes with the original's of the same class that are at most 0.2 pixels away."""
    boxes = np.array([entry["bbox"][:4] for entry in theirs]).reshape(-1, 4)
    labels = np.array([entry["label"] for entry in theirs], dtype=int)
    distance = np.abs(ours.bboxes.numpy()[:, None] - boxes[None]).max(axis=2, initial=0)
    distance = np.where(ours.labels.numpy()[:, None] == labels[None], distance, np.inf).clip(max=1e3)
    rows, columns = linear_sum_assignment(distance)
    return [(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if distance[r, c] <= 0.2]


@pytest.mark.slow
def test_tracks_are_those_of_the_original(shared: Path, samples: Path, tmp_path: Path):
    weights = tmp_path / "qdtrack.pth"
    maker = shared / "tools" / "make_checkpoint.py"
    subprocess.run([sys.executable, str(maker), f"mot/{NAME}", str(weights)], check=True)
    model: Any = prepare_model(config_of(NAME), weights, torch.device("cpu"))
    reference = json.loads((shared / "reference" / "mot" / NAME / "tracks.json").read_text())
    ours_of: dict[int, int] = {}
    theirs_of: dict[int, int] = {}
    boxes_right = boxes = tracks_right = tracks = 0
    for expected in reference:
        image = cv2.imread(str(samples / "images" / "track" / "val" / VIDEO / expected["name"]))
        sample = TrackDataSample()
        sample.video_data_samples = [frame_sample(expected["frameIndex"], image.shape[:2])]
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
        batch = model.data_preprocessor({"inputs": [pixels], "data_samples": [sample]}, False)
        with torch.inference_mode():
            frame = model(**batch, mode="predict")[0][0]
        found = [{"bbox": row[:4], "label": int(row[5])} for row in expected["dets"]]
        boxes_right += len(match_boxes(frame.pred_instances, found))
        boxes += len(found)
        pairs = match_boxes(frame.pred_track_instances, expected["tracks"])
        tracks_right += len(pairs)
        tracks += len(expected["tracks"])
        for row, column in pairs:
            own, other = int(frame.pred_track_instances.instances_id[row]), expected["tracks"][column]["id"]
            assert ours_of.setdefault(other, own) == own
            assert theirs_of.setdefault(own, other) == other
    assert boxes_right >= 0.97 * boxes
    assert tracks_right >= 0.97 * tracks
