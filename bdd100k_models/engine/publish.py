"""A finished run's weights, as the zoo hands them out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from bdd100k_models.engine.checkpoint import fill, read_checkpoint
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.engine.weightless import count_parameters
from bdd100k_models.errors import CheckpointError, InputError
from bdd100k_models.formats.files import atomic_writer, write_bytes
from bdd100k_models.paths import resource_root
from bdd100k_models.tasks import TASKS, Task, get_task
from bdd100k_models.zoo.check.scores import COLUMNS, read_scores
from bdd100k_models.zoo.download.checked import md5_of
from bdd100k_models.zoo.records import Model, config_files, load_zoo
from bdd100k_models.zoo.tables import is_score

#: What published weights say of their data: names and colours, and not where it lay.
_NAMES = ("classes", "thing_classes", "stuff_classes", "palette", "keypoint_id2name")


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        weights: The weight file.
        md5: Its MD5, in hexadecimal, as the file beside it says.
        entry: The model's row for ``zoo/TASK.json``, where the weights are named like a config of the zoo.
        task: The task of that config.
    """

    weights: Path
    md5: str
    entry: Model | None
    task: str | None


def publish(
    checkpoint: Path,
    destination: Path,
    half: bool = False,
    base_url: str | None = None,
    scores: Path | None = None,
) -> Published:
    """Strip a checkpoint to its weights and class names, and write its MD5 and zoo entry beside it.

    Args:
        checkpoint: A checkpoint of a run; of one with a moving average of the weights, that is what is published.
        destination: The file to write, or a folder (one that exists, or a name without a suffix), where it is named
            after the run's config.
        half: Store floating-point weights in half precision, but those tensors that hold a number too large for it;
            loading converts them back.
        base_url: Where the files will be; without it the entry has paths.
        scores: Scores on the validation split, as ``eval --out-file`` writes them, for the entry.

    Raises:
        CheckpointError: The checkpoint cannot be read, holds no weights, or not those of the config that it is named
            after.
        InputError: A folder was given, and the checkpoint does not say which config it was trained with; or scores,
            and there is no entry for them.
        LabelError: The scores are not of the config's task.
        OutputError: A file cannot be written.
    """
    content = read_checkpoint(checkpoint)
    state = content["state_dict"]
    if not state:
        raise CheckpointError(f"{checkpoint}: holds no weights")
    if destination.is_dir() or not destination.suffix:
        destination = destination / f"{_stem_of(checkpoint, content['meta'])}.pth"
    task, entry = _entry(destination, checkpoint, state, base_url)
    if scores is not None:
        if task is None or entry is None:
            raise InputError(f"{destination.name}: no config of the zoo has this name, so it has no entry for --scores")
        entry = msgspec.structs.replace(entry, columns=entry.columns | _cells(get_task(task), scores))
    if half:
        state = {key: _halved(value) for key, value in state.items()}
    known = content["meta"].get("dataset_meta") or {}
    meta = {"dataset_meta": {key: known[key] for key in _NAMES if key in known}}
    with atomic_writer(destination) as file:
        torch.save({"meta": meta, "state_dict": state}, file)
    digest = md5_of(destination)
    write_bytes(destination.with_suffix(".md5"), f"{digest}  {destination.name}\n".encode())
    if entry is not None:
        text = msgspec.json.format(msgspec.json.encode(entry), indent=1)
        write_bytes(destination.with_suffix(".entry.json"), text + b"\n")
    return Published(destination, digest, entry, task)


def _halved(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor of float32 in half precision, unless a number of it would become infinite; others as they are."""
    halved = value.half()
    fits = torch.equal(halved.isfinite(), value.isfinite())
    return halved if value.dtype == torch.float32 and fits else value


def _cells(task: Task, scores: Path) -> dict[str, str]:
    """Return the cells of a row that scores on the validation split fill, by column."""
    summary = read_scores(task, scores).summary()
    known = {f"{column}-val": summary[key] for column, key in COLUMNS[task.name].items() if key in summary}
    return {
        column: str(round(value)) if column.startswith("ID Sw.") else f"{value:.2f}" for column, value in known.items()
    }


def _stem_of(checkpoint: Path, meta: dict[str, Any]) -> str:
    """Return the name of the config that a checkpoint was trained with; the run is named after it and its start."""
    name = str(meta.get("experiment_name", ""))
    stem = name.rsplit("_", 2)[0]
    if not stem or stem == name:
        raise InputError(f"{checkpoint}: does not say which config it is of; name the file to write, STEM.pth")
    return stem


def _entry(
    destination: Path, checkpoint: Path, state: dict[str, torch.Tensor], base_url: str | None
) -> tuple[str | None, Model | None]:
    """Return the task and the zoo's row of the model that a weight file is named after, if there is such a config."""
    stem = destination.stem
    for task in TASKS:
        config = config_files(task).get(stem)
        if config is None:
            continue
        model = build_model(load_config(config))
        try:
            fill(model, state, {}, checkpoint)
        except CheckpointError as error:
            found = str(error).rpartition("; ")[0]
            raise CheckpointError(f"{found}; it is no {stem}: publish it under the name of its own config") from None
        known = next((row for method in load_zoo(task) for row in method.models if row.name == stem), None)
        place = base_url.rstrip("/") + "/" if base_url else "weights/"
        # scores and files of the published weights are not those of these
        columns = {name: cell for name, cell in known.columns.items() if not is_score(name)} if known else {}
        links = {
            "config": f"./{config.relative_to(resource_root() / task).as_posix()}",
            "weights": f"{place}{stem}.pth",
            "md5": f"{place}{stem}.md5",
        }
        return task, Model(stem, columns, links, count_parameters(model))
    return None, None
