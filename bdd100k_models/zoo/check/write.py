"""A contribution's rows, written into the zoo's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from bdd100k_models.errors import InputError, MissingFileError
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.zoo.check.entry import Entry
from bdd100k_models.zoo.records import Method, decode_zoo


def write_rows(entry: Entry, root: Path) -> Path:
    """Add the rows of a contribution to its task's file, below its method if that is there, else as a new method.

    Args:
        entry: A contribution that was found to be right.
        root: The checkout.

    Returns:
        The file.

    Raises:
        MissingFileError: The checkout has no such file, or a row's config is not where its link says.
        InputError: A row of this name is there, or a method of this name that is of another paper or has other
            columns.
        LabelError: The file breaks the schema.
        OutputError: It cannot be written.
    """
    path = root / "zoo" / f"{entry.task}.json"
    if not path.is_file():
        raise MissingFileError(f"{path}: not there; name a checkout of the source tree with --root")
    methods = decode_zoo(path.read_bytes(), str(path))
    taken = {model.name.casefold() for method in methods for model in method.models}
    if twice := [model.name for model in entry.models if model.name.casefold() in taken]:
        raise InputError(f"{path}: has a row {twice[0]}; it may have been written before")
    for place in (root / entry.task / model.links["config"] for model in entry.models):
        if not place.is_file():
            raise MissingFileError(f"{place}: no such config; put it there, as links.config says, and check again")
    content = json.loads(path.read_bytes())
    rows: list[dict[str, Any]] = [
        {key: value for key, value in msgspec.to_builtins(model).items() if value is not None} for model in entry.models
    ]
    same = next((i for i, method in enumerate(methods) if _takes(method, entry)), None)
    if same is None:
        last = max((i for i, method in enumerate(methods) if method.is_ours), default=-1)
        content.insert(last + 1, _new_method(entry, methods[last].group if methods else "Model Zoo", rows))
    else:
        if (paper := methods[same].paper.url) != entry.paper.url:
            raise InputError(
                f"{path}: {entry.method} is there, of the paper {paper}; give another name to the method, or that "
                "address to paper.url"
            )
        columns = list(methods[same].models[0].columns)
        if other := [model.name for model in entry.models if set(model.columns) != set(columns)]:
            raise InputError(f"{path}: the table of {entry.method} has {', '.join(columns)}; give {other[0]} these")
        content[same]["models"] += [{**row, "columns": {c: row["columns"][c] for c in columns}} for row in rows]
    data = f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode()
    decode_zoo(data, str(path))
    write_bytes(path, data)
    return path


def _takes(method: Method, entry: Entry) -> bool:
    """Tell whether a contribution's rows belong below a method that is there."""
    return method.is_ours and method.method == entry.method and entry.group in ("", method.group)


def _new_method(entry: Entry, group: str, rows: list[Any]) -> dict[str, Any]:
    texts = {key: getattr(entry, key) for key in ("summary", "abstract", "usage") if getattr(entry, key)}
    return {
        "method": entry.method,
        "group": entry.group or group,
        "venue": entry.venue,
        "paper": msgspec.to_builtins(entry.paper),
        "authors": [
            {key: value for key, value in author.items() if value} for author in map(msgspec.to_builtins, entry.authors)
        ],
        "code": entry.code,
        **texts,
        "models": rows,
    }
