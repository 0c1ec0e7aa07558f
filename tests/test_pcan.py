"""PCAN: its tracker, its memory, its weights, and the original's tracks."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)

# isort: split

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
from pycocotools import mask as coco_mask

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import inference_mode, prepare_model
from bdd100k_models.engine.weightless import build_weightless
from bdd100k_models.errors import ConfigError, ImageError
from bdd100k_models.models.pcan import PCAN, MaskTracker
from bdd100k_models.models.pcan.keys import RENAMINGS, map_key, map_keys
from bdd100k_models.models.pcan.prototypes import (
    FrameMemory,
    remember_frame,
)
from bdd100k_models.models.pcan.refine_head import PrototypePair
from bdd100k_models.zoo.records import load_zoo, resolve_config
from pcan_model import CONFIG, NAME, make_frame, predict, run, small_model

VIDEO = "00091078-875c1f73"
#: The stage before: masks that nothing refines.
BEFORE = CONFIG.parent / "segtrack-frcnn_r50_fpn_12e_fixed_mots_bdd100k.py"


# ------------------------------------------------------------------------------------------------------------ tracker


def full_tracker(**changed: Any) -> MaskTracker:
    options = dict(load_config(CONFIG).model.tracker) | changed
    options.pop("type")
    return MaskTracker(**options)


def see(tracker: MaskTracker, frame: int, labels: list[int], value: float, embeddings: torch.Tensor) -> Any:
    """Show the tracker far-apart boxes; what is remembered of their masks is all ``value``."""
    count = len(labels)
    boxes = torch.arange(count)[:, None] * 50.0 + torch.tensor([0.0, 0.0, 20.0, 20.0])
    scores = torch.linspace(0.99, 0.9, count)
    features, logits = torch.full((count, 2, 3, 3), value), torch.full((count, 8, 6, 6), value)
    ids = tracker.match(scores, torch.tensor(labels), embeddings)
    references = tracker.references(ids, features, logits)
    tracker.remember(frame, ids, boxes, torch.tensor(labels), embeddings, features, logits)
    return ids.tolist(), references


def test_a_track_is_compared_with_its_last_appearance_and_a_new_one_with_itself():
    tracker = full_tracker()
    axes = 10 * torch.eye(4)
    assert see(tracker, 0, [0, 1], 1.0, axes[:2])[0] == [0, 1]
    ids, (features, logits) = see(tracker, 1, [2, 1, 0], 2.0, axes[[2, 1, 0]])
    assert ids == [2, 1, 0]
    assert features[:, 0, 0, 0].tolist() == logits[:, 0, 0, 0].tolist() == [2.0, 1.0, 1.0]
    _, (features, _) = see(tracker, 2, [2], 3.0, axes[[2]])
    assert features.unique().tolist() == [2.0]


def test_the_memory_of_tracks_is_bounded_and_shares_no_storage():
    tracker = full_tracker()
    for frame in range(40):
        see(tracker, frame, [0, 0, 0], 1.0, 10 * torch.randn(3, 16))
        assert len(tracker.masks) == len(tracker.tracks) <= 3 * 10
    for part in (part for mask in tracker.masks.values() for part in mask):
        assert part.untyped_storage().nbytes() == part.nbytes


def test_tracks_survive_nine_frames_unseen_but_not_ten():
    for gap, same in ((9, True), (10, False)):
        tracker, axes = full_tracker(), 10 * torch.eye(4)
        see(tracker, 0, [0, 1], 1.0, axes[:2])
        see(tracker, gap, [1], 1.0, axes[1:2])  # keeps one track alive, ages the other
        ids, _ = see(tracker, gap + 1, [0, 1], 1.0, axes[:2])
        assert (ids[0] == 0) is same


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 12))
@settings(max_examples=60)
def test_duplicates_are_those_that_overlap_any_better_box(seed: int, count: int):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 30, (count, 2))], axis=1)
    scores = rng.permutation(np.linspace(0.05, 0.95, count)) if count else np.zeros(0)
    order = sorted(range(count), key=lambda i: -scores[i])
    expected = []
    for place, i in enumerate(order):
        limit = 0.3 if scores[i] < 0.3 else 0.7
        if all(overlap(boxes[i], boxes[j]) <= limit for j in order[:place]):
            expected.append(i)
    assert full_tracker().keep(torch.from_numpy(boxes), torch.from_numpy(scores)).tolist() == expected


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = sides.clip(0).prod()
    return shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


@pytest.mark.parametrize("video", [0, 3])
def test_ids_are_those_of_the_original_tracker(shared: Path, video: int):
    golden = np.load(shared / "specs" / "golden" / "qdtrack_tracker.npz")
    tracker = full_tracker()
    for frame in range(14):
        prefix = f"v{video}_f{frame}_"
        boxes, labels, embeddings = (torch.from_numpy(golden[prefix + part]) for part in ("bboxes", "labels", "embeds"))
        if not len(boxes):
            continue
        kept = tracker.keep(boxes[:, :4], boxes[:, 4])
        boxes, labels, embeddings = boxes[kept], labels[kept], embeddings[kept]
        ids = tracker.match(boxes[:, 4], labels, embeddings)
        blank = torch.zeros(len(ids), 1, 1, 1)
        tracker.remember(frame, ids, boxes[:, :4], labels, embeddings, blank, blank)
        out = golden[f"v{video}_f{frame}_out_ids"]
        tracked = ids >= 0
        assert ids[tracked].tolist() == out[out >= 0].tolist()
        np.testing.assert_array_equal(boxes[tracked], golden[prefix + "out_bboxes"][out >= 0])


# --------------------------------------------------------------------------------------------------------------- keys


def listed_keys(shared: Path, name: str) -> dict[str, tuple[int, ...]]:
    lines = (shared / "specs" / "keys" / name).read_text().splitlines()
    pairs = (line.split(" ", 1) for line in lines if line.strip())
    return {key: tuple(int(n) for n in shape.strip("()").split(",") if n.strip()) for key, shape in pairs}


@pytest.mark.parametrize(
    ("file", "stage"),
    [
        ("pcan.txt", CONFIG),
        ("pcan_stage2.txt", BEFORE),
        ("pcan_stage2.txt", CONFIG.parent / "segtrack-frcnn_r50_fpn_12e_mots_bdd100k.py"),
    ],
)
def test_every_key_of_the_original_has_its_place(shared: Path, file: str, stage: Path):
    own = {key: tuple(value.shape) for key, value in build_weightless(load_config(stage)).state_dict().items()}
    original = listed_keys(shared, file)
    mapped = map_keys(original)
    assert len(mapped) == len(original)
    assert mapped == own


def test_every_renaming_is_used_and_says_why(shared: Path):
    keys = listed_keys(shared, "pcan.txt")
    assert all(any(re.match(rule.pattern, key) for key in keys) for rule in RENAMINGS)
    assert all(len(rule.reason.split()) > 2 for rule in RENAMINGS)


def test_mapping_twice_changes_nothing_more(shared: Path):
    keys = listed_keys(shared, "pcan.txt")
    assert all(map_key(map_key(key)) == map_key(key) for key in keys)


# -------------------------------------------------------------------------------------------------------- whole model


def same(a: InstanceData, b: InstanceData) -> bool:
    return all(torch.equal(a[key], b[key]) for key in ("bboxes", "scores", "labels", "instances_id", "masks"))


@pytest.fixture(scope="module")
def tracked() -> tuple[PCAN, list[InstanceData]]:
    model = small_model()
    return model, [run(model, make_frame(index)) for index in range(4)]


def test_tracks_have_boxes_ids_and_masks_of_the_image(tracked: tuple[PCAN, list[InstanceData]]):
    _, results = tracked
    assert sum(len(result) for result in results) > 3
    assert 0 < torch.cat([result.masks for result in results]).float().mean() < 1
    for result in results:
        ids = result.instances_id.tolist()
        assert len(set(ids)) == len(ids) and min(ids, default=0) >= 0
        assert result.masks.dtype == torch.bool and result.masks.shape == (len(ids), 96, 128)
        assert result.bboxes.shape == (len(ids), 4)


def test_a_video_begins_anew_whatever_ran_before(tracked: tuple[PCAN, list[InstanceData]]):
    model, results = tracked
    for index in range(3):
        run(model, make_frame(index, seed=100 + index))
    assert all(same(run(model, make_frame(index)), result) for index, result in enumerate(results))


def test_inference_leaves_the_weights_alone(tracked: tuple[PCAN, list[InstanceData]]):
    model, _ = tracked
    fresh = small_model().state_dict()
    assert all(torch.equal(value, fresh[key]) for key, value in model.state_dict().items())


def test_frames_one_by_one_or_together_give_the_same(tracked: tuple[PCAN, list[InstanceData]]):
    model, results = tracked
    frames = [make_frame(index) for index in range(4)]
    sample = TrackDataSample()
    sample.video_data_samples = [data["data_samples"][0][0] for data in frames]
    batch = {"inputs": [torch.cat([data["inputs"][0] for data in frames])], "data_samples": [sample]}
    out = predict(model, batch)
    assert all(same(out[index].pred_track_instances, result) for index, result in enumerate(results))


@pytest.mark.parametrize(
    ("lifetime", "moves", "carries"), [("frame", False, False), ("video", True, False), ("run", True, True)]
)
def test_prototypes_live_as_long_as_asked(lifetime: str, moves: bool, carries: bool):
    model = small_model(lifetime=lifetime)
    trained = model.refine_head.prototypes
    run(model, make_frame(0))
    after = model.memory.prototypes
    assert (not torch.equal(after.positive, trained.positive)) is moves
    starts: list[PrototypePair] = []
    model.refine_head.register_forward_pre_hook(lambda _, arguments: starts.append(arguments[4]))
    run(model, make_frame(0, seed=5))
    assert len(starts) == 1
    assert torch.equal(starts[0].positive, after.positive if carries else trained.positive)
    assert torch.equal(starts[0].negative, after.negative if carries else trained.negative)


def test_the_first_frame_is_its_own_memory():
    model = small_model()
    data = model.data_preprocessor(make_frame(0), False)
    with torch.inference_mode():
        levels = model.detector.extract_feat(data["inputs"][:, 0])
        expected, memory = remember_frame(levels[0], FrameMemory(levels[0], model.mu0), 3)
    run(model, make_frame(0))
    assert torch.equal(model.memory.levels[0].bank, memory.bank)
    assert torch.equal(model.memory.levels[0].prototypes, memory.prototypes)
    assert not torch.equal(expected, levels[0])


def test_a_frame_without_detections_moves_the_frame_memory_alone():
    model = small_model()
    run(model, make_frame(0))
    bank, prototypes, tracks = model.memory.levels[0].bank, model.memory.prototypes, dict(model.tracker.masks)
    model.detector.roi_head.test_cfg.score_thr = 2.0
    result = run(model, make_frame(1))
    assert len(result) == 0 and result.masks.shape == (0, 96, 128) and result.instances_id.shape == (0,)
    assert not torch.equal(model.memory.levels[0].bank, bank)
    assert model.memory.prototypes is prototypes and model.tracker.masks.keys() == tracks.keys()
    model.detector.roi_head.test_cfg.score_thr = 0.5
    assert set(run(model, make_frame(2, seed=0)).instances_id.tolist()) & set(tracks)


def test_detections_that_are_no_tracks_move_the_prototypes():
    model = small_model()
    model.tracker.init_score_thr = 2.0
    result = run(model, make_frame(0))
    assert len(result) == 0 and result.masks.shape == (0, 96, 128)
    assert not torch.equal(model.memory.prototypes.positive, model.refine_head.pos_mu)


def test_without_refinement_masks_are_those_of_the_mask_head():
    model = small_model(refine_head=None)
    results = [run(model, make_frame(index)) for index in range(2)]
    assert any(len(result) for result in results)
    assert model.memory.prototypes is None


def test_boxes_and_masks_are_in_the_pixels_of_the_original():
    model = small_model()
    plain = run(model, make_frame(0))
    halved = make_frame(0)
    halved["data_samples"][0][0].set_metainfo({"scale_factor": (2.0, 2.0), "ori_shape": (48, 64)})
    small = run(model, halved)
    assert torch.allclose(small.bboxes * 2, plain.bboxes, atol=1e-4)
    assert small.masks.shape == (len(plain), 48, 64)


def test_the_memory_of_a_video_does_not_grow():
    model = small_model()
    sizes = []
    for index in range(14):
        run(model, make_frame(index))
        tensors = [*model.memory.prototypes, *(part for level in model.memory.levels for part in level)]
        sizes.append(sum(tensor.untyped_storage().nbytes() for tensor in tensors))
    assert len(set(sizes)) == 1


def test_frames_of_two_sizes_are_refused_and_cost_no_other():
    model, spared = small_model(), small_model()
    for each in (model, spared):
        run(each, make_frame(0))
    with pytest.raises(ImageError, match=r"^1\.jpg: 128x128 pixels, but the first frame of its video has 128x96"):
        run(model, make_frame(1, (128, 128)))
    alike = make_frame(2)  # to the network, which it reaches scaled
    alike["data_samples"][0][0].set_metainfo({"ori_shape": (48, 64), "scale_factor": (2.0, 2.0)})
    with pytest.raises(ImageError, match="64x48 pixels"):
        run(model, alike)
    assert same(run(model, make_frame(3)), run(spared, make_frame(3)))


def test_what_is_seen_first_begins_a_video_whatever_its_index():
    assert same(run(small_model(), make_frame(7)), run(small_model(), make_frame(0, seed=7)))


def test_a_video_whose_first_frame_is_unreadable_begins_anew():
    def second_of(video: str) -> dict[str, Any]:
        data = make_frame(1)
        data["data_samples"][0][0].set_metainfo({"video_id": video})
        return data

    model = small_model()
    for index in range(2):
        run(model, make_frame(index, seed=100 + index))
    assert same(run(model, second_of("b")), run(small_model(), second_of("b")))


def test_reduced_precision_runs():
    model = small_model()
    with inference_mode(torch.device("cpu"), amp=True):
        results = [
            model(**model.data_preprocessor(make_frame(index), False), mode="predict")[0][0].pred_track_instances
            for index in range(2)
        ]
    assert all(len(result) and result.masks.dtype == torch.bool for result in results)
    assert all(level.prototypes.dtype == torch.float32 for level in model.memory.levels)


@pytest.mark.parametrize("wrong", [{"stage": "all"}, {"lifetime": "week"}, {"attended_levels": 6}])
def test_a_switch_that_cannot_be_is_named(wrong: dict[str, Any]):
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        small_model(**wrong)


# ------------------------------------------------------------------------------------------------------------ configs


def test_the_config_stands_where_the_zoo_looks_for_it():
    assert resolve_config("mots", NAME) == CONFIG


def test_the_recipe_is_as_published():
    config = load_config(CONFIG)
    assert config.model.detector.test_cfg.rcnn.score_thr == 0.5
    assert dict(config.model.tracker) == {
        "type": "MaskTracker",
        "init_score_thr": 0.7,
        "obj_score_thr": 0.3,
        "match_score_thr": 0.5,
        "memo_tracklet_frames": 10,
        "memo_backdrop_frames": 1,
        "memo_momentum": 0.8,
        "nms_conf_thr": 0.5,
        "nms_backdrop_iou_thr": 0.3,
        "nms_class_iou_thr": 0.7,
        "with_cats": True,
    }
    assert dict(config.optim_wrapper.optimizer) == {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4}
    warmup, steps = config.param_scheduler
    assert (warmup.end, warmup.start_factor) == (1000, 0.001)
    assert (steps.milestones, config.train_cfg.max_epochs) == ([8, 11], 12)
    assert (config.train_dataloader.batch_size, config.auto_scale_lr.base_batch_size) == (2, 8)


def test_each_stage_begins_where_the_one_before_ends():
    assert load_config(CONFIG).model.init_cfg.checkpoint == f"work_dirs/{BEFORE.stem}/epoch_12.pth"
    assert load_config(BEFORE).model.stage == "mask"
    assert load_config(BEFORE).model.init_cfg.checkpoint == load_zoo("mot")[0].models[0].links["weights"]


# ---------------------------------------------------------------------------------------------- the original's tracks


@pytest.mark.slow
def test_six_frames_give_the_tracks_of_the_original(shared: Path, samples: Path, tmp_path: Path):
    checkpoint = tmp_path / "pcan.pth"
    subprocess.run([sys.executable, shared / "tools" / "make_checkpoint.py", f"mots/{NAME}", checkpoint], check=True)
    model = prepare_model(load_config(CONFIG), checkpoint, torch.device("cpu"))
    expected = json.loads((shared / "reference" / "mots" / NAME / "tracks.json").read_text())
    names: dict[int, int] = {}
    found = boxes_found = detections = 0
    overlaps = []
    for record in expected:
        image = cv2.imread(str(samples / "images" / "seg_track_20" / "val" / VIDEO / record["name"]))
        data = make_frame(record["frameIndex"], image.shape[:2])
        data["inputs"] = [torch.from_numpy(image.transpose(2, 0, 1).copy())[None]]
        sample = predict(model, data)[0]
        result, every = sample.pred_track_instances, sample.pred_instances
        boxes_found += sum(nearest(every, box[:4], box[5]) is not None for box in record["dets"])
        detections += len(record["dets"])
        assert len(result) == len(record["tracks"])
        for track in record["tracks"]:
            index = nearest(result, track["bbox"][:4], track["label"])
            if index is None:
                continue
            found += 1
            assert names.setdefault(track["id"], int(result.instances_id[index])) == int(result.instances_id[index])
            true = coco_mask.decode(track["rle"] | {"counts": track["rle"]["counts"].encode()}).astype(bool)
            own = result.masks[index].numpy()
            union = (true | own).sum()
            overlaps.append((true & own).sum() / union if union else 1.0)
    total = sum(len(record["tracks"]) for record in expected)
    assert found >= 0.97 * total and boxes_found >= 0.97 * detections
    assert len(set(names.values())) == len(names)
    assert min(overlaps) >= 0.97


def nearest(instances: InstanceData, box: list[float], label: int) -> int | None:
    """Return the instance of a label whose corners all lie within 0.2 pixels."""
    distance = (instances.bboxes - torch.tensor(box)).abs().amax(dim=1)
    distance[instances.labels != label] = torch.inf
    index = int(distance.argmin())
    return index if distance[index] <= 0.2 else None
