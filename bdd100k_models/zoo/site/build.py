"""Writes the site: pages from templates, the libraries that they use, pictures."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bdd100k_models import __version__
from bdd100k_models.errors import InputError, MissingFileError
from bdd100k_models.formats.files import check_empty, write_bytes
from bdd100k_models.paths import resource_root
from bdd100k_models.tasks import TASKS, Task
from bdd100k_models.zoo.records import config_files
from bdd100k_models.zoo.site.entries import Entry, all_entries, rare_columns, several_groups, table_columns
from bdd100k_models.zoo.site.usage import commands

_ASSETS = Path(__file__).parent / "assets"
_SMALL_WIDTH = 360  # pixels, of the pictures on the front page
_JPEG_QUALITY = 80


@dataclass(frozen=True)
class Summary:
    """What was written.

    Attributes:
        folder: The site.
        models: Number of models' pages.
        size: Bytes of all files.
    """

    folder: Path
    models: int
    size: int

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{self.models} models, {self.size / 1e6:.1f} MB: {self.folder / 'index.html'}"


def write_site(folder: Path, *, repository: str = "", force: bool = False) -> Summary:
    """Write the site of all models.

    It needs no server and no network: it works from a file, and on any host of static files.

    Args:
        folder: Where to; made if needed.
        repository: Address of the source tree's files, such as ``https://github.com/OWNER/NAME/blob/main``, for links
            to configs and guides; "" for none.
        force: Write into a folder that is not empty. Other files there are kept.

    Returns:
        What was written.

    Raises:
        InputError: ``repository`` is not a web address.
        MissingFileError: The zoo's data are not there.
        OutputError: ``folder`` is not empty and ``force`` is not set, or it cannot be written.
    """
    if repository and not repository.startswith(("https://", "http://")):
        raise InputError(f"--repository must be an address that begins with https://, not {repository!r}")
    if not force:
        check_empty(folder)
    rows = all_entries()
    files = _static_files() | _pictures() | _pages(rows, repository.rstrip("/"))
    for name, data in files.items():
        write_bytes(folder / name, data)
    return Summary(folder, len(rows), sum(map(len, files.values())))


def _static_files() -> dict[str, bytes]:
    """Return styles, scripts and libraries, and what tells GitHub to leave names as they are."""
    static = _ASSETS / "static"
    files = {f"assets/{path.relative_to(static).as_posix()}": path.read_bytes() for path in static.rglob("*.*")}
    return {".nojekyll": b""} | files


def picture_of(task: Task) -> Path | None:
    """Return the picture of a task that ships with the project, or None."""
    folders = (resource_root() / "doc" / "images", resource_root() / "images")
    return next((path for folder in folders if (path := folder / f"{task.name}.jpg").is_file()), None)


def _pictures() -> dict[str, bytes]:
    """Return each task's picture, and a small one."""
    files: dict[str, bytes] = {}
    for task in TASKS.values():
        if path := picture_of(task):
            files[f"images/{task.name}.jpg"] = path.read_bytes()
            files[f"images/{task.name}-small.jpg"] = _shrunk(path)
    return files


def _shrunk(path: Path) -> bytes:
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise MissingFileError(f"{path}: cannot be read as a picture; install the package again")
    height, width = pixels.shape[:2]
    size = (_SMALL_WIDTH, round(height * _SMALL_WIDTH / width))
    _, encoded = cv2.imencode(
        ".jpg", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    return encoded.tobytes()


def _pages(rows: Sequence[Entry], repository: str) -> dict[str, bytes]:
    """Return all pages by their names."""
    by_task = {task: [entry for entry in rows if entry.task is task] for task in TASKS.values()}
    render = functools.partial(
        _render, repository=repository, version=__version__, pictures={t.name for t in by_task if picture_of(t)}
    )
    pages = {"index.html": render("index.html", root=".", tasks=by_task, entries=rows)}
    for task, members in by_task.items():
        pages[f"{task.name}/index.html"] = render(
            "task.html",
            root="..",
            task=task,
            entries=members,
            columns=table_columns(members),
            rare=rare_columns(members),
            grouped=several_groups(task),
        )
        configs = config_files(task.name)
        for entry in members:
            siblings = [other for other in members if other.method is entry.method and other is not entry]
            path = configs.get(entry.name)
            pages[entry.page] = render(
                "model.html",
                root="..",
                entry=entry,
                siblings=siblings,
                commands=commands(entry),
                config="" if path is None else path.read_text(encoding="utf-8"),
                config_path="" if path is None else path.relative_to(resource_root()).as_posix(),
            )
    return {name: page.encode() for name, page in pages.items()}


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ASSETS / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["millions"] = lambda count: "" if count is None else f"{count / 1e6:.1f}"
    environment.filters["billions"] = lambda count: "" if count is None else f"{count / 1e9:.1f}"
    return environment


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)
