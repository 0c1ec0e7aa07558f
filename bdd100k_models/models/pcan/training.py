"""What PCAN learns from: the masks alone, or the refinement of masks alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from bdd100k_models.models.pcan.pairs import match_same_track, sample_regions
from bdd100k_models.models.qdtrack.qdtrack import take_frames


class Positives(NamedTuple):
    """The sampled regions of one frame of each pair that hold an instance.

    Attributes:
        counts: How many of the P there are in each image.
        features: Mask features, (P, C, H, W).
        logits: Masks of every class, (P, K, h, w).
        embeddings: (P, E).
        labels: True classes, (P,).
        ids: True tracks, (P,).
        samples: The sampling behind them, one an image.
    """

    counts: list[int]
    features: Tensor
    logits: Tensor
    embeddings: Tensor
    labels: Tensor
    ids: Tensor
    samples: list[SamplingResult]


def mask_loss(model: Any, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
    """Return ``loss_mask`` of the mask head on the key frames; nothing else gets a gradient.

    Args:
        model: The PCAN.
        inputs: Images (B, 2, 3, H, W).
        data_samples: One a pair.
    """
    roi_head = model.detector.roi_head
    frames = [sample.get_key_frames()[0] for sample in data_samples]
    truth = [frame.gt_instances for frame in frames]
    with torch.no_grad():
        features, samples = _sample(model.detector, take_frames(inputs, data_samples, "key_frames_inds"), frames, True)
        roi_features = _mask_features(roi_head, features, samples)
    drawn = roi_head.mask_head(roi_features)
    losses: dict[str, Tensor] = roi_head.mask_head.loss_and_target(drawn, samples, truth, roi_head.train_cfg)[
        "loss_mask"
    ]
    return losses


def refine_loss(model: Any, inputs: Tensor, data_samples: list[TrackDataSample]) -> dict[str, Tensor]:
    """Return ``loss_refine`` of the refinement on the key frames, and move its prototypes.

    An instance is paired with its most similar appearance in the reference frame; if a pair of frames has no match,
    each instance of its key frame is its own reference. The prototypes move at each call: for a batch in several parts,
    several times a step.

    Args:
        model: The PCAN.
        inputs: Images (B, 2, 3, H, W).
        data_samples: One a pair.
    """
    head, roi_head = model.refine_head, model.detector.roi_head
    keys = [sample.get_key_frames()[0] for sample in data_samples]
    references = [sample.get_ref_frames()[0] for sample in data_samples]
    with torch.no_grad():
        key = _positives(model, take_frames(inputs, data_samples, "key_frames_inds"), keys, True)
        reference = _positives(model, take_frames(inputs, data_samples, "ref_frames_inds"), references, False)
        targets = head.get_targets(key.samples, [frame.gt_instances for frame in keys], roi_head.train_cfg)
        chosen, features, logits = _pair(key, reference)
        labels = key.labels[chosen]
        rows = torch.arange(len(chosen), device=chosen.device)
    if not len(chosen):
        head.move_prototypes(head.prototypes)  # other processes wait for this one's
        return {"loss_refine": sum(parameter.sum() * 0 for parameter in head.parameters())}
    refined, moved = head(
        key.features[chosen], key.logits[chosen, labels][:, None], features, logits[rows, labels][:, None]
    )
    head.move_prototypes(moved)
    loss: Tensor = head.loss_mask(refined, targets[chosen], torch.zeros_like(labels))
    return {"loss_refine": loss}


def _sample(
    detector: Any, images: Tensor, frames: list[DetDataSample], key: bool
) -> tuple[tuple[Tensor, ...], list[SamplingResult]]:
    """Return the features of images and the regions sampled from their proposals.

    Key frames have the proposals of training, references those of testing.
    """
    features = detector.extract_feat(images)
    truth, ignored, metas = unpack_gt_instances(frames)
    settings = detector.train_cfg.rpn_proposal if key else detector.test_cfg.rpn
    proposals = detector.rpn_head.predict_by_feat(*detector.rpn_head(features), batch_img_metas=metas, cfg=settings)
    return features, sample_regions(detector.roi_head, proposals, truth, ignored)


def _mask_features(roi_head: Any, features: tuple[Tensor, ...], samples: list[SamplingResult]) -> Tensor:
    extractor = roi_head.mask_roi_extractor
    regions = bbox2roi([sample.pos_priors for sample in samples])
    extracted: Tensor = extractor(features[: extractor.num_inputs], regions)
    return extracted


def _positives(model: Any, images: Tensor, frames: list[DetDataSample], key: bool) -> Positives:
    roi_head = model.detector.roi_head
    features, samples = _sample(model.detector, images, frames, key)
    roi_features = _mask_features(roi_head, features, samples)
    ids = [
        frame.gt_instances.instances_ids[sample.pos_assigned_gt_inds]
        for frame, sample in zip(frames, samples, strict=True)
    ]
    return Positives(
        counts=[len(sample.pos_priors) for sample in samples],
        features=roi_features,
        logits=roi_head.mask_head(roi_features),
        embeddings=model.track_head.predict(features, [sample.pos_priors for sample in samples]),
        labels=torch.cat([sample.pos_gt_labels for sample in samples]),
        ids=torch.cat(ids),
        samples=samples,
    )


def _pair(key: Positives, reference: Positives) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the instances that learn (indices of key positives) and their references' features and logits."""
    chosen, features, logits = [], [], []
    key_start = reference_start = 0
    for key_count, reference_count in zip(key.counts, reference.counts, strict=True):
        own = slice(key_start, key_start + key_count)
        other = slice(reference_start, reference_start + reference_count)
        matched, partners = match_same_track(
            key.embeddings[own], key.ids[own], reference.embeddings[other], reference.ids[other]
        )
        if len(matched):
            chosen.append(matched + key_start)
            features.append(reference.features[other][partners])
            logits.append(reference.logits[other][partners])
        else:
            chosen.append(torch.arange(own.start, own.stop, device=key.ids.device))
            features.append(key.features[own])
            logits.append(key.logits[own])
        key_start, reference_start = own.stop, other.stop
    return torch.cat(chosen), torch.cat(features), torch.cat(logits)
