"""Tracking through the command line, with the shipped detector behind a motion tracker: no weights but ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.engine.motion import TRACKERS, MotionTracking
from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.tasks import TASKS
from conftest import ROOT
from det_model import MODEL, TWO_PROCESSES, environment, make_checkpoint, run
from evaluation_support import same_as_official

FRAMES = 4
CORNERS = ("x1", "y1", "x2", "y2")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracking") / "data"
    generate_videos(folder, {"val": 3}, frames=FRAMES, seed=2, size=(640, 360), tasks=["mot"], nproc=1)
    return folder


@pytest.fixture(scope="module")
def flags(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """How every run is made: random weights that are sure of what they see."""
    weights = make_checkpoint(tmp_path_factory.mktemp("weights") / "random.pth")
    return ["--tracker", "bytetrack", "--data-root", root, "--checkpoint", weights]


@pytest.fixture(scope="module")
def reference(flags: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference")
    done = run("test", "mot", MODEL, *flags, "--format-dir", out, "--eval", "--show-dir", out / "drawn")
    # the frames are smaller than those of the data set, which is said of each
    assert done.returncode == 1, done.stderr
    assert "640x360 pixels instead of 1280x720" in done.stderr and "OVERALL" in done.stdout
    return out


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "box_track").iterdir())}


def test_a_file_and_a_movie_for_each_video(reference: Path, root: Path) -> None:
    videos = sorted(path.name for path in (root / "images/track/val").iterdir())
    assert list(results(reference)) == [f"{video}.json" for video in videos]
    ids = set()
    for video in videos:
        frames = json.loads((reference / f"box_track/{video}.json").read_text())
        assert [frame["frameIndex"] for frame in frames] == list(range(FRAMES))
        assert {frame["videoName"] for frame in frames} == {video}
        ids |= {label["id"] for frame in frames for label in frame["labels"]}
        assert (reference / f"drawn/{video}.mp4").stat().st_size > 1000
        assert len(list((reference / "drawn" / video).iterdir())) == FRAMES
    assert "0" in ids


def test_two_processes_write_the_same_bytes(reference: Path, flags: list[str | Path], tmp_path: Path) -> None:
    launcher = [*TWO_PROCESSES, "-m", "bdd100k_models.cli"]
    command = [*launcher, "test", "mot", MODEL, *flags, "--format-dir", tmp_path, "--launcher", "pytorch"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment(), check=False)
    assert "12 images" in done.stdout, done.stderr
    assert results(tmp_path) == results(reference)


def test_a_run_that_was_cut_short_goes_on_with_the_unfinished_video(
    reference: Path, root: Path, flags: list[str | Path], tmp_path: Path
) -> None:
    victim = sorted((root / "images/track/val").iterdir())[1] / "hidden"
    frame = sorted(victim.parent.glob("*.jpg"))[2]
    frame.rename(victim)
    try:
        assert run("test", "mot", MODEL, *flags, "--format-dir", tmp_path).returncode == 1
    finally:
        victim.rename(frame)
    assert results(tmp_path) != results(reference)
    # the missing frame is like one that a kill left out: its video is run again from its beginning
    done = run("test", "mot", MODEL, *flags, "--format-dir", tmp_path, "--resume")
    assert done.returncode in (0, 1), done.stderr
    assert results(tmp_path) == results(reference)


def test_a_missing_frame_is_an_empty_one_and_is_named(root: Path, flags: list[str | Path], tmp_path: Path) -> None:
    folder = sorted((root / "images/track/val").iterdir())[0]
    frame = sorted(folder.glob("*.jpg"))[0]
    frame.rename(frame.with_suffix(".hidden"))
    try:
        done = run("test", "mot", MODEL, *flags, "--tracker", "ocsort", "--format-dir", tmp_path)
    finally:
        frame.with_suffix(".hidden").rename(frame)
    assert done.returncode == 1 and f"{frame.name}: no such file" in done.stderr
    frames = json.loads((tmp_path / f"box_track/{folder.name}.json").read_text())
    assert frames[0]["labels"] == [] and len(frames) == FRAMES


@pytest.mark.parametrize("tracker", TRACKERS)
def test_frames_of_two_sizes_are_followed(root: Path, flags: list[str | Path], tmp_path: Path, tracker: str) -> None:
    video = sorted((root / "images/track/val").iterdir())[0]
    shutil.copytree(video, tmp_path / "drives/v")
    names = sorted(path.name for path in video.iterdir())
    sizes = [(640, 360), (300, 200), (640, 360), (640, 360)]
    small = cv2.resize(cv2.imread(str(video / names[1])), sizes[1])
    cv2.imwrite(str(tmp_path / "drives/v" / names[1]), small)
    words = ["test", "mot", MODEL, "--tracker", tracker, "--checkpoint", flags[-1], "--images", tmp_path / "drives"]
    assert main([*map(str, [*words, "--format-dir", tmp_path / "out", "--device", "cpu"])]) == 0
    frames = json.loads((tmp_path / "out/box_track/v.json").read_text())
    assert [frame["name"] for frame in frames] == names and all(frame["labels"] for frame in frames[:2])
    for frame, (width, height) in zip(frames, sizes, strict=True):
        assert all(label["box2d"]["x2"] <= width and label["box2d"]["y2"] <= height for label in frame["labels"])


def test_boxes_of_an_instance_model_are_followed_too(root: Path, tmp_path: Path) -> None:
    words = ["test", "mot", "mask_rcnn_mini_ins_seg_synthetic", "--tracker", "ocsort", "--device", "cpu"]
    video = sorted((root / "images/track/val").iterdir())[0]
    assert main([*map(str, [*words, "--images", video, "--format-dir", tmp_path])]) == 0
    assert len(json.loads((tmp_path / f"box_track/{video.name}.json").read_text())) == FRAMES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test", "det", MODEL, "--tracker", "bytetrack"], "--tracker is for mot and mots"),
        (["test", "mot", MODEL], "no such model or config of mot"),
        (["test", "mot", ROOT / f"det/configs/mini/{MODEL}.py"], "the model does not track what it finds"),
        (["test", "mot", "atss", "--tracker", "ocsort"], "no such model or config of det or ins_seg"),
        (["test", "mots", MODEL, "--tracker", "ocsort"], "no such model or config of ins_seg"),
        (["test", "mot", MODEL, "--tracker", "ocsort", "--batch-size", "2"], "--batch-size 2"),
    ],
)
def test_what_cannot_work_is_one_line(root: Path, tmp_path: Path, arguments: list[str | Path], message: str) -> None:
    done = run(*arguments, "--data-root", root, "--format-dir", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("more", [["--batch-size", "2"], ["--resume", "--batch-size", "2"], ["--resume", "--show-dir"]])
def test_a_refused_command_costs_nothing(
    reference: Path, flags: list[str | Path], root: Path, tmp_path: Path, more: list[str]
) -> None:
    shutil.copytree(reference, tmp_path / "out")
    pictures = [root / "images/track/val"] if more[-1] == "--show-dir" else []
    done = run("test", "mot", MODEL, *flags, "--format-dir", tmp_path / "out", *more, *pictures)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    for path in reference.rglob("*"):
        assert path.is_dir() or (tmp_path / "out" / path.relative_to(reference)).read_bytes() == path.read_bytes()


# ------------------------------------------------------------------------------------------------------ the wrapper


class Detector(torch.nn.Module):
    """Finds what it is told to."""

    data_preprocessor = None

    def __init__(self, masks: bool = False) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, inputs: torch.Tensor, data_samples: list[Any], mode: str) -> list[Any]:
        for boxes, sample in zip(inputs, data_samples, strict=True):
            from mmengine.structures import InstanceData

            scores = boxes[:, 5] if boxes.shape[1] > 5 else torch.full((len(boxes),), 0.9)
            sample.pred_instances = InstanceData(bboxes=boxes[:, :4], scores=scores, labels=boxes[:, 4].long())
            if self.masks:
                columns = torch.arange(32)
                within = (columns >= boxes[:, :1] / 16) & (columns <= boxes[:, 2:3] / 16)
                sample.pred_instances.masks = within[:, None, :].expand(-1, 24, -1)
        return data_samples


def frame(video: str, position: int) -> Any:
    from mmdet.structures import DetDataSample

    return DetDataSample(metainfo={"video_id": video, "frame_id": position})


@pytest.mark.parametrize("tracker", TRACKERS)
def test_ids_follow_boxes_and_begin_anew_with_a_video(tracker: str) -> None:
    model = MotionTracking(Detector(), tracker)
    seen: dict[str, list[list[int]]] = {}
    for video in ("a", "b"):
        for step in range(5):
            boxes = torch.tensor(
                [[10.0 + 3 * step, 10, 60 + 3 * step, 60, 2], [300, 300, 380 - step, 380, 2], [50, 50, 90, 90, 9]]
            )
            sample = frame(video, step)
            (track,) = model(boxes[None], [sample])
            found = track[0].pred_track_instances
            order = found.bboxes[:, 0].argsort()
            seen.setdefault(video, []).append(found.instances_id[order].tolist())
            assert (found.labels == 2).all()
    assert seen["a"] == seen["b"]
    assert seen["a"][0] == seen["a"][-1] and len(set(seen["a"][0])) == 2


@pytest.mark.parametrize("tracker", TRACKERS)
def test_frames_that_could_not_be_read_age_the_tracks(tracker: str) -> None:
    """A track lives as long after thirty such frames as after thirty that show nothing."""
    boxes = torch.tensor([[10.0, 10, 60, 60, 2], [300, 300, 380, 380, 2]])
    kept = []
    for gap in (29, 30):
        model = MotionTracking(Detector(), tracker)
        ids = []
        # the second object keeps the tracker from being empty, and is the only one that is seen after the gap too
        for position, shown in ((7, boxes), (8, boxes), (8 + gap, boxes[1:]), (9 + gap, boxes)):
            (track,) = model(shown[None], [frame("v", position)])
            found = track[0].pred_track_instances
            ids.append(dict(zip(found.bboxes[:, 0].tolist(), found.instances_id.tolist(), strict=True)))
        assert ids[0].keys() == {10.0, 300.0}
        kept.append(ids[3][10.0] == ids[0][10.0])
    assert kept == [True, False]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_masks_stay_with_their_boxes_and_the_past_is_forgotten(tracker: str) -> None:
    rng = np.random.default_rng(0)
    with_masks, without = MotionTracking(Detector(masks=True), tracker), MotionTracking(Detector(), tracker)
    starts = torch.tensor(rng.uniform(0, 300, (6, 2)))
    for step in range(120):
        shown = torch.tensor(rng.random(6) > 0.2)
        corners = starts + step * 0.3
        rows = torch.cat([corners, corners + 40, torch.full((6, 1), 2.0)], 1)[shown].float()
        rows = torch.cat([rows, rows[:1]])  # two that are equal
        found, plain = (
            model(rows[None], [frame("v", step)])[0][0].pred_track_instances for model in (with_masks, without)
        )
        assert torch.equal(found.instances_id, plain.instances_id) and torch.equal(found.bboxes, plain.bboxes)
        assert found.masks.shape == (len(found), 24, 32)
        first = found.masks[:, 0].int().argmax(dim=1)
        assert torch.equal(first, torch.ceil(found.bboxes[:, 0] / 16).long())
    tracks = with_masks.tracker.tracks.values()
    kept = [len(values) for track in tracks for values in track.values() if isinstance(values, list)]
    assert kept and max(kept) <= 64


@pytest.mark.parametrize("tracker", TRACKERS)
def test_boxes_of_the_sample_video_are_linked_again(samples: Path, tmp_path: Path, tracker: str) -> None:
    """Scored by both evaluations, and not much worse than with the ids that the boxes came with."""
    (published,) = (samples / "predictions/box_track").iterdir()
    truth, again = samples / "labels/box_track_20/val", tmp_path / "box_track"
    frames = json.loads(published.read_text())
    model, names = MotionTracking(Detector(), tracker), TASKS["mot"].categories
    for place, content in enumerate(frames):
        rows = [
            [*label["box2d"].values(), names.index(label["category"]), label["score"]] for label in content["labels"]
        ]
        (track,) = model(torch.tensor(rows)[None], [frame("video", place)])
        found = track[0].pred_track_instances
        columns = (found.instances_id, found.labels, found.scores, found.bboxes)
        content["labels"] = [
            {"id": str(number), "category": names[label], "score": score, "box2d": dict(zip(CORNERS, box, strict=True))}
            for number, label, score, box in zip(*(column.tolist() for column in columns), strict=True)
        ]
    again.mkdir()
    (again / published.name).write_text(json.dumps(frames))
    before = evaluate("box_track", truth, published.parent, Options(processes=1)).summary()
    after = same_as_official("box_track", truth, again).summary()
    # a tracker waits a few frames before it trusts a new track, of only six here
    assert after["MOTA"] > 0.7 * before["MOTA"] and after["IDF1"] > 0.7 * before["IDF1"]


def test_an_unknown_tracker_and_empty_frames() -> None:
    with pytest.raises(InputError, match="bytetrack, ocsort"):
        MotionTracking(Detector(), "sort")
    model = MotionTracking(Detector(), "bytetrack")
    for step in range(3):
        (track,) = model(torch.zeros(1, 0, 5), [frame("a", step)])
        assert len(track[0].pred_track_instances) == 0
