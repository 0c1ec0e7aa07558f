"""Exported files in programs without this project, in threads, and where packages or places for them are missing."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.export.build import ExportOptions, write_model
from bdd100k_models.export.check import load_exported
from bdd100k_models.runtime import load
from bdd100k_models.runtime.pictures import read_picture
from conftest import ROOT, draw_noise
from det_model import MODEL as DETECTOR
from det_model import run
from export_support import MAKERS, SIZE

LIBRARIES = ("mmengine", "mmcv", "mmdet", "mmseg", "mmpretrain", "mmpose")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of a detector of one stage and of one of two, by task and suffix."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for task in ("det", "ins_seg"):
        model = MAKERS[task](folder)
        for form in ("onnx", "torchscript"):
            found[f"{task}.{form}"] = folder / f"{task}.{form}"
            write_model(model, found[f"{task}.{form}"], ExportOptions(form=form, size=SIZE))  # type: ignore[arg-type]
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [draw_noise(folder / f"{seed}.png", seed, SIZE) for seed in (1, 2, 3)]


def run_without(blocked: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own in which some packages cannot be imported."""
    block = f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
    command = [sys.executable, "-c", block + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def documented(file: Path, picture: Path) -> str:
    """The program of the guide that runs a TorchScript file."""
    guide = (ROOT / "doc/EXPORT.md").read_text().split("## TorchScript files")[1]
    (code, *_) = re.findall(r"^```python$(.*?)^```$", guide, flags=re.DOTALL | re.MULTILINE)
    return code.replace("faster_rcnn_r50_fpn_1x_det_bdd100k.torchscript", str(file)).replace("one.jpg", str(picture))


@pytest.mark.parametrize("task", ["det", "ins_seg"])
def test_torchscript_runs_as_the_guide_says(
    task: str, files: dict[str, Path], pictures: list[Path], tmp_path: Path
) -> None:
    file, picture = files[f"{task}.torchscript"], pictures[0]
    kept = f"np.savez({str(tmp_path / 'outputs.npz')!r}, **{{name: value.numpy() for name, value in outputs.items()}})"
    blocked = (*LIBRARIES, "bdd100k_models", "cv2", "onnx", "onnxruntime")
    done = run_without(blocked, documented(file, picture) + kept)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "outputs.npz")
    expected = load_exported(file).run(read_picture(picture)[None])
    assert (expected["classes"] >= 0).sum() > 5
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-3, err_msg=name)


def test_torchscript_of_detectors_needs_torchvision(files: dict[str, Path], pictures: list[Path]) -> None:
    code = documented(files["ins_seg.torchscript"], pictures[0])
    done = run_without(LIBRARIES, re.sub("^import torchvision.*$", "", code, flags=re.MULTILINE))
    assert done.returncode == 1 and "torchvision::" in done.stderr


@pytest.mark.parametrize("task", ["det", "ins_seg"])
def test_the_runtime_predicts_without_pytorch_and_opencv(
    task: str, files: dict[str, Path], pictures: list[Path], tmp_path: Path
) -> None:
    file = files[f"{task}.onnx"]
    code = (
        "import numpy as np\n"
        "from bdd100k_models.runtime import load\n"
        f"results = load({str(file)!r}).predict({list(map(str, pictures))!r}, threshold=0, batch_size=2)\n"
        "masks = [result.segments for result in results] if hasattr(results[0], 'segments') else []\n"
        f"np.savez({str(tmp_path / 'found.npz')!r}, boxes=np.concatenate([r.boxes for r in results]), masks=masks)\n"
    )
    done = run_without((*LIBRARIES, "torch", "torchvision", "cv2", "msgspec", "scipy", "onnx", "av"), code)
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "found.npz")
    results: list[Any] = load(file).predict(pictures, threshold=0)
    boxes = np.concatenate([result.boxes for result in results])
    assert len(boxes) > 5
    np.testing.assert_allclose(found["boxes"], boxes, atol=1e-3)
    if task == "ins_seg":
        assert found["masks"].any()
        assert np.mean(found["masks"] != np.stack([result.segments for result in results])) < 1e-3


def test_threads_can_share_a_runner(files: dict[str, Path], pictures: list[Path]) -> None:
    runner = load(files["det.onnx"], threads=1)
    images = [np.roll(read_picture(pictures[0]), 20 * shift, axis=1) for shift in range(4)]
    expected = [runner.predict(image, threshold=0)[0] for image in images]
    found: list[list[Any]] = [[] for _ in images]

    def work(place: int) -> None:
        for _ in range(3):
            found[place] += runner.predict(images[place], threshold=0)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({len(result) for result in expected}) > 1 or not np.array_equal(expected[0].boxes, expected[1].boxes)
    for one, others in zip(expected, found, strict=True):
        assert len(one) > 5 and len(others) == 3
        for other in others:
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.scores, other.scores)


def test_the_command_in_a_process_of_its_own() -> None:
    done = run("export", "no_such_model")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no_such_model: no such model") and done.stderr.count("\n") == 1


def test_without_onnx_there_is_still_torchscript(tmp_path: Path) -> None:
    call = f"main(['export', {DETECTOR!r}, '--size', '64x96', '--out', {str(tmp_path / 'model')!r}"
    code = (
        "from bdd100k_models.cli import main\n"
        f"print({call}]))\n"
        f"print({call}, '--format', 'torchscript', '--json']))\n"
        "del sys.modules['onnx']\n"
        f"print({call}, '--check', 'a.jpg']))\n"
    )
    done = run_without(("onnx", "onnxruntime"), code)
    assert done.returncode == 0, done.stderr
    first, described, second, third = done.stdout.splitlines()
    assert (first, second, third) == ("2", "0", "2") and '"opset": null' in described
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: {name} is not installed, which ONNX files need; pip install '.[export]'"
        for name in ("onnx", "onnxruntime")
    ]
    assert load_exported(tmp_path / "model").description.name == DETECTOR


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check", "none.jpg"], "none.jpg: no such file or folder"),
        (["--check", "file"], "file: not an image that can be read"),
        (["--check", "."], "no images in this folder"),
        (["--out", "."], "is a folder; name the file to write"),
        (["--out", "file/model.onnx"], "cannot be written"),
        (["--opset", "21"], "--opset must be from 16 to 20, not 21"),
    ],
)
def test_mistakes_cost_no_minutes(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()

    def load_late(*_: object) -> None:
        raise AssertionError("the model is loaded before the arguments were looked at")

    monkeypatch.setattr("bdd100k_models.export.load.load_for_export", load_late)
    assert main(["export", DETECTOR, *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
