"""The official metrics as an OpenMMLab metric, for validation while training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from bdd100k_models.errors import ConfigError
from bdd100k_models.evaluation.detection import evaluate_detection
from bdd100k_models.formats.arrays import table_from_frames
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.tasks import get_task


@METRICS.register_module()
class BDD100KMetric(BaseMetric):  # type: ignore[misc]
    """Scores predictions with the official evaluation of a task.

    Args:
        task: Name of the task.
        ann_file: Label file; by default the one that the validation data set reads.
        collect_device: ``cpu`` or ``gpu``, where ranks exchange their results.
        prefix: What the names of the scores begin with.
    """

    default_prefix = "bdd100k"

    def __init__(
        self,
        task: str,
        ann_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.task = get_task(task)
        self.ann_file = ann_file
        self.format = get_format(self.task)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what the official format holds of each prediction."""
        for sample in data_samples:
            record = self.format.encode(sample)
            self.results.append((Path(sample["img_path"]).name, record))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Evaluate all predictions.

        Returns:
            The official summary (percent), without NaN entries, which a log cannot hold.

        Raises:
            ConfigError: The config names no label file.
        """
        label_file = self.ann_file or (self.dataset_meta or {}).get("ann_file")
        if label_file is None:
            raise ConfigError("val_evaluator: there is no label file to score against; set val_evaluator.ann_file")
        truth = load_any_frames(Path(label_file))
        # labels may name images by a path below the image folder
        full_names = {Path(frame.name).name: frame.name for frame in truth}
        predictions = [
            Frame(name=full_names.get(name, name), labels=self.format.labels(record, first_id=1))
            for name, record in results
        ]
        summary = evaluate_detection(
            table_from_frames(truth, str(label_file)), table_from_frames(predictions, "predictions")
        ).summary()
        return {key: value for key, value in summary.items() if value == value}
