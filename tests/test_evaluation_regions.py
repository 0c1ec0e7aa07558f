"""Run-length masks: spans and shared pixels, against pycocotools and pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.regions import Written, decode_regions, overlaps, shared_pixels
from bdd100k_models.formats.rle import RLE, decode_spans
from evaluation_support import draw_rectangles, rle_of


def masks_of(seed: int, disjoint: bool, size: tuple[int, int]) -> list[np.ndarray]:
    """Draw masks: rectangles and noise, some empty, some full."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(0, 6))
    ids = draw_rectangles(rng, size, number) if min(size) > 1 else rng.integers(0, number + 1, size)
    ids[rng.random(size) < 0.1] = 0
    masks = [ids == index for index in range(1, number + 1)]
    if not disjoint and masks:
        masks += [np.ones(size, np.bool_), np.zeros(size, np.bool_), rng.random(size) < 0.5]
    return masks


def regions_of(masks: list[np.ndarray]):
    encoded = [RLE(packed["counts"], tuple(packed["size"])) for packed in map(rle_of, masks)]
    count = len(masks)
    columns = [0] * count, [0.5] * count, [False] * count, [False] * count, ["1"] * count, list(range(count))
    return decode_regions([Written("here", encoded, *columns)])[0]


SIZES = st.sampled_from([(5, 7), (1, 1), (1, 9), (9, 1), (40, 60)])


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), size=SIZES, disjoint=st.booleans())
def test_spans_cover_what_the_coco_api_decodes(seed: int, size: tuple[int, int], disjoint: bool):
    masks = masks_of(seed, disjoint, size)
    encoded = [RLE(packed["counts"], tuple(packed["size"])) for packed in map(rle_of, masks)]
    spans = decode_spans(encoded, [""] * len(masks))
    assert len(spans) == len(masks)
    for runs, mask in zip(spans, masks, strict=True):
        flat = np.zeros(mask.size, np.bool_)
        for start, end in runs.tolist():
            assert start < end
            flat[start:end] = True
        assert (flat == coco_mask.decode(rle_of(mask)).astype(bool).T.reshape(-1)).all()


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), size=SIZES, disjoint=st.tuples(st.booleans(), st.booleans()))
def test_shared_pixels_are_counted(seed: int, size: tuple[int, int], disjoint: tuple[bool, bool]):
    first, second = (masks_of(seed + side, disjoint[side], size) for side in range(2))
    result, truth = regions_of(first), regions_of(second)
    expected = np.array([[(one & other).sum() for other in second] for one in first]).reshape(len(first), len(second))
    assert (shared_pixels(result, truth) == expected).all()
    assert result.area.tolist() == [int(mask.sum()) for mask in first]
    assert result.overlap() == bool((np.sum(first, axis=0) > 1).any() if first else False)
    if first and second:
        crowd = np.arange(len(second)) % 2 == 0
        official = coco_mask.iou([rle_of(m) for m in first], [rle_of(m) for m in second], crowd.tolist())
        # to the last bit: overlaps at a threshold must fall on the same side
        empty = np.array([not mask.any() for mask in first])
        assert (overlaps(result, truth, crowd)[~empty] == official[~empty]).all()


@pytest.mark.parametrize("counts", ["", "0", "~", "P", "11P", "ÿ", "5", "O" * 9])
def test_malformed_masks_among_good_ones(counts: str):
    good = rle_of(np.eye(4, dtype=np.bool_))
    masks = [RLE(good["counts"], (4, 4)), RLE(counts, (4, 4)), RLE(good["counts"], (4, 4))]
    with pytest.raises(LabelError, match="the second: rle"):
        decode_spans(masks, ["the first", "the second", "the third"])
