"""What an evaluation counts: categories, and what other names mean.

The default of each task comes from :mod:`bdd100k_models.tasks`; a file of the official tool (``--config``: TOML, YAML
or JSON with ``name_mapping``, ``ignored_mapping``, ``remove_ignored``, ``ignored_as_class`` and the category tree
``scalabel.categories``) replaces it. For tagging, the official tool takes Scalabel's own form: the tree
``categories`` alone, whose upper level are the tags and whose lower level are their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
import msgspec.toml
import msgspec.yaml

from bdd100k_models.errors import ConfigError, MissingFileError
from bdd100k_models.formats.scalabel import ImageSize
from bdd100k_models.tasks import IGNORED_MAPPING, IMAGE_SIZE, NAME_MAPPING, SUPER_CATEGORIES, TAGS, TASKS, THINGS, Task

#: The category that ignored labels get under ``ignored_as_class``.
IGNORED = "ignored"

#: What a lane marking is judged by: the values of each of its three properties (official ``lane_mark.toml``).
LANE_CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "direction": ("parallel", "vertical"),
    "style": ("solid", "dashed"),
    "category": (
        *("crosswalk", "double other", "double white", "double yellow"),
        *("road curb", "single other", "single white", "single yellow"),
    ),
}

#: How far the labels of each joint spread, in object key-point similarity (official ``pose.toml``).
POSE_SIGMAS = (
    *(0.079, 0.079, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107),
    *(0.087, 0.089, 0.107, 0.087, 0.089, 0.062, 0.062, 0.062, 0.062),
)


@dataclass(frozen=True)
class Options:
    """Settings of an evaluation of files, as on the official command line.

    Attributes:
        config: A config file of the official tool, or a task's name; the task's own settings by default.
        iou_threshold: Least overlap of a match in tracking.
        ignore_iof_threshold: Share of an object inside an ignored region from which it is left out, in tracking.
        processes: Worker processes where a task uses them; detection needs one. The official tool's own number (at
            most four) for that, and one for ours, by default.
        score_file: Scores of instance masks, beside a folder of bitmasks.
        coco_truth: Take a COCO conversion as ground truth too, which the official tool does not; of tasks of single
            images but tagging, since it holds neither videos nor tags.
        hota: Add HOTA to the scores of a tracking task, which the official tool does not have.
    """

    config: str | None = None
    iou_threshold: float = 0.5
    ignore_iof_threshold: float = 0.5
    processes: int | None = None
    score_file: Path | None = None
    coco_truth: bool = False
    hota: bool = False


@dataclass(frozen=True)
class Meaning:
    """What a category name of a file stands for.

    Attributes:
        category: Index into the evaluated categories, or None for a label that is left out.
        ignored: Whether the label becomes an ignored region.
    """

    category: int | None
    ignored: bool = False


class _Category(msgspec.Struct):
    name: str
    subcategories: list[_Category] | None = None
    isThing: bool | None = None


class _Scalabel(msgspec.Struct):
    categories: list[_Category]
    imageSize: ImageSize | None = None
    poseSigmas: list[float] | None = None


class _File(msgspec.Struct):
    scalabel: _Scalabel
    remove_ignored: bool = False
    ignored_as_class: bool = False
    ignored_mapping: dict[str, str] | None = None
    name_mapping: dict[str, str] | None = None


_Kind = TypeVar("_Kind", _File, _Scalabel)


@dataclass(frozen=True)
class EvalConfig:
    """Categories and names of an evaluation.

    Attributes:
        categories: The evaluated (leaf) categories, in order.
        name_mapping: Other names of a category.
        ignored_mapping: Names whose labels are ignored regions of a category; None where there is no such mapping.
        remove_ignored: Leave labels of any other name out instead.
        ignored_as_class: Count labels of any other name as the category ``ignored`` instead.
        groups: The leaf categories of each category above them, where every one has such (official super-categories;
            for tagging the values of each tag, for lane markings those of each property).
        things: The categories of countable objects; None where the config does not tell them from stuff.
        image_size: Height and width in pixels of every image, or None where frames give their own.
        sigmas: Spread of each joint of a pose, in joint order; None for other tasks.
    """

    categories: tuple[str, ...]
    name_mapping: Mapping[str, str]
    ignored_mapping: Mapping[str, str] | None
    remove_ignored: bool = False
    ignored_as_class: bool = False
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    things: frozenset[str] | None = None
    image_size: tuple[int, int] | None = None
    sigmas: tuple[float, ...] | None = None
    # millions of labels share a few names
    _meanings: dict[str | None, Meaning | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def meaning(self, name: str | None) -> Meaning | None:
        """Return what a label of category ``name`` is, or None if the name is unknown."""
        if name not in self._meanings:
            self._meanings[name] = self._find_meaning(name)
        return self._meanings[name]

    def _find_meaning(self, name: str | None) -> Meaning | None:
        name = self.name_mapping.get(name, name) if name is not None else None
        if name in self.categories:
            return Meaning(self.categories.index(name))
        if self.remove_ignored:
            return Meaning(None)
        if self.ignored_as_class:
            return Meaning(self.categories.index(IGNORED))
        if name is None or name not in (self.ignored_mapping or {}):
            return None
        target = (self.ignored_mapping or {})[name]
        return Meaning(self.categories.index(target) if target in self.categories else None, ignored=True)


def default_config(task: Task | str) -> EvalConfig:
    """Return the official settings of a task, given as its row of the table or its official name.

    Tagging's categories are called ``tag.value``, as in the official result.

    Raises:
        KeyError: There is no such task.
    """
    name = (task.official or task.name) if isinstance(task, Task) else task
    if name == "lane_mark":
        values = tuple(value for group in LANE_CATEGORIES.values() for value in group)
        return EvalConfig(values, {}, None, remove_ignored=True, groups=LANE_CATEGORIES, image_size=IMAGE_SIZE)
    if name == "tagging":
        return _tag_config(TAGS)
    categories = {row.official: row.categories for row in TASKS.values()}[name]
    if name == "pose":
        return EvalConfig(categories, {}, None, image_size=IMAGE_SIZE, sigmas=POSE_SIGMAS)
    if name == "pan_seg":
        things = frozenset(THINGS)
        return EvalConfig(categories, {}, None, remove_ignored=True, things=things, image_size=IMAGE_SIZE)
    if name == "drivable":  # what is not drivable is no category of the official evaluation
        return EvalConfig(categories[:-1], {}, None, remove_ignored=True, image_size=IMAGE_SIZE)
    if name == "sem_seg":
        return EvalConfig(categories, {}, None, remove_ignored=True, image_size=IMAGE_SIZE)
    # detection has categories outside any super-category, so the official tool gives it none
    groups = {} if name == "det" else SUPER_CATEGORIES
    return EvalConfig(categories, NAME_MAPPING, IGNORED_MAPPING, groups=groups, image_size=IMAGE_SIZE)


def _tag_config(tags: Mapping[str, tuple[str, ...]]) -> EvalConfig:
    names = tuple(f"{tag}.{value}" for tag, values in tags.items() for value in values)
    return EvalConfig(names, {}, None, groups=tags)


def load_config(path: str | Path) -> EvalConfig:
    """Read a config file of the official tool.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: The file cannot be parsed, a field is missing or has the wrong type, or a category stands twice.
    """
    file = Path(path)
    parsed = _parse(file, _File)
    tree = parsed.scalabel.categories
    leaves = _leaves(tree)
    categories = tuple(leaf.name for leaf in leaves)
    if len(set(categories)) != len(categories) or not categories:
        raise ConfigError(f"{file}: scalabel.categories must name each category once, and at least one")
    if parsed.ignored_as_class and IGNORED not in categories:
        raise ConfigError(f"{file}: ignored_as_class needs a category named {IGNORED!r}; add it to scalabel.categories")
    size, sigmas = parsed.scalabel.imageSize, parsed.scalabel.poseSigmas
    kinds = [leaf.isThing for leaf in leaves]
    return EvalConfig(
        categories,
        parsed.name_mapping or {},
        parsed.ignored_mapping,
        parsed.remove_ignored,
        parsed.ignored_as_class,
        groups=_groups(tree),
        things=None if None in kinds else frozenset(leaf.name for leaf in leaves if leaf.isThing),
        image_size=(size.height, size.width) if size else None,
        sigmas=tuple(sigmas) if sigmas else None,
    )


def load_tag_config(path: str | Path) -> EvalConfig:
    """Read a config file of ``scalabel.eval.tagging``: tags as categories, their values as subcategories.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: The file cannot be parsed, a tag or a value of it stands twice, or a tag has no values.
    """
    file = Path(path)
    tree = _parse(file, _Scalabel).categories
    tags = _groups(tree)
    values = [name for tag, names in tags.items() for name in dict.fromkeys(names)]
    if not tags or len(tags) < len(tree) or len(values) < sum(len(names) for names in tags.values()):
        raise ConfigError(f"{file}: categories must name each tag once, and as its subcategories each value once")
    return _tag_config(tags)


def _parse(file: Path, kind: type[_Kind]) -> _Kind:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no such config file; leave --config out for the task's own") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); name a TOML, YAML or JSON file") from None
    try:
        if file.suffix == ".toml":
            return msgspec.toml.decode(text, type=kind)
        if file.suffix in (".yaml", ".yml"):
            return msgspec.yaml.decode(text, type=kind)
        if file.suffix == ".json":
            return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {error}; see the official toolkit's configs/det.toml for the form") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"{file}: not valid {file.suffix[1:].upper()} ({problem}); correct or replace it") from None
    raise ConfigError(f"{file}: a config is a .toml, .yaml or .json file")


def _leaves(categories: Sequence[_Category]) -> list[_Category]:
    """Return the leaves of a category tree, depth first; an empty list of subcategories has none."""
    leaves: list[_Category] = []
    for category in categories:
        leaves.extend([category] if category.subcategories is None else _leaves(category.subcategories))
    return leaves


def _groups(categories: Sequence[_Category]) -> dict[str, tuple[str, ...]]:
    """Return the leaves below each inner category; nothing at all if one beside them is a leaf, as officially."""
    groups: dict[str, tuple[str, ...]] = {}
    for category in categories:
        if category.subcategories is None:
            return {}
        groups.update(_groups(category.subcategories))
        groups[category.name] = tuple(leaf.name for leaf in _leaves(category.subcategories))
    return groups
