"""Label maps as runs against the same maps as pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bdd100k_models.formats.runs import Runs

_SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
_MAPS = st.sampled_from([np.uint8, np.int16, np.int32]).flatmap(
    lambda dtype: arrays.arrays(dtype, _SHAPES, elements=st.integers(0, 4))
)


@given(_MAPS)
def test_runs_say_what_the_pixels_say(labels: np.ndarray) -> None:
    runs = Runs.of(labels)
    painted = runs.paint()
    assert painted.dtype == labels.dtype and painted.flags.c_contiguous
    np.testing.assert_array_equal(painted, labels)
    assert (runs.values[1:] != runs.values[:-1]).all()
    assert runs.starts[0] == 0 and runs.ends[-1] == labels.size and (runs.ends > runs.starts).all()


@given(_MAPS, st.integers(0, 1 << 32))
def test_looking_runs_up_is_looking_pixels_up(labels: np.ndarray, seed: int) -> None:
    table = np.random.default_rng(seed).integers(0, 3, 5).astype(np.uint16)
    found = Runs.of(labels).look_up(table)
    np.testing.assert_array_equal(found.paint(), table[labels])
    assert (found.values[1:] != found.values[:-1]).all()


@given(_MAPS)
def test_pixels_are_counted_by_label(labels: np.ndarray) -> None:
    assert Runs.of(labels).count(7).tolist() == np.bincount(labels.reshape(-1), minlength=7).tolist()


@pytest.mark.parametrize("shape", [(1, 300_000), (300_000, 1), (2160, 3840)])
def test_huge_maps(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 2, shape, dtype=np.uint8)
    for labels in (np.zeros(shape, np.uint8), noise):
        np.testing.assert_array_equal(Runs.of(labels).paint(), labels)


def test_negative_labels_and_booleans() -> None:
    labels = np.array([[-3, -3], [5, 0]], np.int16)
    np.testing.assert_array_equal(Runs.of(labels).paint(), labels)
    np.testing.assert_array_equal(Runs.of(labels > 0).paint(), labels > 0)
