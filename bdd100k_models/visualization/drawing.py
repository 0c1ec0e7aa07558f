"""Drawing on images: boxes, captions, masks and their borders, legible at any size."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bdd100k_models import tasks
from bdd100k_models.datasets.categories import canonical_category
from bdd100k_models.errors import OutputError
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.tasks import IMAGE_SIZE, PALETTE, RGB

Pixels = npt.NDArray[np.uint8]

OPACITY = 0.5
_JPEG_QUALITY = 92
_BRIGHTEST = 255
_LEAST_SCALE = 0.6  # below, letters could not be read
_LETTERS = 17.0  # pixels, in an image of the data set's size
_FARTHEST = 1 << 14  # pixels; beyond, OpenCV's coordinates run over
_ROOMY = 80  # pixels of a box's height, in an image of the data set's size
_OUTLINE = 0.7  # of white
_PANEL = (32, 24, 16)  # blue, green, red
_PANEL_OPACITY = 0.75
_GAP = 12  # pixels round a panel, in an image of the data set's size


@dataclass
class Canvas:
    """An image that is drawn on.

    Attributes:
        pixels: uint8 (height, width, 3), blue-green-red; changed in place.
        top: The first row that is free for a panel in the upper left corner, or in the column of panels beside it.
        left: The first column of that column of panels.
        taken: Where panels and captions are: left, top, right and bottom in pixels.
    """

    pixels: Pixels
    top: int = 0
    left: int = 0
    taken: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """How large strokes and letters are, beside those in an image of the data set's size."""
        return scale_of(self.pixels)

    def panel(self, width: int, height: int) -> tuple[int, int]:
        """Darken a panel below the others in the upper left corner, or beside them where there is no room below.

        Args:
            width: Its width in pixels.
            height: Its height in pixels.

        Returns:
            Its left column and top row.
        """
        gap = round(_GAP * self.scale)
        if self.top and self.top + gap // 2 + height > self.pixels.shape[0]:
            self.left, self.top = max(box[2] for box in self.taken), 0
        left, top = self.left + gap, self.top + gap // (2 if self.top else 1)
        ground = self.pixels[top : top + height, left : left + width]
        ground[:] = (ground * (1 - _PANEL_OPACITY) + np.array(_PANEL) * _PANEL_OPACITY).astype(np.uint8)
        self.top = top + height
        self.taken.append((left, top, left + width, top + height))
        return left, top

    def caption(self, places: Sequence[tuple[int, int, int]], text: str, colour: RGB) -> None:
        """Write a text on a ground of its own in the first place that hides no other caption, if there is one.

        Args:
            places: Column and row of a corner in pixels, and how many heights of the text it is moved down. What would
                stick out of the image is moved inside.
            text: One line; nothing is written where it is empty.
            colour: The ground (red, green, blue); the letters are black or white, whichever is legible.
        """
        if not text:
            return
        letters = text_mask(text, self.scale)
        height, width = letters.shape[0] + 2, letters.shape[1] + 6
        rows, columns = self.pixels.shape[:2]
        for column, row, moved in places:
            left = max(0, min(column, columns - width))
            top = max(0, min(row + moved * height, rows - height))
            box = (left, top, left + width, top + height)
            if not any(_overlap(box, other) for other in self.taken):
                self.taken.append(box)
                self.pixels[top : top + height, left : left + width] = colour[::-1]
                luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
                ink = (0, 0, 0) if luminance > _BRIGHTEST / 2 else (_BRIGHTEST, _BRIGHTEST, _BRIGHTEST)
                write(self.pixels, letters, left + 3, top + 1, ink)
                return


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def scale_of(pixels: Pixels) -> float:
    """Return how large strokes and letters should be: 1 in an image of the data set's size, 3 in 4K."""
    height, width = pixels.shape[:2]
    return float(max(_LEAST_SCALE, np.sqrt(height * width / (IMAGE_SIZE[0] * IMAGE_SIZE[1]))))


def line_width(scale: float) -> int:
    """Return a stroke in pixels that looks the same at every size: 2 in an image of the data set's size."""
    return max(1, round(2 * scale))


def draw_boxes(canvas: Canvas, boxes: npt.NDArray[np.float64], texts: Sequence[str], colours: Sequence[RGB]) -> None:
    """Draw boxes with captions into an image.

    Args:
        canvas: The image.
        boxes: (n, 4): x1, y1, x2, y2 in pixels, exclusive; the last lies on top, and its caption has the first choice
            of a place.
        texts: A caption a box; it is left out where there is no room beside the others.
        colours: A colour a box (red, green, blue). Dark ones are lightened, or they would drown in a street scene.
    """
    width = line_width(canvas.scale)
    corners: list[list[int]] = (to_pixels(boxes) - [0, 0, 1, 1]).tolist()
    for (x1, y1, x2, y2), colour in zip(corners, colours, strict=True):
        cv2.rectangle(canvas.pixels, (x1, y1), (x2, y2), lighten(colour)[::-1], width, cv2.LINE_AA)
    # captions last, so that no box runs through one
    for (x1, y1, x2, y2), text, colour in zip(corners[::-1], texts[::-1], colours[::-1], strict=True):
        below, inside = (x1, y2, 0), (x1, y1, 0)
        # inside a small box it would hide what the box is about
        choice = [inside, below] if y2 - y1 > _ROOMY * canvas.scale else [below, inside]
        canvas.caption([(x1, y1, -1), *choice, (x2, y1, 0)], text, lighten(colour))


def to_pixels(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round coordinates, and bring what lies beyond OpenCV's range back to where it is off the image all the same."""
    return np.clip(np.nan_to_num(points), -_FARTHEST, 2 * _FARTHEST).round().astype(np.int64)


def colour_of(name: str) -> RGB:
    """Return the official colour (red, green, blue) of a category; that of its like, or one of its own, without one."""
    canonical, _ = canonical_category(name)
    return tasks.colour_of(canonical if canonical and name not in PALETTE else name)


def lighten(colour: RGB, least: int = 200) -> RGB:
    """Scale a colour so that its strongest channel reaches at least ``least``; black becomes grey."""
    strongest = max(colour)
    if strongest == 0:
        return (least, least, least)
    factor = max(1.0, least / strongest)
    red, green, blue = (min(_BRIGHTEST, round(channel * factor)) for channel in colour)
    return (red, green, blue)


@functools.lru_cache(maxsize=1024)
def text_mask(text: str, scale: float, *, size: float = 1.0) -> Pixels:
    """Return a line of text as opacities.

    Args:
        text: The line.
        scale: That of the image; see :func:`scale_of`.
        size: How large the letters are beside those of captions.

    Returns:
        uint8 (height, width), 0 to 255; all texts of one scale and size have one height.
    """
    font = ImageFont.load_default(max(9.0, round(_LETTERS * scale * size)))
    _, top, _, bottom = font.getbbox("Ahgjpy_|")
    width = int(np.ceil(font.getlength(text)))
    image = Image.new("L", (max(1, width), max(1, int(bottom - top))))
    ImageDraw.Draw(image).text((0, -top), text, fill=_BRIGHTEST, font=font)
    return np.asarray(image)


def write(pixels: Pixels, letters: Pixels, left: int, top: int, ink: tuple[int, int, int]) -> None:
    """Lay letters over an image, cut off at its border.

    Args:
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        letters: Opacities of :func:`text_mask`.
        left: Column of their left edge, not negative.
        top: Row of their upper edge, not negative.
        ink: Blue, green, red.
    """
    ground = pixels[top : top + letters.shape[0], left : left + letters.shape[1]]
    opacity = letters[: ground.shape[0], : ground.shape[1], None].astype(np.float32) / _BRIGHTEST
    ground[:] = (ground * (1 - opacity) + np.array(ink, np.float32) * opacity).astype(np.uint8)


def blend(
    pixels: Pixels, segments: npt.NDArray[np.integer], colours: npt.NDArray[np.uint8], opacity: float = OPACITY
) -> None:
    """Lay half transparent colours over the segments of an image.

    Args:
        pixels: The image (height, width, 3), uint8, blue-green-red; changed in place.
        segments: Integers (height, width): each pixel's segment; those of segment 0 are left as they are.
        colours: uint8 (segments + 1, 3), red-green-blue, by segment.
        opacity: 0 to 1.
    """
    mixed = cv2.addWeighted(pixels, 1 - opacity, colours[:, ::-1][segments], opacity, 0)
    np.copyto(pixels, mixed, where=(segments > 0)[..., None])


def outline(pixels: Pixels, segments: npt.NDArray[np.integer]) -> None:
    """Draw white lines where two segments meet."""
    border = borders(segments)
    width = max(1, line_width(scale_of(pixels)) // 2)
    if width > 1:
        border = cv2.dilate(border.astype(np.uint8), np.ones((width, width), np.uint8)).astype(bool)
    pixels[border] = (pixels[border] * (1 - _OUTLINE) + _BRIGHTEST * _OUTLINE).astype(np.uint8)


def borders(segments: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose right or lower neighbour is of another segment, bool (height, width)."""
    border = np.zeros(segments.shape, np.bool_)
    border[:, :-1] |= segments[:, 1:] != segments[:, :-1]
    border[:-1] |= segments[1:] != segments[:-1]
    return border


def save_picture(path: Path, pixels: Pixels) -> None:
    """Write a picture as JPEG or PNG, as its suffix says, whole or not at all.

    Args:
        path: The file; its folder is made if needed.
        pixels: uint8 (height, width, 3), blue-green-red.

    Raises:
        OutputError: It cannot be written, or the format has no room for so many rows or columns.
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, encoded = cv2.imencode(path.suffix, pixels, quality)
    except cv2.error:
        done = False
    if not done:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise OutputError(f"{path}: {size} pixels cannot be written as {path.suffix}; choose another format")
    write_bytes(path, encoded.tobytes())
