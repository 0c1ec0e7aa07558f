"""Decoding PNG files of labels, whose reading takes most of the time of an evaluation of masks.

Gray and RGBA images of eight bits go through the Rust decoder of kornia-rs: two to six times as fast as the libpng of
OpenCV, and it checks each chunk's checksum. Everything else goes through OpenCV, and images with a palette through
Pillow, which leaves their indices as they are.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
from kornia_rs import io as rust
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 33  # the signature and the first chunk, which tells size, depth and colour type
_GRAY, _PALETTE, _RGBA = 0, 3, 6


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
        if colour == _PALETTE:
            return np.asarray(Image.open(io.BytesIO(data)))
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
