"""The published models as data, and where their configs lie."""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.paths import resource_root
from bdd100k_models.tasks import TASKS, get_task

#: What a model has besides its scores; the keys of ``links``.
LINKS = ("config", "weights", "md5", "preds", "visuals", "scores_val", "scores_test")


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A paper: its title and address."""

    title: str
    url: str


class Author(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An author and a page about them, which may be empty."""

    name: str
    url: str | None = None


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published model.

    Attributes:
        name: The stem that config, weights and row share.
        columns: The cells of its row as published, by column.
        links: Addresses by kind (see :data:`LINKS`); a config's is relative to the task's folder.
    """

    name: str
    columns: dict[str, str]
    links: dict[str, str]

    def __post_init__(self) -> None:
        if unknown := set(self.links) - set(LINKS):
            raise ValueError(f"{self.name}: unknown links {sorted(unknown)}")


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A method and its models.

    Attributes:
        method: Its name.
        group: The heading it stands under.
        venue: Where and when it was published.
        paper: Title and link.
        authors: Who wrote it.
        code: Where its code is.
        models: Its rows.
        summary: What it is and what for, in two sentences; empty where not yet written.
    """

    method: str
    group: str
    venue: str
    paper: Link
    authors: list[Author]
    code: str
    models: list[Model]
    summary: str = ""


@functools.cache
def load_zoo(task: str) -> tuple[Method, ...]:
    """Read the published models of a task.

    Raises:
        InputError: There is no such task.
        MissingFileError: Its file is not there.
        LabelError: Its file breaks the schema; the message names the field.
    """
    path = resource_root() / "zoo" / f"{get_task(task).name}.json"
    try:
        return decode_zoo(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise MissingFileError(f"{path}: the zoo's data are not there; install the package again") from None


def decode_zoo(data: bytes, where: str) -> tuple[Method, ...]:
    """Decode a zoo file; ``where`` names it in errors.

    Raises:
        LabelError: It is not JSON, breaks the schema, or names a model twice.
    """
    try:
        methods = msgspec.json.decode(data, type=tuple[Method, ...])
    except msgspec.DecodeError as error:
        raise LabelError(f"{where}: {error}; see zoo/README.md for what belongs there") from None
    names = [model.name for method in methods for model in method.models]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise LabelError(f"{where}: {min(repeated)} appears twice; keep one of them")
    return methods


@functools.cache
def all_models() -> Mapping[str, tuple[str, Method, Model]]:
    """Return task, method and model of every published model, by its name."""
    return {model.name: (task, method, model) for task in TASKS for method in load_zoo(task) for model in method.models}


def find_model(name: str) -> tuple[str, Method, Model]:
    """Return task, method and record of a model.

    Raises:
        InputError: There is no such model; the message offers the nearest names.
    """
    models = all_models()
    stem = name.removesuffix(".py").removesuffix(".pth")
    if stem not in models:
        raise InputError(f"{name}: no such model; {_nearest(stem, models)}`bdd100k-models zoo list` shows all")
    return models[stem]


def config_files(task: str) -> dict[str, Path]:
    """Return every model config of a task by its stem; what lies in ``_base_`` is no model."""
    folder = resource_root() / task / "configs"
    return {path.stem: path for path in sorted(folder.rglob("*.py")) if "_base_" not in path.parts}


def resolve_config(task: str, name_or_path: str) -> Path:
    """Find a model's config.

    Args:
        task: Name of the task.
        name_or_path: The model's stem, with or without ``.py``; or a path, absolute, or relative to the current or the
            task's folder.

    Raises:
        InputError: There is no such config; the message offers the nearest names.
    """
    for candidate in (Path(name_or_path), resource_root() / task / name_or_path):
        # a name too long for the file system is an OSError, not False
        with contextlib.suppress(OSError):
            if candidate.suffix == ".py" and candidate.is_file():
                return candidate
    files = config_files(task)
    stem = Path(name_or_path).name.removesuffix(".py")
    if stem in files and Path(name_or_path).name == name_or_path:
        return files[stem]
    raise InputError(
        f"{name_or_path}: no such model or config of {task}; {_nearest(stem, files)}"
        f"`bdd100k-models zoo list --task {task}` shows all"
    )


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}? " if near else ""
