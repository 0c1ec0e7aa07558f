"""Pose: decoding of heat maps, suppression of double people, the file, pictures, and models that learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.datasets.joints import FLIP_INDICES
from bdd100k_models.engine.checkpoint import load_weights
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.errors import CheckpointError, ConfigError
from bdd100k_models.evaluation.config import POSE_SIGMAS
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.pose import Person, PoseRecord, suppress
from bdd100k_models.registry import enter_scope
from bdd100k_models.tasks import JOINTS, LIMBS, TASKS
from bdd100k_models.zoo.records import config_files
from drawing_support import draw_record

KINDS = (
    "res50_256x192_1x_pose_bdd100k",
    "mobilenetv2_udp_256x192_1x_pose_bdd100k",
    "hrnet_w32_256x192_1x_pose_bdd100k",
)


# ----------------------------------------------------------------------------------------------- heat maps to joints


def codec(kind: str, **arguments: Any) -> Any:
    from mmpose.registry import KEYPOINT_CODECS

    enter_scope("mmpose")
    return KEYPOINT_CODECS.build(
        {"type": kind, "input_size": (48, 64), "heatmap_size": (12, 16), "sigma": 2, "blur_kernel_size": 11} | arguments
    )


def peak_of(heatmap: np.ndarray) -> tuple[int, int]:
    y, x = divmod(int(heatmap.argmax()), heatmap.shape[1])
    return (x, y) if heatmap[y, x] > 0 else (-1, -1)


def quarter_step(heatmap: np.ndarray) -> tuple[float, float]:
    """mmpose 0.24's rule, a joint at a time: only peaks two pixels from the first and one from the last move."""
    x, y = peak_of(heatmap)
    height, width = heatmap.shape
    if not (1 < x < width - 1 and 1 < y < height - 1):
        return x, y
    return (
        x + 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1]),
        y + 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x]),
    )


def newton(heatmap: np.ndarray) -> tuple[float, float]:
    """A Newton step on the logarithm of the smoothed map, for a peak inside it."""
    x, y = peak_of(heatmap)
    smooth = cv2.GaussianBlur(heatmap, (11, 11), 0, borderType=cv2.BORDER_REFLECT_101)
    log = np.log(np.clip(smooth, 0.001, 50).astype(np.float64))
    at = {(i, j): log[min(max(y + j, 0), 15), min(max(x + i, 0), 11)] for i in (-1, 0, 1) for j in (-1, 0, 1)}
    slope = np.array([at[1, 0] - at[-1, 0], at[0, 1] - at[0, -1]]) / 2
    xy = (at[1, 1] - at[1, 0] - at[0, 1] + 2 * at[0, 0] - at[-1, 0] - at[0, -1] + at[-1, -1]) / 2
    xx, yy = at[1, 0] - 2 * at[0, 0] + at[-1, 0], at[0, 1] - 2 * at[0, 0] + at[0, -1]
    return tuple(np.array([x, y]) - np.linalg.solve(np.array([[xx, xy], [xy, yy]]), slope))


def bump(x: float, y: float, height: float = 1.0) -> np.ndarray:
    rows, columns = np.mgrid[:16, :12]
    return (height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)).astype(np.float32)


@given(st.integers(0, 1 << 32), st.booleans())
@settings(max_examples=60)
def test_quarter_steps_are_those_of_the_original(seed: int, rough: bool):
    rng = np.random.default_rng(seed)
    maps = rng.normal(0.3, 1, (18, 16, 12)).astype(np.float32)
    if rough:
        maps[::3] = -np.abs(maps[::3])
    kept = maps.copy()
    points, scores = codec("PublishedMSRAHeatmap").decode(maps)
    np.testing.assert_array_equal(maps, kept)
    np.testing.assert_allclose(points[0], [np.array(quarter_step(heatmap)) * 4 for heatmap in maps], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(scores[0], maps.max(axis=(1, 2)))


@pytest.mark.parametrize("kind", ["PublishedMSRAHeatmap", "PublishedUDPHeatmap"])
def test_a_smooth_peak_is_found_between_pixels(kind: str):
    places = [(5.3, 8.6), (4.0, 7.0), (6.7, 9.2)]
    unbiased = {"unbiased": True} if kind == "PublishedMSRAHeatmap" else {}
    points, scores = codec(kind, **unbiased).decode(np.stack([bump(*place) for place in places]))
    # without UDP a pixel of the map is four of the input; with it the outer pixels lie on each other
    scale = 4 if unbiased else [48 / 11, 64 / 15]
    np.testing.assert_allclose(points[0], np.array(places) * scale, atol=0.1 if unbiased else 0.4)
    assert scores.shape == (1, 3) and scores.max() <= 1


@given(st.lists(st.tuples(st.floats(0, 11), st.floats(0, 15)), min_size=18, max_size=18))
@settings(max_examples=60)
def test_udp_steps_are_those_of_the_original(places: list[tuple[float, float]]):
    maps = np.stack([bump(x, y, 2.0) + bump(11 - x, 15 - y, 0.5) for x, y in places])
    points, _ = codec("PublishedUDPHeatmap").decode(maps)
    expected = [np.array(newton(heatmap)) * [48 / 11, 64 / 15] for heatmap in maps]
    np.testing.assert_allclose(points[0], expected, atol=2e-3)


def test_a_map_that_is_nowhere_positive_gives_no_step_among_its_like():
    for kind in ("PublishedMSRAHeatmap", "PublishedUDPHeatmap"):
        points, scores = codec(kind).decode(np.full((18, 16, 12), -1, np.float32))
        assert (points < 0).all() and (scores == -1).all()


# ------------------------------------------------------------------------------------------------ double people


def make_person(score: float, joints: np.ndarray, area: float = 4000.0) -> Person:
    return Person(score=score, area=area, joints=[(float(x), float(y), 1.0) for x, y in joints])


def similarity(one: Person, other: Person) -> float:
    """Object key-point similarity, as its definition reads."""
    total = 0.0
    for sigma, (x, y, _), (u, v, _) in zip(POSE_SIGMAS, one.joints, other.joints, strict=True):
        scale = (one.area + other.area) / 2
        total += np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * scale * (2 * sigma) ** 2))
    return total / len(POSE_SIGMAS)


@given(st.integers(0, 1 << 32), st.integers(0, 8), st.sampled_from([0.3, 0.9, 1.0]))
@settings(max_examples=80)
def test_suppression_against_its_definition(seed: int, count: int, threshold: float):
    rng = np.random.default_rng(seed)
    base = rng.uniform(0, 80, (18, 2))
    shifts = rng.normal(0, 1, (count, 18, 2)) * rng.choice([0.5, 2, 20], (count, 1, 1))
    people = [make_person(rng.random(), base + shift, rng.uniform(500, 9000)) for shift in shifts]
    kept: list[Person] = []
    for candidate in sorted(people, key=lambda one: -one.score):
        # pairs at the threshold itself may fall on either side
        if all(similarity(candidate, better) <= threshold for better in kept):
            kept.append(candidate)
    assert suppress(people, threshold) == kept


# ----------------------------------------------------------------------------------------------------- the file


def sample(score: float, keypoint_scores: list[float], shift: float = 0.0) -> dict[str, Any]:
    points = np.arange(36, dtype=np.float32).reshape(1, 18, 2) * 7 + shift
    scores = np.array([keypoint_scores], np.float32)
    instances = {"keypoints": points, "keypoint_scores": scores, "bbox_scores": np.array([score], np.float32)}
    return {"pred_instances": instances, "input_scale": np.array([60.0, 80.0])}


def test_scores_count_joints_above_the_threshold():
    pose = get_format(TASKS["pose"])
    scores = [0.2, 0.21, 0.9] + [0.0] * 15
    (found,) = pose.encode([sample(0.5, scores)]).people
    assert found.score == pytest.approx(0.5 * (0.21 + 0.9) / 2, rel=1e-6) and found.area == 4800
    assert pose.encode([sample(0.5, [-1.0] * 18)]).people[0].score == 0
    assert pose.encode([]).people == []


def test_people_of_single_samples_merge_to_those_of_the_image():
    pose = get_format(TASKS["pose"])
    samples = [sample(0.4, [0.5] * 18), sample(0.9, [0.5] * 18), sample(0.7, [0.5] * 18, shift=300)]
    whole = pose.encode(samples)
    assert [round(one.score, 3) for one in whole.people] == [0.45, 0.35]
    assert pose.merge([pose.encode([one]) for one in samples]) == whole


def test_the_file_has_joints_in_order_and_every_frame(tmp_path: Path):
    pose = get_format(TASKS["pose"])
    two = pose.encode([sample(0.9, [0.5] * 18), sample(0.8, [0.4] * 18, shift=500)])
    one = pose.encode([sample(0.7, [0.7] * 18)])
    records = [("a.jpg", two), ("b.jpg", pose.empty((720, 1280))), ("c.jpg", one)]
    assert pose.write(records, tmp_path) == 3
    content = json.loads((tmp_path / "result_keypoints.json").read_text())
    assert [frame["name"] for frame in content["frames"]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert content["frames"][1]["labels"] == []
    labels = [label for frame in content["frames"] for label in frame["labels"]]
    assert [label["id"] for label in labels] == ["0", "1", "2"]
    ids = [node["id"] for label in labels for node in label["graph"]["nodes"]]
    assert len(set(ids)) == 3 * 18
    for label in labels:
        nodes, edges = label["graph"]["nodes"], label["graph"]["edges"]
        assert label["category"] == "pedestrian" and label["graph"]["type"] == "Pose2D-18Joints_Pred"
        assert [node["category"] for node in nodes] == list(JOINTS)
        place = {node["id"]: index for index, node in enumerate(nodes)}
        assert [(place[e["source"]], place[e["target"]], e["type"]) for e in edges] == list(LIMBS)
    assert labels[1]["graph"]["nodes"][2] == {
        "location": [528.0, 535.0],
        "category": "right_shoulder",
        "id": "1-2",
        "score": pytest.approx(0.4),
    }
    raw = pose.raw(two)
    assert raw["preds"].shape == (2, 18, 3) and raw["scores"].dtype == np.float32
    assert pose.raw(pose.empty((1, 1)))["preds"].shape == (0, 18, 3)


def test_settings_that_do_not_exist():
    with pytest.raises(ConfigError, match="does not fit pose"):
        get_format(TASKS["pose"], settings={"vis_threshold": 0.2})


# ----------------------------------------------------------------------------------------------------- pictures


def test_limbs_are_drawn_where_both_joints_are_sure():
    pixels = np.zeros((720, 1280, 3), np.uint8)
    joints = [(300.0 + 20 * i, 300.0, 0.9) for i in range(18)]
    joints[0] = (100.0, 100.0, 0.1)
    record = PoseRecord(people=[Person(score=0.9, area=40000, joints=joints)])
    draw_record(record, pixels, TASKS["pose"], 0.3)
    drawn = np.argwhere(pixels.any(axis=2))
    assert len(drawn) and drawn[:, 0].min() > 290 and drawn[:, 0].max() < 310
    untouched = pixels.copy()
    far = Person(score=0.9, area=4.0, joints=[(1e30, -1e30, 1.0)] * 18)
    faint = Person(score=0.1, area=40000, joints=[(600.0, 600.0, 1.0)] * 18)
    draw_record(PoseRecord(people=[far, faint]), pixels, TASKS["pose"], 0.3)
    np.testing.assert_array_equal(pixels, untouched)


# ------------------------------------------------------------------------------------------------------- models


@pytest.mark.parametrize("name", KINDS)
def test_a_model_learns(name: str):
    from mmengine.structures import InstanceData, PixelData
    from mmpose.structures import PoseDataSample

    torch.manual_seed(0)
    config = load_config(config_files("pose")[name])
    model = build_model(config).train()
    width, height = 96, 128
    samples = []
    for index in range(2):
        target = torch.zeros(18, height // 4, width // 4)
        target[:, 5 + index, 7] = 1
        one = PoseDataSample(metainfo={"flip_indices": list(FLIP_INDICES)})
        one.gt_fields = PixelData(heatmaps=target)
        one.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 18))
        samples.append(one)
    images = [torch.rand(3, height, width) * 255 for _ in samples]
    losses = model(**model.data_preprocessor({"inputs": images, "data_samples": samples}, True), mode="loss")
    total, _ = model.parse_losses(losses)
    assert total.isfinite() and total > 0
    total.backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []


def test_weights_of_another_number_of_joints_are_refused(tmp_path: Path):
    model = build_model(load_config(config_files("pose")["mobilenetv2_256x192_1x_pose_bdd100k"]))
    state = {key.replace("head.", "keypoint_head.", 1): value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "good.pth")
    load_weights(model, tmp_path / "good.pth")
    state["keypoint_head.final_layer.bias"] = torch.zeros(17)
    torch.save({"state_dict": state}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match=r"head.final_layer.bias is \(17,\) in the file, \(18,\) in the model"):
        load_weights(model, tmp_path / "bad.pth")
