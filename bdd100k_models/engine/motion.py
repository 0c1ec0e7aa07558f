"""A motion tracker behind any detector or instance model: the simplest way to tracks, and a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

import bdd100k_models.registry  # noqa: F401  (mends what mmdet imports)

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData

from bdd100k_models.errors import InputError
from bdd100k_models.tasks import TASKS

_KALMAN = {"type": "KalmanFilter"}

#: Frames of a track's past that are kept: more than any setting below looks back.
_REMEMBERED = 64

#: mmdet's motion trackers by the names of their papers, with the settings these recommend.
TRACKERS: Mapping[str, dict[str, Any]] = {
    # Zhang et al., ByteTrack, ECCV 2022
    "bytetrack": {
        "type": "ByteTracker",
        "motion": _KALMAN,
        "obj_score_thrs": {"high": 0.6, "low": 0.1},
        "init_track_thr": 0.7,
        "weight_iou_with_det_scores": True,
        "match_iou_thrs": {"high": 0.1, "low": 0.5, "tentative": 0.3},
        "num_frames_retain": 30,
    },
    # Cao et al., Observation-Centric SORT, CVPR 2023
    "ocsort": {
        "type": "OCSORTTracker",
        "motion": _KALMAN,
        "obj_score_thr": 0.3,
        "init_track_thr": 0.7,
        "weight_iou_with_det_scores": True,
        "match_iou_thr": 0.3,
        "num_tentatives": 3,
        "vel_consist_weight": 0.2,
        "vel_delta_t": 3,
        "num_frames_retain": 30,
    },
}


class MotionTracking(nn.Module):
    """Finds objects in each frame by itself and links them by how their boxes move.

    Args:
        detector: A detector or instance model of mmdet, ready to run.
        tracker: One of :data:`TRACKERS`.
        classes: Labels below this number are tracked; a detector's traffic lights and signs are not.

    Raises:
        InputError: There is no such tracker.
    """

    def __init__(self, detector: nn.Module, tracker: str, classes: int = len(TASKS["mot"].categories)) -> None:
        super().__init__()
        if tracker not in TRACKERS:
            raise InputError(f"there is no tracker {tracker!r}; the trackers are {', '.join(TRACKERS)}")
        self.detector = detector
        self.data_preprocessor: Any = detector.data_preprocessor
        self.tracker: Any = MODELS.build(TRACKERS[tracker])
        self.classes = classes
        self._video: Any = None
        self._first = self._last = 0

    @torch.no_grad()
    def forward(self, inputs: torch.Tensor, data_samples: list[Any], mode: str = "predict") -> list[TrackDataSample]:
        """Track the objects of the next frames of a video.

        Args:
            inputs: Images (N, 3, H, W), normalised and padded.
            data_samples: One a frame, with ``video_id`` and ``frame_id``, its position there, which frames that
                could not be read have too. Another video, or a position not above the last, begins anew.
            mode: Only ``predict``.

        Returns:
            One sample a frame: ``pred_instances`` as the detector found them, and ``pred_track_instances`` with
            ``bboxes`` (n, 4), ``scores``, ``labels``, ``instances_id`` (from 0 in each video) and, behind an instance
            model, ``masks`` bool (n, height, width).
        """
        results = []
        for sample in self.detector(inputs, data_samples, mode=mode):
            sample.set_metainfo({"frame_id": self._position(sample.video_id, sample.frame_id)})
            found = sample.pred_instances
            sample.pred_instances = found[found.labels < self.classes]
            sample.pred_track_instances = self._track(sample)
            results.append(TrackDataSample(video_data_samples=[sample]))
        return results

    def _position(self, video: Any, frame: int) -> int:
        """Return the place of a frame in its video, from the first that was seen; another video begins anew."""
        if video != self._video or frame <= self._last:
            self._video, self._first = video, frame
            self.tracker.reset()
        self._last = frame
        return frame - self._first

    def _track(self, sample: Any) -> InstanceData:
        found = sample.pred_instances
        # OC-SORT drops masks, and ByteTrack would keep those of all frames
        masks = found.pop("masks", None)
        tracks: InstanceData = self.tracker.track(data_sample=sample)
        kept: InstanceData = tracks[tracks.instances_id >= 0]
        if masks is not None:
            found.masks = masks
            kept.masks = masks[_places(kept, found)]
        self._forget()
        return kept

    def _forget(self) -> None:
        """Leave no more of each track's past than the trackers look at, however long it lives."""
        for track in self.tracker.tracks.values():
            for values in track.values():
                if isinstance(values, list):
                    del values[:-_REMEMBERED]


def _places(tracks: InstanceData, found: InstanceData) -> torch.Tensor:
    """Return which detection each track of a frame is: a tracker hands their boxes on as they are; int64 (n,)."""
    same = (tracks.bboxes[:, None] == found.bboxes).all(dim=2)
    same &= (tracks.scores[:, None] == found.scores) & (tracks.labels[:, None] == found.labels)
    places = torch.zeros(len(tracks), dtype=torch.int64, device=same.device)
    for row in range(len(tracks)):
        places[row] = same[row].int().argmax()
        same[:, places[row]] = False  # of equal ones each is taken once
    return places
