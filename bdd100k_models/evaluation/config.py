"""What an evaluation counts: categories, and what other names mean.

The default of each task comes from :mod:`bdd100k_models.tasks`; a file of the official tool (``--config``: TOML, YAML
or JSON with ``name_mapping``, ``ignored_mapping``, ``remove_ignored``, ``ignored_as_class`` and the category tree
``scalabel.categories``) replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import msgspec.toml
import msgspec.yaml

from bdd100k_models.errors import ConfigError, MissingFileError
from bdd100k_models.tasks import IGNORED_MAPPING, NAME_MAPPING, Task

#: The category that ignored labels get under ``ignored_as_class``.
IGNORED = "ignored"


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


class _Scalabel(msgspec.Struct):
    categories: list[_Category]


class _File(msgspec.Struct):
    scalabel: _Scalabel
    remove_ignored: bool = False
    ignored_as_class: bool = False
    ignored_mapping: dict[str, str] | None = None
    name_mapping: dict[str, str] | None = None


@dataclass(frozen=True)
class EvalConfig:
    """Categories and names of an evaluation.

    Attributes:
        categories: The evaluated (leaf) categories, in order.
        name_mapping: Other names of a category.
        ignored_mapping: Names whose labels are ignored regions of a category; None where there is no such mapping.
        remove_ignored: Leave labels of any other name out instead.
        ignored_as_class: Count labels of any other name as the category ``ignored`` instead.
    """

    categories: tuple[str, ...]
    name_mapping: Mapping[str, str]
    ignored_mapping: Mapping[str, str] | None
    remove_ignored: bool = False
    ignored_as_class: bool = False

    def meaning(self, name: str | None) -> Meaning | None:
        """Return what a label of category ``name`` is, or None if the name is unknown."""
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


def default_config(task: Task) -> EvalConfig:
    """Return the official settings of ``task``."""
    return EvalConfig(task.categories, NAME_MAPPING, IGNORED_MAPPING)


def load_config(path: str | Path) -> EvalConfig:
    """Read a config file of the official tool.

    Raises:
        MissingFileError: There is no such file.
        ConfigError: The file cannot be parsed, a field is missing or has the wrong type, or a category stands twice.
    """
    file = Path(path)
    parsed = _parse(file)
    categories = tuple(_leaves(parsed.scalabel.categories))
    if len(set(categories)) != len(categories) or not categories:
        raise ConfigError(f"{file}: scalabel.categories must name each category once, and at least one")
    if parsed.ignored_as_class and IGNORED not in categories:
        raise ConfigError(f"{file}: ignored_as_class needs a category named {IGNORED!r}; add it to scalabel.categories")
    return EvalConfig(
        categories,
        parsed.name_mapping or {},
        parsed.ignored_mapping,
        parsed.remove_ignored,
        parsed.ignored_as_class,
    )


def _parse(file: Path) -> _File:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no such config file; leave --config out for the task's own") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror}); name a TOML, YAML or JSON file") from None
    try:
        if file.suffix == ".toml":
            return msgspec.toml.decode(text, type=_File)
        if file.suffix in (".yaml", ".yml"):
            return msgspec.yaml.decode(text, type=_File)
        if file.suffix == ".json":
            return msgspec.json.decode(text, type=_File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {error}; see the official toolkit's configs/det.toml for the form") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"{file}: not valid {file.suffix[1:].upper()} ({problem}); correct or replace it") from None
    raise ConfigError(f"{file}: a config is a .toml, .yaml or .json file")


def _leaves(categories: Sequence[_Category]) -> list[str]:
    """Names of the leaves of a category tree, depth first; an empty list of subcategories has none."""
    names: list[str] = []
    for category in categories:
        names.extend([category.name] if category.subcategories is None else _leaves(category.subcategories))
    return names
