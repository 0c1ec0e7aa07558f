"""Training pairs: an instance in the key frame and the same track in the reference frame."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional


def match_same_track(
    embeddings: Tensor, ids: Tensor, reference_embeddings: Tensor, reference_ids: Tensor, threshold: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Find the most similar reference of each instance among those of its own track.

    Args:
        embeddings: Of the instances in the key frame, (N, E).
        ids: Their tracks, (N,).
        reference_embeddings: Of the instances in the reference frame, (M, E).
        reference_ids: Their tracks, (M,).
        threshold: A pair's cosine similarity is above this.

    Returns:
        Indices into the instances and into the references, both (P,); P is 0 where nothing fits.
    """
    if not len(ids) or not len(reference_ids):
        none = ids.new_zeros(0, dtype=torch.long)
        return none, none
    cosine = functional.normalize(embeddings, dim=1) @ functional.normalize(reference_embeddings, dim=1).t()
    same = ids[:, None] == reference_ids[None]
    best, references = cosine.masked_fill(~same, -torch.inf).max(dim=1)
    matched = (best > threshold).nonzero().squeeze(1)
    return matched, references[matched]


def sample_regions(
    roi_head: Any, proposals: list[InstanceData], truth: list[InstanceData], ignored: list[InstanceData | None]
) -> list[SamplingResult]:
    """Assign proposals to the true instances of their image and sample some, as a RoI head does to learn.

    Args:
        roi_head: mmdet's RoI head, with its assigner and sampler.
        proposals: Boxes of each image.
        truth: True instances of each image.
        ignored: Instances of each image that count neither way.

    Returns:
        One result an image.
    """
    results = []
    for found, true, other in zip(proposals, truth, ignored, strict=True):
        priors = InstanceData(priors=found.bboxes)
        assigned = roi_head.bbox_assigner.assign(priors, true, other)
        results.append(roi_head.bbox_sampler.sample(assigned, priors, true))
    return results
