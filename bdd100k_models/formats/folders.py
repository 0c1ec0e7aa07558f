"""What folders of labels and pictures hold.

Hidden files and folders are no part of it: macOS leaves ``._a.json`` beside ``a.json`` in archives, and notebooks leave
``.ipynb_checkpoints``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bdd100k_models.errors import MissingFileError
from bdd100k_models.paths import is_dir


def entries_of(folder: Path) -> list[str]:
    """Return the names of all that is in a folder, hidden or not, sorted.

    Raises:
        MissingFileError: The folder cannot be read.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise _unreadable(error, folder) from None


def files_in(folder: Path, suffixes: str | tuple[str, ...]) -> list[Path]:
    """Return the files of a folder, not of its sub-folders, whose names end so, by name.

    Raises:
        MissingFileError: The folder cannot be read.
    """
    return _entries(folder, lambda entry: entry.name.endswith(suffixes) and not entry.is_dir())


def folders_in(folder: Path) -> list[Path]:
    """Return the sub-folders of a folder, by name.

    Raises:
        MissingFileError: The folder cannot be read.
    """
    return _entries(folder, lambda entry: entry.is_dir())


def _entries(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if not entry.name.startswith(".") and wanted(entry))
    except OSError as error:
        raise _unreadable(error, folder) from None


def files_below(folder: Path, suffix: str = "") -> list[Path]:
    """Return the files below a folder whose names end so, relative to it, in the order of their paths as text.

    Raises:
        MissingFileError: The folder or one below it cannot be read.
    """

    def stop(error: OSError) -> None:
        raise _unreadable(error, folder) from None

    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = Path(root).relative_to(folder)
        found.extend(base / name for name in names if name.endswith(suffix) and not name.startswith("."))
    return sorted(found, key=str)


def _unreadable(error: OSError, folder: Path) -> MissingFileError:
    return MissingFileError(f"{error.filename or folder}: cannot be read ({error.strerror}); check its permissions")


def label_files(labels: Path) -> list[Path]:
    """Return the JSON files of labels: the one that is named, or those of a folder by name.

    Raises:
        MissingFileError: It is a folder without JSON files, or one that cannot be read.
    """
    if not is_dir(labels):
        return [labels]
    files = files_in(labels, ".json")
    if not files:
        raise MissingFileError(f"{labels}: no .json file in this folder; name a label file or a folder of them")
    return files


def holds_folders(path: Path) -> bool:
    """Tell whether there is a folder with sub-folders at ``path``.

    Raises:
        MissingFileError: It is a folder that cannot be read.
    """
    return is_dir(path) and bool(folders_in(path))


def holds_json(labels: Path) -> bool:
    """Tell whether labels are JSON, a file or a folder of them, and no folder of masks.

    Raises:
        MissingFileError: It is a folder that cannot be read.
    """
    return not is_dir(labels) or bool(files_in(labels, ".json"))
