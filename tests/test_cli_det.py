"""The detection commands end to end: the same bytes whatever happens, one clear line whatever is wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from bdd100k_models.cli import main
from conftest import ROOT, draw_noise
from det_model import MODEL, TWO_PROCESSES, environment, make_checkpoint, run

COUNT = 7


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    frames = []
    for index in range(COUNT):
        draw_noise(root / f"images/100k/val/{index}.jpg", seed=index)
        box = {"x1": 100 + index, "y1": 100, "x2": 200, "y2": 220}
        frames.append({"name": f"{index}.jpg", "labels": [{"id": "1", "category": "car", "box2d": box}]})
    labels = root / "labels/det_20/det_val.json"
    labels.parent.mkdir(parents=True)
    labels.write_text(json.dumps(frames))
    return root


@pytest.fixture(scope="module")
def reference(checkpoint: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one undisturbed run in one process, scored and drawn."""
    out = tmp_path_factory.mktemp("reference")
    arguments = ("--checkpoint", checkpoint, "--data-root", data_root, "--format-dir", out, "--eval")
    done = run("test", "det", MODEL, *arguments, "--show-dir", out / "pictures", "--out", out / "raw.pkl")
    assert done.returncode == 0, done.stderr
    assert f"{COUNT} images" in done.stdout
    assert "images/s" in done.stdout
    (out / "stdout.txt").write_text(done.stdout)
    return out


def command(checkpoint: Path, data_root: Path, out: Path, *more: str | Path) -> list[str | Path]:
    return ["test", "det", MODEL, "--checkpoint", checkpoint, "--data-root", data_root, "--format-dir", out, *more]


def test_the_result_holds_every_image(reference: Path) -> None:
    frames = json.loads((reference / "det.json").read_text())["frames"]
    assert [frame["name"] for frame in frames] == [f"{index}.jpg" for index in range(COUNT)]
    assert all(len(frame["labels"]) > 10 for frame in frames)
    assert not (reference / ".unfinished").exists()
    assert not (reference / "errors.json").exists()


def test_the_old_pickle_holds_the_same_boxes(reference: Path) -> None:
    results = pickle.loads((reference / "raw.pkl").read_bytes())
    frames = json.loads((reference / "det.json").read_text())["frames"]
    assert [sum(map(len, image)) for image in results] == [len(frame["labels"]) for frame in frames]


def test_pictures_are_drawn(reference: Path, data_root: Path) -> None:
    for index in range(COUNT):
        drawn = cv2.imread(str(reference / f"pictures/{index}.jpg"))
        plain = cv2.imread(str(data_root / f"images/100k/val/{index}.jpg"))
        assert drawn.shape == plain.shape
        assert np.abs(drawn.astype(int) - plain).max() > 60


def test_the_score_is_the_official_one(reference: Path, data_root: Path, tmp_path: Path) -> None:
    pytest.importorskip("bdd100k.eval.run")
    arguments = ("-t", "det", "-g", data_root / "labels/det_20/det_val.json", "-r", reference / "det.json")
    subprocess.run(
        [sys.executable, "-m", "bdd100k.eval.run", *map(str, arguments), "--out-file", str(tmp_path / "official.json")],
        check=True,
        capture_output=True,
        env=environment(),
        cwd=tmp_path,
    )
    official = json.loads((tmp_path / "official.json").read_text())
    (ours_file,) = reference.glob("eval_*.json")
    ours = json.loads(ours_file.read_text())
    assert set(official) == set(ours)
    for metric, rows in official.items():
        for mine, theirs in zip(ours[metric], rows, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-6, nan_ok=True), metric
    printed = (reference / "stdout.txt").read_text()
    for category in ("pedestrian", "traffic sign", "OVERALL"):
        assert category in printed


def test_a_coco_conversion_serves_as_labels(reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path) -> None:
    frames = json.loads((data_root / "labels/det_20/det_val.json").read_text())
    names = ["pedestrian", "rider", "car"]
    images, annotations = [], []
    for index, frame in enumerate(frames):
        images.append({"id": index, "file_name": frame["name"], "width": 1280, "height": 720})
        box = frame["labels"][0]["box2d"]
        bbox = [box["x1"], box["y1"], box["x2"] - box["x1"] + 1, box["y2"] - box["y1"] + 1]
        annotations.append({"id": index, "image_id": index, "category_id": 3, "bbox": bbox, "iscrowd": 0})
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(names)]
    file = data_root / "jsons/det_val_cocofmt.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    option = "test_dataloader.dataset.ann_file=jsons/det_val_cocofmt.json"
    done = run(*command(checkpoint, data_root, tmp_path, "--eval", "--cfg-options", option))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "det.json").read_bytes() == (reference / "det.json").read_bytes()
    scores = [json.loads(next(folder.glob("eval_*.json")).read_text()) for folder in (tmp_path, reference)]
    assert scores[0]["AP"][0]["car"] == scores[1]["AP"][0]["car"]


def test_two_processes_write_the_same_bytes(reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path) -> None:
    words = command(checkpoint, data_root, tmp_path)[2:]
    launch = [*TWO_PROCESSES]
    done = subprocess.run(
        [*launch, str(ROOT / "det/test.py"), *map(str, words), "--launcher", "pytorch", "--format-only"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "det.json").read_bytes() == (reference / "det.json").read_bytes()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_goes_on(
    reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path, signal_number: signal.Signals
) -> None:
    words = command(checkpoint, data_root, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "bdd100k_models.cli", *map(str, words)],
        env=environment(),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    shard = tmp_path / ".unfinished/attempt000000-rank000.jsonl"
    deadline = time.monotonic() + 120
    while not (shard.exists() and shard.read_bytes().count(b"\n") >= 2):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal_number)
    _, stderr = process.communicate(timeout=60)
    assert not (tmp_path / "det.json").exists()
    if signal_number != signal.SIGKILL:
        assert process.returncode == 130
        assert stderr.strip().splitlines()[-1].startswith("interrupted: what was written is kept")
    with shard.open("ab") as file:  # as a kill in the middle of a write would leave it
        file.write(b'{"index":6,"rec')
    done = run(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "det.json").read_bytes() == (reference / "det.json").read_bytes()


def test_a_finished_run_is_not_repeated(reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "out")
    before = (tmp_path / "out/det.json").stat().st_mtime_ns
    done = run(*command(checkpoint, data_root, tmp_path / "out", "--resume"))
    assert done.returncode == 0
    assert (tmp_path / "out/det.json").stat().st_mtime_ns == before


def test_resuming_another_run_is_refused(checkpoint: Path, data_root: Path, tmp_path: Path) -> None:
    from bdd100k_models.engine.shards import RunIdentity, Shards

    Shards(tmp_path, COUNT).start(RunIdentity("det", "other", "w", "i", "full", 1))
    done = run(*command(checkpoint, data_root, tmp_path, "--resume"))
    assert_one_line(done, "differs in its model")


def test_batches_and_workers_do_not_change_what_is_found(
    reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path
) -> None:
    done = run(*command(checkpoint, data_root, tmp_path, "--batch-size", "3", "--workers", "0"))
    assert done.returncode == 0, done.stderr
    expected = json.loads((reference / "det.json").read_text())["frames"]
    for frame, other in zip(json.loads((tmp_path / "det.json").read_text())["frames"], expected, strict=True):
        assert frame["name"] == other["name"]
        scores = [sorted(label["score"] for label in item["labels"]) for item in (frame, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def make_bad_images(folder: Path) -> dict[str, bool]:
    """Write unusual images; return by name whether there should be predictions."""
    folder.mkdir(parents=True)
    good = draw_noise(folder / "good.jpg", seed=1)
    pixels = cv2.imread(str(good))
    (folder / "cut.jpg").write_bytes(good.read_bytes()[:5000])
    (folder / "zero.jpg").touch()
    (folder / "text.jpg").write_text("this is not an image")
    cv2.imwrite(str(folder / "grey.jpg"), pixels[..., 0])
    cv2.imwrite(str(folder / "deep.png"), pixels.astype(np.uint16) * 257)
    from PIL import Image

    Image.fromarray(pixels).convert("CMYK").save(folder / "cmyk.jpg")
    cv2.imwrite(str(folder / "small.jpg"), pixels[:90, :160])
    return {
        "cut.jpg": False,
        "zero.jpg": False,
        "text.jpg": False,
        "grey.jpg": True,
        "deep.png": True,
        "cmyk.jpg": True,
    }


def test_bad_images_are_named_and_the_run_finishes(checkpoint: Path, tmp_path: Path) -> None:
    expected = make_bad_images(tmp_path / "images")
    out = tmp_path / "out"
    words = ["test", "det", MODEL, "--checkpoint", checkpoint, "--images", tmp_path / "images", "--format-dir", out]
    done = run(*words)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    problems = {problem["name"]: problem for problem in json.loads((out / "errors.json").read_text())}
    assert {name: problem.get("predicted", False) for name, problem in problems.items()} == expected
    frames = {frame["name"]: frame for frame in json.loads((out / "det.json").read_text())["frames"]}
    assert set(frames) == {*expected, "good.jpg", "small.jpg"}
    for name, frame in frames.items():
        assert bool(frame["labels"]) == expected.get(name, True), name
    assert str(out / "errors.json") in done.stdout
    for name in expected:
        assert name in done.stderr
    # mended meanwhile: a resume does those again, and only those
    mended = ("cut.jpg", "zero.jpg", "text.jpg")
    for name in mended:
        shutil.copy(tmp_path / "images/good.jpg", tmp_path / "images" / name)
    shard = out / ".unfinished/attempt000000-rank000.jsonl"
    (small,) = [image for image in (tmp_path / "images").iterdir() if image.name == "small.jpg"]
    small.write_bytes(b"")  # was done before, so it is not looked at again
    assert shard.is_file()
    done = run(*words, "--resume")
    assert done.returncode == 1, done.stderr
    left = {problem["name"] for problem in json.loads((out / "errors.json").read_text())}
    assert left == {"grey.jpg", "deep.png", "cmyk.jpg"}
    assert not shard.parent.exists()
    # pictures that are unusual, and no more, do not make a run unfinished
    before = (out / "det.json").stat().st_mtime_ns
    done = run(*words, "--resume")
    assert done.returncode == 1 and "grey.jpg" in done.stderr
    assert (out / "det.json").stat().st_mtime_ns == before


def test_a_resumed_run_draws_what_was_not_drawn(
    reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / "out")
    more = ("--show-dir", tmp_path / "drawn", "--out", tmp_path / "raw.pkl", "--resume")
    done = run(*command(checkpoint, data_root, tmp_path / "out", *more))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "raw.pkl").read_bytes() == (reference / "raw.pkl").read_bytes()
    for path in (reference / "pictures").iterdir():
        assert (tmp_path / "drawn" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "out/det.json").read_bytes() == (reference / "det.json").read_bytes()


def test_the_record_of_training_stays(reference: Path) -> None:
    assert (reference / "finished.json").is_file() and not (reference / "run.json").exists()


def test_pictures_that_would_share_a_file_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    for suffix in ("jpg", "png"):
        draw_noise(tmp_path / f"images/a.{suffix}", seed=1, size=(90, 160))
    words = ["test", "det", MODEL, "--checkpoint", checkpoint, "--images", tmp_path / "images"]
    done = run(*words, "--format-dir", tmp_path / "out", "--show-dir", tmp_path / "drawn")
    assert_one_line(done, "another image has this name with another suffix")
    done = run(*words, "--format-dir", tmp_path / "out", "--show-dir", tmp_path / "images")
    assert_one_line(done, "another image has this name")
    (tmp_path / "images/a.png").unlink()
    done = run(*words, "--format-dir", tmp_path / "out", "--show-dir", tmp_path / "images")
    assert_one_line(done, "would replace the originals there; choose another (--show-dir)")


def test_a_split_names_missing_and_wrongly_sized_images(checkpoint: Path, data_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data_root, root)
    (root / "images/100k/val/3.jpg").unlink()
    draw_noise(root / "images/100k/val/4.jpg", seed=4, size=(360, 640))
    done = run(*command(checkpoint, root, tmp_path / "out", "--eval"))
    assert done.returncode == 1, done.stderr
    problems = json.loads((tmp_path / "out/errors.json").read_text())
    assert [(problem["name"], problem.get("predicted", False)) for problem in problems] == [
        ("3.jpg", False),
        ("4.jpg", True),
    ]
    assert "no such file" in problems[0]["message"]
    assert "640x360" in problems[1]["message"]


def assert_one_line(done: subprocess.CompletedProcess[str], word: str, status: int = 2) -> None:
    assert done.returncode == status, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert word in lines[0]


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def bad_inputs(checkpoint: Path, data_root: Path, tmp: Path) -> dict[str, tuple[list[str | Path], str]]:
    """Return commands that cannot work, with what their one line must say."""
    out = tmp / "out"
    usual = ["--checkpoint", checkpoint, "--data-root", data_root, "--format-dir", out]
    whole = torch.load(checkpoint, weights_only=True)
    (tmp / "cut.pth").write_bytes(checkpoint.read_bytes()[:100000])
    torch.save({"state_dict": {"backbone.conv1.weight": torch.zeros(1)}}, tmp / "other.pth")
    wider = dict(whole["state_dict"])
    wider["bbox_head.atss_cls.weight"] = torch.zeros(80, *wider["bbox_head.atss_cls.weight"].shape[1:])
    wider["bbox_head.atss_cls.bias"] = torch.zeros(80)
    torch.save({"state_dict": wider}, tmp / "classes.pth")
    torch.save({"meta": Trap(tmp / "it-ran"), "state_dict": {}}, tmp / "trap.pth")
    (tmp / "empty").mkdir()
    (tmp / "file").touch()
    broken = tmp / "broken"
    (broken / "labels/det_20").mkdir(parents=True)
    (broken / "images/100k/val").mkdir(parents=True)
    (broken / "labels/det_20/det_val.json").write_text('[{"name": "a.jpg", ')

    def weights(name: str) -> list[str | Path]:
        return [MODEL, "--checkpoint", tmp / name, "--data-root", data_root, "--format-dir", out]

    return {
        "unknown model": (["atss_mini_det_syntetic", *usual], "atss_mini_det_synthetic"),
        "unknown config": (["configs/none.py", *usual], "none"),
        "cut checkpoint": (weights("cut.pth"), "cut off"),
        "another model": (weights("other.pth"), "another model"),
        "another class count": (weights("classes.pth"), "another number of classes"),
        "code in checkpoint": (weights("trap.pth"), "refused"),
        "no checkpoint": (weights("none.pth"), "no such checkpoint"),
        "no data": ([MODEL, "--checkpoint", checkpoint, "--data-root", tmp / "none"], "no such folder"),
        "broken labels": (
            [MODEL, "--checkpoint", checkpoint, "--data-root", broken, "--format-dir", out],
            "not valid JSON",
        ),
        "empty folder": (
            [MODEL, "--checkpoint", checkpoint, "--images", tmp / "empty", "--format-dir", out],
            "no images",
        ),
        "unwritable": ([MODEL, *usual[:4], "--format-dir", tmp / "file/out"], "cannot be written"),
        "no labels to score": (
            [
                MODEL,
                "--checkpoint",
                checkpoint,
                "--images",
                data_root / "images/100k/val",
                "--eval",
                "--format-dir",
                out,
            ],
            "--eval needs labels",
        ),
        "no model": ([ROOT / "det/configs/_base_/datasets/det_bdd100k.py", *usual], "has no model"),
        "no pipeline": ([ROOT / "det/configs/_base_/models/atss_r50_fpn.py", *usual], "has no test_dataloader"),
        "bad timeout": ([MODEL, *usual, "--cfg-options", "env_cfg.dist_cfg.timeout=soon"], "env_cfg.dist_cfg.timeout"),
        "bad option": ([MODEL, *usual, "--cfg-options", "model"], "KEY=VALUE"),
        "a folder of results": ([MODEL, *usual, "--out", tmp / "results"], "--format-dir"),
        "bad batch": ([MODEL, *usual, "--batch-size", "0"], "--batch-size"),
        "no torchrun": ([MODEL, *usual, "--launcher", "pytorch"], "torchrun"),
        "bad device": ([MODEL, *usual, "--device", "cuda"], "GPU"),
    }


def test_what_cannot_work_is_one_line(
    checkpoint: Path,
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In this process, for speed; two of them also as a user would run them."""
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    cases = bad_inputs(checkpoint, data_root, tmp_path)
    for name, (words, expected) in cases.items():
        status = main(["test", "det", *map(str, words)])
        stderr = capsys.readouterr().err
        done = subprocess.CompletedProcess([], status, "", stderr)
        assert status == 2, f"{name}: {stderr}"
        assert_one_line(done, expected)
    assert not (tmp_path / "it-ran").exists()
    for name in ("unknown model", "code in checkpoint"):
        assert_one_line(run("test", "det", *cases[name][0]), cases[name][1])
    assert_one_line(run("test", "dett", MODEL), "did you mean det")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_keeps_what_was_written(reference: Path, checkpoint: Path, data_root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        done = run(*command(checkpoint, data_root, disk / "out"))
        assert_one_line(done, "disk is full")
        kept = (disk / "out/.unfinished/attempt000000-rank000.jsonl").read_bytes().count(b"\n")
        assert 0 < kept < COUNT
        subprocess.run(["mount", "-o", "remount,size=10m", str(disk)], check=True)
        assert run(*command(checkpoint, data_root, disk / "out", "--resume")).returncode == 0
        assert (disk / "out/det.json").read_bytes() == (reference / "det.json").read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_help_is_fast_and_complete() -> None:
    done = run("test", "--help")
    assert done.returncode == 0
    for word in ("--checkpoint", "--resume", "--cfg-options", "--launcher", "examples:", "torchrun"):
        assert word in done.stdout
