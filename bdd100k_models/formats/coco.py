"""COCO JSON, which many users have converted their labels to, read as the data set's own frames."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bdd100k_models.errors import LabelError
from bdd100k_models.formats.scalabel import Box2D, Frame, ImageSize, Label, load_frames, looks_like_coco


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int | str = 0
    iscrowd: int = 0
    ignore: int = 0


class _Category(msgspec.Struct):
    id: int
    name: str


class _Coco(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = []


def decode_coco(data: bytes, where: str) -> list[Frame]:
    """Decode COCO detection JSON into frames.

    COCO's ``(x, y, width, height)`` becomes inclusive corners (``x2 = x + width - 1``), the inverse of the official
    ``to_coco``; ``iscrowd`` becomes the attribute ``crowd``.

    Args:
        data: The file's text.
        where: The file's name, for errors.

    Returns:
        One frame an image, in the file's order; ``labels`` is None when the file has no ``annotations``.

    Raises:
        LabelError: The text is not COCO detection JSON, or refers to an image or category that it does not define.
    """
    try:
        coco = msgspec.json.decode(data, type=_Coco)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise LabelError(f"{where}: not COCO detection JSON ({error}); convert it again") from None
    names = {category.id: category.name for category in coco.categories}
    frames = {
        image.id: Frame(
            # conversions of the 100K set store bare names; others a path below the image folder
            name=image.file_name,
            size=ImageSize(width=image.width, height=image.height),
            labels=[],
        )
        for image in coco.images
    }
    for annotation in coco.annotations:
        frame = frames.get(annotation.image_id)
        if frame is None:
            raise LabelError(
                f"{where}: annotation {annotation.id} is of image {annotation.image_id}, which is not there"
            )
        if annotation.category_id not in names:
            raise LabelError(f"{where}: annotation {annotation.id} has unknown category id {annotation.category_id}")
        if annotation.ignore:
            continue
        x, y, width, height = annotation.bbox
        assert frame.labels is not None
        frame.labels.append(
            Label(
                id=str(annotation.id),
                category=names[annotation.category_id],
                attributes={"crowd": True} if annotation.iscrowd else None,
                box2d=Box2D(x1=x, y1=y, x2=x + width - 1, y2=y + height - 1),
            )
        )
    return list(frames.values())


def load_any_frames(path: Path) -> list[Frame]:
    """Read Scalabel JSON (a file or a folder) or a COCO JSON file as frames.

    Raises:
        MissingFileError: Nothing is there.
        LabelError: The file is neither.
    """
    return decode_coco(path.read_bytes(), str(path)) if is_coco_file(path) else load_frames(path)


def is_coco_file(path: Path) -> bool:
    """Tell whether there is a file at ``path`` with the top-level keys of COCO JSON."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        is_object = file.read(64).lstrip().startswith(b"{")
    return is_object and looks_like_coco(path.read_bytes())
