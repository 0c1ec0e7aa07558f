import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bdd100k_models.datasets.images import (
    find_data_root,
    images_of_folder,
    images_of_labels,
    images_of_split,
    read_image,
)
from bdd100k_models.errors import ImageError, InputError, LabelError, MissingFileError
from bdd100k_models.tasks import TASKS
from conftest import draw_noise

DET = TASKS["det"]


def encode(array: np.ndarray, mode: str, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, kind, **options)
    return buffer.getvalue()


def test_pixels_are_those_of_opencv(tmp_path: Path) -> None:
    path = draw_noise(tmp_path / "a.jpg", seed=1)
    pixels, remark = read_image(path, (720, 1280))
    assert np.array_equal(pixels, cv2.imread(str(path)))
    assert remark is None


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "webp"])
def test_any_cut_is_noticed(tmp_path: Path, kind: str) -> None:
    whole = draw_noise(tmp_path / f"a.{kind}", seed=2, size=(72, 128)).read_bytes()
    rng = np.random.default_rng(0)
    cut = tmp_path / f"cut.{kind}"
    for length in sorted({*rng.integers(1, len(whole) - 3, 12).tolist(), len(whole) // 2, len(whole) - 3}):
        cut.write_bytes(whole[:length])
        with pytest.raises(ImageError, match=r"cut off|not an image"):
            read_image(cut)


@pytest.mark.parametrize(
    ("mode", "shape", "kind", "word"),
    [
        ("L", (72, 128), "JPEG", "grey"),
        ("CMYK", (72, 128, 4), "JPEG", "CMYK"),
        ("RGBA", (72, 128, 4), "PNG", "transparent"),
        ("L", (72, 128), "PNG", "grey"),
    ],
)
def test_unusual_modes_are_read_and_named(
    tmp_path: Path, mode: str, shape: tuple[int, ...], kind: str, word: str
) -> None:
    array = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "a.img"
    path.write_bytes(encode(array, mode, kind))
    pixels, remark = read_image(path)
    assert pixels.shape == (72, 128, 3)
    assert pixels.dtype == np.uint8
    assert remark is not None
    assert word in remark


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_named(tmp_path: Path, channels: int) -> None:
    array = np.random.default_rng(4).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), array)
    pixels, remark = read_image(path)
    assert pixels.shape == (20, 30, 3)
    assert remark is not None
    assert "16-bit" in remark


def test_another_size_is_named_only_where_one_is_expected(tmp_path: Path) -> None:
    path = draw_noise(tmp_path / "a.png", seed=5, size=(36, 64))
    assert read_image(path)[1] is None
    assert read_image(path, (720, 1280))[1] == "64x36 pixels instead of 1280x720"


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "no such file"), (b"", "0 bytes"), (b"hello", "not an image"), (b"\xff\xd8\xff", "image")],
)
def test_useless_files(tmp_path: Path, content: bytes | None, word: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=word):
        read_image(path)


def test_a_folder_is_sorted_by_number_and_ignores_other_files(tmp_path: Path) -> None:
    for name in ["f10.jpg", "f9.jpg", "notes.txt", ".hidden.jpg", "F1.PNG"]:
        (tmp_path / name).touch()
    assert [item.name for item in images_of_folder(tmp_path).items] == ["F1.PNG", "f9.jpg", "f10.jpg"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no images"):
        images_of_folder(tmp_path)
    with pytest.raises(MissingFileError, match="no such folder"):
        images_of_folder(tmp_path / "absent")


def test_a_split_follows_its_labels_or_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "images/100k/val"
    for name in "abc":
        draw_noise(folder / f"{name}.jpg", seed=1, size=(36, 64))
    assert [item.name for item in images_of_split(DET, tmp_path, "val").items] == ["a.jpg", "b.jpg", "c.jpg"]
    labels = tmp_path / "labels/det_20/det_val.json"
    labels.parent.mkdir(parents=True)
    labels.write_text(json.dumps({"frames": [{"name": "c.jpg"}, {"name": "a.jpg", "labels": None}]}))
    images = images_of_split(DET, tmp_path, "val")
    assert [item.name for item in images.items] == ["c.jpg", "a.jpg"]
    assert images.label_file == labels
    with pytest.raises(MissingFileError):
        images_of_split(DET, tmp_path, "test")
    with pytest.raises(InputError, match="the splits are"):
        images_of_split(DET, tmp_path, "trian")


def test_repeated_and_no_frames(tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps([{"name": "a.jpg"}, {"name": "a.jpg"}]))
    with pytest.raises(LabelError, match=r"a\.jpg appears twice"):
        images_of_labels(labels, tmp_path)
    labels.write_text("[]")
    with pytest.raises(InputError, match="no frames"):
        images_of_labels(labels, tmp_path)


def test_data_root_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BDD100K_ROOT", raising=False)
    with pytest.raises(MissingFileError, match="--data-root"):
        find_data_root(None)
    (tmp_path / "data/bdd100k").mkdir(parents=True)
    assert find_data_root(None) == Path("data/bdd100k")
    monkeypatch.setenv("BDD100K_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(MissingFileError, match="BDD100K_ROOT"):
        find_data_root(None)
    assert find_data_root(tmp_path) == tmp_path
    own = tmp_path / "own"
    with pytest.raises(MissingFileError, match=rf"{own}: .* \(of the run that left this config; --data-root"):
        find_data_root(None, str(own), fixed=True)
    own.mkdir()
    assert find_data_root(None, str(own), fixed=True) == own
    assert find_data_root(tmp_path, str(own), fixed=True) == tmp_path
    (tmp_path / "elsewhere").mkdir()
    assert find_data_root(None, str(own)) == tmp_path / "elsewhere"


def test_readers_do_not_wait_for_threads_of_opencv(tmp_path: Path) -> None:
    """A process that has used OpenCV's threads can still fork readers; a hang shows as a time-out."""
    draw_noise(tmp_path / "a.jpg", seed=1, size=(36, 64))
    code = """
import sys, cv2, numpy
from pathlib import Path
import bdd100k_models.registry
from mmengine.registry import init_default_scope
from bdd100k_models.datasets.images import images_of_folder
from bdd100k_models.datasets.loader import InferenceImages, Preparation, load_batches
init_default_scope("mmdet")
cv2.setNumThreads(4)
cv2.resize(numpy.zeros((45, 80, 3), numpy.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC)
images = images_of_folder(Path(sys.argv[1]))
pipeline = [{"type": "LoadImageFromFile"}, {"type": "Resize", "scale": (64, 36), "keep_ratio": True}]
pipeline.append({"type": "PackDetInputs", "meta_keys": ("img_id",)})
batches = list(load_batches(InferenceImages(images, [[0]], Preparation(pipeline)), workers=1))
assert batches[0].indices == [0]
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60)
