"""``bdd100k-models predict`` where memory, a video, a camera or patience runs out: the rest is there, and whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from bdd100k_models import load_model
from bdd100k_models.cli import main
from bdd100k_models.engine.shards import Problem
from bdd100k_models.errors import ImageError, OutOfMemoryError
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.inference import model as models
from bdd100k_models.inference.run import PredictOptions, run_predict
from bdd100k_models.inference.sources import find_sources
from bdd100k_models.inference.videos import VideoFile
from conftest import ROOT, draw_noise
from det_model import environment
from predict_support import Stub, fast_detector_file, segmentor_files, write_video

SHIPPED = ROOT / "det/weights/atss_mini_det_synthetic.pth"


def run(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), "--device", "cpu"])


def film_length(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fast_detector_file(tmp_path_factory.mktemp("fast"))


# ------------------------------------------------------------------------------------------------------------- memory


@pytest.fixture(
    params=[
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 7600000000 bytes."),
        MemoryError("Unable to allocate 7.08 GiB for an array"),
    ],
    ids=["PyTorch", "NumPy"],
)
def little_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the memory suffice for one picture of at most 200 pixels' width at a time."""
    predict = models.predict_in_parts

    def predict_few(network: Any, data: Any, *options: Any) -> Any:
        shapes = [sample.metainfo["ori_shape"] for sample in data["data_samples"]]
        if len(shapes) > 1 or shapes[0][1] > 200:
            raise request.param
        return predict(network, data, *options)

    monkeypatch.setattr(models, "predict_in_parts", predict_few)


@pytest.mark.usefixtures("little_memory")
def test_what_does_not_fit_into_memory_costs_no_other(tmp_path: Path, fast: Path) -> None:
    for name, width in (("a", 160), ("b", 400), ("c", 160)):
        draw_noise(tmp_path / f"in/{name}.jpg", seed=1, size=(90, width))
    write_video(tmp_path / "in/d.mp4", 3, size=(90, 160))
    assert run(fast, tmp_path / "in", "--out", tmp_path / "out", "--threshold", 0, "--batch", 2) == 1
    found = {frame.name: len(frame.labels or ()) for frame in load_frames(tmp_path / "out/fast_det.json")}
    assert list(found) == ["a.jpg", "b.jpg", "c.jpg", *(f"d-{number:07d}.jpg" for number in (1, 2, 3))]
    assert [name for name, count in found.items() if count == 0] == ["b.jpg"]
    assert film_length(tmp_path / "out/videos/d.mp4") == 3
    (problem,) = json.loads((tmp_path / "out/errors.json").read_text())
    assert problem["name"] == "b.jpg" and "predicted" not in problem
    assert problem["message"].startswith("fast_det has not enough memory for such a picture (")


@pytest.mark.usefixtures("little_memory")
def test_calls_say_that_memory_ran_out(fast: Path) -> None:
    model = load_model(fast, device="cpu")
    pictures = [np.zeros((90, width, 3), np.uint8) for width in (160, 160, 400)]
    assert len(model.predict(pictures[:2])) == 2
    with pytest.raises(OutOfMemoryError, match=r"memory for 2 pictures at once \(.*\); take fewer"):
        model.predict(pictures, batch_size=2)
    with pytest.raises(MemoryError, match=r"000000\.jpg \(400x90\): fast_det has not enough .*; scale it down"):
        model.predict(pictures[2])


# --------------------------------------------------------------------------------------------------- videos and cameras


def test_a_broken_video_among_others_costs_itself_alone(
    tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_noise(tmp_path / "in/a.jpg", seed=1, size=(90, 160))
    write_video(tmp_path / "in/c.mp4", 2, size=(90, 160))
    (tmp_path / "in/b.mp4").touch()
    (tmp_path / "in/d.mp4").write_text("no film")
    for number, inputs in enumerate((tmp_path / "in", f"{tmp_path}/in/*")):
        out = tmp_path / f"out{number}"
        assert run(fast, inputs, "--out", out) == 1
        assert len(load_frames(out / "fast_det.json")) == 3 and film_length(out / "videos/c.mp4") == 2
        problems = {Path(item["name"]).name: item["message"] for item in json.loads((out / "errors.json").read_text())}
        assert problems == {"b.mp4": "the file is empty (0 bytes)", "d.mp4": "not a video that can be read"}
    capsys.readouterr()
    for name in ("a.jpg", "c.mp4"):
        (tmp_path / "in" / name).unlink()
    assert run(fast, tmp_path / "in", "--out", tmp_path / "none") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "b.mp4: the file is empty (0 bytes)" in line


def break_frames(path: Path, *numbers: int) -> Path:
    """Overwrite frames of a film of JPEG pictures."""
    data = bytearray(path.read_bytes())
    starts = [place for place in range(len(data)) if data[place : place + 3] == b"\xff\xd8\xff"]
    for number in numbers:
        end = starts[number + 1] - 8
        data[starts[number] : end] = bytes(end - starts[number])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("every", "taken"), [(1, [1, 3, 4, 5]), (2, [1, 3, 4]), (3, [1, 3]), (6, [1]), (100, [1])])
def test_in_place_of_a_broken_frame_the_next_is_taken(tmp_path: Path, every: int, taken: list[int]) -> None:
    path = break_frames(write_video(tmp_path / "a.avi", 6, codec="mjpeg"), 0, 2)
    items = list(VideoFile(path, every=every))
    problems = [item.name for item in items if isinstance(item, Problem)]
    pictures = [item for item in items if not isinstance(item, Problem)]
    assert problems == ["a-0000001.jpg", "a-0000003.jpg"]
    assert [round(picture.pixels.mean() / 20) for picture in pictures] == taken
    assert [picture.position for picture in pictures] == list(range(len(taken)))


class SilentCamera:
    """A camera that opens and gives nothing."""

    def __init__(self, index: int) -> None:
        pass

    def isOpened(self) -> bool:
        return True

    def get(self, _: int) -> float:
        return -1.0

    def read(self) -> tuple[bool, None]:
        return False, None

    def release(self) -> None:
        pass


def test_a_camera_without_pictures_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_video(tmp_path / "a.mp4", 2)
    monkeypatch.setattr(cv2, "VideoCapture", SilentCamera)
    (camera,) = find_sources(["0"], tmp_path)
    assert camera.rate == 30
    with pytest.raises(ImageError, match="camera0: the camera gives no pictures"):
        run_predict([Stub()], [camera], PredictOptions(tmp_path / "alone"))
    report = run_predict([Stub()], find_sources([str(film), "0"], tmp_path), PredictOptions(tmp_path / "both"))
    assert report.pictures == 2 and [problem.name for problem in report.problems] == ["camera0"]


def test_hardly_any_frame_of_a_folder_is_a_film_too(tmp_path: Path) -> None:
    for number in range(3):
        draw_noise(tmp_path / f"v/{number}.jpg", seed=number, size=(48, 64))
    sources = find_sources([str(tmp_path / "v")], tmp_path, every=100_000, as_videos=True)
    assert run_predict([Stub()], sources, PredictOptions(tmp_path / "out")).pictures == 1
    assert film_length(tmp_path / "out/videos/v.mp4") == 1


# -------------------------------------------------------------------------------------------------------- odd pictures


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 30), (30, 3_000)])
def test_maps_of_pictures_of_odd_shapes(tmp_path: Path, width: int, height: int) -> None:
    config, weights = segmentor_files(tmp_path, "drivable")
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "odd.png"), pixels)
    assert run(config, tmp_path / "odd.png", "--checkpoint", weights, "--out", tmp_path / "out") == 0
    mask = cv2.imread(str(tmp_path / "out/tiny_drivable/masks/odd.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (height, width) and set(np.unique(mask)) <= {0, 1, 2}
    assert cv2.imread(str(tmp_path / "out/pictures/odd.jpg")).shape == (height, width, 3)
    (frame,) = load_frames(tmp_path / "out/tiny_drivable.json")
    assert (frame.size.width, frame.size.height) == (width, height)


# ------------------------------------------------------------------------------------------------------------ command


def test_classes_of_several_models(tmp_path: Path, fast: Path) -> None:
    """Each keeps what it knows of the named categories; one that knows none keeps all."""
    scene = tmp_path / "scene"
    from bdd100k_models.datasets.synth import generate

    generate(scene, {"val": 1}, seed=5, tasks=("det",), size=(640, 360), nproc=1)
    area, weights = segmentor_files(tmp_path, "drivable")
    flags = ["--checkpoint", f"fast_det={SHIPPED}", "--checkpoint", weights, "--threshold", 0.05, "--save", "json"]

    def categories(*wanted: str) -> list[set[str]]:
        kept = ["--classes", *wanted] if wanted else []
        assert run(f"{fast},{area}", scene / "images/100k/val", *flags, "--out", tmp_path / "out", *kept) == 0
        files = (tmp_path / "out" / name for name in ("fast_det.json", "tiny_drivable.json"))
        return [{str(label.category) for frame in load_frames(file) for label in frame.labels or ()} for file in files]

    objects, areas = categories()
    assert {"car"} < objects and len(areas) > 1
    (kind, *_) = sorted(areas)
    assert categories("car") == [{"car"}, areas]
    assert categories("car", kind) == [{"car"}, {kind}]
    assert categories(kind) == [objects, {kind}]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["fast_det=x", "fast_det=y"], "--checkpoint names fast_det twice"),
        (["x", "fast_det=y", "z"], "3 checkpoints were given for 2 model(s); one a model"),
        (["fast_det=x", "y", "z"], "3 checkpoints were given for 2 model(s); one a model"),
    ],
)
def test_weights_that_have_no_model(
    tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str], given: list[str], message: str
) -> None:
    weights = [word for item in given for word in ("--checkpoint", item)]
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(8, 8))
    assert run(f"{fast},resnet18_mini_weather_synthetic", image, *weights, "--out", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_what_a_stopped_command_wrote_is_whole(tmp_path: Path, fast: Path, number: signal.Signals, times: int) -> None:
    """Also where it is stopped once more while it finishes its files."""
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(90, 160))
    film = write_video(tmp_path / "b.mp4", 3000, size=(90, 160))
    out = tmp_path / "out"
    words = [fast, image, film, "--out", out, "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bdd100k_models.cli", "predict", *map(str, words)],
        env=environment(OMP_NUM_THREADS="1"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not ((out / "pictures/a.jpg").exists() and any(out.glob("videos/.b.mp4.*"))):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # for some frames
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.03)
    _, said = process.communicate(timeout=120)
    if times == 1:  # the second may come when all is done, and end Python itself
        assert process.returncode == 130, said
        assert said.strip().splitlines()[-1] == "interrupted: what was written is kept"
    first, *frames = load_frames(out / "fast_det.json")
    assert first.name == "a.jpg" and 0 < len(frames) < 3000
    assert [frame.frameIndex for frame in frames] == list(range(len(frames)))
    assert film_length(out / "videos/b.mp4") == len(frames)
    assert cv2.imread(str(out / "pictures/a.jpg")).shape == (90, 160, 3)
    assert [path for path in out.rglob("*") if path.name.startswith(".")] == []
