"""Memory and file descriptors: files of a gigabyte, and folders of more files than may be open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bdd100k_models.evaluation.run import evaluate
from evaluation_support import draw_rectangles, rle_of, write_json

resource = pytest.importorskip("resource", reason="this system does not tell the memory of a process")

#: What one worker process may take besides what it counts, in bytes.
_GIGABYTE = 1 << 30

_SCRIPT = """
import sys, threading, time
from bdd100k_models.evaluation.run import Options, evaluate

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

def watch():
    while True:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.01)

evaluate(sys.argv[1], sys.argv[2], sys.argv[2], Options(processes=1))
peak, before = [0], anonymous()
threading.Thread(target=watch, daemon=True).start()
evaluate(sys.argv[1], sys.argv[3], sys.argv[4], Options(processes=1))
print(peak[0] - before)
"""


def growth(task: str, small: Path, truth: Path, result: Path) -> int:
    """Evaluate in a process of its own; return by how many bytes its memory grew beyond that for a small file."""
    command = [sys.executable, "-c", _SCRIPT, task, str(small), str(truth), str(result)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def write_many(path: Path, labels: str, size: int) -> int:
    """Write frames with these labels until the file has ``size`` bytes; return how many they are."""
    number = 0
    with path.open("w") as file:
        file.write("[")
        while file.tell() < size:
            file.write(f'{"," if number else ""}{{"name": "{number:08}.jpg", "labels": {labels}}}\n')
            number += 1
        file.write("]")
    return number


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_gigabyte_of_boxes(tmp_path: Path):
    """Labels as they come: 300 bytes each, of which an evaluation holds less than 200 at its peak."""
    rng = np.random.default_rng(0)
    labels = []
    for index in range(40):
        x, y = rng.uniform(0, [1200, 650]).tolist()
        labels.append(
            {
                "id": str(index),
                "attributes": {"occluded": False, "truncated": False, "trafficLightColor": "NA"},
                "category": "car",
                "manualShape": True,
                "manualAttributes": True,
                "box2d": {"x1": x, "y1": y, "x2": x + 20 * rng.random(), "y2": y + 20 * rng.random()},
                "score": float(rng.random()),
            }
        )
    small = write_json(tmp_path / "small.json", [{"name": "a.jpg", "labels": labels}])
    frames = write_many(tmp_path / "gt.json", json.dumps(labels), _GIGABYTE)
    assert (tmp_path / "gt.json").stat().st_size >= _GIGABYTE
    found = growth("det", small, tmp_path / "gt.json", small_result(tmp_path, labels))
    assert found < frames * len(labels) * 200


def small_result(folder: Path, labels: list[object]) -> Path:
    return write_json(folder / "pred.json", [{"name": "00000000.jpg", "labels": labels}])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_gigabyte_of_masks(tmp_path: Path):
    """Masks are decoded a frame at a time; what is kept is a few numbers an image."""
    ids = draw_rectangles(np.random.default_rng(1), (720, 1280), 60)
    noise = np.random.default_rng(2).random((720, 1280)) < 0.02
    ids[noise] = 0
    names = ("car", "pedestrian", "bus", "truck")
    labels = [{"id": str(index), "category": names[index % 4], "rle": rle_of(ids == index)} for index in range(1, 61)]
    small = write_json(
        tmp_path / "small.json", [{"name": "00000000.jpg", "labels": [x | {"score": 0.5} for x in labels]}]
    )
    write_many(tmp_path / "gt.json", json.dumps(labels), _GIGABYTE)
    assert growth("ins_seg", small, tmp_path / "gt.json", small) < 150e6


def test_folders_of_more_files_than_may_be_open(tmp_path: Path):
    """A mapped file keeps a descriptor; 1,200 files on each side must do with 128."""
    mask = np.zeros((8, 9), np.bool_)
    mask[2:5, 3:7] = True
    for index in range(1200):
        frame = {"name": f"{index}.jpg", "attributes": {"weather": "clear"}}
        label = {"id": "1", "category": "car", "rle": rle_of(mask), "score": 0.5}
        for side in ("gt", "pred"):
            write_json(tmp_path / side / f"{index:05}.json", [frame | {"labels": [label]}])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 128), hard))
    try:
        scores = {
            task: evaluate(task, tmp_path / "gt", tmp_path / "pred") for task in ("ins_seg", "pan_seg", "tagging")
        }
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert scores["ins_seg"].score("AP") == pytest.approx(100)
    assert scores["pan_seg"].score("PQ", "car") == pytest.approx(100)
    assert scores["tagging"].score("accuracy", "WEATHER") == 100


def test_a_folder_scores_like_one_file(tmp_path: Path):
    """Frames in many files, in another order on each side, several in a file."""
    rng = np.random.default_rng(3)
    frames = []
    for index in range(90):
        ids = draw_rectangles(rng, (16, 20), 3)
        labels = [
            {"id": str(i), "category": "car", "score": float(rng.random()), "rle": rle_of(ids == i)}
            for i in range(1, 4)
        ]
        frames.append({"name": f"{index:03}.jpg", "labels": labels})
    for side, order in (("gt", np.arange(90)), ("pred", rng.permutation(90))):
        listed = [frames[index] for index in order.tolist()]
        write_json(tmp_path / f"{side}.json", listed)
        for part in range(45):
            write_json(tmp_path / side / f"{part:02}.json", listed[2 * part : 2 * part + 2])
    whole = evaluate("ins_seg", tmp_path / "gt.json", tmp_path / "pred.json")
    assert evaluate("ins_seg", tmp_path / "gt", tmp_path / "pred").to_json() == whole.to_json()
