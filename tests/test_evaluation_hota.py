"""HOTA against trackeval, against the equations of its paper worked out slowly, and against cases done by hand."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.cli import main
from bdd100k_models.evaluation.clear_mot import TrackFrame
from bdd100k_models.evaluation.hota import ALPHAS, METRICS, HotaCounts, count_hota, hota_scores
from bdd100k_models.evaluation.run import Options, evaluate
from tracking_cases import random_boxes, write_frames

SEEDS = st.integers(0, 2**32 - 1)


def random_video(rng: np.random.Generator, *, ties: bool, largest: int = 6) -> list[TrackFrame]:
    frames = []
    for _ in range(rng.integers(0, 10)):
        truth, result = (rng.permutation(largest)[: rng.integers(0, largest + 1)] for _ in range(2))
        shape = (len(truth), len(result))
        similarity = rng.choice([0.0, 0.05, 0.3, 0.5, 1.0], shape) if ties else rng.random(shape)
        frames.append(TrackFrame(truth, result, similarity))
    return frames


def trackeval_counts(metric: Any, video: Sequence[TrackFrame]) -> dict[str, Any]:
    """Give trackeval the frames of a video, tracks numbered without gaps as its data sets do."""
    sides = []
    for side in ("truth", "result"):
        rows = [getattr(frame, side) for frame in video]
        known = sorted({int(track) for row in rows for track in row})
        sides.append(([np.array([known.index(track) for track in row.tolist()], int) for row in rows], len(known)))
    (truth, true_tracks), (result, tracks) = sides
    return metric.eval_sequence(
        {
            "num_gt_dets": sum(map(len, truth)),
            "num_tracker_dets": sum(map(len, result)),
            "num_gt_ids": true_tracks,
            "num_tracker_ids": tracks,
            "gt_ids": truth,
            "tracker_ids": result,
            "similarity_scores": [frame.similarity for frame in video],
        }
    )


@settings(max_examples=100)
@given(SEEDS, st.booleans())
def test_scores_are_those_of_trackeval(seed: int, ties: bool):
    hota = pytest.importorskip("trackeval.metrics.hota", reason="trackeval is not installed")
    rng = np.random.default_rng(seed)
    videos = [random_video(rng, ties=ties) for _ in range(rng.integers(1, 4))]
    metric = hota.HOTA()
    parts = {str(index): trackeval_counts(metric, video) for index, video in enumerate(videos)}
    for video, part in zip(videos, parts.values(), strict=True):
        assert_like(count_hota(video), part)
    assert_like(sum((count_hota(video) for video in videos), HotaCounts()), metric.combine_sequences(parts))
    assert_like(sum((count_hota(video) for video in videos), HotaCounts()), metric.combine_classes_det_averaged(parts))


def assert_like(counts: HotaCounts, expected: dict[str, Any]) -> None:
    for name, value in hota_scores(counts).items():
        assert value == pytest.approx(100 * float(np.mean(expected[name])), abs=1e-6), name


def slow_hota(video: Sequence[TrackFrame], alpha: float) -> dict[str, float]:
    """Work out the paper's equations for one threshold, with every possible matching of a frame tried."""
    seen = [
        {(int(track), t) for t, frame in enumerate(video) for track in getattr(frame, s)} for s in ("truth", "result")
    ]
    life = [{track: sum(one == track for one, _ in side) for track, _ in side} for side in seen]
    common: dict[tuple[int, int], float] = {}
    for frame in video:
        overlap = frame.similarity
        for (i, track), (j, other) in itertools.product(
            enumerate(frame.truth.tolist()), enumerate(frame.result.tolist())
        ):
            share = overlap[i, j] / (overlap[i].sum() + overlap[:, j].sum() - overlap[i, j])
            common[track, other] = common.get((track, other), 0.0) + share
    matches: list[tuple[int, int, float]] = []
    for frame in video:
        truth, result = frame.truth.tolist(), frame.result.tolist()
        score = {
            (i, j): frame.similarity[i, j] * common[a, b] / (life[0][a] + life[1][b] - common[a, b])
            for i, a in enumerate(truth)
            for j, b in enumerate(result)
        }
        width = min(len(truth), len(result))
        ways = itertools.product(
            itertools.combinations(range(len(truth)), width), itertools.permutations(range(len(result)), width)
        )
        best = max((list(zip(*way, strict=True)) for way in ways), key=lambda way: sum(score[pair] for pair in way))
        matches += [(truth[i], result[j], float(frame.similarity[i, j])) for i, j in best]
    hits = [(a, b) for a, b, overlap in matches if overlap >= alpha]
    missed, wrong = len(seen[0]) - len(hits), len(seen[1]) - len(hits)
    association = 0.0
    for a, b in hits:
        together = hits.count((a, b))
        association += together / (life[0][a] + life[1][b] - together)
    detection = len(hits) / max(1, len(hits) + missed + wrong)
    association /= max(1, len(hits))
    return {"DetA": detection, "AssA": association, "HOTA": math.sqrt(detection * association)}


@settings(max_examples=25)
@given(SEEDS)
def test_scores_follow_the_equations_of_the_paper(seed: int):
    video = random_video(np.random.default_rng(seed), ties=False, largest=4)
    scores = hota_scores(count_hota(video))
    slow = [slow_hota(video, alpha) for alpha in ALPHAS.tolist()]
    for name in ("DetA", "AssA", "HOTA"):
        assert scores[name] == pytest.approx(100 * float(np.mean([one[name] for one in slow])), abs=1e-9)


def video_of(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], overlap: float = 1.0) -> list[TrackFrame]:
    """Make frames in which the objects of the same place overlap."""
    return [
        TrackFrame(np.array(truth, np.int64), np.array(result, np.int64), np.eye(len(truth), len(result)) * overlap)
        for truth, result in pairs
    ]


def test_a_track_cut_in_half_has_half_the_association():
    scores = hota_scores(count_hota(video_of([([0], [0]), ([0], [0]), ([0], [1]), ([0], [1])])))
    assert (scores["DetA"], scores["AssA"], scores["AssRe"], scores["AssPr"]) == (100, 50, 50, 100)
    assert scores["HOTA"] == pytest.approx(100 * math.sqrt(0.5))


def test_an_overlap_counts_up_to_its_threshold():
    scores = hota_scores(count_hota(video_of([([0], [0])] * 3, overlap=0.5)))
    assert scores["HOTA"] == pytest.approx(100 * 10 / 19)
    assert scores["LocA"] == pytest.approx((50 * 10 + 100 * 9) / 19)


def test_one_side_or_no_side_gives_zero():
    for video in ([], video_of([([0, 1], [])] * 2), video_of([([], [3])])):
        scores = hota_scores(count_hota(video))
        assert scores.pop("LocA") == 100
        assert not any(scores.values())


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SEEDS)
def test_files_score_as_trackeval_does_with_their_boxes(tmp_path: Path, seed: int):
    hota = pytest.importorskip("trackeval.metrics.hota", reason="trackeval is not installed")
    truth, result = (
        [
            frame | {"labels": [label | {"attributes": {}} for label in frame["labels"] or () if known(label)]}
            for frame in side
        ]
        for side in random_boxes(seed)
    )
    paths = write_frames(tmp_path / "gt.json", truth), write_frames(tmp_path / "pred.json", result)
    scores = evaluate("box_track", *paths, Options(hota=True))
    metric = hota.HOTA()
    kinds = {}
    for kind in scores.scores["MOTA"][0]:
        videos = {name: category_video(truth, result, name, kind) for name in {frame["videoName"] for frame in truth}}
        kinds[kind] = metric.combine_sequences(
            {name: trackeval_counts(metric, video) for name, video in videos.items()}
        )
        assert_row(scores, kind, kinds[kind])
    assert_row(scores, "AVERAGE", metric.combine_classes_class_averaged(kinds))
    assert_row(scores, "OVERALL", metric.combine_classes_det_averaged(kinds))
    bikes = {kind: kinds[kind] for kind in ("motorcycle", "bicycle")}
    assert_row(scores, "bike", metric.combine_classes_det_averaged(bikes))


def known(label: dict[str, Any]) -> bool:
    return label["category"] in ("car", "pedestrian", "bicycle")


def category_video(truth: Any, result: Any, video: str, kind: str) -> list[TrackFrame]:
    sides = []
    for side in (truth, result):
        frames = sorted((f for f in side if f["videoName"] == video), key=lambda f: f["frameIndex"])
        sides.append([[label for label in frame["labels"] if label["category"] == kind] for frame in frames])
    return [
        TrackFrame(
            np.array([int(label["id"]) for label in labels], int),
            np.array([int(label["id"]) for label in found], int),
            np.array([[iou(a["box2d"], b["box2d"]) for b in found] for a in labels]).reshape(len(labels), len(found)),
        )
        for labels, found in zip(*sides, strict=True)
    ]


def iou(a: dict[str, float], b: dict[str, float]) -> float:
    """Overlap of two boxes with inclusive corners."""
    width = min(a["x2"], b["x2"]) - max(a["x1"], b["x1"]) + 1
    height = min(a["y2"], b["y2"]) - max(a["y1"], b["y1"]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box["x2"] - box["x1"] + 1) * (box["y2"] - box["y1"] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def assert_row(scores: Any, row: str, expected: dict[str, Any]) -> None:
    for name in METRICS:
        assert scores.score(name, row) == pytest.approx(100 * float(np.mean(expected[name])), abs=1e-6), (name, row)


def test_hota_stands_beside_the_official_scores_and_changes_none(samples: Path, tmp_path: Path):
    paths = samples / "labels/box_track_20/val", samples / "predictions/box_track"
    plain, more = evaluate("box_track", *paths), evaluate("box_track", *paths, Options(hota=True))
    assert not any("HOTA" in name for name in plain.scores)
    assert list(more.scores)[-len(METRICS) :] == list(METRICS)
    for metric, groups in plain.scores.items():
        assert repr(more.scores[metric]) == repr(groups)
    out = tmp_path / "scores.json"
    flags = ["-t", "mot", "-g", str(paths[0]), "-r", str(paths[1]), "--hota", "--out-file", str(out)]
    assert main(["eval", *flags]) == 0
    written = json.loads(out.read_text())
    assert written["mHOTA"] == pytest.approx(more.score("HOTA", "AVERAGE"))
    assert written["HOTA"][0]["car"] == pytest.approx(83.6, abs=0.05)
