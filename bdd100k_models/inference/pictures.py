"""Pictures on their way to a model: pixels with a name, from files and from memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from bdd100k_models.datasets.images import ImageItem, read_image
from bdd100k_models.errors import ImageError
from bdd100k_models.runtime.pictures import ImageLike, Pixels, pixels_in_memory


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
    image = pixels_in_memory(image)
    return Picture(name or "image", np.ascontiguousarray(image[:, :, ::-1]), video, position)
