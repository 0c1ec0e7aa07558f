"""Bitmasks: the data set's PNG form of instances, panoptic segments and mask tracks.

RGBA, 8 bits: R is the category id (0: nothing), G the attributes (truncated 8, occluded 4, crowd 2, ignored 1), and B
and A the high and low byte of the instance id, so ids run from 1 to 65535. The official tool writes ids of 255 and more
wrongly (modulo 255); reading is the same.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.formats.files import write_bytes

TRUNCATED, OCCLUDED, CROWD, IGNORED = 8, 4, 2, 1

MAX_ID = 65535

_COLOUR_TYPE, _PALETTE = 25, 3  # the byte of a PNG's header, and its value for palette images

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
    pixels = _read_png(path)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise LabelError(f"{path}: {_describe(pixels)}, but a bitmask is an RGBA PNG of 8 bits")
    blue, green, red, alpha = cv2.split(pixels)
    return Bitmask(category=red, ids=(blue.astype(np.uint16) << 8) | alpha, attributes=green)


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


def _read_png(path: Path) -> npt.NDArray[np.uint8]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such mask") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    # a PNG without its last chunk is cut off; OpenCV would fill in what is missing
    if not data.startswith(b"\x89PNG") or b"IEND" not in data[-16:]:
        raise LabelError(f"{path}: not a whole PNG file; copy or make it again")
    try:
        if data[_COLOUR_TYPE] == _PALETTE:  # OpenCV would look the colours up
            return np.asarray(Image.open(io.BytesIO(data)))
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError, SyntaxError, ValueError):
        pixels = None
    if pixels is None:
        raise LabelError(f"{path}: a damaged PNG file; copy or make it again")
    return np.asarray(pixels)


def _describe(pixels: npt.NDArray[np.generic]) -> str:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return f"{channels} channel{'s' * (channels > 1)} of {8 * pixels.dtype.itemsize} bits"
