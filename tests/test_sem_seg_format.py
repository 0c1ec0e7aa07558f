"""Maps of classes on disk: run lengths, masks, colour maps; polygons painted as the official tool does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as coco

from bdd100k_models.errors import ConfigError, InputError, LabelError
from bdd100k_models.formats import rle
from bdd100k_models.formats.polygons import paint_polygons
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.scalabel import RLE, Poly2D
from bdd100k_models.tasks import PALETTE, TASKS
from drawing_support import draw_record
from semantic_model import random_map

each_task = pytest.mark.parametrize("task", ["sem_seg", "drivable"])
any_map = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 18))


def prediction(classes: np.ndarray) -> list[dict[str, Any]]:
    return [{"pred_sem_seg": {"data": torch.from_numpy(classes.astype(np.int64))[None]}}]


# ---------------------------------------------------------------------------------------------------- predictions


@given(classes=any_map)
def test_a_record_holds_the_map(classes: np.ndarray):
    record = get_format(TASKS["sem_seg"]).encode(prediction(classes))
    assert record.size == classes.shape and record.classes == np.unique(classes).tolist()
    for value, mask in zip(record.classes, record.masks, strict=True):
        decoded = coco.decode({"counts": mask.counts.encode(), "size": list(mask.size)})
        np.testing.assert_array_equal(decoded == 1, classes == value)
    np.testing.assert_array_equal(record.class_map(), classes)


@each_task
def test_the_files_of_a_run(tmp_path: Path, task: str):
    categories = TASKS[task].categories
    writer = get_format(TASKS[task], ["json", "masks", "colormaps"])
    maps = {f"{index}.jpg": random_map(index, task, ignored=False) for index in range(3)}
    records = [(name, writer.encode(prediction(classes))) for name, classes in maps.items()]
    records.insert(1, ("failed.jpg", writer.empty((4, 6))))
    for name, record in records:
        writer.save_image(name, record, tmp_path)
    count = writer.write(records, tmp_path)

    frames = json.loads((tmp_path / f"{task}.json").read_text())["frames"]
    assert [frame["name"] for frame in frames] == ["0.jpg", "failed.jpg", "1.jpg", "2.jpg"]
    labels = [label for frame in frames for label in frame["labels"]]
    assert [label["id"] for label in labels] == [str(number + 1) for number in range(count)]
    assert frames[1]["labels"] == []
    for frame in frames[::2]:
        classes = maps[frame["name"]]
        assert [label["category"] for label in frame["labels"]] == [categories[value] for value in np.unique(classes)]
        for label in frame["labels"]:
            np.testing.assert_array_equal(coco.decode(label["rle"]), classes == categories.index(label["category"]))
    for name, classes in maps.items():
        file = Path(name).with_suffix(".png")
        mask = Image.open(tmp_path / "masks" / file)
        assert mask.mode == "L"
        np.testing.assert_array_equal(mask, classes)
        colours = np.array([PALETTE[name] for name in categories])[classes]
        np.testing.assert_array_equal(Image.open(tmp_path / "colormaps" / file), colours)
    np.testing.assert_array_equal(Image.open(tmp_path / "masks/failed.png"), np.full((4, 6), 255))


def test_only_what_is_asked_for_is_written(tmp_path: Path):
    for outputs, files in ((None, {"sem_seg.json"}), (["masks"], {"masks"}), (["colormaps"], {"colormaps"})):
        writer = get_format(TASKS["sem_seg"], outputs)
        record = writer.encode(prediction(np.zeros((2, 2))))
        folder = tmp_path / str(outputs)
        folder.mkdir()
        writer.save_image("a.jpg", record, folder)
        assert writer.write([("a.jpg", record)], folder) == 1
        assert {path.name for path in folder.iterdir()} == files
        assert writer.result_path(folder).exists()
    with pytest.raises(InputError, match="its outputs are json, masks, colormaps"):
        get_format(TASKS["drivable"], ["bitmasks"])


def test_the_form_that_a_ground_truth_is_compared_with(tmp_path: Path):
    writer = get_format(TASKS["sem_seg"])
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").touch()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/a.json").touch()
    assert writer.output_for(tmp_path / "masks") == "masks"
    assert writer.output_for(tmp_path / "lists") == writer.output_for(tmp_path / "lists/a.json") == "json"


def test_a_model_of_too_many_classes_is_refused():
    with pytest.raises(ConfigError, match=r"class 18, but drivable has 3 classes; set num_classes"):
        get_format(TASKS["drivable"]).encode(prediction(np.array([[0, 18]])))


def test_the_old_pickle_holds_maps():
    classes = random_map(1, "sem_seg", ignored=False)
    writer = get_format(TASKS["sem_seg"])
    raw = writer.raw(writer.encode(prediction(classes)))
    assert raw.dtype == np.int64
    np.testing.assert_array_equal(raw, classes)


# ------------------------------------------------------------------------------------------------------- drawing


def test_classes_are_drawn_in_their_colours():
    classes = np.full((720, 1280), 8, np.uint8)
    classes[360:] = 0
    pixels = np.full((720, 1280, 3), 100, np.uint8)
    draw_record(get_format(TASKS["sem_seg"]).encode(prediction(classes)), pixels, TASKS["sem_seg"], 0.3)
    for row, name in ((100, "vegetation"), (600, "road")):
        expected = (100 + np.array(PALETTE[name][::-1])) / 2
        np.testing.assert_allclose(pixels[row, 900], expected, atol=1)
    assert (pixels[359, 900] > 180).all(), "an outline lies between them"
    for name in ("vegetation", "road"):
        assert (pixels[:80, :200] == PALETTE[name][::-1]).all(axis=2).any(), "a legend shows them"


@pytest.mark.parametrize("size", [(720, 1280), (9, 16), (1, 1)])
def test_background_and_nothing_leave_the_image_as_it_is(size: tuple[int, int]):
    writer = get_format(TASKS["drivable"])
    for record in (writer.encode(prediction(np.full(size, 2))), writer.empty(size)):
        pixels = np.full((*size, 3), 100, np.uint8)
        draw_record(record, pixels, TASKS["drivable"], 0.3)
        assert (pixels == 100).all()


def test_small_pictures_are_drawn():
    writer = get_format(TASKS["sem_seg"])
    pixels = np.zeros((3, 5, 3), np.uint8)
    draw_record(writer.encode(prediction(np.arange(15).reshape(3, 5))), pixels, TASKS["sem_seg"], 0)
    assert pixels.any()


# ------------------------------------------------------------------------------------------------- many at a time


@given(classes=any_map, fill=st.integers(0, 255))
def test_painted_masks_give_the_map_back(classes: np.ndarray, fill: int):
    masks = list(rle.encode_labels(classes).items())
    np.testing.assert_array_equal(rle.decode_labels(masks, classes.shape, fill, "here"), classes)
    np.testing.assert_array_equal(rle.decode_labels([], classes.shape, fill, "here"), np.full(classes.shape, fill))


def test_later_masks_lie_on_top_and_sizes_must_agree():
    whole, half = rle.encode(np.ones((2, 4), bool)), rle.encode(np.arange(8).reshape(2, 4) % 4 < 2)
    painted = rle.decode_labels([(7, whole), (9, half)], (2, 4), 0, "here")
    np.testing.assert_array_equal(painted, [[9, 9, 7, 7]] * 2)
    with pytest.raises(LabelError, match=r"here: rle.size is 2x4, but the image is 4x2"):
        rle.decode_labels([(1, whole)], (4, 2), 0, "here")
    with pytest.raises(LabelError, match="run-length"):
        rle.decode_labels([(1, RLE("~~", (2, 4)))], (2, 4), 0, "here")


# ------------------------------------------------------------------------------------------------------- polygons


def random_polygons(seed: int) -> list[tuple[int, list[Poly2D]]]:
    rng = np.random.default_rng(seed)
    regions = []
    for value in rng.permutation(19)[:6].tolist():
        vertices = (rng.random((rng.integers(1, 60), 2)) * [1400, 800] - 40).round(seed % 3)
        types = ""
        while len(types) < len(vertices):
            types += "CCC" if rng.random() < 0.4 and len(types) + 3 <= len(vertices) else "L"
        regions.append((value, [Poly2D([(float(x), float(y)) for x, y in vertices], types)]))
    return regions


@pytest.mark.parametrize("seed", range(4))
def test_polygons_cover_the_pixels_that_the_official_tool_fills(tmp_path: Path, seed: int):
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    from bdd100k.label.to_mask import frame_to_mask
    from scalabel.label.typing import ImageSize
    from scalabel.label.typing import Poly2D as OfficialPoly2D

    from bdd100k_models.compat import tostring_rgb

    tostring_rgb.install()
    regions = random_polygons(seed)
    frame_to_mask(
        str(tmp_path / "mask.png"),
        ImageSize(width=1280, height=720),
        [np.array([value], np.uint8) for value, _ in regions],
        [
            [OfficialPoly2D(vertices=p.vertices, types=p.types, closed=True) for p in polygons]
            for _, polygons in regions
        ],
        with_instances=False,
        back_color=255,
    )
    expected = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(paint_polygons(regions, (720, 1280), 255, "here"), expected)


def test_values_beyond_a_byte_are_painted():
    square = Poly2D([(1, 1), (3, 1), (3, 3), (1, 3)])
    for value in (0, 255, 256, 65535):
        painted = paint_polygons([(value, [square])], (4, 5), -1, "here")
        expected = np.full((4, 5), -1)
        expected[1:3, 1:3] = value
        np.testing.assert_array_equal(painted, expected)
    with pytest.raises(InputError, match="values are 0 to 65535"):
        paint_polygons([(65536, [square])], (4, 5), 0, "here")
    assert (paint_polygons([], (4, 5), 9, "here") == 9).all()


@pytest.mark.parametrize(("vertices", "types"), [([], ""), ([(0, 0), (1, 1)], "L"), ([(0, 0), (1, 1)], "LX")])
def test_polygons_that_are_none(vertices: list[tuple[float, float]], types: str):
    with pytest.raises(LabelError, match="here: a polygon has"):
        paint_polygons([(1, [Poly2D(vertices, types)])], (4, 5), 0, "here")


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=8))
def test_polygons_anywhere_are_painted(vertices: list[tuple[float, float]]):
    painted = paint_polygons([(3, [Poly2D(vertices)])], (20, 30), 1, "here")
    assert painted.shape == (20, 30) and set(np.unique(painted)) <= {1, 3}
