"""The one table of what a task is: categories, ids, colours, files, metrics.

Everything that differs between the nine tasks as a fact stands here; code asks the table. Names, ids and colours are
those of the official toolkit (bdd100k 1.0.1, ``label/label.py``), category orders those of the data set's
documentation, file names those of the published zoo.
"""

from __future__ import annotations

import colorsys
import difflib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bdd100k_models.errors import InputError

RGB = tuple[int, int, int]

#: (height, width) in pixels of every image of the data set.
IMAGE_SIZE = (720, 1280)

#: The value of pixels without a class, in masks of labels and in maps of results.
NO_CLASS = 255

#: Frames a second of the videos of the tracking tasks; of a folder of images, and of the films made of either.
VIDEO_RATE = 5.0

#: One colour a category name, for every task.
PALETTE: Mapping[str, RGB] = {
    "dynamic": (111, 74, 0),
    "ego vehicle": (0, 0, 0),
    "ground": (81, 0, 81),
    "static": (0, 0, 0),
    "parking": (250, 170, 160),
    "rail track": (230, 150, 140),
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "bridge": (150, 100, 100),
    "building": (70, 70, 70),
    "fence": (190, 153, 153),
    "garage": (180, 100, 180),
    "guard rail": (180, 165, 180),
    "tunnel": (150, 120, 90),
    "wall": (102, 102, 156),
    "banner": (250, 170, 100),
    "billboard": (220, 220, 250),
    "lane divider": (255, 165, 0),
    "parking sign": (220, 20, 60),
    "pole": (153, 153, 153),
    "polegroup": (153, 153, 153),
    "street light": (220, 220, 100),
    "traffic cone": (255, 70, 0),
    "traffic device": (220, 220, 220),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "traffic sign frame": (250, 170, 250),
    "terrain": (152, 251, 152),
    "vegetation": (107, 142, 35),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "pedestrian": (220, 20, 60),
    "rider": (255, 0, 0),
    "bicycle": (119, 11, 32),
    "bus": (0, 60, 100),
    "car": (0, 0, 142),
    "caravan": (0, 0, 90),
    "motorcycle": (0, 0, 230),
    "trailer": (0, 0, 110),
    "train": (0, 80, 100),
    "truck": (0, 0, 70),
    "direct": (219, 94, 86),
    "alternative": (86, 211, 219),
    "background": (0, 0, 0),
}

#: Names that labels use for a category, and the category they mean (official ``name_mapping``).
NAME_MAPPING: Mapping[str, str] = {
    "bike": "bicycle",
    "caravan": "car",
    "motor": "motorcycle",
    "person": "pedestrian",
    "van": "car",
}

#: Names whose labels count as ignored regions of a category (official ``ignored_mapping``).
IGNORED_MAPPING: Mapping[str, str] = {
    "other person": "pedestrian",
    "other vehicle": "car",
    "trailer": "truck",
}

#: Categories reported together, by the name of the group.
SUPER_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "human": ("pedestrian", "rider"),
    "vehicle": ("car", "truck", "bus", "train"),
    "bike": ("motorcycle", "bicycle"),
}

#: The image tags of the data set and the values of each, in the order of the published models' outputs.
TAGS: Mapping[str, tuple[str, ...]] = {
    "weather": ("rainy", "snowy", "clear", "overcast", "undefined", "partly cloudy", "foggy"),
    "scene": ("tunnel", "residential", "parking lot", "undefined", "city street", "gas stations", "highway"),
    "timeofday": ("daytime", "night", "dawn/dusk", "undefined"),
}

#: The joints of a person, in the order of the pose task's files and models.
JOINTS = (
    *("head", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_hand", "left_hand", "right_foot", "left_foot"),
)

#: The limbs of a person: indices of their two joints, and the part of the body they belong to.
LIMBS: tuple[tuple[int, int, str], ...] = (
    *((0, 1, "body"), (1, 2, "body"), (1, 5, "body"), (1, 8, "body"), (1, 11, "body")),
    *((2, 3, "right_side"), (3, 4, "right_side"), (4, 14, "right_side")),
    *((8, 9, "right_side"), (9, 10, "right_side"), (10, 16, "right_side")),
    *((5, 6, "left_side"), (6, 7, "left_side"), (7, 15, "left_side")),
    *((11, 12, "left_side"), (12, 13, "left_side"), (13, 17, "left_side")),
)

_OBJECTS = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
_SEMANTIC = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
_STUFF = (
    *("dynamic", "ego vehicle", "ground", "static", "parking", "rail track", "road", "sidewalk", "bridge", "building"),
    *("fence", "garage", "guard rail", "tunnel", "wall", "banner", "billboard", "lane divider", "parking sign", "pole"),
    *("polegroup", "street light", "traffic cone", "traffic device", "traffic light", "traffic sign"),
    *("traffic sign frame", "terrain", "vegetation", "sky"),
)

#: The categories of panoptic segmentation whose objects are counted, last in their order.
THINGS = ("person", "rider", "bicycle", "bus", "car", "caravan", "motorcycle", "trailer", "train", "truck")

#: Names in labels of pixels that the data set does not evaluate: they are of no class.
NOT_EVALUATED: Mapping[str, frozenset[str]] = {
    "sem_seg": frozenset({"unlabeled", *_STUFF, *THINGS}.difference(_SEMANTIC)),
    "pan_seg": frozenset({"unlabeled"}),
}


def colour_of(name: str) -> RGB:
    """Return the official colour (red, green, blue) of a category, or one that is always the same for another name."""
    if name in PALETTE:
        return PALETTE[name]
    drawn = zlib.crc32(name.encode())
    red, green, blue = colorsys.hsv_to_rgb((drawn % 360) / 360, 0.7 + (drawn >> 16) % 4 / 10, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


@dataclass(frozen=True)
class Task:
    """One task of the data set.

    Attributes:
        name: The short name: folder, command-line word, part of every model's stem.
        title: The name for people.
        official: The name that ``bdd100k.eval.run -t`` knows, or None where the toolkit has none.
        library: The OpenMMLab package whose registries build the models.
        categories: Names in the order of label index (position + ``first_id`` is the id in files).
        first_id: Id of the first category in the data set's own files.
        images: Folder of the images of a split, below the data root; ``{split}`` stands for train, val or test.
        labels: Label files or folders of a split, below the data root, in the order in which they are looked for.
        metric: The key of the official result that ranks models.
        description: One sentence on the size of the data.
        test_server: The page to which results of the test split are sent, or None where there is none.
        videos: Whether the images are frames of videos, in a folder each.
    """

    name: str
    title: str
    official: str | None
    library: str
    categories: tuple[str, ...]
    first_id: int
    images: str
    labels: tuple[str, ...]
    metric: str
    description: str
    test_server: str | None = None
    videos: bool = False

    @property
    def palette(self) -> tuple[RGB, ...]:
        """Colours (red, green, blue; 0 to 255), one a category, in category order."""
        return tuple(map(colour_of, self.categories))

    def with_categories(self, names: Sequence[str]) -> Task:
        """Return the task for models that know other categories, in the order of their outputs."""
        return replace(self, categories=tuple(names))

    @property
    def category_ids(self) -> dict[str, int]:
        """Ids in the data set's files, by category name."""
        return {name: index + self.first_id for index, name in enumerate(self.categories)}

    def image_dir(self, split: str) -> str:
        """Return the image folder of ``split`` below the data root."""
        return self.images.format(split=split)

    def label_path(self, split: str) -> str:
        """Return the preferred label file or folder of ``split`` below the data root."""
        return self.label_paths(split)[0]

    def label_paths(self, split: str) -> tuple[str, ...]:
        """Return the label files and folders that can serve for ``split``, below the data root; the best first."""
        return tuple(path.format(split=split) for path in self.labels)


_IMAGES_100K = "images/100k/{split}"
_IMAGES_10K = "images/10k/{split}"
_IMAGES_TRACK = "images/track/{split}"
_IMAGES_SEG_TRACK = "images/seg_track_20/{split}"

#: How many images were published, or videos, by folder of images and split.
PUBLISHED_COUNTS: Mapping[str, Mapping[str, int]] = {
    _IMAGES_100K: {"train": 70_000, "val": 10_000, "test": 20_000},
    _IMAGES_10K: {"train": 7_000, "val": 1_000, "test": 2_000},
    _IMAGES_TRACK: {"train": 1_400, "val": 200, "test": 400},
    _IMAGES_SEG_TRACK: {"train": 154, "val": 32, "test": 37},
}


def _mask_labels(task: str, images: str) -> tuple[str, ...]:
    """Return the three forms in which the labels of a task with masks are handed out: PNG, run lengths, polygons."""
    lists = (f"labels/{task}/{form}/{task}_{{split}}.json" for form in ("rles", "polygons"))
    return (f"labels/{task}/{images}/{{split}}", *lists)


_TABLE = (
    Task(
        name="det",
        title="Object Detection",
        official="det",
        library="mmdet",
        categories=(*_OBJECTS, "traffic light", "traffic sign"),
        first_id=1,
        images=_IMAGES_100K,
        labels=("labels/det_20/det_{split}.json",),
        metric="AP",
        description="100K images with boxes of 10 categories",
        test_server="https://eval.ai/web/challenges/challenge-page/1260",
    ),
    Task(
        name="ins_seg",
        title="Instance Segmentation",
        official="ins_seg",
        library="mmdet",
        categories=_OBJECTS,
        first_id=1,
        images=_IMAGES_10K,
        labels=_mask_labels("ins_seg", "bitmasks"),
        metric="AP",
        description="10K images with a mask for each object of 8 categories",
        test_server="https://eval.ai/web/challenges/challenge-page/1294",
    ),
    Task(
        name="sem_seg",
        title="Semantic Segmentation",
        official="sem_seg",
        library="mmseg",
        categories=_SEMANTIC,
        first_id=0,
        images=_IMAGES_10K,
        labels=_mask_labels("sem_seg", "masks"),
        metric="mIoU",
        description="10K images, each pixel one of 19 classes",
        test_server="https://eval.ai/web/challenges/challenge-page/1257",
    ),
    Task(
        name="drivable",
        title="Drivable Area",
        official="drivable",
        library="mmseg",
        categories=("direct", "alternative", "background"),
        first_id=0,
        images=_IMAGES_100K,
        labels=_mask_labels("drivable", "masks"),
        metric="mIoU",
        description="100K images, each pixel direct, alternative or not drivable",
        test_server="https://eval.ai/web/challenges/challenge-page/1280",
    ),
    Task(
        name="pan_seg",
        title="Panoptic Segmentation",
        official="pan_seg",
        library="mmdet",
        categories=_STUFF + THINGS,
        first_id=1,
        images=_IMAGES_10K,
        labels=_mask_labels("pan_seg", "bitmasks"),
        metric="PQ",
        description="10K images, each pixel a segment of 10 things or 30 kinds of stuff",
    ),
    Task(
        name="tagging",
        title="Image Tagging",
        official=None,
        library="mmpretrain",
        categories=(),
        first_id=0,
        images=_IMAGES_100K,
        labels=("labels/det_20/det_{split}.json", "labels/bdd100k_labels_images_{split}.json"),
        metric="accuracy",
        description="100K images with weather, scene and time of day",
    ),
    Task(
        name="pose",
        title="Pose Estimation",
        official="pose",
        library="mmpose",
        categories=("pedestrian",),
        first_id=1,
        images=_IMAGES_100K,
        labels=("labels/pose_21/pose_{split}.json",),
        metric="AP",
        description="14K images with 18 joints of each person",
        test_server="https://eval.ai/web/challenges/challenge-page/1392",
    ),
    Task(
        name="mot",
        title="Multiple Object Tracking",
        official="box_track",
        library="mmdet",
        categories=_OBJECTS,
        first_id=1,
        images=_IMAGES_TRACK,
        labels=("labels/box_track_20/{split}",),
        metric="mMOTA",
        description="2K videos with boxes of 8 categories followed through time",
        test_server="https://eval.ai/web/challenges/challenge-page/1259",
        videos=True,
    ),
    Task(
        name="mots",
        title="Multiple Object Tracking and Segmentation",
        official="seg_track",
        library="mmdet",
        categories=_OBJECTS,
        first_id=1,
        images=_IMAGES_SEG_TRACK,
        labels=("labels/seg_track_20/bitmasks/{split}", "labels/seg_track_20/rles/{split}"),
        metric="mMOTA",
        description="223 videos with masks of 8 categories followed through time",
        test_server="https://eval.ai/web/challenges/challenge-page/1295",
        videos=True,
    ),
)

TASKS: Mapping[str, Task] = {task.name: task for task in _TABLE}

SPLITS = ("train", "val", "test")


def get_task(name: str) -> Task:
    """Return the task called ``name``.

    Raises:
        InputError: There is no such task; the message names the nearest.
    """
    if name in TASKS:
        return TASKS[name]
    near = difflib.get_close_matches(name, TASKS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the tasks are {', '.join(TASKS)}"
    raise InputError(f"there is no task {name!r}; {hint}")
