"""Segments of two bitmasks of an image: what they are, and how many pixels any two share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.evaluation.coco import Bools, Floats, Ints
from bdd100k_models.evaluation.masks import check_shapes
from bdd100k_models.formats.bitmask import CROWD, IGNORED, Bitmask, Packed, pack, unpack


@dataclass(frozen=True)
class Segments:
    """The segments of a bitmask, a row each, in order of their ids.

    Attributes:
        ids: int64 (N,): 1 to 65535.
        category: int64 (N,): category ids.
        attributes: int64 (N,): sums of the bits of :mod:`bdd100k_models.formats.bitmask`.
        area: int64 (N,): pixels.
    """

    ids: Ints
    category: Ints
    attributes: Ints
    area: Ints

    @property
    def crowd(self) -> Bools:
        """Bool (N,): the attribute ``crowd``."""
        flags: Bools = (self.attributes & CROWD) != 0
        return flags

    @property
    def ignored(self) -> Bools:
        """Bool (N,): the attribute ``ignored``."""
        flags: Bools = (self.attributes & IGNORED) != 0
        return flags

    def take(self, rows: Ints | Bools) -> Segments:
        """Return the segments that ``rows`` chooses."""
        return Segments(self.ids[rows], self.category[rows], self.attributes[rows], self.area[rows])

    def check(self, where: Path | str) -> None:
        """Require each id to have one category and one sum of attributes; ``where`` names the file.

        Raises:
            LabelError: One has several.
        """
        repeated = np.flatnonzero(self.ids[1:] == self.ids[:-1])
        if not len(repeated):
            return
        row = int(repeated[0])
        field = "categories (R)" if self.category[row] != self.category[row + 1] else "attributes (G)"
        raise LabelError(f"{where}: instance {self.ids[row]} has pixels of different {field}; an id is one object")


@dataclass(frozen=True)
class Overlay:
    """Two bitmasks of an image, compared.

    Attributes:
        truth: Segments of the ground truth.
        result: Segments of the prediction.
        shared: int64 (N, M): pixels that a true and a predicted segment share.
    """

    truth: Segments
    result: Segments
    shared: Ints

    def ious(self) -> Floats:
        """Return intersection over union, float64 (N, M)."""
        union = self.truth.area[:, None] + self.result.area[None, :] - self.shared
        shares: Floats = self.shared / union
        return shares

    def iofs(self) -> Floats:
        """Return the share of each predicted segment that lies in each true one, float64 (N, M)."""
        shares: Floats = self.shared / self.result.area[None, :]
        return shares


def overlay(
    truth: Bitmask | Packed, result: Bitmask | Packed | None, where: Path | str, *, attributes: bool = True
) -> Overlay:
    """Compare two bitmasks in one pass over their runs of equal pixels.

    Args:
        truth: The ground truth.
        result: The prediction, or None where there is none.
        where: Names the prediction, for errors.
        attributes: Whether segments of the prediction are told apart by their attributes too; else these read as 0.

    Returns:
        The segments and what they share. An id with several categories or attributes has a row for each; see
        :meth:`Segments.check`.

    Raises:
        LabelError: The bitmasks have different sizes.
    """
    true_pixels = truth if isinstance(truth, np.ndarray) else pack(truth)
    pixels = result if isinstance(result, np.ndarray) else pack(result) if result else np.zeros_like(true_pixels)
    check_shapes(true_pixels.shape, pixels.shape, where)
    flat = true_pixels.reshape(-1), pixels.reshape(-1)
    changes = (flat[0][1:] != flat[0][:-1]) | (flat[1][1:] != flat[1][:-1])
    starts = np.concatenate([np.zeros(min(pixels.size, 1), np.int64), np.flatnonzero(changes) + 1])
    lengths = np.diff(starts, append=pixels.size)
    true_kinds, true_index = np.unique(_words(flat[0][starts], True), return_inverse=True)
    kinds, index = np.unique(_words(flat[1][starts], attributes), return_inverse=True)
    cells = np.bincount(true_index * len(kinds) + index, weights=lengths, minlength=len(true_kinds) * len(kinds))
    table = cells.astype(np.int64).reshape(len(true_kinds), len(kinds))
    rows, columns = np.flatnonzero(true_kinds), np.flatnonzero(kinds)  # without the background
    return Overlay(
        truth=_segments(true_kinds[rows], table.sum(axis=1)[rows]),
        result=_segments(kinds[columns], table.sum(axis=0)[columns]),
        shared=table[np.ix_(rows, columns)],
    )


def _words(packed: Packed, attributes: bool) -> npt.NDArray[np.uint32]:
    """Return numbers whose order is that of ids, then categories, then attributes; 0 for the background."""
    bitmask = unpack(packed)
    words = bitmask.ids.astype(np.uint32) << np.uint32(16)
    words |= bitmask.category.astype(np.uint32) << np.uint32(8)
    if attributes:
        words |= bitmask.attributes
    return np.where(bitmask.ids != 0, words, np.uint32(0))


def _segments(kinds: npt.NDArray[np.uint32], area: Ints) -> Segments:
    wide = kinds.astype(np.int64)
    return Segments(ids=wide >> 16, category=(wide >> 8) & 0xFF, attributes=wide & 0xFF, area=area)
