"""Pictures on their way to a model: pixels with a name, from files and from memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from bdd100k_models.datasets.images import ImageItem, read_image
from bdd100k_models.errors import ImageError
from bdd100k_models.runtime.pictures import pixels_of

Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """One image that can be read.

    Attributes:
        name: Its name in the output.
        pixels: uint8 (height, width, 3), blue-green-red.
        video: The video it is a frame of, if any.
        position: Its place in the video, from 0.
        time: When it is shown, in seconds from the start of the video.
        remark: What is unusual about it, if anything.
        aspect: How many times as wide as high its pixels are shown, where its video says so.
    """

    name: str
    pixels: Pixels
    video: str | None = None
    position: int | None = None
    time: float | None = None
    remark: str | None = None
    aspect: Fraction | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def item(self) -> ImageItem:
        """Return the picture as an image of a run; frames of one video share a folder."""
        return ImageItem(self.name, Path(self.video or ".") / self.name, self.video, self.position or 0)


#: An image: a file, an array (height, width, 3) of uint8 in the order red, green, blue, or a picture of Pillow.
ImageLike: TypeAlias = str | os.PathLike[str] | npt.NDArray[np.uint8] | Image.Image


def take_picture(
    image: ImageLike | Picture, name: str | None = None, video: str | None = None, position: int | None = None
) -> Picture:
    """Return an image as a picture.

    Args:
        image: The image. Where its data says how it was held, it is turned upright. What is a picture stays one.
        name: Its name; by default that of its file, or its place among the images given together.
        video: The video it is a frame of, if any.
        position: Its place in the video, from 0.

    Raises:
        ImageError: The file, or that of the picture, cannot be read, or the array is no colour image of bytes.
    """
    if isinstance(image, Picture):
        return image if image.video is not None else replace(image, video=video, position=position)
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        try:
            pixels, remark = read_image(path)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None
        return Picture(name or path.name, pixels, video, position, remark=remark)
    if isinstance(image, Image.Image):
        image = pixels_of(image)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(f"{_describe(image)} is no image; give a file, or uint8 (height, width, 3) in RGB order")
    if 0 in image.shape:
        raise ImageError(f"an image of {image.shape[1]}x{image.shape[0]} pixels has nothing to look at")
    return Picture(name or "image", np.ascontiguousarray(image[:, :, ::-1]), video, position)


def _describe(image: object) -> str:
    if isinstance(image, np.ndarray):
        return f"an array {image.shape} of {image.dtype}"
    return f"a {type(image).__name__}"
