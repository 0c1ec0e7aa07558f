"""People with their joints: ``result_keypoints.json``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bdd100k_models.evaluation.config import POSE_SIGMAS
from bdd100k_models.formats.frames import frame_writer
from bdd100k_models.formats.graphs import person_label
from bdd100k_models.formats.results.base import ResultFormat
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.runtime.people import distinct, person_score
from bdd100k_models.tasks import JOINTS, Task


class Person(msgspec.Struct, gc=False):
    """One person.

    Attributes:
        score: That of the box times the mean of the joints that are sure enough.
        area: Square pixels of what the model looked at.
        joints: x and y in pixels and confidence of each joint, in the task's order.
    """

    score: float
    area: float
    joints: list[tuple[float, float, float]]


class PoseRecord(msgspec.Struct, gc=False):
    """The people of one image, best first."""

    people: list[Person]


class PoseFormat(ResultFormat):
    """People with 18 joints each, in one file.

    Args:
        task: The task.
        outputs: See :class:`ResultFormat`.
        vis_thr: A joint's confidence above which it counts in its person's score.
        oks_thr: Of two people that are more similar than this (object key-point similarity), the better stays.
    """

    record_type = PoseRecord
    paths = {"json": "result_keypoints.json"}
    defaults = ("json",)

    def __init__(
        self, task: Task, outputs: Collection[str] | None = None, *, vis_thr: float = 0.2, oks_thr: float = 0.9
    ) -> None:
        super().__init__(task, outputs)
        self.vis_thr, self.oks_thr = vis_thr, oks_thr

    def encode(self, samples: Sequence[Mapping[str, Any]]) -> PoseRecord:
        """Turn predicted instances into a record.

        Args:
            samples: One a person box, whose ``pred_instances`` hold ``keypoints`` (1, 18, 2) in pixels of the image,
                ``keypoint_scores`` (1, 18) and ``bbox_scores`` (1,) as arrays, and whose ``input_scale`` is the size
                (width, height) in pixels of what the model looked at.
        """
        return PoseRecord(people=suppress([self._person(sample) for sample in samples], self.oks_thr))

    def _person(self, sample: Mapping[str, Any]) -> Person:
        instances = sample["pred_instances"]
        points = np.asarray(instances["keypoints"], np.float32).reshape(-1, 2)
        scores = np.asarray(instances["keypoint_scores"], np.float32).reshape(-1)
        joints = np.column_stack([points, scores]).tolist()
        return Person(
            score=person_score(scores, np.float32(instances["bbox_scores"][0]), self.vis_thr),
            area=float(np.prod(sample["input_scale"], dtype=np.float64)),
            joints=[(x, y, score) for x, y, score in joints],
        )

    def empty(self, size: tuple[int, int]) -> PoseRecord:
        """Return a record without people."""
        return PoseRecord(people=[])

    def merge(self, records: Sequence[PoseRecord]) -> PoseRecord:
        """Return the people of all records, without those that are nearly another."""
        return PoseRecord(people=suppress([person for record in records for person in record.people], self.oks_thr))

    def write(self, records: Iterable[tuple[str, Any]], out_dir: Path) -> int:
        """Write ``result_keypoints.json``; ids of people count from 0 through the whole file, as the original's did.

        A joint's id is that of its person, a hyphen, and its place among the joints.
        """
        count = 0
        with frame_writer(self.result_path(out_dir)) as add:
            for name, record in records:
                labels = [
                    person_label(person.joints, person.score, count + place)
                    for place, person in enumerate(record.people)
                ]
                add(Frame(name=name, labels=labels))
                count += len(labels)
        return count

    def raw(self, record: PoseRecord) -> dict[str, npt.NDArray[np.float32]]:
        """Return ``preds``, float32 (n, 18, 3: x, y, confidence), and ``scores`` (n,) of an image's people."""
        joints = np.array([person.joints for person in record.people], np.float32)
        scores = np.array([person.score for person in record.people], np.float32)
        return {"preds": joints.reshape(-1, len(JOINTS), 3), "scores": scores}


def suppress(people: Sequence[Person], threshold: float) -> list[Person]:
    """Return people by descending score, without those that are too similar to a better one.

    The similarity is COCO's for key points (https://cocodataset.org/#keypoints-eval) over all joints, with the mean of
    the two areas.

    Args:
        people: People of one image.
        threshold: Greatest similarity of two that stay, 0 to 1.
    """
    if len(people) < 2:
        return list(people)
    joints = np.array([person.joints for person in people], np.float64)[:, :, :2]
    areas = np.array([person.area for person in people], np.float64)
    scores = np.array([person.score for person in people])
    return [people[place] for place in distinct(joints, areas, scores, np.array(POSE_SIGMAS), threshold)]
