"""COCO run-length masks: what the data set's JSON holds where a region is not a box.

Runs go down the columns, outside and inside in turn. The text packs them as the COCO API does (``rleToString`` of
pycocotools): each run from the fourth on as its difference to the run before last, in groups of five bits, lowest
first, the sixth bit telling that more follow. One pass over a label map encodes all of its classes.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.formats.scalabel import RLE

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_FIRST = 48  # the character of the group 0
_MORE = 0x20
_MAX_GROUPS = 8  # 40 bits, far more than any image has pixels


def encode(mask: npt.NDArray[np.bool_] | npt.NDArray[np.uint8]) -> RLE:
    """Encode one mask (height, width; what is not zero is inside). An empty mask is valid."""
    starts, values = _runs(np.ascontiguousarray(mask).view(np.uint8) != 0)
    return _pack(starts[values != 0], _ends(starts, mask.size)[values != 0], mask.shape)


def encode_labels(labels: npt.NDArray[np.uint8] | npt.NDArray[np.int32]) -> dict[int, RLE]:
    """Encode a label map in one pass: a mask for each value that occurs.

    Args:
        labels: Integers (height, width).

    Returns:
        Masks by value, in order of the values; together they cover every pixel once.
    """
    starts, values = _runs(labels)
    ends = _ends(starts, labels.size)
    order = np.argsort(values, kind="stable")
    present, first = np.unique(values[order], return_index=True)
    bounds = [*first.tolist(), len(order)]
    chosen = [order[bounds[i] : bounds[i + 1]] for i in range(len(present))]
    return {
        int(value): _pack(starts[rows], ends[rows], labels.shape) for value, rows in zip(present, chosen, strict=True)
    }


def decode(rle: RLE, where: str) -> Bools:
    """Decode a mask.

    Args:
        rle: The mask.
        where: File, frame and label, for errors.

    Returns:
        bool (height, width).

    Raises:
        LabelError: The size is not positive, or the counts are malformed or do not fit it. (The COCO API checks
            neither, and reads beyond its memory.)
    """
    height, width = rle.size
    runs = decode_runs(rle, where)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def decode_runs(rle: RLE, where: str) -> Ints:
    """Return the lengths of a mask's runs in pixels, outside and inside in turn; they sum up to the image.

    Raises:
        LabelError: See :func:`decode`.
    """
    height, width = rle.size
    if height < 1 or width < 1:
        raise LabelError(f"{where}: rle.size is {height}x{width}; give [height, width] of the image")
    runs = _unpack(rle.counts)
    if runs is None or (runs < 0).any():
        raise LabelError(f"{where}: rle.counts is no run-length code; write the file again")
    if (covered := int(runs.sum())) != height * width:
        raise LabelError(f"{where}: rle.counts covers {covered} pixels, but rle.size is {height}x{width}")
    return runs


def _runs(labels: npt.NDArray[np.generic]) -> tuple[Ints, npt.NDArray[np.generic]]:
    """Return where each run begins, down the columns, and its value."""
    flat = labels.T.reshape(-1) if labels.dtype == np.bool_ else cv2.transpose(labels).reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([np.zeros(min(flat.size, 1), np.int64), changes])
    return starts, flat[starts]


def _ends(starts: Ints, total: int) -> Ints:
    return np.append(starts[1:], total)


def _pack(starts: Ints, ends: Ints, shape: tuple[int, ...]) -> RLE:
    """Encode the runs inside a mask, given by their first and past-the-last pixels."""
    total = shape[0] * shape[1]
    borders = np.stack([starts, ends], axis=1).reshape(-1)
    runs = np.diff(borders, prepend=0, append=total)
    if len(borders) and borders[-1] == total:
        runs = runs[:-1]  # nothing is outside behind the last run
    steps = runs.copy()
    steps[3:] -= runs[1:-2]
    return RLE(counts=_to_text(steps), size=(int(shape[0]), int(shape[1])))


def _to_text(steps: Ints) -> str:
    magnitude = np.where(steps < 0, ~steps, steps)
    groups = np.ones(len(steps), np.int64)
    for group in range(1, _MAX_GROUPS):
        groups += magnitude >= 16 << (5 * (group - 1))
    last = np.cumsum(groups)
    position = np.arange(int(last[-1]) if len(last) else 0) - np.repeat(last - groups, groups)
    codes = (np.repeat(steps, groups) >> (5 * position)) & 0x1F
    codes |= np.where(position < np.repeat(groups, groups) - 1, _MORE, 0)
    return (codes + _FIRST).astype(np.uint8).tobytes().decode("ascii")


def _unpack(counts: str) -> Ints | None:
    """Return the runs of compressed counts, or None where the text is none."""
    try:
        codes = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - _FIRST
    except UnicodeEncodeError:
        return None
    if not len(codes):
        return codes
    if codes.min() < 0 or codes.max() > 63 or codes[-1] & _MORE:
        return None
    last = np.flatnonzero((codes & _MORE) == 0)
    groups = np.diff(last, prepend=-1)
    if groups.max() > _MAX_GROUPS:
        return None
    position = np.arange(len(codes)) - np.repeat(last - groups + 1, groups)
    steps = np.add.reduceat((codes & 0x1F) << (5 * position), last - groups + 1)
    steps -= ((codes[last] & 0x10) != 0) * (np.int64(1) << (5 * groups))
    steps[1::2] = np.cumsum(steps[1::2])
    steps[2::2] = np.cumsum(steps[2::2])
    return steps
