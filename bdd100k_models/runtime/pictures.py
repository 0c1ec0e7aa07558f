"""Pictures as graphs take them, with NumPy and Pillow, to the last bit as OpenCV would make them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from bdd100k_models.errors import ImageError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]

#: What a model can be called with: a file, an array (height, width, 3) of uint8 in the order red, green, blue, or a
#: picture of Pillow.
ImageLike: TypeAlias = "str | os.PathLike[str] | npt.NDArray[np.uint8] | Image.Image"

_FAULTS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises for broken pictures

_WEIGHT_BITS = 11  # OpenCV's fixed-point weights of bytes
_PLACE_BITS, _STEP_BITS = 10, 5  # and its places between pixels: 1/1024, rounded to 1/32


def name_of(image: object, place: int) -> str:
    """Return the name of an image in results: that of its file, or its place among those given together."""
    return Path(os.fspath(image)).name if isinstance(image, (str, os.PathLike)) else f"{place:06d}.jpg"


def read_picture(image: ImageLike) -> Pixels:
    """Return pixels, uint8 (height, width, 3), red-green-blue.

    Raises:
        ImageError: It cannot be read, or is no colour image of bytes.
    """
    if isinstance(image, (str, os.PathLike)):
        return np.asarray(_open(Path(image)))
    return pixels_in_memory(image)


def pixels_in_memory(image: object) -> Pixels:
    """Return the pixels of an array or a picture of Pillow, uint8 (height, width, 3), red-green-blue.

    Raises:
        ImageError: It is neither, no colour image of bytes, or of no size.
    """
    if isinstance(image, Image.Image):
        image = pixels_of(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"{_described(image)} is no image; give a file, or uint8 (height, width, 3) in RGB order")
    if 0 in image.shape:
        raise ImageError(f"an image of {image.shape[1]}x{image.shape[0]} pixels has nothing to look at")
    return image


def _described(image: object) -> str:
    if isinstance(image, np.ndarray):
        return f"an array {image.shape} of {image.dtype}"
    return f"a {type(image).__name__}"


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return _upright(picture)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except _FAULTS as error:
        raise ImageError(f"{path}: not an image that can be read ({error})") from None


def pixels_of(picture: Image.Image) -> Pixels:
    """Return the pixels of a picture of Pillow, red-green-blue, turned upright.

    Raises:
        ImageError: Its file, which may be read only now, is broken.
    """
    try:
        return np.asarray(_upright(picture))
    except _FAULTS as error:
        raise ImageError(f"a picture of Pillow cannot be read ({error})") from None


def _upright(picture: Image.Image) -> Image.Image:
    """Return a picture in colours, turned as its camera says it was held.

    Of grey of more than 8 bits the upper ones of 16 are taken, as OpenCV does; Pillow would make all but black white.
    """
    turned: Image.Image = ImageOps.exif_transpose(picture)
    if turned.mode == "I" or turned.mode.startswith("I;16"):
        turned = Image.fromarray((np.asarray(turned, np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return turned.convert("RGB")


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize bilinearly, with the fixed-point arithmetic of ``cv2.resize``.

    Args:
        pixels: uint8 (height, width, channels).
        size: Height and width.
    """
    if pixels.shape[:2] == tuple(size):
        return pixels
    rows, row_weights = _neighbours(pixels.shape[0], size[0], weigh_edges=True)
    columns, column_weights = _neighbours(pixels.shape[1], size[1], weigh_edges=False)
    source = pixels.astype(np.int32)
    across = source[:, columns[0]] * column_weights[0][None, :, None]
    across += source[:, columns[1]] * column_weights[1][None, :, None]
    across >>= 4
    down = (across[rows[0]] * row_weights[0][:, None, None]) >> 16
    down += (across[rows[1]] * row_weights[1][:, None, None]) >> 16
    result: Pixels = np.clip((down + 2) >> 2, 0, 255).astype(np.uint8)
    return result


def _neighbours(length: int, target: int, weigh_edges: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the two pixels that each new one lies between, (2, target), and their weights in 1/2048.

    Args:
        length: Pixels of an axis.
        target: Pixels of the new one.
        weigh_edges: Whether a place beyond the last pixel's centre counts that pixel in two parts, each rounded, as
            OpenCV does for rows, or whole, as for columns.
    """
    place = ((np.arange(target) + 0.5) * (length / target) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    part = place - first.astype(np.float32)
    if not weigh_edges:
        part = np.where((first < 0) | (first >= length - 1), np.float32(0), part)
    unit = np.float32(1 << _WEIGHT_BITS)
    weights = np.stack([np.rint((1 - part) * unit), np.rint(part * unit)]).astype(np.int32)
    return np.stack([first, first + 1]).clip(0, length - 1), weights


def fit(pixels: Pixels, size: tuple[int, int], fill: tuple[int, int, int]) -> tuple[Pixels, tuple[int, int]]:
    """Scale a picture, keeping its proportions, so that it fits; what is left on the right and below is filled.

    Args:
        pixels: uint8 (height, width, 3).
        size: Height and width of the result.
        fill: Colour of what is left.

    Returns:
        The picture, and the height and width that the scaled one takes of it.
    """
    height, width = pixels.shape[:2]
    factor = min(size[0] / height, size[1] / width)
    inner = (min(size[0], max(1, int(height * factor + 0.5))), min(size[1], max(1, int(width * factor + 0.5))))
    scaled = resize(pixels, inner)
    if inner == tuple(size):
        return scaled, inner
    whole = np.empty((*size, 3), np.uint8)
    whole[:] = fill
    whole[: inner[0], : inner[1]] = scaled
    return whole, inner


def cover(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale a picture, keeping its proportions, so that it covers a size, and take the middle."""
    height, width = pixels.shape[:2]
    factor = max(size[0] / height, size[1] / width)
    scaled = resize(pixels, (max(size[0], int(height * factor + 0.5)), max(size[1], int(width * factor + 0.5))))
    top, left = (scaled.shape[0] - size[0]) // 2, (scaled.shape[1] - size[1]) // 2
    return scaled[top : top + size[0], left : left + size[1]]


def take_region(
    pixels: Pixels, centre: npt.NDArray[np.float64], extent: npt.NDArray[np.float64], size: tuple[int, int], udp: bool
) -> Floats:
    """Take an upright region out of a picture, with the places that ``cv2.warpAffine`` rounds to.

    Args:
        pixels: uint8 (height, width, 3).
        centre: x and y of the region's middle in pixels.
        extent: Its width and height in pixels.
        size: Height and width of the result.
        udp: Whether lengths are counted between the centres of pixels (https://arxiv.org/abs/1911.07524).

    Returns:
        float32 (height, width, 3), 0 to 255; black outside of the picture.
    """
    height, width = size
    if udp:
        # the published models' matrices are of single precision, which decides where places are rounded to
        exact = (np.array([width, height]) - 1.0) / extent
        factors = exact.astype(np.float32).astype(np.float64)
        moves = (exact * (0.5 * extent - centre)).astype(np.float32).astype(np.float64)
        # inverted as OpenCV does, to the last bit, which again decides about places
        steps = factors[::-1] * (1 / (factors[0] * factors[1]))
        begin = -steps * moves
    else:
        # one scale for both axes, that of the width, from the middle of the result; the matrix is made from three
        # corners of single precision
        middle = centre.astype(np.float32)
        half = middle[0] - np.float32(centre[0] - extent[0] * 0.5)
        steps = np.array([half, (middle[1] + half) - middle[1]], np.float64) / (width * 0.5)
        begin = middle - steps * (width * 0.5, height * 0.5)
    # OpenCV rounds twice along a row, and once from row to row
    x, x_part = _places(_fixed(steps[0] * np.arange(width)) + _fixed(begin[0]))
    y, y_part = _places(_fixed(steps[1] * np.arange(height) + begin[1]))
    result = np.zeros((height, width, 3), np.float32)
    for down, down_weight in ((0, 1 - y_part), (1, y_part)):
        for across, across_weight in ((0, 1 - x_part), (1, x_part)):
            rows, columns = y + down, x + across
            inside_rows = (rows >= 0) & (rows < pixels.shape[0])
            inside_columns = (columns >= 0) & (columns < pixels.shape[1])
            weights = np.outer(down_weight * inside_rows, across_weight * inside_columns).astype(np.float32)
            taken = pixels[rows.clip(0, pixels.shape[0] - 1)][:, columns.clip(0, pixels.shape[1] - 1)]
            result += taken * weights[..., None]
    return result


def _fixed(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return places in units of OpenCV's fixed point."""
    return np.asarray(np.rint(np.asarray(values) * (1 << _PLACE_BITS)), np.int64)


def _places(fixed: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the pixel before each place on an axis, and how far the place is behind it, in 1/32 of a pixel."""
    shift = _PLACE_BITS - _STEP_BITS
    fine = (fixed + (1 << (shift - 1))) >> shift
    parts = 1 << _STEP_BITS
    return fine >> _STEP_BITS, ((fine & (parts - 1)) / parts).astype(np.float32)
