"""Tracking scores against the official tool, run in the same process on the same files."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.cli import main
from bdd100k_models.compat import motmetrics as mend
from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.evaluation.clear_mot import Counts, TrackFrame, assign, clear_scores, count_clear
from bdd100k_models.evaluation.config import EvalConfig, default_config
from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.evaluation.tracking import TrackingEvaluator
from bdd100k_models.evaluation.tracking_frames import FrameOverlap
from bdd100k_models.formats.bitmask import read_bitmask, write_bitmask
from bdd100k_models.formats.rle import encode_labels
from official_tool import assert_same
from tracking_cases import Frames, random_boxes, random_regions, write_frames, write_random_bitmasks

RANDOM = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = st.integers(0, 2**32 - 1)


def official(task: str, truth: Path, result: Path, options: Options | None = None) -> Result:
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    chosen = options or Options()
    one = Options(chosen.config, chosen.iou_threshold, chosen.ignore_iof_threshold, processes=1)
    return evaluate(task, truth, result, one, engine="official")


def compare(task: str, truth: Path, result: Path, options: Options | None = None) -> Result:
    mine = evaluate(task, truth, result, options)
    assert_same(mine, official(task, truth, result, options))
    return mine


def test_boxes_of_the_samples_score_as_officially(samples: Path):
    result = compare("box_track", samples / "labels/box_track_20/val", samples / "predictions/box_track")
    assert result.score("MOTA", "car") == pytest.approx(84.0909, abs=1e-4)
    assert result.score("IDSw") == 1


def test_the_table_is_the_text_that_the_official_tool_prints(samples: Path):
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    mend.install()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from bdd100k.common.utils import load_bdd100k_config
        from bdd100k.label.to_scalabel import bdd100k_to_scalabel
        from scalabel.eval.mot import acc_single_video_mot, evaluate_track
        from scalabel.label.io import group_and_sort, load

        rules = load_bdd100k_config("box_track")
        paths = (samples / "labels/box_track_20/val", samples / "predictions/box_track")
        sides = [group_and_sort(bdd100k_to_scalabel(load(str(path), 1).frames, rules)) for path in paths]
        scores = evaluate_track(acc_single_video_mot, *sides, rules.scalabel, nproc=1)
    assert "\n" + evaluate("box_track", *paths).table() == str(scores)


def test_masks_of_the_samples_score_as_officially(samples: Path, tmp_path: Path):
    folder = samples / "labels/seg_track_20/rles/val"
    frames = [frame for path in sorted(folder.glob("*.json")) for frame in json.loads(path.read_text())]
    numbers: dict[str, int] = {}
    for index, frame in enumerate(frames):
        labels = frame["labels"]
        del labels[index :: len(frames)]
        for label in labels:  # some tracks break in the middle of the video
            name = f"{label['id']} {index > 2 and len(label['id']) % 2}"
            label["id"] = str(numbers.setdefault(name, len(numbers) + 1))
    result = compare("seg_track", folder, write_frames(tmp_path / "pred.json", frames))
    assert result.score("FN") > 0


def test_bitmasks_of_the_toolkit_score_as_officially(shared: Path):
    case = shared / "samples/toolkit/eval/mots"
    result = compare("seg_track", case / "gt", case / "result")
    assert result.score("MOTA", "pedestrian") == pytest.approx(200 / 3)


@RANDOM
@given(SEEDS)
def test_random_boxes_score_as_officially(tmp_path: Path, seed: int):
    truth, result = random_boxes(seed)
    compare("box_track", write_frames(tmp_path / "gt.json", truth), write_frames(tmp_path / "pred.json", result))


@settings(RANDOM, max_examples=8)
@given(SEEDS, st.sampled_from([0.0, 0.3, 0.6, 1.0]), st.sampled_from([0.0, 0.25, 1.0]))
def test_thresholds_move_the_scores_as_officially(tmp_path: Path, seed: int, iou: float, iof: float):
    truth, result = random_boxes(seed)
    paths = write_frames(tmp_path / "gt.json", truth), write_frames(tmp_path / "pred.json", result)
    compare("box_track", *paths, Options(iou_threshold=iou, ignore_iof_threshold=iof))


@RANDOM
@given(SEEDS, st.booleans())
def test_random_run_length_masks_score_as_officially(tmp_path: Path, seed: int, overlapping: bool):
    truth, result = random_regions(seed, overlapping=overlapping)
    compare("seg_track", write_frames(tmp_path / "gt.json", truth), write_frames(tmp_path / "pred.json", result))


@RANDOM
@given(SEEDS)
def test_random_bitmasks_score_as_officially(tmp_path_factory: pytest.TempPathFactory, seed: int):
    compare("seg_track", *write_random_bitmasks(seed, tmp_path_factory.mktemp("masks")))


@settings(max_examples=100)
@given(SEEDS)
def test_events_are_those_of_motmetrics(seed: int):
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    mend.install()
    rng = np.random.default_rng(seed)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    frames = []
    for _ in range(rng.integers(1, 12)):
        truth, result = (rng.permutation(5)[: rng.integers(0, 6)] for _ in range(2))
        similarity = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], (len(truth), len(result)))
        frames.append(TrackFrame(truth, result, similarity))
        distance = np.where(1 - similarity > 0.5, np.nan, 1 - similarity)
        accumulator.update(truth, result, distance)
    host = motmetrics.metrics.create()
    names = ("mota", "motp", "idf1", "num_false_positives", "num_misses", "num_switches", "mostly_tracked")
    names += ("partially_tracked", "mostly_lost", "num_fragmentations")
    expected = host.compute(accumulator, metrics=names, return_dataframe=False)
    expected |= {"mota": 100 * expected["mota"], "idf1": 100 * expected["idf1"], "motp": 100 - 100 * expected["motp"]}
    order = ("MOTA", "MOTP", "IDF1", "FP", "FN", "IDSw", "MT", "PT", "ML", "FM")
    scores = clear_scores(count_clear(frames, 0.5))
    assert [scores[name] for name in order] == pytest.approx([expected[name] for name in names], nan_ok=True)


@given(SEEDS)
def test_counts_follow_from_each_other(seed: int):
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(rng.integers(0, 8)):
        truth, result = (rng.permutation(9)[: rng.integers(0, 9)] for _ in range(2))
        frames.append(TrackFrame(truth, result, rng.random((len(truth), len(result)))))
    counts = count_clear(frames, 0.5)
    tracks = {track for frame in frames for track in frame.truth.tolist()}
    assert counts.mostly_tracked + counts.partially_tracked + counts.mostly_lost == len(tracks)
    assert counts.switches <= counts.detected <= min(counts.objects, counts.predictions)
    assert counts.identified <= min(counts.objects, counts.predictions)
    assert 0 <= counts.distance <= counts.detected / 2
    assert counts + Counts() == counts


def test_assignment_matches_as_many_pairs_as_possible_and_then_the_nearest():
    distance = np.array([[0.0, 0.4], [0.1, 0.9]])
    allowed = np.array([[True, True], [True, False]])
    rows, columns = assign(distance, allowed)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]
    rows, columns = assign(np.array([[0.3, 0.1], [0.1, 0.3]]), np.ones((2, 2), np.bool_))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert not len(assign(np.zeros((0, 3)), np.zeros((0, 3), np.bool_))[0])


def _frame(
    video: str, index: int | None, labels: list[tuple[Any, str, tuple[float, ...]]], **more: Any
) -> dict[str, Any]:
    rows = [
        {"id": track, "category": name, "box2d": dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))}
        for track, name, box in labels
    ]
    return {"name": f"{video}-{index}.jpg", "videoName": video, "frameIndex": index, "labels": rows} | more


BOX = (10.0, 10.0, 29.0, 29.0)
OTHER = (100.0, 10.0, 119.0, 29.0)


@pytest.fixture
def case(tmp_path: Path) -> Any:
    """Write labels and predictions; return their paths."""

    def write(truth: Any, result: Any) -> tuple[Path, Path]:
        return write_frames(tmp_path / "gt.json", truth), write_frames(tmp_path / "pred.json", result)

    return write


def two_videos() -> Frames:
    return [_frame(video, index, [("1", "car", BOX), ("2", "bus", OTHER)]) for video in "ab" for index in range(3)]


def test_a_missing_video_counts_as_one_where_nothing_was_found(case: Any):
    truth = two_videos()
    result = compare("box_track", *case(truth, truth[3:]))
    assert result.score("FN") == 6
    assert "1 of 2 videos have no predictions" in result.notes[0]


def test_no_predictions_at_all(case: Any):
    result = compare("box_track", *case(two_videos(), []))
    assert result.score("MOTA") == 0
    assert any("no predicted objects" in note for note in result.notes)


def test_no_labels_at_all(case: Any):
    truth = [_frame("a", index, []) for index in range(2)]
    result = compare("box_track", *case(truth, two_videos()[:2]))
    assert result.score("MOTA") == -math.inf
    assert result.score("mMOTA") == 0
    assert "every score is 0 or undefined" in result.notes[0]


def test_no_frames_at_all(case: Any):
    result = evaluate("box_track", *case([], []))
    assert math.isnan(result.score("MOTA"))
    assert result.notes == ("the ground truth holds no frames",)


def test_absent_categories_count_as_zero_and_a_note_gives_the_average_of_the_others(case: Any):
    truth = two_videos()
    result = compare("box_track", *case(truth, truth))
    assert result.score("mMOTA") == pytest.approx(25)
    assert "6 of 8 categories have no labelled object" in result.notes[0]
    assert "mMOTA 100.0, mMOTP 100.0, mIDF1 100.0" in result.notes[0]


def test_an_absent_category_with_predictions_is_minus_infinity_and_valid_json_has_null_for_it(case: Any):
    truth = two_videos()
    extra = [
        frame | {"labels": [*frame["labels"], _frame("a", 0, [("9", "train", BOX)])["labels"][0]]} for frame in truth
    ]
    result = compare("box_track", *case(truth, extra))
    assert result.score("MOTA", "train") == -math.inf
    assert json.loads(result.to_strict_json())["scores"]["MOTA"][0]["train"] is None


def test_videos_of_other_names_pair_in_order_if_their_frames_agree(case: Any):
    truth = two_videos()
    renamed = [frame | {"videoName": f"x{frame['videoName']}"} for frame in truth]
    result = compare("box_track", *case(truth, renamed))
    assert result.score("MOTA") == 100
    assert "2 videos of the predictions have names that are not in the ground truth" in result.notes[0]


def test_an_iou_threshold_is_obeyed_and_a_note_says_when_the_official_tool_does(case: Any):
    truth = two_videos()
    moved = [
        _frame(frame["videoName"], frame["frameIndex"], [("1", "car", (14.0, 10.0, 33.0, 29.0))]) for frame in truth
    ]
    paths = case(truth, moved)
    assert compare("box_track", *paths).score("FP") == 0
    result = compare("box_track", *paths, Options(iou_threshold=0.8))
    assert result.score("FP") == 6
    assert any("--nproc 1" in note for note in result.notes)


def test_frames_without_an_index_pair_in_the_order_of_the_file(case: Any):
    truth = [_frame("a", None, [("1", "car", BOX)], name=f"{index}.jpg") for index in range(3)]
    assert compare("box_track", *case(truth, truth)).score("MOTA") == 100


def test_ids_of_labels_may_be_any_text(case: Any):
    truth = [_frame("a", index, [("x-1", "car", BOX), ("01", "car", OTHER)]) for index in range(3)]
    result = [_frame("a", index, [(7, "car", BOX), ("-3", "car", OTHER)]) for index in range(3)]
    assert compare("box_track", *case(truth, result)).score("IDF1") == 100


def test_predictions_that_match_nothing_in_an_ignored_region_are_left_out(case: Any):
    region = (0.0, 0.0, 60.0, 60.0)
    truth = [_frame("a", 0, [("1", "car", BOX), ("2", "other person", region)])]
    result = [_frame("a", 0, [("1", "car", BOX), ("2", "bus", (35.0, 35.0, 50.0, 50.0)), ("3", "car", OTHER)])]
    scores = compare("box_track", *case(truth, result))
    assert (scores.score("FP", "bus"), scores.score("FP", "car"), scores.score("FN", "car")) == (0, 1, 0)


def test_groups_and_names_come_from_a_config(case: Any, tmp_path: Path):
    config = tmp_path / "two.toml"
    config.write_text(
        "remove_ignored = true\n[name_mapping]\nbus = 'car'\n[scalabel]\n"
        "[[scalabel.categories]]\nname = 'car'\n[[scalabel.categories]]\nname = 'rider'\n"
    )
    truth = [_frame("a", 0, [("1", "car", BOX), ("2", "bus", OTHER), ("3", "train", BOX)])]
    result = compare("box_track", *case(truth, truth), Options(config=str(config)))
    assert len(result.scores["MOTA"]) == 2  # no super-categories
    assert result.score("FP") == 0 and result.score("MT", "car") == 2


def test_evaluator_takes_videos_one_by_one():
    def frame(result: tuple[int, ...]) -> FrameOverlap:
        kinds = np.zeros(len(result), np.int64)
        return FrameOverlap(
            ("a",), np.zeros(1, np.int64), result, kinds, np.ones((1, len(result))), np.zeros(len(result))
        )

    config = EvalConfig(("car",), {}, None)
    evaluator = TrackingEvaluator("box_track", config)
    evaluator.process([frame((1,)), frame((2,))])
    evaluator.process([frame((1,)), frame(())])
    result = evaluator.evaluate()
    assert (result.score("IDSw"), result.score("FN"), result.score("MT"), result.score("PT")) == (1, 1, 1, 1)
    evaluator.reset()
    assert evaluator.evaluate().score("FN") == 0


def test_default_settings_have_the_official_groups():
    assert default_config("box_track").groups == default_config("seg_track").groups
    assert default_config("seg_track").groups["vehicle"] == ("car", "truck", "bus", "train")


def wrong(frames: Frames, **fields: Any) -> Frames:
    return [frames[0] | fields, *frames[1:]]


def relabelled(frames: Frames, **fields: Any) -> Frames:
    return wrong(frames, labels=[frames[0]["labels"][0] | fields, *frames[0]["labels"][1:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: wrong(f, videoName=None), "frame a-0.jpg: videoName is missing"),
        (lambda f: wrong(f, frameIndex=None), "frame a-0.jpg: frameIndex is missing"),
        (lambda f: wrong(f, frameIndex=7), "frame a-0.jpg: frameIndex 7 is not in the ground truth of video a"),
        (lambda f: f[1:], "video a has no frame with frameIndex 0 (a-0.jpg)"),
        (lambda f: [*f, f[2]], "frame a-2.jpg: frameIndex 2 stands twice in video a"),
        (lambda f: [*f, _frame("c", 0, [])], "video c is not in the ground truth"),
        (lambda f: [_frame(f"z{one['videoName']}", one["frameIndex"], []) for one in f], "results for another split"),
        (
            lambda f: relabelled(f, category="cart"),
            "frame a-0.jpg, label 0: unknown category 'cart'; did you mean car?",
        ),
        (lambda f: relabelled(f, category=None), "frame a-0.jpg, label 0: category is missing"),
        (lambda f: relabelled(f, id="abc"), "frame a-0.jpg: id is 'abc'"),
        (lambda f: relabelled(f, id="2", category="bus"), "frame a-0.jpg: id 2 stands twice among bus"),
        (
            lambda f: relabelled(f, box2d={"x1": 9, "y1": 0, "x2": 1, "y2": 5}),
            "label 0: box2d has x2 = 1.0 below x1 = 9.0",
        ),
        (lambda f: relabelled(f, box2d={"x1": math.nan, "y1": 0, "x2": 1, "y2": 5}), "frame a-0.jpg: x1 is NaN"),
        (lambda f: relabelled(f, box2d={"x1": 0, "y1": 0, "x2": 1e308, "y2": 1e308}), "too large for any image"),
        (lambda f: {"images": [], "annotations": []}, "this is COCO JSON"),
    ],
)
def test_bad_predictions_end_in_one_line(case: Any, change: Any, message: str, capsys: pytest.CaptureFixture[str]):
    truth, result = case(two_videos(), change(two_videos()))
    with pytest.raises(LabelError) as error:
        evaluate("box_track", truth, result)
    assert message in str(error.value)
    assert str(result) in str(error.value)
    assert "\n" not in str(error.value)
    assert main(["eval", "-t", "box_track", "-g", str(truth), "-r", str(result)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("cut", [1, 40, -2])
def test_a_truncated_file_is_said_to_be_one(case: Any, cut: int):
    truth, result = case(two_videos(), two_videos())
    result.write_bytes(result.read_bytes()[:cut])
    with pytest.raises(LabelError, match=r"pred\.json: not valid JSON"):
        evaluate("box_track", truth, result)


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_end_in_an_error_or_a_result(case: Any, text: bytes):
    truth, result = case(two_videos(), [])
    result.write_bytes(text)
    with contextlib.suppress(LabelError):
        evaluate("box_track", truth, result)


def test_masks_of_another_size_are_refused(case: Any):
    truth, result = random_regions(5)
    label = {"id": "1", "category": "car", "rle": {"counts": "04", "size": [2, 2]}}
    index = next(index for index, frame in enumerate(truth) if frame["labels"])
    result[index]["labels"] = [label]
    with pytest.raises(LabelError, match=r"rle\.size is 2x2, but the ground truth has 16x24"):
        evaluate("seg_track", *case(truth, result))
    result[index]["labels"] = [label | {"rle": {"counts": "04", "size": [16, 24]}}]
    with pytest.raises(LabelError, match=rf"{truth[index]['name']}.*covers 4 pixels, but rle\.size is 16x24"):
        evaluate("seg_track", *case(truth, result))


def test_polygons_in_predictions_are_refused(case: Any):
    truth, result = random_regions(5)
    square = [{"vertices": [[0, 0], [4, 0], [4, 4]], "types": "LLL", "closed": True}]
    result[0]["labels"] = [{"id": "1", "category": "car", "poly2d": square}]
    with pytest.raises(LabelError, match="poly2d in a prediction"):
        evaluate("seg_track", *case(truth, result))


def test_overlapping_masks_void_a_frame_and_a_note_gives_the_score_of_the_parted_ones(case: Any):
    truth, _ = random_regions(3)
    plain = [frame | {"labels": [label | {"attributes": {}} for label in frame["labels"]]} for frame in truth]
    predicted = [frame | {"labels": [dict(label) for label in frame["labels"]]} for frame in plain]
    index = next(index for index, frame in enumerate(plain) if frame["labels"])
    predicted[index]["labels"].append(predicted[index]["labels"][0] | {"id": "99"})
    result = compare("seg_track", *case(plain, predicted))
    assert result.score("FN") > 0
    note = next(note for note in result.notes if "overlap" in note)
    assert f"1 of {len(plain)} frames" in note and "With shared pixels" in note


def _write_masks(folder: Path, names: list[str], ids: int = 2) -> None:
    for name in names:
        tracks = np.arange(16 * 24).reshape(16, 24) % ids + 1
        write_bitmask(folder / f"{name}.png", np.full((16, 24), 3, np.uint8), tracks)


def test_missing_bitmasks_and_videos_are_named(tmp_path: Path):
    _write_masks(tmp_path / "gt", ["a/1", "a/2", "b/1"])
    _write_masks(tmp_path / "pred", ["a/1"])
    with pytest.raises(MissingFileError, match=r"a: no bitmask 2\.png"):
        evaluate("seg_track", tmp_path / "gt", tmp_path / "pred")
    _write_masks(tmp_path / "pred", ["a/2", "a/3"])
    with pytest.raises(MissingFileError, match="no folder for video b"):
        evaluate("seg_track", tmp_path / "gt", tmp_path / "pred")
    _write_masks(tmp_path / "pred", ["c/7"])
    with pytest.raises(LabelError, match="video c is not in the ground truth"):
        evaluate("seg_track", tmp_path / "gt", tmp_path / "pred")
    (tmp_path / "pred/c/7.png").rename(tmp_path / "pred/c/1.png")
    result = compare("seg_track", tmp_path / "gt", tmp_path / "pred")
    assert "1 videos of the predictions" in result.notes[0]
    assert "1 predicted bitmasks are of no frame" in result.notes[1]


def test_more_instances_than_the_official_tool_takes_all_count(tmp_path: Path):
    for side in ("gt", "pred"):
        _write_masks(tmp_path / side, ["a/1"], ids=130)
    result = evaluate("seg_track", tmp_path / "gt", tmp_path / "pred")
    assert (result.score("MT"), result.score("FP")) == (130, 0)
    assert any("1 frames have more than 100 predicted instances" in note for note in result.notes)
    with pytest.raises(LabelError, match="IndexError"):
        official("seg_track", tmp_path / "gt", tmp_path / "pred")
    masks = encode_labels(read_bitmask(tmp_path / "pred/a/1.png").ids.astype(np.int32))
    labels = [
        {"id": str(number), "category": "car", "rle": {"counts": mask.counts, "size": mask.size}, "score": 0.5}
        for number, mask in masks.items()
    ]
    file = tmp_path / "pred.json"
    file.write_text(json.dumps([{"name": "1.jpg", "videoName": "a", "frameIndex": 0, "labels": labels}]))
    result = evaluate("seg_track", file, file)
    assert result.score("MT") == 130 and not any("instances" in note for note in result.notes)


def test_predicted_instances_that_do_not_count_are_told(tmp_path: Path):
    _write_masks(tmp_path / "gt", ["a/1"])
    tracks = np.arange(16 * 24).reshape(16, 24) % 3 + 1
    kinds, flags = np.array([0, 3, 9, 3], np.uint8)[tracks], np.array([0, 0, 0, 1], np.uint8)[tracks]
    write_bitmask(tmp_path / "pred/a/1.png", kinds, tracks, flags)
    result = compare("seg_track", tmp_path / "gt", tmp_path / "pred")
    assert any("1 predicted objects are of no evaluated category" in note for note in result.notes)
    assert any("1 predicted objects are marked as ignored" in note for note in result.notes)


def test_an_instance_has_one_category_and_bitmasks_one_size(tmp_path: Path):
    _write_masks(tmp_path / "gt", ["a/1"])
    write_bitmask(tmp_path / "pred/a/1.png", np.array([[1, 2]], np.uint8), np.array([[4, 4]]))
    with pytest.raises(LabelError, match=r"1\.png: 1x2 pixels"):
        evaluate("seg_track", tmp_path / "gt", tmp_path / "pred")
    kinds = np.full((16, 24), 3, np.uint8)
    kinds[0] = 1
    write_bitmask(tmp_path / "pred/a/1.png", kinds, np.full((16, 24), 4))
    with pytest.raises(LabelError, match=r"1\.png: instance 4 has pixels of different categories"):
        evaluate("seg_track", tmp_path / "gt", tmp_path / "pred")


def test_hota_is_for_tracking_and_our_engine(case: Any):
    paths = case(two_videos(), two_videos())
    with pytest.raises(InputError, match="leave --hota out"):
        evaluate("box_track", *paths, Options(hota=True), engine="official")
    with pytest.raises(InputError, match="leave --hota out"):
        evaluate("det", *paths, Options(hota=True))


@pytest.mark.slow
def test_processes_do_not_change_the_scores(case: Any):
    truth = [_frame("a", index, [("1", "car", BOX), ("2", "bus", OTHER)]) for index in range(150)]
    result = [_frame("a", index, [(index // 40, "car", BOX)]) for index in range(150)]
    paths = case(truth, result)
    alone, together = (evaluate("box_track", *paths, Options(processes=count, hota=True)) for count in (1, 2))
    assert alone.to_json() == together.to_json()
    assert alone.notes == together.notes
