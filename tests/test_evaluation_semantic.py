"""Semantic segmentation and drivable area against the official tool, on the same files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bdd100k_models.compat import tostring_rgb
from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.evaluation.config import load_config
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.evaluation.semantic import SemanticEvaluator, evaluate_semantic, joint_histogram
from bdd100k_models.evaluation.semantic_frames import Regions, count_pairs, paint
from bdd100k_models.formats import rle
from bdd100k_models.tasks import TASKS
from official_tool import assert_same, official_frames, official_masks, quiet

CLASSES = TASKS["sem_seg"].categories

Masks = dict[str, npt.NDArray[np.uint8]]
Frames = list[dict[str, Any]]


def write_masks(folder: Path, masks: Masks) -> Path:
    folder.mkdir(parents=True)
    for name, pixels in masks.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def write_frames(path: Path, frames: Frames) -> Path:
    path.write_text(json.dumps(frames))
    return path


def mask_label(category: str, inside: npt.NDArray[np.bool_], **fields: Any) -> dict[str, Any]:
    coded = rle.encode(inside)
    return {"id": "1", "category": category, "rle": {"counts": coded.counts, "size": list(coded.size)}, **fields}


def full_frame(name: str, *labels: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "labels": list(labels)}


@pytest.mark.parametrize("task", ["sem_seg", "drivable"])
@pytest.mark.parametrize("truth", ["gt", "gt+"])
def test_the_toolkits_masks(shared: Path, task: str, truth: str) -> None:
    folder = shared / "samples" / "toolkit" / "eval" / "seg"
    result = evaluate(task, folder / truth, folder / "pred")
    assert_same(result, official_masks(task, folder / truth, folder / "pred"))


def test_the_toolkits_run_lengths(shared: Path) -> None:
    folder = shared / "samples" / "toolkit" / "eval" / "rle" / "seg"
    result = evaluate("sem_seg", folder / "gt", folder / "pred")
    # its names end in .jpg and .png, and the official tool compares them whole
    assert result.score("pAcc") == 0
    assert "differ in their suffix" in result.notes[0]
    assert_same(result, official_frames("sem_seg", folder / "gt", folder / "pred"))


def test_the_toolkits_run_lengths_under_equal_names(shared: Path, tmp_path: Path) -> None:
    folder = shared / "samples" / "toolkit" / "eval" / "rle" / "seg"
    renamed = tmp_path / "renamed.json"
    renamed.write_text((folder / "pred" / "0.json").read_text().replace(".png", ".jpg"))
    result = evaluate("sem_seg", folder / "gt", renamed)
    assert 0 < result.score("pAcc") < 100
    assert_same(result, official_frames("sem_seg", folder / "gt", renamed))


def test_real_labels_against_shifted_ones(samples: Path, tmp_path: Path) -> None:
    truth = samples / "labels" / "sem_seg" / "rles" / "sem_seg_val.json"
    content = json.loads(truth.read_text())
    frames = content["frames"] if isinstance(content, dict) else content
    names = iter(["road", "sky", "car", "tree"] * 100)
    for frame in frames[:-1]:
        for label in frame["labels"][::3]:
            label["category"] = next(names)
    result = write_frames(tmp_path / "result.json", frames[:-1])
    scored = evaluate("sem_seg", truth, result)
    assert 0 < scored.score("IoU", "AVERAGE") < 100
    assert_same(scored, official_frames("sem_seg", truth, result))


_NAMES = [f"image{index}" for index in range(4)]


@st.composite
def _mask_case(draw: st.DrawFn, labels: list[int]) -> tuple[Masks, Masks]:
    """Masks of a few images, some of them not predicted, and predictions for other images."""
    truth, result = {}, {}
    for name in _NAMES[: draw(st.integers(1, 4))]:
        shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
        rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
        truth[name] = rng.choice(np.array(draw(st.lists(st.sampled_from(labels), min_size=1)), np.uint8), shape)
        if draw(st.integers(0, 3)):
            wrong = rng.integers(0, draw(st.sampled_from([2, 21, 256])), shape).astype(np.uint8)
            result[name] = np.where(rng.random(shape) < 0.6, truth[name], wrong)
    if not result:
        result[next(iter(truth))] = np.zeros_like(truth[next(iter(truth))])
    if draw(st.booleans()):
        result["foreign"] = np.zeros((3, 3), np.uint8)
    return truth, result


@pytest.mark.parametrize(("task", "labels"), [("sem_seg", [*range(20), 255]), ("drivable", [0, 1, 2, 255])])
def test_random_masks(task: str, labels: list[int]) -> None:
    @settings(max_examples=60)
    @given(_mask_case(labels))
    def check(case: tuple[Masks, Masks]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            truth, result = (write_masks(Path(folder) / side, masks) for side, masks in zip("gr", case, strict=True))
            assert_same(evaluate_semantic(task, truth, result), official_masks(task, truth, result))

    check()


_CONFIG = """remove_ignored = true
[name_mapping]
street = "road"
[scalabel]
{size}
[[scalabel.categories]]
name = "road"
[[scalabel.categories]]
name = "sky"
[[scalabel.categories]]
name = "car"
"""
_SIZE = (7, 9)


def write_config(folder: Path, *, sized: bool = True) -> Path:
    path = folder / "config.toml"
    path.write_text(_CONFIG.format(size="imageSize = {height = 7, width = 9}" if sized else ""))
    return path


@st.composite
def _frame_case(draw: st.DrawFn, sized: bool) -> tuple[Frames, Frames]:
    """Frames of labels that may overlap, be empty, unknown, without a mask, or missing."""
    sides: tuple[Frames, Frames] = ([], [])
    for image in _NAMES[: draw(st.integers(1, 3))]:
        for frames in sides:
            rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
            names = draw(st.lists(st.sampled_from(["road", "street", "sky", "car", "tree"]), max_size=4))
            labels = [mask_label(name, rng.random(_SIZE) < draw(st.sampled_from([0.0, 0.3, 1.0]))) for name in names]
            if not sized:
                # without a size the official tool needs a mask in each frame
                labels.append(mask_label("sky", rng.random(_SIZE) < 0.5))
            if draw(st.integers(0, 5)) == 0:
                labels.append({"id": "x", "category": "road"})
            frames.append({"name": image, "labels": labels or draw(st.sampled_from([[], None]))})
    if len(sides[1]) > 1 and draw(st.booleans()):
        sides[1].pop(0)
    return sides


@pytest.mark.parametrize("sized", [True, False])
def test_random_run_lengths(sized: bool) -> None:
    @settings(max_examples=60)
    @given(_frame_case(sized))
    def check(case: tuple[Frames, Frames]) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config = write_config(folder, sized=sized)
            truth, result = write_frames(folder / "g.json", case[0]), write_frames(folder / "r.json", case[1])
            ours = evaluate("sem_seg", truth, result, Options(config=str(config)))
            assert_same(ours, official_frames("sem_seg", truth, result, config))

    check()


def test_drivable_run_lengths_give_what_masks_give(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    sides = []
    for side in "gr":
        mask = np.kron(rng.integers(0, 3, (9, 16)), np.ones((80, 80))).astype(np.uint8)
        labels = [mask_label(name, mask == value) for value, name in enumerate(TASKS["drivable"].categories)]
        frames = write_frames(tmp_path / f"{side}.json", [full_frame("a.jpg", *labels)])
        sides.append((frames, write_masks(tmp_path / side, {"a": mask})))
    (true_frames, true_masks), (frames, masks) = sides
    ours = evaluate("drivable", true_frames, frames)
    assert ours == evaluate("drivable", true_masks, masks)
    assert_same(ours, official_frames("drivable", true_frames, frames))


def test_polygons(tmp_path: Path) -> None:
    with quiet():
        tostring_rgb.install()
    curve = {"vertices": [[1, 1], [300.5, 20], [280, 500], [100, 610.2], [5, 300]], "types": "LLCCC", "closed": True}
    square = {"vertices": [[200, 200], [900, 210], [880, 700]], "types": "LLL", "closed": True}
    labels = [
        {"id": "1", "category": "road", "poly2d": [square]},
        {"id": "2", "category": "car", "poly2d": [curve, square | {"vertices": [[600, 5], [700, 9], [650, 90]]}]},
    ]
    truth = write_frames(tmp_path / "g.json", [full_frame("a.jpg", *labels)])
    inside = np.zeros((720, 1280), np.bool_)
    inside[100:500, 100:700] = True
    result = write_frames(tmp_path / "r.json", [full_frame("a.jpg", mask_label("road", inside))])
    assert_same(evaluate("sem_seg", truth, result), official_frames("sem_seg", truth, result))


def test_the_strict_drivable_score_counts_background(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth, result = rng.integers(0, 3, (2, 40, 50)).astype(np.uint8)
    folders = [write_masks(tmp_path / side, {"a": mask}) for side, mask in (("g", truth), ("r", result))]
    expected = [((truth == c) & (result == c)).sum() / ((truth == c) | (result == c)).sum() * 100 for c in range(3)]
    note = evaluate("drivable", *folders).notes[-1]
    assert f"mIoU is {np.mean(expected):.2f}" in note
    assert f"background {expected[2]:.2f}" in note


def test_background_costs_nothing_in_the_official_drivable_score(tmp_path: Path) -> None:
    truth = np.full((10, 10), 2, np.uint8)
    truth[5:] = 0
    folders = [write_masks(tmp_path / side, {"a": mask}) for side, mask in (("g", truth), ("r", truth * 0))]
    result = evaluate("drivable", *folders)
    assert result.score("IoU", "direct") == 100
    assert "mIoU is 25.00 (direct 50.00, alternative nan, background 0.00)" in result.notes[-1]


def test_overlapping_predictions_are_noted(tmp_path: Path) -> None:
    inside = np.ones((720, 1280), np.bool_)
    truth = write_frames(tmp_path / "g.json", [full_frame("a.jpg", mask_label("car", inside))])
    both = full_frame("a.jpg", mask_label("road", inside), mask_label("car", inside))
    result = evaluate("sem_seg", truth, write_frames(tmp_path / "r.json", [both]))
    assert result.score("IoU", "car") == 100
    assert any("overlap in 1 predicted frame" in note for note in result.notes)


def test_counts_are_exact_beyond_single_precision() -> None:
    pixels = np.zeros((4097, 4097), np.uint8)
    pixels[0, 0] = 7
    counts = joint_histogram(pixels, pixels)
    assert counts[0, 0] == 4097**2 - 1
    assert counts[7, 7] == 1
    assert counts.sum() == 4097**2


@given(st.integers(0, 1 << 32), st.booleans())
def test_the_joint_histogram_counts_pairs(seed: int, fortran: bool) -> None:
    rng = np.random.default_rng(seed)
    truth, result = rng.integers(0, 256, (2, *rng.integers(0, 9, 2))).astype(np.uint8)
    expected = np.zeros((256, 256), np.int64)
    np.add.at(expected, (truth, result), 1)
    if fortran:
        truth, result = np.asfortranarray(truth), np.asfortranarray(result)
    assert (joint_histogram(truth, result) == expected).all()


def test_an_evaluator_takes_images_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = {name: rng.integers(0, 19, (6, 8)).astype(np.uint8) for name in _NAMES}
    result = {name: rng.integers(0, 19, (6, 8)).astype(np.uint8) for name in _NAMES[1:]}
    folders = write_masks(tmp_path / "g", truth), write_masks(tmp_path / "r", result)
    evaluator = SemanticEvaluator("sem_seg")
    for _ in range(2):
        evaluator.reset()
        for name, mask in truth.items():
            evaluator.process(mask, result.get(name))
        assert evaluator.evaluate() == evaluate_semantic("sem_seg", *folders)


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    masks = [{f"{i:03}": rng.integers(0, 19, (6, 8)).astype(np.uint8) for i in range(110)} for _ in range(2)]
    folders = write_masks(tmp_path / "g", masks[0]), write_masks(tmp_path / "r", masks[1])
    one, two = (evaluate("sem_seg", *folders, Options(processes=count)) for count in (1, 2))
    assert one == two


def test_a_config_does_not_change_the_values_of_masks(tmp_path: Path) -> None:
    folders = [write_masks(tmp_path / side, {"a": np.zeros((4, 4), np.uint8)}) for side in "gr"]
    result = evaluate("sem_seg", *folders, Options(config=str(write_config(tmp_path))))
    assert list(result.scores["IoU"][0]) == list(CLASSES)
    assert any("categories of the config are not used" in note for note in result.notes)


def test_no_images_give_no_numbers() -> None:
    result = SemanticEvaluator("drivable").evaluate()
    assert np.isnan(result.score("IoU", "AVERAGE"))
    assert result.score("IoU", "direct") == 0
    assert result.notes[0] == "there are no images"


INSIDE = np.ones((720, 1280), np.bool_)
GOOD = full_frame("a.jpg", mask_label("road", INSIDE))
WIDE = full_frame("a.jpg", mask_label("road", np.ones((10, 20), np.bool_)))
CUT = full_frame("a.jpg", {"id": "1", "category": "road", "rle": {"counts": "0", "size": [720, 1280]}})
BAD_FRAMES = {
    "another size": ([WIDE], r"r\.json: frame a\.jpg, label 0: rle\.size is 10x20, but images have 720x1280"),
    "counts cut off": ([CUT], r"r\.json: frame a\.jpg, label 0: rle\.counts covers 0 pixels"),
    "twice": ([GOOD, GOOD], r"r\.json: frame a\.jpg appears twice"),
    "another split": ([full_frame("b.jpg")], r"r\.json: none of its 1 frames .*b\.jpg.* another split"),
    "coco": ({"images": [], "annotations": [], "categories": []}, r"r\.json: this is COCO JSON"),
    "no id": ([full_frame("a.jpg", {"category": "road"})], r"r\.json: frame a\.jpg: .*`id`"),
    "open line": (
        [full_frame("a.jpg", {"id": "1", "category": "road", "poly2d": [{"vertices": [[1, 1]], "closed": False}]})],
        r"r\.json: frame a\.jpg, label 0: poly2d is not closed",
    ),
}


@pytest.mark.parametrize(("frames", "message"), BAD_FRAMES.values(), ids=list(BAD_FRAMES))
def test_bad_frames_are_named(tmp_path: Path, frames: Any, message: str) -> None:
    truth = write_frames(tmp_path / "g.json", [GOOD])
    with pytest.raises(LabelError, match=message) as caught:
        evaluate("sem_seg", truth, write_frames(tmp_path / "r.json", frames))
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_is_named(tmp_path: Path) -> None:
    truth = write_frames(tmp_path / "g.json", [GOOD])
    cut = tmp_path / "r.json"
    cut.write_text(truth.read_text()[:-9])
    with pytest.raises(LabelError, match=r"r\.json: not valid JSON"):
        evaluate("sem_seg", truth, cut)


def test_an_unknown_category_that_the_config_does_not_leave_out(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("remove_ignored = true", ""))
    frames = [full_frame("a.jpg", mask_label("tree", np.ones(_SIZE, np.bool_)))]
    path = write_frames(tmp_path / "g.json", frames)
    with pytest.raises(LabelError, match=r"g\.json: frame a\.jpg, label 0: unknown category 'tree'"):
        evaluate_semantic("sem_seg", path, path, load_config(config))


def test_masks_that_cannot_be_compared(tmp_path: Path) -> None:
    small, large = np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8)
    truth = write_masks(tmp_path / "g", {"a": small})
    with pytest.raises(LabelError, match=r"a\.png: 5x4 pixels .* ground truth has 4x5"):
        evaluate("sem_seg", truth, write_masks(tmp_path / "size", {"a": large}))
    with pytest.raises(LabelError, match=r"none of its 1 masks .*another split"):
        evaluate("sem_seg", truth, write_masks(tmp_path / "split", {"b": small}))
    with pytest.raises(LabelError, match=r"a\.png: the mask holds 30, but labels are 0 to 18, or 255"):
        evaluate("sem_seg", write_masks(tmp_path / "values", {"a": small + 30}), truth)
    with pytest.raises(LabelError, match="PNG masks"):
        evaluate("sem_seg", truth, write_frames(tmp_path / "r.json", [GOOD]))
    mixed = write_masks(tmp_path / "mixed", {"a": small})
    write_frames(mixed / "r.json", [GOOD])
    with pytest.raises(LabelError, match=r"r\.json stands beside a\.png"):
        evaluate("sem_seg", truth, mixed)
    (mixed / "README.md").touch()
    with pytest.raises(LabelError, match=r"README\.md is neither"):
        evaluate("sem_seg", truth, mixed)
    with pytest.raises(MissingFileError, match="no such file"):
        evaluate("sem_seg", truth, tmp_path / "nowhere")


@given(st.integers(0, 1 << 32), st.floats(0, 1))
def test_pairs_are_counted_without_drawing(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 12, 2).tolist())
    drawn, painted = [], []
    for _ in range(2):
        masks = [rng.random(size) < share for _ in range(3)]
        expected = np.full(size, 4)
        for value, mask in enumerate(masks):
            expected[mask] = value
        drawn.append(expected)
        painted.append(paint(Regions([0, 1, 2], [rle.encode(mask) for mask in masks], [0, 1, 2]), size, 4, "here"))
        assert painted[-1].overlapping == (np.sum(masks, axis=0) > 1).any()
    counts = np.zeros((5, 5), np.int64)
    np.add.at(counts, tuple(drawn), 1)
    assert (count_pairs(*painted, 5) == counts).all()
