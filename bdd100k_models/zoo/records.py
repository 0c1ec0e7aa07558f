"""The published models as data, and where their configs lie."""

from __future__ import annotations

import difflib
from pathlib import Path

from bdd100k_models.errors import InputError
from bdd100k_models.paths import resource_root


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
        if candidate.suffix == ".py" and candidate.is_file():
            return candidate
    files = config_files(task)
    stem = Path(name_or_path).name.removesuffix(".py")
    if stem in files and Path(name_or_path).name == name_or_path:
        return files[stem]
    near = difflib.get_close_matches(stem, files, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"`bdd100k-models zoo list --task {task}` shows all"
    raise InputError(f"{name_or_path}: no such model or config of {task}; {hint}")
