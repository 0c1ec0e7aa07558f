"""The official metrics as an OpenMMLab metric, for validation while training."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from bdd100k_models.engine import distributed
from bdd100k_models.errors import ConfigError
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES
from bdd100k_models.tasks import TAGS, get_task


@METRICS.register_module()
class BDD100KMetric(BaseMetric):  # type: ignore[misc]
    """Scores predictions with the official evaluation of a task.

    Args:
        task: Name of the task.
        ann_file: Label file or folder; by default what the validation data set reads.
        format: What the result format needs to know; ``test`` reads it too.
        collect_device: ``cpu`` or ``gpu``, where ranks exchange their results.
        prefix: What the names of the scores begin with.
    """

    default_prefix = "bdd100k"

    def __init__(
        self,
        task: str,
        ann_file: str | None = None,
        format: Mapping[str, Any] | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.task = get_task(task)
        self.ann_file = ann_file
        self.settings = format

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the official evaluation knows, as models number them."""
        if self.task.name == "pan_seg":
            return MODEL_CATEGORIES
        return self.task.categories or TAGS.get((self.settings or {}).get("tag", ""), ())

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep what the official format holds of each prediction."""
        result_format = get_format(self.task, settings=self.settings)
        for sample in data_samples:
            # a tracker answers with videos, here of one frame each
            frames = [frame.to_dict() for frame in sample.get("video_data_samples", ())] or [sample]
            for frame in frames:
                self.results.append((self._name(frame["img_path"]), result_format.encode([frame])))

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate the predictions of all processes.

        Args:
            size: Entries of the data set: images or people, or videos, whose frames are more.

        Returns:
            The scores by prefixed name, on every process.
        """
        if not self.task.videos:
            scores: dict[str, float] = super().evaluate(size)
            return scores
        # the base class would drop all frames but the first ``size``
        results = [result for part in dist.all_gather_object(self.results) for result in part]
        self.results.clear()
        found = distributed.on_main(lambda: self.compute_metrics(results))
        return {f"{self.prefix}/{key}": value for key, value in found.items()}

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Evaluate all predictions, by way of the files that ``test`` would write.

        Returns:
            The official summary (percent), without NaN entries, which a log cannot hold.

        Raises:
            ConfigError: The config names no label file.
        """
        truth = self.ann_file or (self.dataset_meta or {}).get("ann_file")
        if truth is None:
            raise ConfigError("val_evaluator: there is no label file to score against; set val_evaluator.ann_file")
        output = get_format(self.task, settings=self.settings).output_for(Path(truth))
        result_format = get_format(self.task, [output], self.settings)
        result_format.frame_indices = (self.dataset_meta or {}).get("frame_indices", {})
        samples: dict[str, list[Any]] = {}
        for name, record in results:
            samples.setdefault(name, []).append(record)
        records = [(name, result_format.merge(parts)) for name, parts in samples.items()]
        with tempfile.TemporaryDirectory(prefix="bdd100k-validation-") as folder:
            out_dir = Path(folder)
            for name, record in records:
                result_format.save_image(name, record, out_dir)
            result_format.write(records, out_dir)
            options = Options(coco_truth=True, score_file=result_format.score_file(out_dir))
            summary = evaluate(self.task.name, truth, result_format.result_path(out_dir), options).summary()
        return {key: value for key, value in summary.items() if value == value}

    def _name(self, path: str) -> str:
        """Return an image's name in the label file, which may be a path below the image folder."""
        folder = (self.dataset_meta or {}).get("image_dir")
        if folder is not None and Path(path).is_relative_to(folder):
            return Path(path).relative_to(folder).as_posix()
        return Path(path).name
