"""Bitmasks: the data set's PNG form of instances, panoptic segments and mask tracks.

RGBA, 8 bits: R is the category id (0: nothing), G the attributes (truncated 8, occluded 4, crowd 2, ignored 1), and B
and A the high and low byte of the instance id, so ids run from 1 to 65535. The official tool writes ids of 255 and more
wrongly (modulo 255); reading is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.formats.png import decode_png
from bdd100k_models.tasks import NO_CLASS

TRUNCATED, OCCLUDED, CROWD, IGNORED = 8, 4, 2, 1

MAX_ID = 65535

#: The official tool stops at a predicted bitmask of more objects.
OFFICIAL_OBJECTS = 100

#: Beside a folder of predicted bitmasks of instances: their scores by id; the official tool takes a bare list.
SCORES_FILE = "score.json"

#: A bitmask as one number a pixel, uint32 (height, width): its bytes, from the lowest, are B, G, R and A.
Packed: TypeAlias = npt.NDArray[np.uint32]

#: Differences to the row above are nearly all zero in label images: with run-length coding alone they are written more
#: than three times as fast as with OpenCV's own choice of filters, and hardly larger.
_PNG = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]


@dataclass(frozen=True)
class Bitmask:
    """What a bitmask says of each pixel; arrays of equal shape (height, width).

    Attributes:
        category: uint8, category ids, 0 for nothing.
        ids: uint16, instance ids, 0 for nothing.
        attributes: uint8, sum of ``TRUNCATED``, ``OCCLUDED``, ``CROWD`` and ``IGNORED``.
    """

    category: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.uint16]
    attributes: npt.NDArray[np.uint8]


def read_bitmask(path: Path) -> Bitmask:
    """Read a bitmask.

    Raises:
        MissingFileError: There is no such file.
        LabelError: It is no PNG, is damaged, or has not four channels of eight bits.
    """
    return unpack(read_packed(path))


def read_packed(path: Path) -> Packed:
    """Read a bitmask as one number a pixel, which is quicker to compare; :func:`unpack` tells what a number says.

    Raises:
        MissingFileError: There is no such file.
        LabelError: It is no PNG, is damaged, or has not four channels of eight bits.
    """
    pixels = _read_png(path)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise LabelError(f"{path}: {_describe(pixels)}, but a bitmask is an RGBA PNG of 8 bits")
    return np.ascontiguousarray(pixels).view("<u4")[..., 0]


def pack(bitmask: Bitmask) -> Packed:
    """Return a bitmask as one number a pixel."""
    high, low = (bitmask.ids >> 8).astype(np.uint8), (bitmask.ids & 0xFF).astype(np.uint8)
    layers = (high, bitmask.attributes, bitmask.category, low)
    return np.stack(layers, axis=-1).view("<u4")[..., 0]


def unpack(packed: Packed) -> Bitmask:
    """Return what the numbers say; arrays of the shape of ``packed``, whatever it is."""
    layers = np.ascontiguousarray(packed).view(np.uint8).reshape(*packed.shape, 4)
    ids = (layers[..., 0].astype(np.uint16) << np.uint16(8)) | layers[..., 3]
    return Bitmask(category=layers[..., 2].copy(), ids=ids, attributes=layers[..., 1].copy())


def write_bitmask(
    path: Path,
    category: npt.NDArray[np.uint8],
    ids: npt.NDArray[np.integer],
    attributes: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Write a bitmask, whole or not at all.

    Args:
        path: The PNG file; its folder is made if needed.
        category: Category ids (height, width).
        ids: Instance ids of 0 to 65535 (height, width).
        attributes: Attribute bits (height, width); none by default.

    Raises:
        InputError: An id is out of range.
        OutputError: The file cannot be written.
    """
    if ids.size and (int(ids.min()) < 0 or int(ids.max()) > MAX_ID):
        raise InputError(f"{path}: instance ids must be 0 to {MAX_ID}, not {int(ids.min())} to {int(ids.max())}")
    flags = np.zeros_like(category) if attributes is None else attributes
    write_bytes(path, encode_bitmask(Bitmask(category, ids.astype(np.uint16, copy=False), flags)))


def encode_bitmask(bitmask: Bitmask) -> bytes:
    """Return the PNG of a bitmask."""
    high, low = (bitmask.ids >> 8).astype(np.uint8), (bitmask.ids & 0xFF).astype(np.uint8)
    return encode_png(cv2.merge([high, bitmask.attributes, bitmask.category, low]))


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return the PNG of label pixels: (height, width), or blue-green-red-alpha (height, width, 4)."""
    return bytes(cv2.imencode(".png", pixels, _PNG)[1])


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """Read a label mask: a PNG of one channel of eight bits, a class each pixel (255: nothing).

    Palette images give their indices, which are the classes.

    Raises:
        MissingFileError: There is no such file.
        LabelError: It is no PNG, is damaged, or has another form.
    """
    pixels = _read_png(path)
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise LabelError(f"{path}: {_describe(pixels)}, but a label mask is a PNG of one channel of 8 bits")
    return pixels


def check_classes(classes: npt.NDArray[np.uint8], count: int, where: str) -> None:
    """Refuse a mask with other values than the classes (0 to ``count`` - 1) and 255.

    Raises:
        LabelError: See above; the message names ``where``, the value and the first pixel that has it.
    """
    wrong = (classes >= count) & (classes != NO_CLASS)
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise LabelError(
            f"{where}: the pixel in column {column} of row {row} has the value {classes[row, column]}; "
            f"classes are 0 to {count - 1}, and {NO_CLASS} is none of them"
        )


def _read_png(path: Path) -> npt.NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such mask") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    pixels = decode_png(data)
    if pixels is None:
        raise LabelError(f"{path}: not a whole PNG file; copy or make it again")
    return np.asarray(pixels)


def _describe(pixels: npt.NDArray[np.generic]) -> str:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return f"{channels} channel{'s' * (channels > 1)} of {8 * pixels.dtype.itemsize} bits"
