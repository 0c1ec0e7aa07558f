"""Run-length masks and mask PNGs against pycocotools and Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as coco_mask

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.formats import rle
from bdd100k_models.formats.bitmask import read_bitmask, read_mask, write_bitmask
from bdd100k_models.formats.scalabel import RLE

_SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
_LABELS = arrays.arrays(np.uint8, _SHAPES, elements=st.integers(0, 4))


def _reference(mask: np.ndarray) -> str:
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


@given(_LABELS)
def test_label_maps_encode_as_the_coco_api_encodes_each_class(labels: np.ndarray) -> None:
    coded = rle.encode_labels(labels)
    assert list(coded) == np.unique(labels).tolist()
    for value, mask in coded.items():
        assert (mask.counts, mask.size) == (_reference(labels == value), labels.shape)


@given(_LABELS)
def test_a_mask_encodes_as_the_coco_api_does_and_comes_back(labels: np.ndarray) -> None:
    mask = labels > 1
    coded = rle.encode(mask)
    assert coded.counts == _reference(mask)
    np.testing.assert_array_equal(rle.decode(coded, "mask"), mask)


@pytest.mark.parametrize("shape", [(720, 1280), (1, 200_000), (3000, 4000)])
def test_huge_masks_of_every_kind(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    noise = rng.random(shape) < 0.5
    for mask in (np.zeros(shape, bool), np.ones(shape, bool), noise):
        coded = rle.encode(mask)
        assert coded.counts == _reference(mask)
        np.testing.assert_array_equal(rle.decode(coded, "mask"), mask)


@pytest.mark.parametrize("counts", ["", "~", "P", "0", "\u00e9", "o" * 12, "00000"])
def test_malformed_counts_are_refused(counts: str) -> None:
    with pytest.raises(LabelError, match=r"^a\.json, frame 1: rle\.counts"):
        rle.decode(RLE(counts, (2, 2)), "a.json, frame 1")


def test_a_size_that_is_not_positive_is_refused() -> None:
    with pytest.raises(LabelError, match="0x4"):
        rle.decode(RLE("", (0, 4)), "a.json")


@given(arrays.arrays(np.uint16, _SHAPES), st.integers(0, 255))
def test_bitmasks_keep_ids_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, ids: np.ndarray, flags: int
) -> None:
    path = tmp_path_factory.mktemp("bitmask") / "a.png"
    category = (ids % 41).astype(np.uint8)
    write_bitmask(path, category, ids, np.full_like(category, flags))
    image = np.asarray(Image.open(path)).astype(np.int64)
    np.testing.assert_array_equal(image[..., 0], category)
    np.testing.assert_array_equal(image[..., 1], flags)
    np.testing.assert_array_equal(image[..., 2] * 256 + image[..., 3], ids)
    bitmask = read_bitmask(path)
    np.testing.assert_array_equal(bitmask.ids, ids)
    np.testing.assert_array_equal(bitmask.category, category)
    np.testing.assert_array_equal(bitmask.attributes, flags)


@pytest.mark.parametrize("worst", [-1, 65536])
def test_ids_that_do_not_fit_are_refused(tmp_path: Path, worst: int) -> None:
    with pytest.raises(InputError, match=str(worst)):
        write_bitmask(tmp_path / "a.png", np.zeros((2, 2), np.uint8), np.array([[0, 1], [2, worst]]))
    assert not list(tmp_path.iterdir())


def test_masks_of_palette_and_grey_images_are_their_values(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    Image.fromarray(labels).save(tmp_path / "grey.png")
    palette = Image.fromarray(labels)
    palette.putpalette([7] * 768)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), labels)
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png"), labels)


def test_files_that_are_no_masks(tmp_path: Path) -> None:
    colours = tmp_path / "rgb.png"
    Image.new("RGB", (4, 4)).save(colours)
    cut = tmp_path / "cut.png"
    cut.write_bytes(colours.read_bytes()[:-20])
    text = tmp_path / "text.png"
    text.write_text("no image")
    with pytest.raises(LabelError, match="3 channels"):
        read_bitmask(colours)
    with pytest.raises(LabelError, match="3 channels"):
        read_mask(colours)
    for path in (cut, text):
        with pytest.raises(LabelError, match="not a whole PNG"):
            read_bitmask(path)
    with pytest.raises(MissingFileError):
        read_mask(tmp_path / "none.png")
