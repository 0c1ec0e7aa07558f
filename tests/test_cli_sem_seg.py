"""Models of classes end to end: the original's maps, official scores, the same bytes whatever happens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd100k_models.tasks import TASKS
from conftest import ROOT, draw_noise
from det_model import TWO_PROCESSES, environment, run
from semantic_model import coco_rle, write_checkpoint, write_config, write_data

COUNT = 5
SMALL = 3  # the image of another size

REFERENCES = [
    ("sem_seg", "fpn_r50_512x1024_40k_sem_seg_bdd100k"),
    *(
        pytest.param(task, f"{name}_{task}_bdd100k", marks=pytest.mark.slow)
        for task, name in (
            ("sem_seg", "pspnet_r50-d8_512x1024_40k"),
            ("sem_seg", "upernet_convnext-t_fp16_512x1024_40k"),
            ("drivable", "deeplabv3+_r50-d8_512x1024_40k"),
            ("drivable", "psanet_r50-d8_512x1024_40k"),
            ("drivable", "upernet_convnext-t_fp16_512x1024_40k"),
        )
    ),
]


def painted(frame: dict, categories: tuple[str, ...]) -> np.ndarray:
    from pycocotools import mask as coco

    classes = np.full((720, 1280), 255)
    for label in frame["labels"]:
        classes[coco.decode(label["rle"]) == 1] = categories.index(label["category"])
    return classes


@pytest.mark.parametrize(("task", "name"), REFERENCES)
def test_maps_are_those_of_the_original(shared: Path, samples: Path, tmp_path: Path, task: str, name: str) -> None:
    weights, images, out = tmp_path / "weights.pth", tmp_path / "images", tmp_path / "out"
    tool = [sys.executable, shared / "tools/make_checkpoint.py", f"{task}/{name}", weights]
    subprocess.run(list(map(str, tool)), check=True, capture_output=True)
    images.mkdir()
    shutil.copy(samples / "images/100k/val/913b47b8-3cf1b886.jpg", images)
    flags = ["--checkpoint", weights, "--images", images, "--format-dir", out, "--outputs", "json", "masks"]
    done = run("test", task, name, *flags)
    assert done.returncode == 0, done.stderr
    (theirs,) = json.loads((shared / "reference" / task / name / f"{task}.json").read_text())["frames"]
    (ours,) = json.loads((out / f"{task}.json").read_text())["frames"]
    assert ours["name"] == theirs["name"]
    assert [(label["id"], label["category"]) for label in ours["labels"]] == [
        (label["id"], label["category"]) for label in theirs["labels"]
    ]
    maps = [painted(frame, TASKS[task].categories) for frame in (ours, theirs)]
    assert (maps[0] != maps[1]).sum() <= 2
    np.testing.assert_array_equal(cv2.imread(str(out / "masks/913b47b8-3cf1b886.png"), cv2.IMREAD_UNCHANGED), maps[0])


# ---------------------------------------------------------------------------------------------- a tiny model's run


@pytest.fixture(scope="module", params=["sem_seg", "drivable"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def command(task: str, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """``test`` of a tiny model on a small data set of full-sized images, one of which is not."""
    folder = tmp_path_factory.mktemp(task)
    config = write_config(folder, task)
    weights = write_checkpoint(config, folder / "weights.pth")
    root = write_data(folder / "data", task, COUNT, size=(720, 1280))
    draw_noise(root / TASKS[task].image_dir("val") / f"{SMALL}.jpg", seed=SMALL, size=(360, 480))
    mask = root / TASKS[task].label_path("val") / f"{SMALL}.png"
    classes = cv2.resize(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED), (480, 360), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(mask), classes)
    runs = root / TASKS[task].label_paths("val")[1]
    content = json.loads(runs.read_text())
    for label in content["frames"][SMALL]["labels"]:
        label["rle"] = coco_rle(classes == TASKS[task].categories.index(label["category"]))
    runs.write_text(json.dumps(content))
    return ["test", task, config, "--checkpoint", weights, "--data-root", root, "--outputs", "json", "masks"]


@pytest.fixture(scope="module")
def root(command: list[str | Path]) -> Path:
    return Path(command[6])


@pytest.fixture(scope="module")
def reference(command: list[str | Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one undisturbed run in one process, scored and drawn."""
    out = tmp_path_factory.mktemp("reference")
    done = run(*command, "--format-dir", out, "--eval", "--show-dir", out / "pictures")
    assert done.returncode == 1, done.stderr  # one image has another size
    assert "480x360 pixels instead of 1280x720" in done.stderr and "Traceback" not in done.stderr
    return out


def files(out: Path, task: str) -> dict[str, bytes]:
    names = [Path(f"{task}.json"), *(Path("masks") / f"{index}.png" for index in range(COUNT))]
    return {str(name): (out / name).read_bytes() for name in names}


def test_every_image_has_a_map_of_its_own_size(reference: Path, task: str) -> None:
    frames = json.loads((reference / f"{task}.json").read_text())["frames"]
    for index, frame in enumerate(frames):
        size = [360, 480] if index == SMALL else [720, 1280]
        assert frame["name"] == f"{index}.jpg" and frame["labels"]
        assert all(label["rle"]["size"] == size for label in frame["labels"])
        assert list(cv2.imread(str(reference / f"masks/{index}.png"), cv2.IMREAD_UNCHANGED).shape) == size
        assert list(cv2.imread(str(reference / f"pictures/{index}.jpg")).shape[:2]) == size


def official_scores(task: str, truth: Path, result: Path, folder: Path) -> dict[str, list[dict[str, float]]]:
    pytest.importorskip("bdd100k.eval.run")
    arguments = ["-t", task, "-g", truth, "-r", result, "--out-file", folder / "official.json", "--nproc", "1"]
    command = [sys.executable, "-m", "bdd100k.eval.run", *arguments]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=environment(), cwd=folder)
    return json.loads((folder / "official.json").read_text())


def assert_same_scores(ours: dict, official: dict) -> None:
    assert set(ours) == set(official)
    for metric, rows in official.items():
        # a number for all classes, or rows of numbers
        pairs = zip(ours[metric], rows, strict=True) if isinstance(rows, list) else [(ours[metric], rows)]
        for mine, theirs in pairs:
            assert mine == pytest.approx(theirs, abs=1e-6, nan_ok=True), metric


def usual_size(frames: Path, copy: Path) -> Path:
    """Copy a file of frames without those of pictures of another size."""
    content = json.loads(frames.read_text())
    kept = [f for f in content["frames"] if all(label["rle"]["size"] == [720, 1280] for label in f["labels"])]
    assert 0 < len(kept) < len(content["frames"])
    copy.write_text(json.dumps({"frames": kept}))
    return copy


def test_the_scores_of_masks_and_of_run_lengths_are_official(
    reference: Path, root: Path, task: str, tmp_path: Path
) -> None:
    masks, runs = (root / path for path in TASKS[task].label_paths("val")[:2])
    (scored,) = reference.glob("eval_*.json")
    assert_same_scores(json.loads(scored.read_text()), official_scores(task, masks, reference / "masks", tmp_path))
    # of run lengths the official tool knows one size alone
    runs = usual_size(runs, tmp_path / "truth.json")
    result = usual_size(reference / f"{task}.json", tmp_path / "result.json")
    done = run("eval", "-t", task, "-g", runs, "-r", result, "--out-file", tmp_path / "ours.json")
    assert done.returncode == 0, done.stderr
    assert_same_scores(json.loads((tmp_path / "ours.json").read_text()), official_scores(task, runs, result, tmp_path))


def test_two_processes_write_the_same_bytes(
    reference: Path, command: list[str | Path], task: str, tmp_path: Path
) -> None:
    launch = [*TWO_PROCESSES]
    words = [*launch, ROOT / task / "test.py", *command[2:], "--format-dir", tmp_path, "--launcher", "pytorch"]
    done = subprocess.run(
        list(map(str, words)),
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert "480x360" in done.stderr, done.stderr  # the launcher turns its status into another
    assert files(tmp_path, task) == files(reference, task)


def test_a_cut_off_run_goes_on(reference: Path, command: list[str | Path], root: Path, task: str, tmp_path: Path):
    image = root / TASKS[task].image_dir("val") / "2.jpg"
    image.rename(root / "hidden")
    try:
        done = run(*command, "--format-dir", tmp_path)
        assert done.returncode == 1 and "no such file" in done.stderr
        frames = json.loads((tmp_path / f"{task}.json").read_text())["frames"]
        assert frames[2] == {"name": "2.jpg", "labels": []}
        assert (cv2.imread(str(tmp_path / "masks/2.png"), cv2.IMREAD_UNCHANGED) == 255).all()
    finally:
        (root / "hidden").rename(image)
    run(*command, "--format-dir", tmp_path, "--resume")
    assert files(tmp_path, task) == files(reference, task)


def test_what_cannot_work_is_one_line(command: list[str | Path], task: str, tmp_path: Path) -> None:
    for words, expected in (
        ([*command[:-2], "bitmasks"], f"{task} has no output 'bitmasks'; its outputs are json, masks, colormaps"),
        (["test", "det", "atss_mini_det_synthetic", *command[3:7], "--aug-test"], "has no tta_pipeline"),
    ):
        done = run(*words, "--format-dir", tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ") and expected in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("output", ["masks", "colormaps"])
def test_pictures_that_would_share_a_file_are_refused(
    command: list[str | Path], task: str, tmp_path: Path, output: str
) -> None:
    for name in ("a.jpg", "a.png"):
        draw_noise(tmp_path / "images" / name, seed=1, size=(90, 160))
    words = [*command[:5], "--outputs", output, "--images", tmp_path / "images"]
    done = run(*words, "--format-dir", tmp_path / "out")
    assert done.returncode == 2 and "another image has this name with another suffix" in done.stderr


# ------------------------------------------------------------------------------------------------------- training


def train(config: Path, root: Path, work_dir: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    flags = ["--data-root", root, "--work-dir", work_dir, "--device", "cpu", "--seed", "1", *more]
    flags += ["--accumulate", "off"]
    options = ["train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]
    options += ["val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False"]
    options += ["default_hooks.checkpoint.interval=1", "train_cfg.val_interval=2"]
    task = config.stem.removeprefix("tiny_")
    return run("train", task, config, *flags, "--cfg-options", *options, f"train_cfg.max_iters={2 + 2 * len(more)}")


def test_training_runs_validates_and_resumes(task: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, task)
    for split in ("train", "val"):
        write_data(tmp_path / "data", task, 4, split)
    shutil.rmtree(tmp_path / "data" / TASKS[task].label_path("train"))  # its run lengths serve
    done = train(config, tmp_path / "data", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "bdd100k/" in done.stdout + done.stderr
    done = train(config, tmp_path / "data", tmp_path / "run", "--resume")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/iter_4.pth").is_file()


def test_training_names_a_broken_mask(tmp_path: Path) -> None:
    config = write_config(tmp_path, "drivable")
    root = write_data(tmp_path / "data", "drivable", 2, "train")
    for path in (root / TASKS["drivable"].label_path("train")).iterdir():
        cv2.imwrite(str(path), np.full((72, 128), 9, np.uint8))
    done = train(config, root, tmp_path / "run", "--no-validate")
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ") and ".png: the pixel in column 0 of row 0 has the value 9; classes are" in line


def test_two_processes_train_on_the_cpu(tmp_path: Path) -> None:
    """Synchronised normalisation becomes the plain one, which no GPU is needed for."""
    config = write_config(tmp_path, "sem_seg")
    root = write_data(tmp_path / "data", "sem_seg", 4, "train")
    launch = [*TWO_PROCESSES]
    flags = ["--data-root", root, "--work-dir", tmp_path / "run", "--device", "cpu", "--no-validate"]
    flags += ["--accumulate", "off"]
    options = ["train_cfg.max_iters=1", "train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"]
    words = [*launch, ROOT / "sem_seg/train.py", config, *flags, "--launcher", "pytorch", "--cfg-options", *options]
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, env=environment(), cwd=tmp_path, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/iter_1.pth").is_file()
