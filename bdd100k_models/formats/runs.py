"""Label maps as runs of equal pixels down the columns: what run-length masks and quick PNG files are written from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """A label map of R runs.

    Pixels are counted down the columns, from left to right, so a run may go on at the top of the next column. A map
    holds a hundred times as many pixels as runs: what is asked of every pixel is answered many times faster by run.

    Attributes:
        starts: int64 (R,), the first pixel of each run, in order.
        values: (R,), the label of each run; it differs from that before.
        size: Height and width of the map in pixels.
    """

    starts: Ints
    values: npt.NDArray[np.generic]
    size: tuple[int, int]

    @classmethod
    def of(cls, labels: npt.NDArray[np.generic]) -> Runs:
        """Return the runs of a label map (height, width), of integers or booleans; none of an empty one."""
        flat = labels.T.reshape(-1) if labels.dtype == np.bool_ else cv2.transpose(labels).reshape(-1)
        begins = np.zeros((flat.size + 7) // 8 * 8, np.bool_)
        begins[: min(flat.size, 1)] = True
        np.not_equal(flat[1:], flat[:-1], out=begins[1 : flat.size])
        # eight pixels are looked at at a time: most runs are longer
        eights = begins.view(np.uint64)
        words = np.flatnonzero(eights != 0)
        found = np.flatnonzero(eights[words].view(np.bool_))
        starts = words[found >> 3] * 8 + (found & 7)
        return cls(starts, flat[starts], (int(labels.shape[0]), int(labels.shape[1])))

    @property
    def ends(self) -> Ints:
        """int64 (R,), the first pixel after each run."""
        return np.append(self.starts[1:], self.size[0] * self.size[1])

    def look_up(self, table: npt.NDArray[np.generic]) -> Runs:
        """Return the map whose labels are the entries of a table (K,) at these labels, which are its indices."""
        values = table[self.values]
        kept = np.ones(len(values), np.bool_)
        np.not_equal(values[1:], values[:-1], out=kept[1:])
        return Runs(self.starts[kept], values[kept], self.size)

    def count(self, size: int) -> Ints:
        """Return how many pixels have each of the labels below ``size`` (size,); none is negative."""
        return np.bincount(self.values.astype(np.int64), self.ends - self.starts, size).astype(np.int64)

    def paint(self) -> npt.NDArray[np.generic]:
        """Return the label map (height, width)."""
        columns = np.repeat(self.values, self.ends - self.starts).reshape(self.size[::-1])
        return np.ascontiguousarray(columns.T)
