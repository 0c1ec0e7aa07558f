"""Which images a run is about, and reading them with every fault noticed."""

from __future__ import annotations

import io
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from bdd100k_models.errors import ImageError, InputError, MissingFileError
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.folders import files_in, holds_json
from bdd100k_models.formats.scalabel import frames_by_name
from bdd100k_models.paths import exists, is_dir, printable
from bdd100k_models.tasks import IMAGE_SIZE, SPLITS, Task

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageItem:
    """One image of a run.

    Attributes:
        name: Its name in the output; of a frame of a video, below the video's name.
        path: Its file.
        video: The video it is a frame of, if any.
        position: Its place in the video, from 0; frames that are missing have theirs.
        frame_index: What files of labels and results call it (``frameIndex``): the place in the video as it was filmed.
    """

    name: str
    path: Path
    video: str | None = None
    position: int = 0
    frame_index: int = 0


@dataclass(frozen=True)
class ImageSet:
    """The images of a run, in order.

    Attributes:
        items: The images.
        label_file: Where their labels are, if anywhere.
        expected_size: (height, width) that every image should have, or None where any size is right.
        source: What to call the set in messages.
        remarks: What is unusual about it, if anything.
    """

    items: tuple[ImageItem, ...]
    label_file: Path | None
    expected_size: tuple[int, int] | None
    source: str
    remarks: tuple[str, ...] = ()


def find_data_root(given: str | os.PathLike[str] | None, configured: str | None = None, *, fixed: bool = False) -> Path:
    """Return the data set's folder: what was given, ``BDD100K_ROOT``, the config's, or ``data/bdd100k``.

    Args:
        given: The value of ``--data-root``, or None.
        configured: ``data_root`` of the config, or None.
        fixed: Whether the config is one that a run left: where its data lay comes before the variable.

    Raises:
        MissingFileError: None of them is a folder.
    """
    named = (
        (given, "--data-root"),
        (configured if fixed else None, "of the run that left this config; --data-root names another"),
        (os.environ.get("BDD100K_ROOT"), "BDD100K_ROOT"),
    )
    for root, origin in named:
        if root is not None and not is_dir(Path(root)):
            raise MissingFileError(f"{root}: no such folder ({origin}); name the folder that holds images/ and labels/")
        if root is not None:
            return Path(root)
    candidates = [Path(configured)] if configured else []
    candidates += [Path("data/bdd100k"), Path("../data/bdd100k")]
    for candidate in candidates:
        if is_dir(candidate):
            return candidate
    raise MissingFileError(
        "the data set was not found at data/bdd100k; name its folder with --data-root ROOT or BDD100K_ROOT, "
        "or run on your own pictures with --images DIR"
    )


def pictures_in(folder: Path) -> list[Path]:
    """Return the files of a folder that are called as pictures are, by name.

    Raises:
        MissingFileError: The folder cannot be read.
    """
    return [path for path in files_in(folder, "") if path.suffix.lower() in IMAGE_SUFFIXES]


def images_of_folder(folder: Path) -> ImageSet:
    """Take every image file of a folder (not of its sub-folders), by name; numbers in names count as numbers.

    Raises:
        MissingFileError: There is no such folder, or no image in it.
    """
    if not is_dir(folder):
        raise MissingFileError(f"{folder}: no such folder of images")
    paths = pictures_in(folder)
    if not paths:
        raise MissingFileError(f"{folder}: no images in this folder ({', '.join(IMAGE_SUFFIXES)} are looked for)")
    paths.sort(key=lambda path: by_number(path.name))
    return ImageSet(tuple(ImageItem(printable(path.name), path) for path in paths), None, None, str(folder))


def by_number(name: str) -> list[int | str]:
    """Return what to sort names by so that numbers in them count as numbers: ``9.jpg`` before ``10.jpg``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def images_of_labels(label_file: Path, image_dir: Path) -> ImageSet:
    """Take the images that a label file lists, in its order, or those of the PNG files of a label folder.

    Raises:
        MissingFileError: The label file is not there.
        LabelError: It is broken, or names an image twice.
    """
    if holds_json(label_file):
        names = list(frames_by_name(load_any_frames(label_file), str(label_file)))
    else:
        names = [path.with_suffix(".jpg").name for path in files_in(label_file, ".png")]
    items = tuple(ImageItem(name, image_dir / name) for name in names)
    if not items:
        raise InputError(f"{label_file}: holds no frames; check that it is the label file of the split")
    return ImageSet(items, label_file, IMAGE_SIZE, str(label_file))


def find_labels(task: Task, data_root: Path, split: str) -> Path | None:
    """Return the labels of a split: the first of their forms that is there, or None."""
    return next((data_root / path for path in task.label_paths(split) if exists(data_root / path)), None)


def find_labels_in_any_form(task: Task, named: Path, data_root: Path) -> Path:
    """Return labels that a config names, or where those of the task itself were not downloaded, another form of them.

    Raises:
        MissingFileError: There are none.
    """
    if exists(named):
        return named
    for split in SPLITS:
        forms = [data_root / path for path in task.label_paths(split)]
        if named in forms:
            if found := find_labels(task, data_root, split):
                return found
            others = ", ".join(str(form) for form in forms if form != named)
            raise MissingFileError(f"{named}: no such labels, nor {others}; download one of them")
    raise MissingFileError(f"{named}: no such labels; check the path, or the data root")


def images_of_split(task: Task, data_root: Path, split: str) -> ImageSet:
    """Take the images of a split: those its label file lists, or its whole folder where there are no labels.

    Raises:
        InputError: There is no such split.
        MissingFileError: Neither labels nor images are there.
    """
    image_dir = split_images(task, data_root, split)
    label_file = find_labels(task, data_root, split)
    if label_file is not None:
        return images_of_labels(label_file, image_dir)
    folder = images_of_folder(image_dir)
    return ImageSet(folder.items, None, IMAGE_SIZE, folder.source)


def split_images(task: Task, data_root: Path, split: str) -> Path:
    """Return the image folder of a split.

    Raises:
        InputError: There is no such split.
        MissingFileError: The folder is not there.
    """
    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; the splits are {', '.join(SPLITS)}")
    image_dir = data_root / task.image_dir(split)
    if is_dir(image_dir):
        return image_dir
    if find_labels(task, data_root, split) is not None:
        raise MissingFileError(f"{image_dir}: no such folder; download the images, or name the right --data-root")
    raise MissingFileError(
        f"{data_root}: holds neither {task.label_path(split)} nor {task.image_dir(split)}; check --data-root"
    )


def read_image(path: Path, expected_size: tuple[int, int] | None = None) -> tuple[npt.NDArray[np.uint8], str | None]:
    """Read an image as the models expect it.

    OpenCV decodes the pixels (the published models were evaluated with its decoder); Pillow only looks at the header.

    Args:
        path: An image file.
        expected_size: (height, width) that it should have, or None.

    Returns:
        Pixels (height, width, 3), uint8, blue-green-red; and a remark when the image had to be converted or has
        another size than expected, else None.

    Raises:
        ImageError: The file is missing, empty, cut off or no image.
    """
    data, header = open_image(path)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError("not an image that can be read")
    height, width = pixels.shape[:2]
    return pixels, "; ".join(remarks_on(data, header, (height, width), expected_size)) or None


def open_image(path: Path) -> tuple[bytes, Image.Image]:
    """Read an image's file and look at its header, without decoding the pixels.

    Args:
        path: An image file.

    Returns:
        The whole file, and Pillow's image of it, not loaded.

    Raises:
        ImageError: The file is missing, empty, cut off or no image.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from None
    if not data:
        raise ImageError("the file is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            header = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        raise ImageError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; scale it down") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise ImageError("not an image that can be read") from None
    if not _is_complete(data, header):
        raise ImageError("the file is cut off; copy or download it again")
    return data, header


def remarks_on(
    data: bytes, header: Image.Image, size: tuple[int, int], expected_size: tuple[int, int] | None
) -> list[str]:
    """Say what is unusual about an image that can be read: other colours or depth, another size.

    Args:
        data: Its file.
        header: Pillow's image of it.
        size: Its (height, width).
        expected_size: (height, width) that it should have, or None.

    Returns:
        A remark each; none for 8-bit colour of the right size.
    """
    remarks = []
    if header.mode != "RGB":
        remarks.append(f"{_MODE_NAMES.get(header.mode, header.mode)} image, converted to 8-bit colour")
    elif "bits" in header.info or getattr(header, "bits", 8) > 8 or _png_depth(data) == 16:
        remarks.append("16-bit image, converted to 8-bit colour")
    if expected_size is not None and size != expected_size:
        remarks.append(f"{size[1]}x{size[0]} pixels instead of {expected_size[1]}x{expected_size[0]}")
    return remarks


_MODE_NAMES = {"L": "grey", "LA": "grey", "CMYK": "CMYK", "P": "palette", "RGBA": "transparent", "1": "black-and-white"}
_MODE_NAMES |= dict.fromkeys(("I;16", "I;16B", "I;16L", "I"), "16-bit grey")


def _png_depth(data: bytes) -> int:
    """Return the bits a channel of a PNG, which Pillow hides by converting 16-bit colour to 8, or 0."""
    return data[24] if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24 else 0


def _is_complete(data: bytes, header: Image.Image) -> bool:
    """Tell whether all of the image is there; OpenCV fills what is missing with grey and does not say so."""
    tail = data[-4096:]
    if (header.format == "JPEG" and b"\xff\xd9" in tail) or (header.format == "PNG" and b"IEND" in tail):
        return True
    try:
        header.load()
    except (OSError, SyntaxError, ValueError, EOFError):
        return False
    return True
