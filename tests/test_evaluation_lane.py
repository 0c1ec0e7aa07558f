"""Lane markings against the official tool, on the same files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.evaluation.config import LANE_CATEGORIES, default_config
from bdd100k_models.evaluation.lane import (
    RADII,
    LaneEvaluator,
    dilations,
    evaluate_lane,
    f_scores,
    lane_classes,
)
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.formats.bitmask import read_mask
from official_tool import assert_same, official_frames, official_masks
from test_evaluation_semantic import full_frame, mask_label, write_frames, write_masks

Masks = dict[str, npt.NDArray[np.uint8]]
CLASSES = default_config("lane_mark").categories
_NAMES = [f"image{index}" for index in range(4)]

# any byte: bits 6 and 7 mean nothing
_VALUES = st.lists(st.sampled_from([255, 255, 0, 3, 16, 33, 52, 55, 8, 71, 200]), min_size=1, max_size=6)


@pytest.mark.slow
def test_the_toolkits_masks(shared: Path) -> None:
    folder = shared / "samples" / "toolkit" / "eval" / "lane"
    result = evaluate("lane_mark", folder / "gts", folder / "res")
    assert 0 < result.score("F1_pix1", "AVERAGE") < 100
    assert_same(result, official_masks("lane_mark", folder / "gts", folder / "res"))


def test_parts_of_the_toolkits_masks_with_one_missing(shared: Path, tmp_path: Path) -> None:
    folder = shared / "samples" / "toolkit" / "eval" / "lane"
    first, second = sorted(path.name for path in (folder / "gts").iterdir())[:2]
    sides = []
    for side, names in (("gts", (first, second)), ("res", (first,))):
        parts = {name: read_mask(folder / side / name)[400:560, 300:700] for name in names}
        sides.append(write_masks(tmp_path / side, {name[:-4]: part for name, part in parts.items()}))
    result = evaluate("lane_mark", *sides)
    assert 0 < result.score("F1_pix1", "parallel") < 100
    assert_same(result, official_masks("lane_mark", *sides))


@st.composite
def _mask(draw: st.DrawFn, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    sparse = rng.random(shape) < draw(st.sampled_from([0.0, 0.02, 0.3, 1.0]))
    return np.where(sparse, rng.choice(np.array(draw(_VALUES), np.uint8), shape), np.uint8(255))


@st.composite
def _case(draw: st.DrawFn) -> tuple[Masks, Masks]:
    """Masks of a few images, some of them not predicted."""
    truth, result = {}, {}
    for name in _NAMES[: draw(st.integers(1, 3))]:
        shape = draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
        truth[name] = draw(_mask(shape))
        if not result or draw(st.integers(0, 3)):
            result[name] = draw(_mask(shape))
    return truth, result


@settings(max_examples=60)
@given(_case())
def test_random_masks(case: tuple[Masks, Masks]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        truth, result = (write_masks(Path(folder) / side, masks) for side, masks in zip("gr", case, strict=True))
        assert_same(evaluate_lane(truth, result), official_masks("lane_mark", truth, result))


def write_config(path: Path, size: tuple[int, int]) -> Path:
    """Write the official config for images of another size."""
    lines = ["remove_ignored = true", "[scalabel]", f"imageSize = {{height = {size[0]}, width = {size[1]}}}"]
    for name, classes in LANE_CATEGORIES.items():
        lines += ["[[scalabel.categories]]", f'name = "{name}"']
        for one in classes:
            lines += ["[[scalabel.categories.subcategories]]", f'name = "{one}"']
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("missing", [False, True])
def test_run_lengths(tmp_path: Path, missing: bool) -> None:
    rng = np.random.default_rng(5)
    size = (40, 90)
    config = write_config(tmp_path / "c.toml", size)
    sides = []
    for _ in range(2):
        frames = []
        for name in _NAMES[:2]:
            labels = []
            # twice the same class, of which the last counts, and a class nobody knows
            for category in ("parallel", "solid", "road curb", "parallel", "bump"):
                inside = np.zeros(size, np.bool_)
                row = int(rng.integers(10, 13))
                inside[row : row + 2, 5:80:3] = True
                labels.append(mask_label(category, inside))
            polygon = [{"vertices": [[0, 0], [90, 0], [0, 90]], "types": "LLL", "closed": True}]
            labels.append({"id": "9", "category": "crosswalk", "poly2d": polygon})
            frames.append(full_frame(name, *labels))
        sides.append(frames)
    truth = write_frames(tmp_path / "g.json", sides[0])
    result = write_frames(tmp_path / "r.json", sides[1][missing:])
    ours = evaluate("lane_mark", truth, result, Options(config=str(config)))
    assert 0 < ours.score("F1_pix1", "parallel") < 100
    assert ours.score("F1_pix1", "crosswalk") == 100
    assert_same(ours, official_frames("lane_mark", truth, result, config))


def test_a_config_of_one_group(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    names = "".join(f'[[scalabel.categories]]\nname = "{name}"\n' for name in ("curb", "line"))
    config.write_text(f"remove_ignored = true\n[scalabel]\nimageSize = {{height = 9, width = 8}}\n{names}")
    rng = np.random.default_rng(3)
    truth, result = (
        write_frames(tmp_path / f"{side}.json", [full_frame("a", mask_label("line", rng.random((9, 8)) < 0.1))])
        for side in "gr"
    )
    ours = evaluate("lane_mark", truth, result, Options(config=str(config)))
    assert_same(ours, official_frames("lane_mark", truth, result, config))


@given(st.integers(0, 1 << 32), st.floats(0, 0.2))
def test_dilations_reach_every_pixel_within_the_radius(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 30, 2))
    planes = rng.random((3, *shape)) < share
    bits = (planes * np.array([1, 2, 4])[:, None, None]).sum(axis=0).astype(np.uint16)
    for radius, dilated in zip(RADII, dilations(bits), strict=True):
        for index, plane in enumerate(planes):
            near = distance_transform_edt(~plane) <= radius if plane.any() else plane
            assert ((dilated >> index & 1) == near).all()


def test_the_bits_of_a_mask() -> None:
    mask = np.array([[0, 0b110111, 255, 0b1000, 0b11000010]], np.uint8)
    bits = lane_classes(mask)[0]
    named = [{CLASSES[index] for index in range(len(CLASSES)) if value >> index & 1} for value in bits.tolist()]
    crosswalk = {"parallel", "solid", "crosswalk"}
    assert named == [
        crosswalk,
        {"vertical", "dashed", "single yellow"},
        set(),
        set(),
        {"parallel", "solid", CLASSES[6]},
    ]


def test_a_class_on_no_side_has_one_and_on_one_side_zero() -> None:
    nothing = np.zeros((5, 5), np.uint16)
    something = nothing + np.uint16(2)
    assert (f_scores(nothing, nothing, 2) == 1).all()
    assert f_scores(nothing, something, 2).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert f_scores(something, nothing, 2).tolist() == [[1, 1, 1], [0, 0, 0]]


def test_missing_masks_count_as_zeros_and_strictly_as_empty(tmp_path: Path) -> None:
    lane = np.full((20, 30), 255, np.uint8)
    lane[10] = 0b100111
    empty = np.full_like(lane, 255)
    truth = write_masks(tmp_path / "g", {"a": lane, "b": lane})
    result = evaluate("lane_mark", truth, write_masks(tmp_path / "missing", {"a": lane}))
    strict = evaluate("lane_mark", truth, write_masks(tmp_path / "empty", {"a": lane, "b": empty}))
    averages = [f"{metric} {strict.score(metric, 'AVERAGE'):.2f}" for metric in ("F1_pix1", "F1_pix2", "F1_pix5")]
    assert result.notes[-1].endswith(f"AVERAGE is {', '.join(averages)}")
    assert result.score("F1_pix1", "AVERAGE") < strict.score("F1_pix1", "AVERAGE")
    assert len(strict.notes) == 0


def test_an_evaluator_takes_images_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    masks = [{name: rng.choice(np.array([255, 3, 20], np.uint8), (9, 8)) for name in _NAMES} for _ in range(2)]
    del masks[1]["image2"]
    folders = write_masks(tmp_path / "g", masks[0]), write_masks(tmp_path / "r", masks[1])
    evaluator = LaneEvaluator()
    for _ in range(2):
        evaluator.reset()
        for name, mask in masks[0].items():
            evaluator.process(mask, masks[1].get(name))
        assert evaluator.evaluate().scores == evaluate_lane(*folders).scores


def test_no_images_give_no_numbers() -> None:
    result = LaneEvaluator().evaluate()
    assert np.isnan(result.score("F1_pix1", "AVERAGE"))
    assert result.notes == ("there are no images",)


def test_input_that_cannot_be_compared(tmp_path: Path) -> None:
    mask = np.zeros((4, 5), np.uint8)
    truth = write_masks(tmp_path / "g", {"a": mask})
    with pytest.raises(LabelError, match=r"a\.png: 5x4 pixels"):
        evaluate_lane(truth, write_masks(tmp_path / "size", {"a": mask.T.copy()}))
    with pytest.raises(LabelError, match="5x4 pixels"):
        LaneEvaluator().process(mask, mask.T)
    with pytest.raises(LabelError, match=r"a\.png: 3 channels"):
        evaluate_lane(truth, write_masks(tmp_path / "colour", {"a": np.zeros((4, 5, 3), np.uint8)}))
    small = write_frames(tmp_path / "r.json", [full_frame("a", mask_label("solid", mask > 0))])
    with pytest.raises(LabelError, match=r"frame a, label 0: rle\.size is 4x5"):
        evaluate_lane(small, small)
    config = tmp_path / "c.toml"
    groups = "".join(
        f'[[scalabel.categories]]\nname = "{i}"\n[[scalabel.categories.subcategories]]\nname = "x{i}"\n'
        for i in range(4)
    )
    config.write_text(f"[scalabel]\n{groups}")
    with pytest.raises(ConfigError, match="up to 3 categories"):
        evaluate("lane_mark", small, small, Options(config=str(config)))
