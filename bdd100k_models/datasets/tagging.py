"""Weather, scene and time of day of each image, read from the labels as downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.tasks import TAGS


@DATASETS.register_module()
class BDD100KTaggingDataset(BaseDataset):  # type: ignore[misc]
    """Images and one tag of each.

    ``ann_file`` is Scalabel JSON, a list or a dict with ``frames``, whose frames carry the tag among their
    ``attributes``: the labels of detection, or the older ``bdd100k_labels_images_*.json``.

    Args:
        tag: ``weather``, ``scene`` or ``timeofday``.
        kwargs: See mmengine's ``BaseDataset``. ``metainfo`` may name other values of the tag as ``classes``.

    Raises:
        ConfigError: There is no such tag.
        LabelError: An image lacks the tag, or has a value that the tag does not know.
        MissingFileError: The label file is not there.
    """

    def __init__(self, tag: str, **kwargs: Any) -> None:
        if tag not in TAGS:
            raise ConfigError(f"dataset.tag: there is no tag {tag!r}; the tags are {', '.join(TAGS)}")
        self.tag = tag
        super().__init__(**{"metainfo": {"classes": TAGS[tag]}, **kwargs})

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the label file into mmengine's records.

        Returns:
            One dict an image: ``img_path``, and ``gt_label`` (index of the tag's value).
        """
        label_file = Path(self.ann_file)
        folder = Path(self.data_prefix["img_path"])
        # the metric reads the same file again
        self._metainfo |= {"ann_file": str(label_file), "image_dir": str(folder)}
        values = tuple(self._metainfo["classes"])
        records = [
            {"img_path": str(folder / frame.name), "gt_label": tag_index(frame, self.tag, values, str(label_file))}
            for frame in load_any_frames(label_file)
        ]
        if not records:
            raise LabelError(f"{label_file}: holds no frames; check that it is the label file of the split")
        return records


def tag_index(frame: Frame, tag: str, values: Sequence[str], where: str) -> int:
    """Return the index of a frame's value of ``tag`` among ``values``.

    Raises:
        LabelError: The frame lacks the tag, or has a value that is none of them; ``where`` names the file.
    """
    value = (frame.attributes or {}).get(tag)
    if value is None:
        raise LabelError(f"{where}: frame {frame.name}: attributes have no {tag}; label it, or take the frame out")
    if value not in values:
        raise LabelError(f"{where}: frame {frame.name}: unknown {tag} {value!r}; it can be {', '.join(values)}")
    return values.index(value)
