"""Graphs of trackers: what they see in one frame. Following it through the video is left to the caller."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bdd100k_models.errors import InputError
from bdd100k_models.export.detectors import Candidates, Found, Priors, TwoStages, choose
from bdd100k_models.export.networks import Network, Tensors
from bdd100k_models.export.prepare import Geometry


class QuasiDenseNetwork(Network):
    """Boxes of a frame with the embedding of each, by which QDTrack tells objects apart."""

    one_by_one = True

    def __init__(self, model: nn.Module, geometry: Geometry, post: bool) -> None:
        super().__init__(model, geometry, post)
        self.detector: Any = self.model.detector
        self.one_stage = not hasattr(self.detector, "roi_head")
        if self.one_stage:
            self.priors = Priors(self.detector.bbox_head)
        else:
            self.stages = TwoStages(self.detector, self.metas)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what the head gives."""
        return ("boxes", "scores", "classes", "embeddings") if self.post else ("boxes", "scores", "classes")

    def features(self, images: Tensor) -> Tensors:
        """Take float32 (N, 3, height, width), normalised and padded."""
        return tuple(self.detector.extract_feat(images))

    def head(self, *features: Tensor) -> Tensors:
        """Return boxes, scores, classes and embeddings, or all candidates."""
        candidates = self._candidates(features)
        if not self.post:
            return candidates
        found = self._choose(candidates)
        across, down = self.metas["scale_factor"]
        scale = found.boxes.new_tensor([across, down, across, down])
        embeddings = self.model.track_head.predict(features, [found.boxes * scale])
        return (*found, embeddings)

    def _candidates(self, features: Tensors) -> Candidates:
        if self.one_stage:
            return _candidates_of_yolox(self.detector.bbox_head, self.priors, features, self.metas)
        return self.stages.candidates(features)

    def _choose(self, candidates: Candidates) -> Found:
        if self.one_stage:
            settings = self.detector.bbox_head.test_cfg
            settings = settings if "max_per_img" in settings else settings | {"max_per_img": _MOST}
            found = choose(candidates, settings)
        else:
            settings = self.detector.roi_head.test_cfg
            found = choose(candidates, settings, float(settings.score_thr))
        if not self.model.clip_boxes:
            return found
        height, width = self.metas["ori_shape"]
        edge = found.boxes.new_tensor([width, height, width, height])
        return found._replace(boxes=torch.minimum(found.boxes.clamp(min=0), edge))


#: Most objects of a frame, where the config has no limit; a graph's outputs have a size.
_MOST = 1000


def _candidates_of_yolox(head: Any, priors: Priors, features: Tensors, metas: dict[str, Any]) -> Candidates:
    """Return a box a position in pixels of the picture, as ``YOLOXHead.predict_by_feat`` makes them."""
    score_maps, box_maps, objectness_maps = head(features)

    def flat(maps: list[Tensor], channels: int) -> Tensor:
        return torch.cat([level[0].permute(1, 2, 0).reshape(-1, channels) for level in maps])

    scores, classes = flat(score_maps, int(head.cls_out_channels)).sigmoid().max(dim=1)
    scores = scores * flat(objectness_maps, 1).sigmoid()[:, 0]
    boxes = head._bbox_decode(torch.cat(priors(score_maps)), flat(box_maps, 4))
    across, down = metas["scale_factor"]
    boxes = boxes * boxes.new_tensor([1 / across, 1 / down] * 2)
    sure = scores >= float(head.test_cfg.score_thr)
    # what is unsure is left out in PyTorch: its boxes, of any size, must not decide how far classes are put apart
    return Candidates(boxes * sure[:, None], torch.where(sure, scores, torch.full_like(scores, -1.0)), classes)


def tracker_network(model: Any, geometry: Geometry, post: bool) -> Network:
    """Return what a graph of a tracker computes.

    Raises:
        InputError: It is none that sees each frame for itself.
    """
    from bdd100k_models.models.pcan.pcan import PCAN
    from bdd100k_models.models.qdtrack.qdtrack import BoxQDTrack

    if isinstance(model, PCAN):
        raise InputError("PCAN: no graph can be made; its features and masks depend on a memory of earlier frames")
    if isinstance(model, BoxQDTrack):
        return QuasiDenseNetwork(model, geometry, post)
    raise InputError(f"{type(model).__name__}: graphs of such models cannot be made")
