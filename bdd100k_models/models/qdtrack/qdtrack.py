"""QDTrack: a detector, an embedding of each box, and a tracker that compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from mmcv.ops import batched_nms
from mmdet.models.mot import QDTrack
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from bdd100k_models.models.qdtrack.keys import map_keys


@MODELS.register_module()
class BoxQDTrack(QDTrack):
    """QDTrack over a two-stage detector, with any number of classes.

    mmdet's QDTrack overwrites the true classes before the detector's second stage learns from them; this one does
    not. Checkpoints of the original and of Vis4D load (see :mod:`bdd100k_models.models.qdtrack.keys`).

    Args:
        clip_boxes: Cut detections off at the border of the image before they are tracked, for detectors that do not.
        options: Of mmdet's QDTrack; ``tracker`` is a :class:`~bdd100k_models.models.qdtrack.tracker.BoxTracker`.
    """

    def __init__(self, clip_boxes: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.clip_boxes = clip_boxes
        self._last: tuple[Any, int] | None = None
        self.register_load_state_dict_pre_hook(_rename_keys)

    @classmethod
    def map_keys(cls, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        """Name the tensors of a checkpoint, whoever made it, as this model does."""
        return map_keys(state_dict)

    # --------------------------------------------------------------------------------------------------- inference

    @torch.no_grad()
    def predict(
        self, inputs: Tensor, data_samples: list[TrackDataSample], rescale: bool = True, **_: Any
    ) -> list[TrackDataSample]:
        """Track the objects of the next frames of a video.

        Frames come in their order, in pieces of any length. Another ``video_id``, or a ``frame_id`` that is not larger
        than the last, begins a new video and forgets the old one.

        Args:
            inputs: Images (1, T, 3, H, W), normalised and padded.
            data_samples: One, with T frames; each knows ``frame_id``, ``ori_shape``, ``scale_factor`` and, if there are
                several videos, ``video_id``.
            rescale: Give boxes in the pixels of the original image.

        Returns:
            The samples. Each frame has ``pred_instances`` (all detections: ``bboxes`` (N, 4), ``scores``, ``labels``)
            and ``pred_track_instances`` (of the M tracks, best first: the same and ``instances_id`` (M,), counted from
            0 in each video). Both may be empty.
        """
        (track_sample,) = data_samples
        for index in range(len(track_sample)):
            self.predict_frame(inputs[:, index], track_sample[index], rescale)
        return [track_sample]

    def predict_frame(self, image: Tensor, sample: DetDataSample, rescale: bool = True) -> None:
        """Track the objects of one frame; see :meth:`predict`.

        Args:
            image: (1, 3, H, W).
            sample: Takes the results.
            rescale: Give boxes in the pixels of the original image.
        """
        if self._begins_video(sample):
            self.tracker.reset()
        features = self.detector.extract_feat(image)
        found = self._detect(features, sample)
        scale = found.bboxes.new_tensor(sample.scale_factor).repeat(1, 2)
        embeddings = self.track_head.predict(features, [found.bboxes * scale]).float()
        # what overlaps is measured in the original's pixels
        rows, ids = self.tracker.track(sample.frame_id, found.bboxes, found.scores, found.labels, embeddings)
        if not rescale:
            found.bboxes = found.bboxes * scale
        tracked = found[rows]
        tracked.instances_id = ids.to(rows.device)
        sample.pred_instances = found
        sample.pred_track_instances = tracked

    def _begins_video(self, sample: DetDataSample) -> bool:
        """Tell whether a frame is of another video than the last, whose own first frame may be unreadable."""
        before, self._last = self._last, (sample.get("video_id"), sample.frame_id)
        return before is None or before[0] != self._last[0] or sample.frame_id <= before[1]

    def _detect(self, features: tuple[Tensor, ...], sample: DetDataSample) -> InstanceData:
        """Return the detections of a frame in pixels of the original image."""
        found = self._find(features, sample)
        if self.clip_boxes:
            height, width = sample.ori_shape
            found.bboxes = found.bboxes.clamp(min=0)
            found.bboxes = torch.minimum(found.bboxes, found.bboxes.new_tensor([width, height, width, height]))
        return found

    def _find(self, features: tuple[Tensor, ...], sample: DetDataSample) -> InstanceData:
        proposals = self.detector.rpn_head.predict(features, [sample])
        found: InstanceData = self.detector.roi_head.predict(features, proposals, [sample], rescale=True)[0]
        return found

    # ---------------------------------------------------------------------------------------------------- training

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample], **_: Any) -> dict[str, Any]:
        """Return the losses of detector and embeddings.

        Args:
            inputs: Images (B, 2, 3, H, W): a key and a reference frame, normalised and padded.
            data_samples: One a pair, which says which frame is which; ``gt_instances`` of each frame have ``bboxes``
                (G, 4) in pixels of the input, ``labels`` and ``instances_ids`` (G,). They are left as they are.

        Returns:
            Losses by name, each a number or a list of numbers.
        """
        keys = [sample.get_key_frames()[0] for sample in data_samples]
        references = [sample.get_ref_frames()[0] for sample in data_samples]
        key_features = self.detector.extract_feat(take_frames(inputs, data_samples, "key_frames_inds"))
        reference_features = self.detector.extract_feat(take_frames(inputs, data_samples, "ref_frames_inds"))
        losses, proposals = self._detector_loss(key_features, keys)
        reference_proposals = self._propose(reference_features, references)
        losses.update(
            self.track_head.loss(key_features, reference_features, proposals, reference_proposals, data_samples)
        )
        return losses

    def _detector_loss(
        self, features: tuple[Tensor, ...], frames: list[DetDataSample]
    ) -> tuple[dict[str, Any], list[InstanceData]]:
        """Return the detector's losses, and the proposals that the embeddings learn from."""
        detector = self.detector
        settings = detector.train_cfg.get("rpn_proposal", detector.test_cfg.rpn)
        losses, proposals = detector.rpn_head.loss_and_predict(
            features, [_without_classes(frame) for frame in frames], proposal_cfg=settings
        )
        losses = {name if "rpn" in name else f"rpn_{name}": value for name, value in losses.items()}
        # the second stage renames the boxes of what it is given
        kept = [InstanceData(priors=found.bboxes) for found in proposals]
        losses.update(detector.roi_head.loss(features, proposals, frames))
        return losses, kept

    @torch.no_grad()
    def _propose(self, features: tuple[Tensor, ...], frames: list[DetDataSample]) -> list[InstanceData]:
        proposals: list[InstanceData] = self.detector.rpn_head.predict(features, frames)
        return proposals


@MODELS.register_module()
class OneStageQDTrack(BoxQDTrack):
    """QDTrack over YOLOX: embeddings learn from the detections themselves, since there are no proposals.

    Args:
        proposal_cfg: Which detections the embeddings learn from: ``nms_pre`` (so many of the best, of an image),
            ``nms`` and ``max_per_img``.
        options: Of :class:`BoxQDTrack`.
    """

    def __init__(self, proposal_cfg: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        default = {"nms_pre": 2000, "nms": {"type": "nms", "iou_threshold": 0.7}, "max_per_img": 1000}
        self.proposal_cfg = ConfigDict(default | dict(proposal_cfg or {}))

    def _find(self, features: tuple[Tensor, ...], sample: DetDataSample) -> InstanceData:
        found: InstanceData = self.detector.bbox_head.predict(features, [sample], rescale=True)[0]
        return found

    def _detector_loss(
        self, features: tuple[Tensor, ...], frames: list[DetDataSample]
    ) -> tuple[dict[str, Any], list[InstanceData]]:
        head = self.detector.bbox_head
        outputs = head(features)
        truth = [frame.gt_instances for frame in frames]
        metas = [frame.metainfo for frame in frames]
        losses: dict[str, Any] = head.loss_by_feat(*outputs, truth, metas)
        return losses, self._select(outputs, metas)

    @torch.no_grad()
    def _propose(self, features: tuple[Tensor, ...], frames: list[DetDataSample]) -> list[InstanceData]:
        return self._select(self.detector.bbox_head(features), [frame.metainfo for frame in frames])

    @torch.no_grad()
    def _select(self, outputs: tuple[list[Tensor], ...], metas: list[dict[str, Any]]) -> list[InstanceData]:
        """Turn a head's outputs into boxes (N, 4) of each image, best first."""
        settings = self.proposal_cfg
        candidates = self.detector.bbox_head.predict_by_feat(
            *outputs, batch_img_metas=metas, cfg=ConfigDict(score_thr=0.0), with_nms=False
        )
        proposals = []
        for found in candidates:
            best = found[found.scores.topk(min(settings.nms_pre, len(found))).indices]
            _, kept = batched_nms(best.bboxes, best.scores, best.labels, settings.nms)
            proposals.append(InstanceData(priors=best.bboxes[kept[: settings.max_per_img]]))
        return proposals


def take_frames(inputs: Tensor, data_samples: list[TrackDataSample], which: str) -> Tensor:
    """Take the key or the reference frame out of each pair: (B, 3, H, W)."""
    indices = [sample.get(which)[0] for sample in data_samples]
    return inputs[torch.arange(len(inputs)), indices]


def _without_classes(sample: DetDataSample) -> DetDataSample:
    """Return a copy in which every true object is of class 0, as a region proposal network wants it."""
    blank: DetDataSample = sample.new()
    blank.gt_instances = sample.gt_instances.new()
    blank.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)
    if "ignored_instances" in sample:
        blank.ignored_instances = sample.ignored_instances
    return blank


def _rename_keys(model: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let the original's checkpoints load: rename their tensors in place."""
    if not prefix:
        renamed = cast(BoxQDTrack, model).map_keys(state_dict)
        state_dict.clear()
        state_dict.update(renamed)
