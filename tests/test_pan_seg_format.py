"""Panoptic segments become run lengths and bitmasks as the original and the official tool have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from bdd100k_models.errors import ConfigError
from bdd100k_models.evaluation.run import evaluate
from bdd100k_models.formats.bitmask import read_bitmask
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES, PanopticFormat
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.tasks import TASKS
from drawing_support import draw_record
from official_tool import assert_same, official_frames, official_masks

TASK = TASKS["pan_seg"]
FORMAT = PanopticFormat(TASK)
VOID = 40


def sample(numbers: np.ndarray) -> dict[str, Any]:
    """Return a prediction as the engine hands it over."""
    return {"pred_panoptic_seg": {"sem_seg": torch.from_numpy(numbers.astype(np.int32))[None]}}


def random_numbers(seed: int, things: int = 6, size: tuple[int, int] = (45, 64)) -> np.ndarray:
    """Return segment numbers of stuff in blocks, some of it void, with rectangles of things on top."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(10, VOID + 1, (3, 4))
    numbers = np.kron(coarse, np.ones((size[0] // 3, size[1] // 4), np.int64))
    for place in range(1, things + 1):
        row, column = rng.integers(0, size[0] - 8), rng.integers(0, size[1] - 8)
        numbers[row : row + 8, column : column + 8] = 1000 * place + rng.integers(0, 10)
    return numbers


def test_models_count_things_first_and_files_stuff_first():
    assert MODEL_CATEGORIES[0] == "person" and MODEL_CATEGORIES[9] == "truck" and MODEL_CATEGORIES[10] == "dynamic"
    assert MODEL_CATEGORIES[39] == "sky" and sorted(MODEL_CATEGORIES) == sorted(TASK.categories)
    assert TASK.category_ids["sky"] == 30 and TASK.category_ids["person"] == 31


def write(folder: Path, images: dict[str, np.ndarray], outputs: list[str] | None = None) -> None:
    form = PanopticFormat(TASK, outputs)
    records = {name: form.encode([sample(numbers)]) for name, numbers in images.items()}
    for name, record in records.items():
        form.save_image(name, record, folder)
    form.write(iter(records.items()), folder)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), things=st.integers(0, 9))
def test_both_files_hold_every_segment(tmp_path_factory: pytest.TempPathFactory, seed: int, things: int):
    numbers, folder = random_numbers(seed, things), tmp_path_factory.mktemp("out")
    write(folder, {"a.jpg": numbers})
    (frame,) = load_frames(folder / "pan_seg.json")
    bitmask = read_bitmask(folder / "bitmasks/a.png")
    painted = np.full(numbers.shape, VOID)
    for label in frame.labels or ():
        assert label.rle is not None
        mask = coco_mask.decode({"counts": label.rle.counts, "size": list(label.rle.size)}).astype(bool)
        painted[mask] = int(label.id)
        category = MODEL_CATEGORIES[int(label.id) % 1000]
        assert label.category == category
        ids = set(bitmask.ids[mask].tolist())
        assert len(ids) == 1 and set(bitmask.category[mask]) == {TASK.category_ids[category]}
        number = ids.pop()
        assert (number == TASK.category_ids[category]) if int(label.id) < 1000 else (number > 30)
        assert ((bitmask.ids == number) == mask).all()
    assert (painted == numbers).all()
    assert ((bitmask.ids == 0) == (numbers == VOID)).all() and not bitmask.attributes.any()
    things_there = sorted(set(bitmask.ids[bitmask.ids > 30].tolist()))
    assert things_there == list(range(31, 31 + len(things_there)))


def test_an_image_without_segments_counts_as_not_predicted(tmp_path: Path):
    truth = {"a.jpg": random_numbers(1, size=(720, 1280)), "b.jpg": random_numbers(2, size=(720, 1280))}
    found = truth | {"b.jpg": np.full((720, 1280), VOID)}
    write(tmp_path / "truth", truth)
    write(tmp_path / "found", found)
    assert json.loads((tmp_path / "found/pan_seg.json").read_text())["frames"][1] == {"name": "b.jpg", "labels": []}
    masks = [tmp_path / part / "bitmasks" for part in ("truth", "found")]
    ours = evaluate("pan_seg", *masks)
    assert_same(ours, official_masks("pan_seg", *masks))
    (masks[1] / "b.png").unlink()
    assert evaluate("pan_seg", *masks).summary() == ours.summary()
    files = [tmp_path / part / "pan_seg.json" for part in ("truth", "found")]
    assert_same(evaluate("pan_seg", *files), official_frames("pan_seg", *files))
    assert evaluate("pan_seg", *files).score("PQ") == pytest.approx(ours.score("PQ"))
    form = PanopticFormat(TASK)
    form.save_image("c.jpg", form.empty((720, 1280)), tmp_path / "found")
    assert (masks[1] / "c.png").read_bytes() == _blank_png()


def _blank_png() -> bytes:
    from bdd100k.common.bitmask import gen_blank_bitmask

    from bdd100k_models.formats.bitmask import Bitmask, encode_bitmask

    pixels = gen_blank_bitmask((720, 1280, 4))
    return encode_bitmask(Bitmask(pixels[..., 0], pixels[..., 3].astype(np.uint16), pixels[..., 1]))


def test_the_bitmask_keeps_the_hundred_segments_the_official_tool_counts(tmp_path: Path):
    numbers = np.full((720, 1280), 16)
    for place in range(1, 131):
        row, column = divmod(place, 20)
        numbers[row * 50 : row * 50 + 40, column * 50 : column * 50 + 40] = 1000 * place + 4
    write(tmp_path, {"a.jpg": numbers})
    bitmask = read_bitmask(tmp_path / "bitmasks/a.png")
    kept = np.unique(numbers[bitmask.ids > 0])
    assert kept.tolist() == [16, *(1000 * place + 4 for place in range(1, 100))]
    (frame,) = load_frames(tmp_path / "pan_seg.json")
    assert len(frame.labels or ()) == 131
    assert_same(
        evaluate("pan_seg", tmp_path / "bitmasks", tmp_path / "bitmasks"),
        official_masks("pan_seg", tmp_path / "bitmasks", tmp_path / "bitmasks"),
    )


def test_the_official_tool_agrees(tmp_path: Path):
    truth = {f"{index}.jpg": random_numbers(index, 12, (720, 1280)) for index in range(3)}
    found = {name: np.roll(numbers, 2, axis=1) for name, numbers in truth.items()}
    write(tmp_path / "truth", truth)
    write(tmp_path / "found", found)
    for part, official in (("bitmasks", official_masks), ("pan_seg.json", official_frames)):
        pair = tmp_path / "truth" / part, tmp_path / "found" / part
        ours = evaluate("pan_seg", *pair)
        assert 30 < ours.score("PQ") < 99
        assert_same(ours, official("pan_seg", *pair))


def test_the_pickle_is_that_of_mmdet_2():
    numbers = random_numbers(3)
    assert (FORMAT.raw(FORMAT.encode([sample(numbers)]))["pan_results"] == numbers).all()


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="panoptic_fusion_head"):
        FORMAT.encode([{"pred_instances": {}}])
    with pytest.raises(ConfigError, match="class 133, but pan_seg has 40"):
        FORMAT.encode([sample(np.array([[133]]))])


@pytest.mark.parametrize(("labels", "output"), [("a.json", "json"), ("val", "bitmasks")])
def test_the_output_is_compared_with_labels_of_its_form(tmp_path: Path, labels: str, output: str):
    (tmp_path / "a.json").touch()
    (tmp_path / "val").mkdir()
    assert FORMAT.output_for(tmp_path / labels) == output


def test_segments_are_drawn_in_the_official_colours():
    numbers = np.full((360, 640), 10 + TASK.categories.index("sky"))
    numbers[200:] = 10 + TASK.categories.index("road")
    numbers[100:150, 100:150] = VOID
    picture = np.full((360, 640, 3), 100, np.uint8)
    draw_record(FORMAT.encode([sample(numbers)]), picture, TASK, 0.3)
    assert picture[10, 10].tolist() == [(100 + channel) // 2 for channel in (180, 130, 70)]
    assert picture[350, 10].tolist() == [(100 + channel) // 2 for channel in (128, 64, 128)]
    assert picture[120, 120].tolist() == [100, 100, 100]
