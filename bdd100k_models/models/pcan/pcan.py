"""PCAN: tracks instances by quasi-dense embeddings and draws their masks by looking at their past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor

from bdd100k_models.errors import ConfigError, ImageError
from bdd100k_models.models.pcan.keys import map_keys
from bdd100k_models.models.pcan.prototypes import FrameMemory, random_prototypes, remember_frame
from bdd100k_models.models.pcan.refine_head import PrototypePair
from bdd100k_models.models.pcan.training import mask_loss, refine_loss
from bdd100k_models.models.qdtrack.qdtrack import BoxQDTrack

#: How long moving prototypes live: one frame (they do not move), one video, or the whole run as in the original.
Lifetime = Literal["frame", "video", "run"]

#: What is trained: all but the refinement, the mask head alone, or the refinement alone.
Stage = Literal["segtrack", "mask", "refine"]

_TRAINED = {
    "segtrack": ("detector.", "track_head."),
    "mask": ("detector.roi_head.mask_head.",),
    "refine": ("refine_head.",),
}


@dataclass
class VideoMemory:
    """What the model carries from frame to frame; its size does not depend on how many there were.

    Attributes:
        levels: Memory of each level of the pyramid that looks at the past, finest first.
        prototypes: Where the refinement begins, or None in a model without it.
        size: Height and width of its frames in pixels of the original.
    """

    levels: list[FrameMemory]
    prototypes: PrototypePair | None
    size: tuple[int, int]


@MODELS.register_module()
class PCAN(BoxQDTrack):
    """Prototypical cross-attention network for tracking and segmentation.

    Two levels of the feature pyramid attend to prototypes of the frames before (frame level). Each tracked mask
    is refined by prototypes of the track's last appearance (instance level). Detector, embeddings and association are
    QDTrack's. Source: the paper named in :mod:`bdd100k_models.models.pcan.prototypes`.

    Args:
        refine_head: The refinement of masks; None leaves them as the mask head draws them.
        num_prototypes: Prototypes of each level at frame level.
        num_levels: Levels of the pyramid; each has prototypes.
        attended_levels: How many of them, from the finest, attend to the past.
        frame_rounds: Rounds of expectation maximisation at frame level.
        lifetime: How long the prototypes of the refinement move on. ``video`` begins each video with those of the
            checkpoint, so a video's result does not depend on what ran before; ``run`` is the original's way.
        stage: What is trained. ``mask`` and ``refine`` leave out the losses that have no gradient in their stage.
        options: Of QDTrack; ``tracker`` is a :class:`~bdd100k_models.models.pcan.tracker.MaskTracker`.
    """

    def __init__(
        self,
        refine_head: dict[str, Any] | None = None,
        num_prototypes: int = 30,
        num_levels: int = 5,
        attended_levels: int = 2,
        frame_rounds: int = 3,
        lifetime: Lifetime = "video",
        stage: Stage = "refine",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if stage not in _TRAINED:
            raise ConfigError(f"PCAN has no stage {stage!r}; the stages are {', '.join(_TRAINED)}")
        if lifetime not in ("frame", "video", "run"):
            raise ConfigError(f"PCAN's prototypes cannot live a {lifetime!r}; choose frame, video or run")
        if not 0 <= attended_levels <= num_levels:
            raise ConfigError(f"PCAN has {num_levels} levels, so {attended_levels} of them cannot attend to the past")
        self.refine_head: Any = MODELS.build(refine_head) if refine_head else None
        for level in range(num_levels):
            channels = self.detector.neck.out_channels
            self.register_buffer(f"mu{level}", random_prototypes(channels, num_prototypes))
        self.attended_levels = attended_levels
        self.frame_rounds = frame_rounds
        self.lifetime = lifetime
        self.stage = stage
        self.memory: VideoMemory | None = None
        for name, parameter in self.named_parameters():
            if not name.startswith(_TRAINED[stage]):
                parameter.requires_grad = False

    @classmethod
    def map_keys(cls, state_dict: Mapping[str, Any]) -> dict[str, Any]:
        """Name the tensors of a checkpoint, whoever made it, as this model does."""
        return map_keys(super().map_keys(state_dict))

    # --------------------------------------------------------------------------------------------------- inference

    def predict_frame(self, image: Tensor, sample: DetDataSample, rescale: bool = True) -> None:
        """Track the instances of the next frame of a video, or of the first of another.

        Args:
            image: (1, 3, H, W), normalised and padded.
            sample: Knows ``frame_id``, ``ori_shape`` and ``scale_factor``. It is given ``pred_instances`` (all
                detections: ``bboxes`` (N, 4), ``scores``, ``labels``) and ``pred_track_instances``: of M tracks the
                same, ``instances_id`` (M,), from 0 in each video, and ``masks`` bool (M, height, width). Both may be
                empty.
            rescale: Give boxes and masks in the pixels of the original image.

        Raises:
            ImageError: The frame has another size than its video's first.
        """
        begins = self._begins_video(sample) or self.memory is None
        if not begins:
            self._check_size(sample)
        features = self.detector.extract_feat(image)
        if begins:
            self._begin_video(features, sample)
        features = self._look_back(features)
        found = self._detect(features, sample)
        tracks, logits = self._track(features, found, sample)
        scale = _scale(sample, found.bboxes)
        tracks.masks = self._paste(tracks.bboxes * scale, tracks.labels, logits, sample, rescale)
        if not rescale:
            found.bboxes = found.bboxes * scale
            tracks.bboxes = tracks.bboxes * scale
        sample.pred_instances = found
        sample.pred_track_instances = tracks

    def _check_size(self, sample: DetDataSample) -> None:
        assert self.memory is not None
        first, own = self.memory.size, sample.ori_shape[:2]
        if self.memory.levels and tuple(own) != first:
            raise ImageError(
                f"{sample.get('img_path', 'a frame')}: {own[1]}x{own[0]} pixels, but the first frame of its video has "
                f"{first[1]}x{first[0]}; give all frames of a video one size"
            )

    def _begin_video(self, features: tuple[Tensor, ...], sample: DetDataSample) -> None:
        self.tracker.reset()
        prototypes = self.refine_head.prototypes if self.refine_head is not None else None
        if self.lifetime == "run" and self.memory is not None:
            prototypes = self.memory.prototypes
        levels = [FrameMemory(features[level], getattr(self, f"mu{level}")) for level in range(self.attended_levels)]
        height, width = sample.ori_shape[:2]
        self.memory = VideoMemory(levels, prototypes, (height, width))

    def _look_back(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Let the finest levels attend to the past, and the past take them in."""
        assert self.memory is not None
        mixed = list(features)
        for level, memory in enumerate(self.memory.levels):
            mixed[level], self.memory.levels[level] = remember_frame(features[level], memory, self.frame_rounds)
        return tuple(mixed)

    def _find(self, features: tuple[Tensor, ...], sample: DetDataSample) -> InstanceData:
        roi_head = self.detector.roi_head
        proposals = self.detector.rpn_head.predict(features, [sample])
        found: InstanceData = roi_head.predict_bbox(
            features, [sample.metainfo], proposals, roi_head.test_cfg, rescale=True
        )[0]
        return found

    def _track(
        self, features: tuple[Tensor, ...], found: InstanceData, sample: DetDataSample
    ) -> tuple[InstanceData, Tensor]:
        """Give ids to detections, refine their masks, and remember them.

        Returns:
            The tracks, boxes in pixels of the original, and the logits of their masks.
        """
        if not len(found):
            # nothing seen: neither tracks nor prototypes grow older
            tracks = found.clone()
            tracks.instances_id = found.labels.clone()
            return tracks, found.bboxes.new_zeros(0, 1, 1, 1)
        kept = found[self.tracker.keep(found.bboxes, found.scores)]
        boxes = kept.bboxes * _scale(sample, kept.bboxes)
        roi_features, logits = self._draw(features, boxes)
        embeddings = self.track_head.predict(features, [boxes]).float()
        ids = self.tracker.match(kept.scores, kept.labels, embeddings)
        refined = self._refine(ids, kept.labels, roi_features, logits)
        self.tracker.remember(sample.frame_id, ids, kept.bboxes, kept.labels, embeddings, roi_features, logits)
        tracked = (ids >= 0).to(kept.labels.device)
        tracks = kept[tracked]
        tracks.instances_id = ids.to(tracked.device)[tracked]
        return tracks, refined[tracked]

    def _draw(self, features: tuple[Tensor, ...], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mask features of boxes and the logits of their masks, for every class."""
        roi_head = self.detector.roi_head
        extractor = roi_head.mask_roi_extractor
        roi_features = extractor(features[: extractor.num_inputs], bbox2roi([boxes]))
        return roi_features, roi_head.mask_head(roi_features)

    def _refine(self, ids: Tensor, labels: Tensor, features: Tensor, logits: Tensor) -> Tensor:
        """Return the logits of each detection's mask: refined (M, 1, h, w), or for every class (M, K, h, w)."""
        assert self.memory is not None
        if self.refine_head is None:
            return logits
        own = _of_class(logits, labels)
        reference_features, reference_logits = self.tracker.references(ids, features, logits)
        refined: Tensor
        refined, moved = self.refine_head(
            features, own, reference_features, _of_class(reference_logits, labels), self.memory.prototypes
        )
        if self.lifetime != "frame":
            self.memory.prototypes = moved
        return refined

    def _paste(self, boxes: Tensor, labels: Tensor, logits: Tensor, sample: DetDataSample, rescale: bool) -> Tensor:
        """Put masks into the image: bool (M, height, width); boxes are in pixels of the network's input."""
        painter = self.detector.roi_head.mask_head if self.refine_head is None else self.refine_head
        painted = painter.predict_by_feat(
            [logits],
            [InstanceData(bboxes=boxes, labels=labels)],
            [sample.metainfo],
            self.detector.roi_head.test_cfg,
            rescale=rescale,
        )
        masks: Tensor = painted[0].masks
        return masks

    # ---------------------------------------------------------------------------------------------------- training

    def loss(self, inputs: Tensor, data_samples: list[TrackDataSample], **options: Any) -> dict[str, Any]:
        """Return the losses of the stage.

        Args:
            inputs: Images (B, 2, 3, H, W): a key and a reference frame.
            data_samples: One a pair; each frame's ``gt_instances`` have ``bboxes``, ``labels``, ``instances_ids`` and
                ``masks``.
            options: For QDTrack.

        Returns:
            Losses by name: ``loss_refine``, or ``loss_mask``, or all of QDTrack's and ``loss_mask``.

        Raises:
            ConfigError: The stage trains a refinement that the model does not have.
        """
        if self.stage == "refine":
            if self.refine_head is None:
                raise ConfigError("PCAN's stage 'refine' trains model.refine_head, which this config sets to None")
            return refine_loss(self, inputs, data_samples)
        if self.stage == "mask":
            return mask_loss(self, inputs, data_samples)
        losses: dict[str, Any] = super().loss(inputs, data_samples, **options)
        return losses


def _of_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Choose from masks (M, K, h, w) that of each instance's class: (M, 1, h, w)."""
    return logits[torch.arange(len(labels), device=labels.device), labels][:, None]


def _scale(sample: DetDataSample, boxes: Tensor) -> Tensor:
    """Return by how much the image was scaled, for corners (x, y, x, y): (1, 4)."""
    return boxes.new_tensor(sample.scale_factor).repeat(1, 2)
