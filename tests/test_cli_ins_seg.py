"""Instance and panoptic segmentation end to end: the original's files, the same bytes whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.formats.bitmask import read_bitmask
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.results.instances import InstanceFormat
from bdd100k_models.formats.results.panoptic import PanopticFormat
from bdd100k_models.formats.scalabel import Label, load_frames
from conftest import ROOT, SHARED, draw_noise
from det_model import TWO_PROCESSES, environment
from mask_models import write_checkpoint, write_config

COUNT = 5
SIZE = (90, 160)
FILES = {
    "ins_seg": ["det.json", "score.json", "ins_seg.json", *(f"bitmasks/{index}.png" for index in range(COUNT))],
    "pan_seg": ["pan_seg.json", *(f"bitmasks/{index}.png" for index in range(COUNT))],
}
FORMATS: dict[str, type[ResultFormat]] = {"ins_seg": InstanceFormat, "pan_seg": PanopticFormat}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for index in range(COUNT):
        draw_noise(folder / f"{index}.jpg", seed=index, size=SIZE)
    return folder


@pytest.fixture(scope="module", params=["ins_seg", "pan_seg"])
def command(request: pytest.FixtureRequest, images: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of a test of a tiny model, from the task on; what is missing is the output folder."""
    task = request.param
    folder = tmp_path_factory.mktemp(task)
    config = write_config(folder, task)
    weights = write_checkpoint(config, folder / "weights.pth")
    words = [task, config, "--checkpoint", weights, "--images", images, "--device", "cpu", "--workers", "0"]
    words += ["--outputs", *FORMATS[task].paths]
    words += ["--cfg-options", "test_dataloader.dataset.pipeline.1.scale=(160,90)", "--format-dir"]
    return [str(word) for word in words]


@pytest.fixture(scope="module")
def reference(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one undisturbed run in one process writes, by file."""
    out = tmp_path_factory.mktemp("reference")
    pictures = out / "pictures"
    more = ["--show-dir", str(pictures), "--show-score-thr", "0.1", "--out", str(out / "raw.pkl")]
    assert main(["test", *command, str(out), *more]) == 0
    for index in range(COUNT):
        assert cv2.imread(str(pictures / f"{index}.jpg")).shape == (*SIZE, 3)
    assert (out / "raw.pkl").stat().st_size > 1000 and not (out / ".unfinished").exists()
    return contents(out, command[0])


def contents(out: Path, task: str) -> dict[str, bytes]:
    return {file: (out / file).read_bytes() for file in FILES[task]}


def test_every_image_has_predictions(command: list[str], reference: dict[str, bytes], tmp_path: Path):
    for file, data in reference.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(data)
    frames = load_frames(tmp_path / f"{command[0]}.json")
    assert [frame.name for frame in frames] == [f"{index}.jpg" for index in range(COUNT)]
    for frame in frames:
        bitmask = read_bitmask((tmp_path / "bitmasks" / frame.name).with_suffix(".png"))
        assert bitmask.ids.shape == SIZE and len(np.unique(bitmask.ids)) > 3
        shown = {label.category for label in frame.labels or ()}
        assert len(frame.labels or ()) > 3 and len(shown) == len(set(np.unique(bitmask.category)) - {0})


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(command: list[str], reference: dict[str, bytes], tmp_path: Path):
    launch = [*TWO_PROCESSES]
    done = subprocess.run(
        [*launch, str(ROOT / command[0] / "test.py"), *command[1:], str(tmp_path), "--launcher", "pytorch"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path, command[0]) == reference


def test_an_interrupted_run_goes_on(
    command: list[str], reference: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    form = FORMATS[command[0]]
    save_image = form.save_image

    def interrupted(self: Any, name: str, record: Any, out_dir: Path) -> None:
        if name == "3.jpg":
            raise KeyboardInterrupt
        save_image(self, name, record, out_dir)

    with monkeypatch.context() as patch:
        patch.setattr(form, "save_image", interrupted)
        assert main(["test", *command, str(tmp_path)]) == 130
    assert not (tmp_path / FILES[command[0]][0]).exists()
    done = (tmp_path / "bitmasks/1.png").stat().st_mtime_ns
    assert main(["test", *command, str(tmp_path), "--resume"]) == 0
    assert contents(tmp_path, command[0]) == reference
    assert (tmp_path / "bitmasks/1.png").stat().st_mtime_ns == done


def test_images_that_cannot_be_read_have_empty_results(command: list[str], images: Path, tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "0.jpg").symlink_to(images / "0.jpg")
    (folder / "broken.jpg").write_bytes(b"no image")
    words = [str(folder) if word == str(images) else word for word in command]
    assert main(["test", *words, str(tmp_path / "out")]) == 1
    good, broken = load_frames(tmp_path / f"out/{command[0]}.json")
    assert good.labels and broken.labels == [] and broken.name == "broken.jpg"
    bitmask = read_bitmask(tmp_path / "out/bitmasks/broken.png")
    assert bitmask.ids.shape == (720, 1280) and not bitmask.category.any()
    (problem,) = json.loads((tmp_path / "out/errors.json").read_text())
    assert problem["name"] == "broken.jpg"


# --------------------------------------------------------------------------------------- the original's own results


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mask_rcnn_r50_fpn_1x_ins_seg_bdd100k", "mask_rcnn_r50_fpn_dconv_1x_ins_seg_bdd100k"])
def test_the_original_found_the_same(samples: Path, name: str, tmp_path: Path):
    published = SHARED / "reference/ins_seg" / name
    weights = tmp_path / "weights.pth"
    tool = [sys.executable, str(SHARED / "tools/make_checkpoint.py"), f"ins_seg/{name}", str(weights)]
    subprocess.run(tool, check=True, capture_output=True)
    out = tmp_path / "out"
    words = ["test", "ins_seg", name, "--checkpoint", weights, "--images", samples / "images/100k/val"]
    assert main([*map(str, words), "--format-dir", str(out), "--device", "cpu"]) == 0
    theirs, ours = ({frame.name: frame.labels or [] for frame in load_frames(f / "det.json")} for f in (published, out))
    indices = [
        {frame.name: {label.id: label.index for label in frame.labels or ()} for frame in load_frames(f / "score.json")}
        for f in (published, out)
    ]
    assert theirs.keys() == ours.keys()
    for image, labels in theirs.items():
        pairs = match_boxes(labels, ours[image])
        assert len(labels) == len(ours[image]) == 100 and len(pairs) >= 99
        masks = [read_bitmask(f / "bitmasks" / Path(image).with_suffix(".png")).ids for f in (published, out)]
        overlaps = [
            overlap(masks[0] == indices[0][image][labels[i].id], masks[1] == indices[1][image][ours[image][j].id])
            for i, j in pairs
        ]
        assert sum(value >= 0.99 for value in overlaps) >= 99


def match_boxes(theirs: list[Label], ours: list[Label]) -> list[tuple[int, int]]:
    """Pair boxes of one category whose corners differ by at most 0.1 pixel and whose scores by at most 0.001."""
    free, pairs = set(range(len(ours))), []
    for place, label in enumerate(theirs):
        same = [other for other in sorted(free) if _is_same(label, ours[other])]
        if same:
            free.remove(same[0])
            pairs.append((place, same[0]))
    return pairs


def _is_same(label: Label, other: Label) -> bool:
    corners = [np.array([b.x1, b.y1, b.x2, b.y2]) for b in (label.box2d, other.box2d) if b is not None]
    scores = [float(item.score or 0) for item in (label, other)]
    close = np.abs(corners[0] - corners[1]).max() <= 0.1 and abs(scores[0] - scores[1]) <= 1e-3
    return bool(label.category == other.category and close)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of two masks; 1 where both are empty."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0
