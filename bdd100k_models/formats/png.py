"""PNG files of labels: decoding, which takes most of the time of an evaluation of masks, and quick encoding.

Gray and RGBA images of eight bits go through the Rust decoder of kornia-rs: two to six times as fast as the libpng of
OpenCV, and it checks each chunk's checksum. Everything else goes through OpenCV, and images with a palette through
Pillow, which leaves their indices as they are.
"""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from kornia_rs import io as rust
from PIL import Image

from bdd100k_models.formats.runs import Runs

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 33  # the signature and the first chunk, which tells size, depth and colour type
_GRAY, _PALETTE, _RGBA = 0, 3, 6
_UP = 2  # the filter whose rows are differences to the one above


def decode_png(data: bytes) -> npt.NDArray[np.generic] | None:
    """Decode a PNG file.

    Args:
        data: The whole file.

    Returns:
        uint8 or uint16: (height, width) of gray values or, for an image with a palette, of indices; or (height, width,
        channels) in OpenCV's order: blue, green, red, alpha. None if the file is no PNG, cut off or damaged.
    """
    # without its last chunk a file is cut off; OpenCV would fill in what is missing
    if len(data) < _HEADER or not data.startswith(_SIGNATURE) or b"IEND" not in data[-16:]:
        return None
    depth, colour = data[24], data[25]
    try:
        if colour == _PALETTE or (colour == _GRAY and depth == 1):  # OpenCV makes 255 of its ones
            return np.asarray(Image.open(io.BytesIO(data))).astype(np.uint8, copy=False)
        # a transparent colour (the chunk tRNS) turns gray into gray with alpha
        if depth == 8 and (colour == _RGBA or (colour == _GRAY and b"tRNS" not in data)):
            return _decode_fast(data, gray=colour == _GRAY)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError, SyntaxError, ValueError):
        return None
    return None if pixels is None else np.asarray(pixels)


def _decode_fast(data: bytes, *, gray: bool) -> npt.NDArray[np.uint8] | None:
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    try:
        pixels = np.asarray(rust.decode_image_png_u8(data, (height, width), "mono" if gray else "rgba"))
    except Exception:  # it raises nothing more special for damaged files
        return None
    return pixels[:, :, 0] if gray else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))


def encode_png_quickly(runs: Runs, entries: npt.NDArray[np.uint8]) -> bytes:
    """Encode a label map in a fraction of the time of :func:`~bdd100k_models.formats.bitmask.encode_png`.

    The files are two to three times as large: deflate with fixed codes, of the differences to the row above. Those are
    zero but where a run begins, so no other pixel is looked at.

    Args:
        runs: The map, of at least one pixel; its labels are rows of ``entries``.
        entries: What a pixel of each label is: gray (K,), or red, green, blue, alpha (K, 4).
    """
    height, width = runs.size
    gray = entries.ndim == 1
    shown = entries[runs.values].reshape(len(runs.values), -1)
    channels = shown.shape[1]
    filtered = np.zeros((height, 1 + width * channels), np.uint8)
    filtered[:, 0] = _UP
    top = np.searchsorted(runs.starts, np.arange(width) * height, "right") - 1
    filtered[0, 1:] = shown[top].reshape(-1)
    column, row = np.divmod(runs.starts, height)
    below = np.flatnonzero(row)
    places = row[below] * filtered.shape[1] + 1 + column[below] * channels
    steps = shown[below] - shown[below - 1]
    for channel in range(channels):
        filtered.reshape(-1)[places + channel] = steps[:, channel]
    header = struct.pack(">IIBBBBB", width, height, 8, _GRAY if gray else _RGBA, 0, 0, 0)
    body = isal_zlib.compress(filtered, level=0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", isal_zlib.crc32(data, isal_zlib.crc32(kind)))
