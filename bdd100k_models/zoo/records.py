"""The published models as data, and where their configs lie."""

from __future__ import annotations

import contextlib
import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.paths import resource_root
from bdd100k_models.tasks import TASKS, get_task

#: What a model has besides its scores; the keys of ``links``.
LINKS = ("config", "weights", "md5", "preds", "visuals", "scores_val", "scores_test")


#: Which zoo a row is from: the published BDD100K one (and what was contributed to it since), or that of Vis4D.
Source: TypeAlias = Literal["bdd100k", "vis4d"]


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A paper: its title and address."""

    title: str
    url: str


class Author(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An author and a page about them, which may be empty."""

    name: str
    url: str | None = None


class Speed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a model ran, and on what.

    Attributes:
        hardware: The processor or GPU.
        versions: Version by package, of those that matter.
        images_per_second: Images a second, more than 0.
        batch_size: Images at a time.
        precision: Number format of the run, such as ``float32``.
    """

    hardware: str
    versions: dict[str, str]
    images_per_second: Annotated[float, msgspec.Meta(gt=0)]
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 1
    precision: str = "float32"

    @property
    def conditions(self) -> str:
        """Hardware and software in one line, as ``AMD EPYC, 2 threads, torch 2.11.0``."""
        return ", ".join([self.hardware, *(f"{package} {version}" for package, version in self.versions.items())])


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One published model.

    Attributes:
        name: The stem that config, weights and row share.
        columns: The cells of its row as published, by column.
        links: Addresses by kind (see :data:`LINKS`); a config's is relative to the task's folder. A row of Vis4D has at
            most a config's.
        parameters: How many numbers it learns, where counted.
        flops: What it computes for one image of the data set's size, where counted; see
            :func:`bdd100k_models.zoo.facts.count_flops`.
        speed: How fast it ran, one entry a measurement.
    """

    name: str
    columns: dict[str, str]
    links: dict[str, str]
    parameters: Annotated[int, msgspec.Meta(ge=0)] | None = None
    flops: Annotated[int, msgspec.Meta(ge=0)] | None = None
    speed: tuple[Speed, ...] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.links) - set(LINKS):
            raise ValueError(f"{self.name}: unknown links {sorted(unknown)}")

    @property
    def headline(self) -> tuple[str, str]:
        """Return the columns of the score that ranks models, on val and on test.

        It is the first of the published table; the other one follows from its name and may not be there.
        """
        column = next(name for name in self.columns if name.endswith("-val"))
        return column, f"{column.removesuffix('-val')}-test"


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
        source: The zoo that its rows are from; those of another one than ours do not run here.
        abstract: The paper's abstract, as a contribution brings it; may be empty.
        usage: Where it is said how to use it; empty for the usage section of the task's page.
    """

    method: str
    group: str
    venue: str
    paper: Link
    authors: list[Author]
    code: str
    models: list[Model]
    summary: str = ""
    source: Source = "bdd100k"
    abstract: str = ""
    usage: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether its models are of this zoo: with configs here, published weights and predictions."""
        return self.source == "bdd100k"


@functools.cache
def load_zoo(task: str) -> tuple[Method, ...]:
    """Read the models of a task: the published ones, then those of other zoos (see :attr:`Method.source`).

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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LabelError(f"{where}: {error}; see zoo/README.md for what belongs there") from None
    names = [model.name for method in methods for model in method.models]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise LabelError(f"{where}: {min(repeated)} appears twice; keep one of them")
    return methods


def published(task: str) -> tuple[Method, ...]:
    """Return the methods of a task that are of this zoo; see :func:`load_zoo` for what is raised."""
    return tuple(method for method in load_zoo(task) if method.is_ours)


@functools.cache
def all_models() -> Mapping[str, tuple[str, Method, Model]]:
    """Return task, method and model of every row of every zoo, by its name."""
    return {model.name: (task, method, model) for task in TASKS for method in load_zoo(task) for model in method.models}


def find_model(name: str) -> tuple[str, Method, Model]:
    """Return task, method and record of a model.

    Raises:
        InputError: There is no such model; the message offers the nearest names.
    """
    models = all_models()
    stem = name.removesuffix(".py").removesuffix(".pth")
    if stem not in models:
        raise InputError(f"{name}: no such model; {nearest_names(stem, models)}`bdd100k-models zoo list` shows all")
    return models[stem]


def config_files(task: str) -> dict[str, Path]:
    """Return every model config of a task by its stem; what lies in ``_base_`` is no model."""
    folder = resource_root() / task / "configs"
    return {path.stem: path for path in sorted(folder.rglob("*.py")) if "_base_" not in path.parts}


def resolve_config(task: str, name_or_path: str, *others: str) -> Path:
    """Find a model's config.

    Args:
        task: Name of the task.
        name_or_path: The model's stem, with or without ``.py``; or a path, absolute, or relative to the current or the
            task's folder.
        others: Names of tasks whose models will do too.

    Raises:
        InputError: There is no such config; the message offers the nearest names.
    """
    tasks = (task, *others)
    for candidate in (Path(name_or_path), *(resource_root() / each / name_or_path for each in tasks)):
        # a name too long for the file system is an OSError, not False
        with contextlib.suppress(OSError):
            if candidate.suffix == ".py" and candidate.is_file():
                return candidate
    files = {stem: path for each in tasks for stem, path in config_files(each).items()}
    stem = Path(name_or_path).name.removesuffix(".py")
    if stem in files and Path(name_or_path).name == name_or_path:
        return files[stem]
    raise InputError(
        f"{name_or_path}: no such model or config of {' or '.join(tasks)}; {nearest_names(stem, files)}"
        f"`bdd100k-models zoo list --task {task}` shows all"
    )


def nearest_names(name: str, known: Mapping[str, object]) -> str:
    """Return the question whether one of up to three known names was meant, or nothing where none is like it."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}? " if near else ""
