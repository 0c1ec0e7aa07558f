"""People with 18 joints each, read as downloaded, for OpenMMLab's training loop."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from bdd100k_models.datasets.joints import pose_metainfo
from bdd100k_models.datasets.person_boxes import PersonBox, boxes_of_frames, label_box, read_person_boxes
from bdd100k_models.errors import LabelError
from bdd100k_models.formats.coco import load_any_frames
from bdd100k_models.formats.graphs import LABELLED, VISIBILITY
from bdd100k_models.formats.scalabel import Frame, Graph
from bdd100k_models.runtime.people import box_problem
from bdd100k_models.tasks import IMAGE_SIZE, JOINTS, TASKS

#: What transforms read of the joints beside those of a person.
_META_KEYS = ("dataset_name", "upper_body_ids", "lower_body_ids", "flip_pairs", "flip_indices", "skeleton_links")


@DATASETS.register_module()
class BDD100KPoseDataset(BaseDataset):  # type: ignore[misc]
    """People of the pose task, one a record.

    ``ann_file`` is Scalabel JSON whose labels have a ``box2d`` and a ``graph`` with a node for each joint (visibility
    ``V``, seen, and ``N``, hidden, count as labelled), or COCO JSON with ``keypoints``. For training, crowds, ignored
    regions, people without a labelled joint and boxes without area inside the image are left out.

    Args:
        bbox_file: For validation: a file of person boxes below ``data_root`` (see
            :func:`~bdd100k_models.datasets.person_boxes.read_person_boxes`). Where it is not there, the labels are
            asked.
        kwargs: See mmengine's ``BaseDataset``. ``filter_cfg`` may hold ``bbox_score_thr``: the least score of a box.

    Raises:
        LabelError: A label has a joint that the task does not have.
        MissingFileError: The label file is not there.
    """

    METAINFO = {"classes": TASKS["pose"].categories, "palette": TASKS["pose"].palette}

    def __init__(self, bbox_file: str | None = None, **kwargs: Any) -> None:
        self.bbox_file = bbox_file
        super().__init__(**kwargs)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | None = None) -> dict[str, Any]:
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        known = {**parse_pose_metainfo(pose_metainfo()), **super()._load_metainfo(metainfo)}
        # a checkpoint holds them, and is read without executing anything: plain lists need nothing to be executed
        return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in known.items()}

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read people into mmengine's records.

        Returns:
            One dict a person: ``img_path``, ``img_id``, ``id``, ``bbox`` float32 (1, 4; corners in pixels) and
            ``bbox_score`` (1,); for training also ``keypoints`` float32 (1, 18, 2) in pixels and ``keypoints_visible``
            float32 (1, 18), 0 or 1.
        """
        label_file = Path(self.ann_file)
        folder = Path(self.data_prefix["img"])
        # the metric reads the same file again
        self._metainfo |= {"ann_file": str(label_file), "image_dir": str(folder)}
        frames = load_any_frames(label_file)
        if not frames:
            raise LabelError(f"{label_file}: holds no frames; check that it is the label file of the split")
        people = self._boxes(frames) if self.test_mode else _labelled_people(frames, str(label_file))
        records = [
            {"img_path": str(folder / frames[index].name), "img_id": index, "id": number, **person}
            for number, (index, person) in enumerate(people)
        ]
        if not records:
            raise LabelError(f"{label_file}: has nobody with a box and joints; check that these are the labels of pose")
        return records

    def _boxes(self, frames: list[Frame]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the people to look for, with the index of their frame."""
        given = Path(self.data_root or "") / self.bbox_file if self.bbox_file else None
        if given is not None and given.exists():
            boxes = read_person_boxes(given, [frame.name for frame in frames], Path(self.ann_file))
        else:
            boxes = boxes_of_frames(frames, labelled=True)
        least = (self.filter_cfg or {}).get("bbox_score_thr", 0.0)
        for index, frame in enumerate(frames):
            for box in boxes.get(frame.name, ()):
                if box.score >= least and box_problem(box[:4], _size(frame)) is None:
                    yield index, _box_fields(box)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a record with what transforms need to know of the joints."""
        info: dict[str, Any] = super().get_data_info(idx)
        info |= {key: copy.deepcopy(self._metainfo[key]) for key in _META_KEYS}
        info["dataset_keypoint_weights"] = np.array(self._metainfo["dataset_keypoint_weights"], np.float32)
        return info


def _size(frame: Frame) -> tuple[int, int]:
    return (frame.size.height, frame.size.width) if frame.size else IMAGE_SIZE


def _box_fields(box: PersonBox) -> dict[str, Any]:
    return {"bbox": np.array([box[:4]], np.float32), "bbox_score": np.array([box.score], np.float32)}


def _labelled_people(frames: list[Frame], where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the people to learn from, with the index of their frame."""
    for index, frame in enumerate(frames):
        for label in frame.labels or ():
            box = label_box(label, _size(frame))
            if box is None or label.graph is None:
                continue
            points, visible = read_joints(label.graph, f"{where}: frame {frame.name}, label {label.id}")
            yield index, {**_box_fields(box), "keypoints": points[None], "keypoints_visible": visible[None]}


def read_joints(graph: Graph, where: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Read the joints of a person by their names.

    Args:
        graph: The person's graph; a joint without a node counts as not labelled.
        where: Names the label, for errors.

    Returns:
        Location float32 (18, 2), x and y in pixels, and float32 (18,): 1 where it is labelled, else 0.

    Raises:
        LabelError: A node's category is no joint, or two are the same.
    """
    points, visible = np.zeros((len(JOINTS), 2), np.float32), np.zeros(len(JOINTS), np.float32)
    labelled = (graph.type or LABELLED).startswith(LABELLED)
    seen = set()
    for node in graph.nodes:
        if node.category not in JOINTS or node.category in seen:
            problem = "appears twice" if node.category in seen else f"is no joint; the joints are {', '.join(JOINTS)}"
            raise LabelError(f"{where}: graph: node category {node.category!r} {problem}")
        seen.add(node.category)
        joint = JOINTS.index(node.category)
        points[joint] = node.location
        visible[joint] = labelled and node.visibility in VISIBILITY
    return points, visible
