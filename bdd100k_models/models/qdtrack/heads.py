"""The embedding head's training: pairs of regions of a key and a reference frame that show the same track."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.models.tracking_heads import QuasiDenseTrackHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor


def match_tracks(ids: Tensor, reference_ids: Tensor) -> Tensor:
    """Find each instance of a key frame in the reference frame.

    Args:
        ids: Track of each instance of the key frame, (N,); any integers.
        reference_ids: Track of each instance of the reference frame, (M,).

    Returns:
        Index of the instance of the same track in the reference frame, -1 where there is none, (N,) int64.
    """
    same = ids[:, None] == reference_ids[None]
    if not same.numel():
        return torch.full_like(ids, -1, dtype=torch.long)
    return torch.where(same.any(dim=1), same.int().argmax(dim=1), -1)


@MODELS.register_module()
class PairTrackHead(QuasiDenseTrackHead):
    """mmdet's quasi-dense head, which learns from every track of a pair.

    mmdet's own leaves out the track with id 0, which is the first object of each still image, and measures the
    reference frame against the ignored regions of the key frame.
    """

    def loss(
        self,
        key_feats: list[Tensor],
        ref_feats: list[Tensor],
        rpn_results_list: list[InstanceData],
        ref_rpn_results_list: list[InstanceData],
        data_samples: list[TrackDataSample],
        **_: Any,
    ) -> dict[str, Tensor]:
        """Return the losses of the embeddings.

        Args:
            key_feats: Feature maps of the key frames, each (B, C, H, W), finest first.
            ref_feats: Those of the reference frames.
            rpn_results_list: Proposals in each key frame, as ``bboxes`` or ``priors`` (N, 4); left as they are.
            ref_rpn_results_list: Proposals in each reference frame.
            data_samples: One a pair; ``gt_instances`` of each frame have ``bboxes`` (G, 4), ``labels`` and
                ``instances_ids`` (G,).

        Returns:
            ``loss_track`` and, if the head has an auxiliary loss, ``loss_track_aux``.
        """
        keys = [sample.get_key_frames()[0] for sample in data_samples]
        references = [sample.get_ref_frames()[0] for sample in data_samples]
        key_samples = self._sample(key_feats, rpn_results_list, keys)
        reference_samples = self._sample(ref_feats, ref_rpn_results_list, references)
        matches = [
            match_tracks(key.gt_instances.instances_ids, reference.gt_instances.instances_ids)
            for key, reference in zip(keys, references, strict=True)
        ]
        losses: dict[str, Tensor] = self.embed_head.loss(
            self.extract_roi_feats(key_feats, [sample.pos_priors for sample in key_samples]),
            self.extract_roi_feats(ref_feats, [sample.priors for sample in reference_samples]),
            key_samples,
            reference_samples,
            matches,
        )
        return losses

    def _sample(
        self, features: list[Tensor], proposals: list[InstanceData], frames: list[DetDataSample]
    ) -> list[SamplingResult]:
        """Choose the regions of each frame to learn from."""
        samples = []
        for index, (found, frame) in enumerate(zip(proposals, frames, strict=True)):
            priors = InstanceData(priors=found.get("priors", found.get("bboxes")))
            assigned = self.bbox_assigner.assign(priors, frame.gt_instances, frame.get("ignored_instances"))
            samples.append(
                self.bbox_sampler.sample(
                    assigned, priors, frame.gt_instances, feats=[level[index][None] for level in features]
                )
            )
        return samples
