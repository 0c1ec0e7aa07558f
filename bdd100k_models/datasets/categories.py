"""What the categories and marks of labels mean."""

from __future__ import annotations

from collections.abc import Collection

from bdd100k_models.errors import LabelError
from bdd100k_models.formats.arrays import is_true
from bdd100k_models.formats.scalabel import Label
from bdd100k_models.tasks import IGNORED_MAPPING, NAME_MAPPING


def unknown_category(place: str, label_id: object, name: str | None, classes: Collection[str]) -> LabelError:
    """Return the error of a label whose category is none of the classes; ``place`` names file and frame."""
    return LabelError(f"{place}, label {label_id}: unknown category {name!r}; the classes are {', '.join(classes)}")


def nothing_labelled(labels: str) -> LabelError:
    """Return the error of labels to train with, a file or a folder, none of which is of a class."""
    return LabelError(f"{labels}: no image has a label of the classes; training needs labelled images")


def canonical_category(name: str | None, classes: Collection[str] = ()) -> tuple[str | None, bool]:
    """Map a label's category to the task's own name.

    Args:
        name: The category as the label file has it.
        classes: Names that are kept as they are.

    Returns:
        The canonical name, and whether the label is to be ignored (neither positive nor negative).
    """
    if name is None:
        return None, False
    if name in classes:
        return name, False
    name = NAME_MAPPING.get(name, name)
    if name in IGNORED_MAPPING:
        return IGNORED_MAPPING[name], True
    return name, False


def is_ignored(label: Label) -> bool:
    """Tell whether a label is marked ``crowd`` or ``ignored``."""
    attributes = label.attributes or {}
    return is_true(attributes.get("crowd", False)) or is_true(attributes.get("ignored", False))
