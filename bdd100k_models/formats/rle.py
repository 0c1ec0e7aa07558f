"""COCO run-length masks: what the data set's JSON holds where a region is not a box.

Runs go down the columns, outside and inside in turn. The text packs them as the COCO API does (``rleToString`` of
pycocotools): each run from the fourth on as its difference to the run before last, in groups of five bits, lowest
first, the sixth bit telling that more follow. One pass over a label map encodes all of its classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import LabelError
from bdd100k_models.formats.runs import Ints, Runs
from bdd100k_models.formats.scalabel import RLE

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
_Value = TypeVar("_Value", np.uint8, np.int32)

_FIRST = 48  # the character of the group 0
_MORE = 0x20
_MAX_GROUPS = 8  # 40 bits, far more than any image has pixels
_HIGHEST = (np.arange(32) + 16) % 32 - 16  # what five bits mean where the first is a sign


def encode(mask: npt.NDArray[np.bool_] | npt.NDArray[np.uint8]) -> RLE:
    """Encode one mask (height, width; what is not zero is inside). An empty mask is valid."""
    runs = Runs.of(np.ascontiguousarray(mask).view(np.uint8) != 0)
    inside = runs.values != 0
    texts = _pack(runs.starts[inside], runs.ends[inside], [int(inside.sum())], mask.size)
    return RLE(counts=texts[0], size=runs.size)


def encode_labels(labels: npt.NDArray[np.uint8] | npt.NDArray[np.int32]) -> dict[int, RLE]:
    """Encode a label map in one pass: a mask for each value that occurs.

    Args:
        labels: Integers (height, width).

    Returns:
        Masks by value, in order of the values; together they cover every pixel once.
    """
    return encode_runs(Runs.of(labels))


def encode_runs(runs: Runs) -> dict[int, RLE]:
    """Encode a label map as :func:`encode_labels` does, given its runs."""
    order = np.argsort(runs.values, kind="stable")
    ordered = runs.values[order]
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] + 1))
    numbers = np.diff(first, append=len(order))
    texts = _pack(runs.starts[order], runs.ends[order], numbers, runs.size[0] * runs.size[1])
    return {int(value): RLE(counts=text, size=runs.size) for value, text in zip(ordered[first], texts, strict=True)}


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


def decode_labels(masks: Iterable[tuple[int, RLE]], size: tuple[int, int], fill: int, where: str) -> Bytes:
    """Paint masks into one label map, later ones on top; the inverse of :func:`encode_labels`.

    Args:
        masks: A value of 0 to 255 and the mask of each region.
        size: Height and width in pixels.
        fill: The value of pixels outside all masks.
        where: File and frame, for errors.

    Returns:
        uint8 (height, width).

    Raises:
        LabelError: A mask is malformed, or has another size.
    """
    return np.asarray(cv2.transpose(_paint(masks, size, np.uint8(fill), where)))


def decode_ids(masks: Iterable[tuple[int, RLE]], size: tuple[int, int], where: str) -> npt.NDArray[np.int32]:
    """Paint masks into one map of ids, as :func:`decode_labels` does for classes.

    Args:
        masks: An id from 1 and the mask of each region.
        size: Height and width in pixels.
        where: File and frame, for errors.

    Returns:
        int32 (height, width), 0 outside all masks.

    Raises:
        LabelError: A mask is malformed, or has another size.
    """
    return np.asarray(cv2.transpose(_paint(masks, size, np.int32(0), where)))


def _paint(masks: Iterable[tuple[int, RLE]], size: tuple[int, int], fill: _Value, where: str) -> npt.NDArray[_Value]:
    """Return the label map as columns (width, height), of the type of ``fill``."""
    values: list[npt.NDArray[_Value]] = []
    borders = [np.zeros((0, 2), np.int64)]
    for value, rle in masks:
        if tuple(rle.size) != tuple(size):
            raise LabelError(
                f"{where}: rle.size is {rle.size[0]}x{rle.size[1]}, but the image is {size[0]}x{size[1]} "
                "(height x width); write masks in the size of the images"
            )
        ends = np.cumsum(decode_runs(rle, where))
        borders.append(ends[: len(ends) // 2 * 2].reshape(-1, 2))
        values.append(np.full(len(borders[-1]), value, fill.dtype))
    spans = np.concatenate(borders)
    colours = np.concatenate([np.zeros(0, fill.dtype), *values])
    order = np.argsort(spans[:, 0], kind="stable")
    flat = spans[order].reshape(-1)
    lengths = np.diff(flat, prepend=0, append=size[0] * size[1])
    if (lengths >= 0).all():  # nothing overlaps: one pass
        alternating = np.full(len(lengths), fill, fill.dtype)
        alternating[1::2] = colours[order]
        columns = np.repeat(alternating, lengths)
    else:
        columns = np.full(size[0] * size[1], fill, fill.dtype)
        for (start, end), colour in zip(spans.tolist(), colours, strict=True):
            columns[start:end] = colour
    return columns.reshape(size[1], size[0])


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


def decode_spans(masks: Sequence[RLE], where: Iterable[str]) -> list[Ints]:
    """Return first and past-the-last pixel (R, 2) of each mask's runs inside, empty ones left out.

    Pixels are counted down the columns. The text of all masks is decoded in one pass, however many there are.

    Args:
        masks: The masks.
        where: File, frame and label of each, for errors.

    Raises:
        LabelError: See :func:`decode`.
    """
    spans = _all_spans(masks)
    if spans is None:  # one of them is malformed; this finds it
        for mask, name in zip(masks, where, strict=True):
            decode_runs(mask, name)
        raise LabelError("rle.counts is no run-length code; write the file again")
    return spans


def _all_spans(masks: Sequence[RLE]) -> list[Ints] | None:
    """Return the spans of each mask, see :func:`decode_spans`; None where one is malformed or of no size."""
    if not masks:
        return []
    if not all(mask.counts and min(mask.size) > 0 for mask in masks):
        return None
    read = _read("".join([mask.counts for mask in masks]))
    if read is None:
        return None
    steps, last = read
    characters = np.cumsum([len(mask.counts) for mask in masks], dtype=np.int64) - 1
    bounds = np.searchsorted(last, characters) + 1
    if (last[np.minimum(bounds, len(last)) - 1] != characters).any():  # a number goes on in the next mask's text
        return None
    sizes = np.array([mask.size[0] * mask.size[1] for mask in masks], np.int64)
    runs, ends = _pair_runs(steps, np.diff(bounds, prepend=0))
    # runs of all masks in a row: each mask begins where the one before is full
    borders: Ints = np.cumsum(runs.reshape(-1)).reshape(-1, 2)
    if runs.min(initial=0) < 0 or (borders[ends - 1, 1] != np.cumsum(sizes)).any():
        return None
    first = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    borders -= np.repeat(np.cumsum(sizes) - sizes, ends - first)[:, None]
    cuts = ends
    filled = np.flatnonzero(runs[:, 1])
    if len(filled) < len(runs):
        borders, cuts = borders[filled], np.searchsorted(filled, ends)
    return [borders[start:end] for start, end in itertools.pairwise([0, *cuts.tolist()])]


def _pair_runs(steps: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Turn the numbers of several masks into the lengths of their runs, those outside and inside side by side.

    Args:
        steps: int64 (N,): the numbers, of which each from the fourth of a mask on is a difference to that before last.
        lengths: int64 (M,): how many belong to each mask, at least 1.

    Returns:
        int64 (P, 2): a run outside and one inside, which is 0 where a mask has no more; and (M,) where each mask ends.
    """
    odd = lengths % 2
    ends = np.cumsum(lengths + odd) // 2
    first = ends * 2 - lengths - odd
    padded = np.zeros(int(ends[-1]) * 2, np.int64)
    if odd.any():
        padded[np.arange(len(steps)) + np.repeat(np.cumsum(odd) - odd, lengths)] = steps
    else:
        padded[:] = steps
    # the third number is no difference either; written as one, all of them add up in the same way
    third = first[lengths > 2]
    padded[third + 2] -= padded[third]
    runs = padded.reshape(-1, 2)
    # and so does the first of the next mask, after what the last run of this one is
    totals = np.add.reduceat(runs, first // 2, axis=0)
    runs[ends[:-1]] -= totals[:-1]
    for column in (0, 1):
        runs[:, column] = np.cumsum(runs[:, column])
    runs[ends[odd == 1] - 1, 1] = 0
    return runs, ends


def _pack(starts: Ints, ends: Ints, numbers: Sequence[int] | Ints, total: int) -> list[str]:
    """Return the counts of masks, given by the first and past-the-last pixels of their runs inside, mask after mask.

    Args:
        starts: int64 (R,), in order within each mask.
        ends: int64 (R,).
        numbers: The number of runs of each mask; their sum is R.
        total: The number of pixels of an image.
    """
    counts = np.asarray(numbers)
    last = np.cumsum(counts)
    behind = last + np.arange(len(last))  # a run of no pixels at the end of the image follows the runs of each mask
    first = behind - counts
    rows = np.ones(len(starts) + len(last), np.bool_)
    rows[behind] = False
    borders = np.full((len(rows), 2), total, np.int32)
    borders[rows, 0] = starts
    borders[rows, 1] = ends
    runs = np.diff(borders.reshape(-1), prepend=np.int32(0))
    runs[2 * first] = borders[first, 0]
    steps = runs.copy()
    steps[2:] -= runs[:-2]
    steps[2 * first] = runs[2 * first]
    steps[2 * first + 1] = runs[2 * first + 1]
    second = 2 * first[counts > 0] + 2  # the first number that could be a difference is not written as one
    steps[second] = runs[second]
    kept = np.ones(len(runs), np.bool_)
    kept[2 * behind + 1] = False
    kept[2 * behind] = (runs[2 * behind] > 0) | (counts == 0)  # a mask that ends with the image says no more
    return _to_texts(steps[kept], 2 * counts + kept[2 * behind])


def _to_texts(steps: npt.NDArray[np.int32], numbers: Ints) -> list[str]:
    """Write numbers as text, and cut it after each of ``numbers`` of them."""
    magnitude = steps ^ (steps >> 31)
    further = [np.flatnonzero(magnitude >= 16)]  # the numbers that need one more character, for each character
    while len(further[-1]):
        further.append(further[-1][magnitude[further[-1]] >= 16 << (5 * len(further))])
    groups = np.ones(len(steps), np.int64)
    for rows in further:
        groups[rows] += 1
    ends = np.cumsum(groups)
    start = ends - groups
    text = np.empty(int(ends[-1]), np.uint8)
    text[start] = (steps & 0x1F) + _FIRST
    for group, rows in enumerate(further, 1):
        place = start[rows] + group
        text[place - 1] += _MORE
        text[place] = ((steps[rows] >> (5 * group)) & 0x1F) + _FIRST
    written = text.tobytes().decode("ascii")
    cuts = [0, *ends[np.cumsum(numbers) - 1].tolist()]
    return [written[first:last] for first, last in itertools.pairwise(cuts)]


def _unpack(counts: str) -> Ints | None:
    """Return the runs of compressed counts, or None where the text is none."""
    read = _read(counts)
    return None if read is None else _sum_up(read[0])


def _read(counts: str) -> tuple[Ints, Ints] | None:
    """Return the numbers in compressed counts and where each one's last character stands; None if the text is none."""
    try:
        codes = np.frombuffer(counts.encode("ascii"), np.uint8) - np.uint8(_FIRST)
    except UnicodeEncodeError:
        return None
    if not len(codes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # characters below the first wrap around to more than 63
    if codes.max() > 63 or codes[-1] & _MORE:
        return None
    (last,) = (codes < _MORE).nonzero()
    # the last character holds the highest bits, of which the first is the sign
    steps = _HIGHEST.take(codes.take(last))
    if len(last) == len(codes):
        return steps, last
    groups = last.copy()
    groups[1:] -= last[:-1]
    groups[0] += 1
    longest = int(groups.max())
    if longest > _MAX_GROUPS:
        return None
    (rows,) = (groups > 1).nonzero()
    for group in range(1, longest):
        rows = rows[groups[rows] > group]
        steps[rows] = steps[rows] << 5 | (codes[last[rows] - group] & 0x1F)
    return steps, last


def _sum_up(steps: Ints) -> Ints:
    """Turn the differences between runs into the runs, in place."""
    steps[1::2] = np.cumsum(steps[1::2])
    steps[2::2] = np.cumsum(steps[2::2])
    return steps
