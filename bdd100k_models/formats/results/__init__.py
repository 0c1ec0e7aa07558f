"""What a prediction becomes on disk: a compact record while a run goes on, the official files at its end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from bdd100k_models.errors import ConfigError
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.results.boxes import DetectionFormat
from bdd100k_models.formats.results.instances import InstanceFormat
from bdd100k_models.formats.results.panoptic import PanopticFormat
from bdd100k_models.formats.results.pose import PoseFormat
from bdd100k_models.formats.results.semantic import SemanticFormat
from bdd100k_models.formats.results.tags import TaggingFormat
from bdd100k_models.formats.results.tracks import BoxTrackFormat, MaskTrackFormat
from bdd100k_models.tasks import Task

_FORMATS: Mapping[str, type[ResultFormat]] = {
    "det": DetectionFormat,
    "ins_seg": InstanceFormat,
    "pan_seg": PanopticFormat,
    "tagging": TaggingFormat,
    "mot": BoxTrackFormat,
    "mots": MaskTrackFormat,
    "sem_seg": SemanticFormat,
    "drivable": SemanticFormat,
    "pose": PoseFormat,
}


def get_format(
    task: Task, outputs: Collection[str] | None = None, settings: Mapping[str, Any] | None = None
) -> ResultFormat:
    """Return the format of a task.

    Args:
        task: The task.
        outputs: Which of its outputs to write; by default those that the original wrote.
        settings: What else the format needs, from the config's evaluator (``format``).

    Raises:
        InputError: The task has no such output.
        ConfigError: The settings do not fit the format.
    """
    try:
        return _FORMATS[task.name](task, outputs, **(settings or {}))
    except TypeError as error:
        raise ConfigError(f"test_evaluator.format does not fit {task.name}: {error}") from None
