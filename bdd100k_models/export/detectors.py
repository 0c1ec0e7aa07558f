"""Graphs of detectors: boxes, instances and panoptic segments."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bdd100k_models.export.networks import Network, Tensors
from bdd100k_models.export.operators import suppress
from bdd100k_models.export.prepare import Geometry

#: The class of what fills the outputs where there are fewer objects.
NO_OBJECT = -1


class Found(NamedTuple):
    """Objects of one image, best first; those that do not count have no score, no size and the class -1.

    Attributes:
        boxes: float32 (K, 4), corners.
        scores: float32 (K,).
        classes: int64 (K,).
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class Candidates(NamedTuple):
    """Boxes before suppression.

    Attributes:
        boxes: float32 (K, 4), corners.
        scores: float32 (K,); negative where a box is out already.
        classes: int64 (K,).
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class Priors:
    """Anchors or points of a dense head, made once, so that graphs hold them as numbers."""

    def __init__(self, head: Any) -> None:
        self._head = head
        self._known: dict[tuple[tuple[int, int], ...], list[Tensor]] = {}

    def __call__(self, maps: tuple[Tensor, ...] | list[Tensor]) -> list[Tensor]:
        """Return the priors of each level, for maps of those sizes."""
        sizes = tuple((int(level.shape[-2]), int(level.shape[-1])) for level in maps)
        if sizes not in self._known:
            options = {"with_stride": True} if hasattr(self._head, "multi_level_conv_obj") else {}
            generator = self._head.prior_generator
            self._known[sizes] = generator.grid_priors(sizes, dtype=torch.float32, device="cpu", **options)
        return self._known[sizes]


def candidates_of_head(head: Any, priors: Priors, outputs: tuple[Any, ...], metas: dict[str, Any]) -> Candidates:
    """Return the best boxes of each level of a dense head, in pixels of the picture.

    Done as by ``BaseDenseHead._predict_by_feat_single``, with a fixed number of candidates.

    Args:
        head: The head.
        priors: Its priors.
        outputs: What it says of one image: scores and boxes of each level, and perhaps a factor of the scores.
        metas: See :meth:`bdd100k_models.export.prepare.Geometry.metas`.
    """
    settings = head.test_cfg
    factors = outputs[2] if len(outputs) > 2 else [None] * len(outputs[0])
    boxes, anchors, scores, classes = [], [], [], []
    for score_map, box_map, factor_map, prior in zip(*outputs[:2], factors, priors(outputs[0]), strict=True):
        channels = int(head.cls_out_channels)
        logits = score_map[0].permute(1, 2, 0).reshape(-1, channels)
        level = logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)[:, :-1]
        count = min(int(settings.nms_pre), int(level.numel()))
        best, places = level.flatten().topk(count)
        channels = int(level.shape[1])
        position = torch.div(places, channels, rounding_mode="floor")
        best = torch.where(best > float(settings.score_thr), best, torch.full_like(best, -1.0))
        if factor_map is not None:
            best = best * factor_map[0].permute(1, 2, 0).reshape(-1).sigmoid()[position]
        boxes.append(box_map[0].permute(1, 2, 0).reshape(-1, head.bbox_coder.encode_size)[position])
        anchors.append(prior[position])
        scores.append(best)
        classes.append(places - position * channels)
    decoded = head.bbox_coder.decode(torch.cat(anchors), torch.cat(boxes), max_shape=metas["img_shape"])
    return Candidates(_rescale(decoded, metas), torch.cat(scores), torch.cat(classes))


def _rescale(boxes: Tensor, metas: dict[str, Any]) -> Tensor:
    """Take boxes from pixels of the network's input to those of the picture."""
    across, down = metas["scale_factor"]
    return boxes if (across, down) == (1, 1) else boxes * boxes.new_tensor([1 / across, 1 / down] * 2)


def choose(candidates: Candidates, settings: Any, least: float = 0.0) -> Found:
    """Suppress what overlaps and keep the best.

    Args:
        candidates: The boxes.
        settings: ``nms`` and ``max_per_img``.
        least: Only scores above this count.
    """
    groups = None if settings.nms.get("class_agnostic") else candidates.classes
    overlap, count = float(settings.nms.iou_threshold), int(settings.max_per_img)
    places, valid = suppress(candidates.boxes, groups, candidates.scores, overlap, least, count)
    return Found(
        candidates.boxes[places] * valid[:, None],
        candidates.scores[places] * valid,
        torch.where(valid, candidates.classes[places], torch.full_like(places, NO_OBJECT)),
    )


class DenseNetwork(Network):
    """Detectors of one stage."""

    one_by_one = True

    def __init__(self, model: nn.Module, geometry: Geometry, post: bool) -> None:
        super().__init__(model, geometry, post)
        self.priors = Priors(self.model.bbox_head)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return ("boxes", "scores", "classes")

    def head(self, *features: Tensor) -> Tensors:
        """Return boxes, scores and classes: suppressed, or all candidates."""
        outputs = self.model.bbox_head(features)
        candidates = candidates_of_head(self.model.bbox_head, self.priors, outputs, self.metas)
        return choose(candidates, self.model.bbox_head.test_cfg) if self.post else candidates


class TwoStages:
    """Proposals and regions of detectors of two stages, for one image.

    Args:
        detector: The detector.
        metas: See :meth:`bdd100k_models.export.prepare.Geometry.metas`.
    """

    def __init__(self, detector: Any, metas: dict[str, Any]) -> None:
        self.detector, self.metas = detector, metas
        self.roi_head = detector.roi_head
        self.priors = Priors(detector.rpn_head)
        self.with_mask = bool(self.roi_head.with_mask)

    def propose(self, features: Tensors) -> tuple[Tensor, Tensor]:
        """Return proposals (K, 4) in pixels of the input, and which count (K,), as ``RPNHead`` makes them."""
        head = self.detector.rpn_head
        settings = head.test_cfg
        score_maps, box_maps = head(features)
        boxes, anchors, scores, levels = [], [], [], []
        for index, (score_map, box_map, prior) in enumerate(
            zip(score_maps, box_maps, self.priors(score_maps), strict=True)
        ):
            logits = score_map[0].permute(1, 2, 0).reshape(-1, int(head.cls_out_channels))
            level = (logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)[:, :-1]).flatten()
            best, places = level.topk(min(int(settings.nms_pre), int(level.numel())))
            boxes.append(box_map[0].permute(1, 2, 0).reshape(-1, 4)[places])
            anchors.append(prior[places])
            scores.append(best)
            levels.append(torch.full_like(places, index))
        corners = head.bbox_coder.decode(torch.cat(anchors), torch.cat(boxes), max_shape=self.metas["img_shape"])
        score = torch.cat(scores)
        least = float(settings.get("min_bbox_size", -1))
        if least >= 0:
            large = ((corners[:, 2:] - corners[:, :2]) > least).all(dim=1)
            score = torch.where(large, score, torch.full_like(score, -1.0))
        overlap, count = float(settings.nms.iou_threshold), int(settings.max_per_img)
        places, valid = suppress(corners, torch.cat(levels), score, overlap, -0.5, min(count, int(score.shape[0])))
        return corners[places] * valid[:, None], valid

    def candidates(self, features: Tensors) -> Candidates:
        """Return a box for each class of each proposal, in pixels of the picture; with masks, in those of the input."""
        proposals, valid = self.propose(features)
        rois = _as_rois(proposals)
        if hasattr(self.roi_head, "num_stages"):
            refined, scores, deltas = self.roi_head._refine_roi(features, rois, [self.metas], (int(rois.shape[0]),))
            rois, logits, delta, head = refined[0], scores[0], deltas[0], self.roi_head.bbox_head[-1]
        else:
            said = self.roi_head._bbox_forward(features, rois)
            logits, delta, head = said["cls_score"], said["bbox_pred"], self.roi_head.bbox_head
        decoded = head._predict_by_feat_single(rois, logits, delta, self.metas, rescale=not self.with_mask)
        kinds, count = int(head.num_classes), int(proposals.shape[0])
        boxes = decoded.bboxes.reshape(count, -1, 4)
        boxes = boxes.expand(count, kinds, 4).reshape(-1, 4)
        scores = decoded.scores[:, :kinds] * valid[:, None]
        return Candidates(boxes, scores.flatten(), torch.arange(kinds).repeat(count))

    def masks(self, features: Tensors, found: Found) -> Tensor:
        """Return the mask of each object in its box, (K, height, width), 0 to 1."""
        rois = _as_rois(found.boxes)
        if hasattr(self.roi_head, "num_stages"):
            stages = [
                self.roi_head._mask_forward(stage, features, rois)["mask_preds"].sigmoid()
                for stage in range(self.roi_head.num_stages)
            ]
            masks = torch.stack(stages).mean(dim=0)
        else:
            masks = self.roi_head._mask_forward(features, rois)["mask_preds"].sigmoid()
        if int(masks.shape[1]) == 1:
            return masks[:, 0]
        return masks[torch.arange(int(found.classes.shape[0])), found.classes.clamp(min=0)]


def _as_rois(boxes: Tensor) -> Tensor:
    return functional.pad(boxes, (1, 0))


class TwoStageNetwork(Network):
    """Detectors of two stages, with masks or without."""

    one_by_one = True

    def __init__(self, model: nn.Module, geometry: Geometry, post: bool) -> None:
        super().__init__(model, geometry, post)
        self.stages = TwoStages(self.model, self.metas)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        names = ("boxes", "scores", "classes")
        return (*names, "masks") if self.stages.with_mask and self.post else names

    def head(self, *features: Tensor) -> Tensors:
        """Return boxes, scores, classes and, if there are any, masks; without ``post`` all candidates and no masks."""
        candidates = self.stages.candidates(features)
        if not self.post:
            boxes = candidates.boxes  # of masks' boxes, still in pixels of the input
            return candidates._replace(boxes=_rescale(boxes, self.metas)) if self.stages.with_mask else candidates
        settings = self.model.roi_head.test_cfg
        found = choose(candidates, settings, float(settings.score_thr))
        if not self.stages.with_mask:
            return found
        masks = self.stages.masks(features, found)
        return (_rescale(found.boxes, self.metas), found.scores, found.classes, masks)

    def options(self) -> dict[str, Any]:
        """Return what the runtime needs to know besides."""
        return {"mask_threshold": float(self.model.roi_head.test_cfg.mask_thr_binary)} if self.stages.with_mask else {}


class PanopticNetwork(TwoStageNetwork):
    """Instances, and the class of what lies behind them; the runtime puts one over the other."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return (*super().outputs, "background")

    def head(self, *features: Tensor) -> Tensors:
        """Return what instances do, and the background's class, uint8 (H, W), counted from the first that is stuff."""
        logits = self.model.semantic_head.predict(features, [self.metas], rescale=True)[0]
        return (*super().head(*features), logits.argmax(dim=0).to(torch.uint8))

    def options(self) -> dict[str, Any]:
        """Return what the runtime needs to know besides."""
        settings = self.model.panoptic_fusion_head.test_cfg
        fusion = {"mask_overlap": float(settings.mask_overlap), "stuff_area_limit": int(settings.stuff_area_limit)}
        return super().options() | fusion


class SparseNetwork(Network):
    """Sparse R-CNN: a fixed set of learnt proposals and no suppression."""

    one_by_one = True

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return ("boxes", "scores", "classes")

    def head(self, *features: Tensor) -> Tensors:
        """Return boxes, scores and classes."""
        from mmdet.structures import DetDataSample

        sample = DetDataSample(metainfo=self.metas)
        proposals = self.model.rpn_head.predict(features, [sample])
        settings = self.model.roi_head.test_cfg
        (found,) = self.model.roi_head.predict_bbox(features, [self.metas], proposals, settings, rescale=True)
        return found.bboxes, found.scores, found.labels


def detector_kind(model: Any) -> type[Network] | None:
    """Return the class for a detector of mmdet, or None where there is none."""
    from mmdet.models import detectors

    kinds: tuple[tuple[type, type[Network]], ...] = (
        (detectors.SparseRCNN, SparseNetwork),
        (detectors.PanopticFPN, PanopticNetwork),
        (detectors.TwoStageDetector, TwoStageNetwork),
        (detectors.SingleStageDetector, DenseNetwork),
    )
    return next((kind for known, kind in kinds if isinstance(model, known)), None)
