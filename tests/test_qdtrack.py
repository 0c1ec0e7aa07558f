"""QDTrack: association step by step, weights of other code bases, and the original's tracks."""

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
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import prepare_model
from bdd100k_models.engine.weightless import build_weightless
from bdd100k_models.errors import ConfigError
from bdd100k_models.models.qdtrack import BoxQDTrack, BoxTracker, OneStageQDTrack
from bdd100k_models.models.qdtrack.association import SHADOW, UNTRACKED, number_new_tracks, take_ids
from bdd100k_models.models.qdtrack.keys import NAMINGS, map_key, map_keys
from bdd100k_models.tasks import TASKS
from qdtrack_model import CONFIGS, NAME, YOLOX, config_of, frame_sample, tracker_of

VIDEO = "00091078-875c1f73"

seeds = st.integers(0, 2**32 - 1)


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


@given(seed=seeds)
@settings(max_examples=60)
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
def test_every_key_of_every_code_base_has_its_place(shared: Path, file: str, name: str, wrapper: str):
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
def test_models_know_the_classes_of_the_data_in_its_order(path: Path):
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
    boxes_right = boxes = tracks_right = tracks = own_boxes = own_tracks = 0
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
        own_boxes += len(frame.pred_instances)
        pairs = match_boxes(frame.pred_track_instances, expected["tracks"])
        tracks_right += len(pairs)
        tracks += len(expected["tracks"])
        own_tracks += len(frame.pred_track_instances)
        for row, column in pairs:
            own, other = int(frame.pred_track_instances.instances_id[row]), expected["tracks"][column]["id"]
            assert ours_of.setdefault(other, own) == own
            assert theirs_of.setdefault(own, other) == other
    assert boxes_right >= 0.97 * max(boxes, own_boxes)
    assert tracks_right >= 0.97 * max(tracks, own_tracks)
