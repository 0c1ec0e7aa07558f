"""COCO JSON, which many users have converted their labels to, read as the data set's own frames."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bdd100k_models.errors import LabelError
from bdd100k_models.formats.graphs import LABELLED, VISIBILITY
from bdd100k_models.formats.scalabel import (
    RLE,
    Box2D,
    Frame,
    Graph,
    ImageSize,
    Label,
    Node,
    load_frames,
)
from bdd100k_models.formats.stream import looks_like_coco
from bdd100k_models.paths import is_file
from bdd100k_models.tasks import JOINTS

_LETTERS = {number: letter for letter, number in VISIBILITY.items()}


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _CocoMask(msgspec.Struct):
    counts: str | list[int]
    size: tuple[int, int]


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int | str = 0
    iscrowd: int = 0
    ignore: int = 0
    segmentation: _CocoMask | list[list[float]] | None = None
    keypoints: list[float] | None = None


class _Category(msgspec.Struct):
    id: int
    name: str
    keypoints: list[str] | None = None


class _Coco(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = []


def decode_coco(data: bytes, where: str) -> list[Frame]:
    """Decode COCO detection JSON into frames.

    COCO's ``(x, y, width, height)`` becomes inclusive corners (``x2 = x + width - 1``), the inverse of the official
    ``to_coco``; ``iscrowd`` becomes the attribute ``crowd``, ``segmentation`` run lengths, and ``keypoints`` a
    graph.

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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{where}: not COCO detection JSON ({error}); convert it again") from None
    categories = {category.id: category for category in coco.categories}
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
        if annotation.category_id not in categories:
            raise LabelError(f"{where}: annotation {annotation.id} has unknown category id {annotation.category_id}")
        if annotation.ignore:
            continue
        category = categories[annotation.category_id]
        x, y, width, height = annotation.bbox
        assert frame.labels is not None
        frame.labels.append(
            Label(
                id=str(annotation.id),
                category=category.name,
                attributes={"crowd": True} if annotation.iscrowd else None,
                box2d=Box2D(x1=x, y1=y, x2=x + width - 1, y2=y + height - 1),
                rle=_run_lengths(annotation, frame, where),
                graph=_graph(annotation, category, where),
            )
        )
    return list(frames.values())


def _graph(annotation: _Annotation, category: _Category, where: str) -> Graph | None:
    """Return the joints of an annotation, or None where it has none.

    The official converter leaves out their names: then they are those of the pose task.
    """
    if annotation.keypoints is None:
        return None
    names = category.keypoints or JOINTS
    if len(annotation.keypoints) != 3 * len(names):
        raise LabelError(
            f"{where}: annotation {annotation.id} has {len(annotation.keypoints)} numbers as keypoints, but category "
            f"{category.name} has {len(names)} joints; give x, y and visibility of each"
        )
    points = zip(annotation.keypoints[::3], annotation.keypoints[1::3], annotation.keypoints[2::3], strict=True)
    nodes = [
        Node(location=(x, y), category=name, id=index, visibility=_LETTERS.get(round(visible)))
        for index, (name, (x, y, visible)) in enumerate(zip(names, points, strict=True))
    ]
    return Graph(nodes=nodes, edges=[], type=LABELLED)


def _run_lengths(annotation: _Annotation, frame: Frame, where: str) -> RLE | None:
    """Return the mask of an annotation in run lengths, as COCO's own tool draws it, or None where it has none."""
    from pycocotools import mask as coco_mask  # only such labels need it

    region = annotation.segmentation
    if isinstance(region, _CocoMask):
        height, width = region.size
        if isinstance(region.counts, str):
            return RLE(counts=region.counts, size=region.size)
        if sum(region.counts) != height * width or min(region.counts, default=0) < 0:
            raise LabelError(f"{where}: the segmentation of annotation {annotation.id} does not fit its size")
        packed = coco_mask.frPyObjects({"counts": region.counts, "size": [height, width]}, height, width)
        return RLE(counts=packed["counts"].decode("ascii"), size=region.size)
    # fewer than three corners enclose nothing
    polygons = [corners for corners in region or () if len(corners) >= 6 and len(corners) % 2 == 0]
    if not polygons:
        return None
    assert frame.size is not None
    height, width = frame.size.height, frame.size.width
    packed = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return RLE(counts=packed["counts"].decode("ascii"), size=(height, width))


def load_any_frames(path: Path) -> list[Frame]:
    """Read Scalabel JSON (a file or a folder) or a COCO JSON file as frames.

    Raises:
        MissingFileError: Nothing is there.
        LabelError: The file is neither.
    """
    return decode_coco(_read(path), str(path)) if is_coco_file(path) else load_frames(path)


def is_coco_file(path: Path) -> bool:
    """Tell whether there is a file at ``path`` with the top-level keys of COCO JSON.

    Raises:
        LabelError: It cannot be read.
    """
    return is_file(path) and _read(path, 64).lstrip().startswith(b"{") and looks_like_coco(_read(path))


def _read(path: Path, size: int = -1) -> bytes:
    """Read a file, or its beginning.

    Raises:
        LabelError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
