"""What a run's folder says about the run: the recipe as it was used, versions, seed, and how it ended."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bdd100k_models.engine.checkpoint import read_checkpoint
from bdd100k_models.errors import CheckpointError, InputError, MissingFileError
from bdd100k_models.formats.files import write_bytes

RECORD = "run.json"
#: What a checkpoint says in its ``meta`` of how many images a step was.
TOTAL = "images_a_step"
_NOTE, _NONE = "last_checkpoint", "none yet"
_PACKAGES = (
    *("bdd100k-models", "torch", "torchvision", "onedl-mmengine", "onedl-mmcv", "onedl-mmdetection"),
    *("onedl-mmsegmentation", "onedl-mmpretrain", "mmpose", "numpy", "opencv-python-headless"),
)


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that matters and is installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def now() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def read_record(work_dir: Path) -> dict[str, Any]:
    """Return what is known of the last run in a folder; nothing where there was none."""
    try:
        content = msgspec.json.decode((work_dir / RECORD).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def write_record(work_dir: Path, record: dict[str, Any]) -> None:
    """Write what is known of a run; see :func:`~bdd100k_models.formats.files.write_bytes` for what is raised."""
    data = msgspec.json.format(msgspec.json.encode({"command": sys.argv, **record}), indent=1)
    write_bytes(work_dir / RECORD, data + b"\n")


def note_checkpoint(work_dir: Path, checkpoint: str | None) -> None:
    """Note which checkpoint a run that begins now goes on from; without one, older ones in the folder are not its own.

    The note is where OpenMMLab notes each newer checkpoint.
    """
    write_bytes(work_dir / _NOTE, f"{checkpoint or _NONE}\n".encode())


def newest_checkpoint(work_dir: Path) -> Path | None:
    """Return the checkpoint to resume from, or None.

    It is the one that ``last_checkpoint`` names, also if the folder has been copied or moved since; where that file is
    missing or cut off, the one of the latest epoch or iteration. None where the last run ended before its first.
    """
    note = work_dir / _NOTE
    text = note.read_text().strip() if note.is_file() else ""
    if text == _NONE:
        return None
    named = Path(text or "?")
    for path in (work_dir / named.name, named):
        if path.is_file():
            return path
    numbered = [
        (int(number), path)
        for path in work_dir.glob("*.pth")
        if (number := path.stem.rpartition("_")[2]).isdigit() and path.stem.startswith(("epoch_", "iter_"))
    ]
    return max(numbered)[1] if numbered else None


class Interrupted(NamedTuple):
    """What must be known of a run to go on with it.

    Attributes:
        seed: Its seed, if it is known.
        averaged: Whether it keeps a moving average of the weights.
    """

    seed: int | None
    averaged: bool


def check_resumable(checkpoint: Path, total_batch: int) -> Interrupted:
    """Check that a run can go on from a checkpoint as if it had not been interrupted.

    Args:
        checkpoint: The checkpoint.
        total_batch: Images of a step now.

    Raises:
        MissingFileError: It is not there.
        CheckpointError: It cannot be read safely, or holds weights alone.
        InputError: The run had another number of images a step, so that its iterations cannot be counted on.
    """
    if not checkpoint.is_file():
        raise MissingFileError(f"{checkpoint}: no such checkpoint")
    content = read_checkpoint(checkpoint)
    meta = content["meta"]
    if not content["resumable"] or not {"epoch", "iter"} <= meta.keys():
        raise CheckpointError(
            f"{checkpoint}: holds weights without the state of training; start from them with --checkpoint, or resume "
            "from an epoch_N.pth or iter_N.pth"
        )
    # the folder knows its last run alone, which may be another one: it is for checkpoints that do not say it themselves
    recorded = read_record(checkpoint.parent).get("batch", {}).get("total", total_batch)
    before = meta.get(TOTAL, recorded)
    if before != total_batch:
        raise InputError(
            f"{checkpoint}: was trained with {before} images a step, now there are {total_batch}; keep the product of "
            "processes, train_dataloader.batch_size and --accumulate"
        )
    seed = meta.get("seed")
    return Interrupted(seed if isinstance(seed, int) else None, content["averaged"])
