"""The runtime without PyTorch: its pictures and masks against OpenCV and mmdetection."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bdd100k_models.errors import CheckpointError, ImageError, MissingFileError
from bdd100k_models.inference.pictures import take_picture
from bdd100k_models.inference.results import Instances
from bdd100k_models.runtime import load
from bdd100k_models.runtime.description import Description, read_description
from bdd100k_models.runtime.people import person_score, region_of
from bdd100k_models.runtime.pictures import cover, fit, read_picture, resize, take_region
from bdd100k_models.runtime.runner import Frame, _instances
from bdd100k_models.runtime.segments import OFFSET, fuse, paint_masks, paste_mask
from conftest import ROOT

sides = st.integers(1, 90)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=60)
@given(sides, sides, sides, sides, st.integers(0, 9))
def test_resize_is_opencvs(height: int, width: int, new_height: int, new_width: int, seed: int) -> None:
    pixels = noise(height, width, seed)
    expected = cv2.resize(pixels, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    # OpenCV takes another way where both sides are halved exactly
    assert np.abs(resize(pixels, (new_height, new_width)).astype(int) - expected).max() <= 1


def test_resize_is_opencvs_to_the_bit() -> None:
    pixels = noise(72, 128)
    for size in ((40, 71), (100, 178), (72, 128), (1, 1), (33, 200), (144, 256), (36, 64)):
        assert np.array_equal(resize(pixels, size), cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)), (
            size
        )


@pytest.mark.parametrize("udp", [False, True])
@settings(max_examples=30)
@given(st.floats(-40, 150), st.floats(-40, 90), st.floats(3, 200), st.floats(3, 200))
def test_regions_are_opencvs(udp: bool, x: float, y: float, width: float, height: float) -> None:
    from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

    pixels = noise(80, 120)
    size = (64, 48)
    centre, extent = region_of((x, y, x + width, y + height), 1.25, size)
    make = get_udp_warp_matrix if udp else get_warp_matrix
    matrix = make(centre, extent, 0.0, output_size=size[::-1])
    expected = cv2.warpAffine(pixels.astype(np.float32), matrix, size[::-1], flags=cv2.INTER_LINEAR)
    difference = np.abs(take_region(pixels, centre, extent, size, udp) - expected)
    # the other matrix is the solution of six equations: a place on the border between two steps of 1/32 pixel may be
    # rounded either way
    assert np.mean(difference > 1e-2) <= (0.0 if udp else 0.05)


def test_masks_are_mmdetections() -> None:
    import torch

    from bdd100k_models.compat import activate

    activate()
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    rng = np.random.default_rng(0)
    for _ in range(30):
        mask = rng.random((28, 28), dtype=np.float32)
        corner, size = rng.uniform(-10, 60, 2), rng.uniform(0, 50, 2)
        box = np.hstack([corner, corner + size]).clip(0, (70, 50, 70, 50)).astype(np.float32)
        inside, (rows, columns) = paste_mask(mask, box, (50, 70), 0.5)
        whole = np.zeros((50, 70), bool)
        whole[rows, columns] = inside
        pasted, where = _do_paste_mask(torch.from_numpy(mask)[None, None], torch.from_numpy(box)[None], 50, 70)
        expected = torch.zeros(50, 70, dtype=torch.bool)
        expected[where] = pasted[0] >= 0.5
        assert np.mean(whole != expected.numpy()) < 1e-3


def masks_in_boxes(seed: int) -> tuple[np.ndarray, ...]:
    """Return random masks, their boxes in a picture of 50 x 70 pixels, scores and classes."""
    count = 12
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(-5, 50, (count, 2)), rng.uniform(0, 40, (count, 2))
    boxes = np.hstack([corners, corners + sides]).clip(0, (70, 50, 70, 50)).astype(np.float32)
    masks = cv2.resize(rng.random((5, 5, count), dtype=np.float32), (28, 28)).transpose(2, 0, 1)
    return masks, boxes, rng.random(count, dtype=np.float32), rng.integers(0, 10, count)


def whole_masks(masks: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    pasted = np.zeros((len(masks), 50, 70), bool)
    for mask, box, target in zip(masks, boxes, pasted, strict=True):
        inside, (rows, columns) = paste_mask(mask, box, (50, 70), 0.5)
        target[rows, columns] = inside
    return pasted


def test_a_mask_is_not_squeezed_where_its_picture_ends() -> None:
    """A graph sees a low picture filled up below; an object's box may reach into what was filled."""
    unused: dict[str, Any] = {field.name: None for field in fields(Description)}
    description = Description(**unused | {"categories": ("car",), "options": {"mask_threshold": 0.5}})
    mask = np.zeros((1, 28, 28), np.float32)
    mask[:, :14] = 1  # the upper half of the object
    outputs = {
        "boxes": np.array([[10, 20, 30, 60]], np.float32),
        "scores": np.array([0.9], np.float32),
        "classes": np.array([0]),
        "masks": mask,
    }
    frame = Frame("a.jpg", noise(50, 80), (25, 40))  # the picture at half its size, 25 rows of 45
    result = _instances(description, frame, outputs, 0.3)
    assert result.boxes.tolist() == [[20, 40, 60, 50]]
    assert (result.segments[40:, 20:60] == 1).all() and result.segments.sum() == 400
    assert isinstance(result, Instances)


@pytest.mark.parametrize("seed", range(5))
def test_masks_lie_on_one_another_as_in_bitmasks(seed: int) -> None:
    import torch

    from bdd100k_models.formats.results.instances import paint_instances

    masks, boxes, scores, _ = masks_in_boxes(seed)
    found = paint_masks(masks, boxes, scores.astype(np.float64), (50, 70), 0.5)
    pasted = torch.from_numpy(whole_masks(masks, boxes))
    np.testing.assert_array_equal(found, paint_instances(pasted, scores.tolist(), np.arange(len(boxes)), (50, 70)))
    assert len(np.unique(found)) > 3


@pytest.mark.parametrize("seed", range(10))
def test_segments_are_fused_as_in_mmdetection(seed: int) -> None:
    import torch

    from bdd100k_models.compat import activate

    activate()
    from mmdet.models.seg_heads.panoptic_fusion_heads import HeuristicFusionHead
    from mmengine.config import ConfigDict
    from mmengine.structures import InstanceData

    options = {"mask_overlap": 0.4, "stuff_area_limit": 200}
    head = HeuristicFusionHead(10, 30, test_cfg=ConfigDict(**options))
    masks, boxes, scores, classes = (part[: 12 if seed else 0] for part in masks_in_boxes(seed))
    likely = np.random.default_rng(seed).random((31, 6, 8), dtype=np.float32)
    stuff = np.stack([cv2.resize(part, (70, 50)) for part in likely])
    instances = InstanceData(
        bboxes=torch.from_numpy(boxes), scores=torch.from_numpy(scores), labels=torch.from_numpy(classes)
    )
    instances.masks = torch.from_numpy(whole_masks(masks, boxes))
    (expected,) = head.predict([instances], [torch.from_numpy(stuff)])
    background = stuff.argmax(axis=0).astype(np.uint8)
    found = fuse(masks, boxes, scores, classes, background, things=10, void=40, mask_threshold=0.5, **options)
    np.testing.assert_array_equal(found, expected.sem_seg[0].numpy())
    assert (found == 40).any() and (seed == 0 or (found > OFFSET).any())


def test_a_persons_score_is_that_of_its_sure_joints() -> None:
    """As mmpose counts it, a joint after the other."""
    rng = np.random.default_rng(0)
    for confidences in [*rng.random((20, 18), dtype=np.float32), np.zeros(18, np.float32)]:
        total, count = 0.0, 0
        for confidence in confidences:
            if confidence > 0.2:
                total, count = total + float(confidence), count + 1
        expected = 0.7 * (total / count if count else 0.0)
        assert person_score(confidences, np.float32(0.7), 0.2) == pytest.approx(expected, rel=1e-6)


def test_fit_keeps_proportions_and_fills() -> None:
    pixels, inner = fit(np.full((50, 50, 3), 200, np.uint8), (40, 80), (1, 2, 3))
    assert (pixels.shape, inner) == ((40, 80, 3), (40, 40))
    assert (pixels[:, :40] == 200).all() and (pixels[:, 40:] == (1, 2, 3)).all()
    assert fit(noise(1, 3000), (40, 80), (0, 0, 0))[1] == (1, 80)
    assert cover(noise(90, 30), (40, 80)).shape == (40, 80, 3)


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for wrong in (text, tmp_path / "missing.jpg", np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError):
            read_picture(wrong)
    assert read_picture(Image.new("L", (5, 4))).shape == (4, 5, 3)
    Image.fromarray(noise(40, 60)).save(tmp_path / "whole.jpg")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes((tmp_path / "whole.jpg").read_bytes()[:-900])
    for read in (read_picture, take_picture):
        with Image.open(cut) as picture, pytest.raises(ImageError, match="cannot be read"):
            read(picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_as_in_the_whole_package(tmp_path: Path, orientation: int) -> None:
    from bdd100k_models.datasets.images import read_image

    smooth = cv2.resize(noise(3, 4), (64, 48), interpolation=cv2.INTER_CUBIC)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=98, exif=exif)
    expected = read_image(tmp_path / "a.jpg")[0][:, :, ::-1]
    assert expected.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
    for image in (tmp_path / "a.jpg", Image.open(tmp_path / "a.jpg")):
        np.testing.assert_allclose(read_picture(image), expected, atol=6)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_grey_is_opencvs(tmp_path: Path, suffix: str) -> None:
    values = np.random.default_rng(4).integers(0, 65536, (20, 30), dtype=np.uint16)
    values[0, :3] = 0, 255, 65535
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), values)
    expected = cv2.imread(str(path))
    assert expected[0, :3, 0].tolist() == [0, 0, 255]
    np.testing.assert_array_equal(read_picture(path), expected)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(take_picture(picture).pixels, expected)
    np.testing.assert_array_equal(take_picture(path).pixels, expected)


def test_files_that_are_no_exports(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="export"):
        load(tmp_path / "missing.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"broken\.onnx"):
        load(broken)


def test_descriptions_survive() -> None:
    description = Description(
        name="a",
        task="det",
        categories=("car", "bus"),
        colours=((0, 0, 142), (0, 60, 100)),
        image_size=(72, 128),
        input_size=(72, 128),
        padded_size=(96, 128),
        mean=(1.0, 2.0, 3.0),
        std=(1.0, 1.0, 1.0),
        channel_order="bgr",
        pre=True,
        post=True,
        outputs=("boxes",),
        batch=None,
        opset=17,
        options={"mask_threshold": 0.5},
    )
    assert read_description(description.to_json(), "x") == description
    assert "any number" in description.input_form()
    for wrong in (None, "", "{", "{}", '{"version": 1}', '{"version": 99}'):
        with pytest.raises(CheckpointError, match="file"):
            read_description(wrong, "file")


def test_nothing_but_numpy_and_pillow_is_imported() -> None:
    blocked = ("torch", "torchvision", "mmengine", "mmcv", "mmdet", "mmseg", "cv2", "msgspec", "rich", "scipy", "onnx")
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import bdd100k_models.runtime as runtime\n"
        "from bdd100k_models.runtime import segments, people, pictures\n"
        f"print(sorted(name for name in sys.modules if name.partition('.')[0] in {blocked!r} and sys.modules[name]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
