"""mmdet 3.3 takes boxes in the precision of the features, which in bfloat16 is four pixels at the right edge.

mmdet 2 left reduced precision before boxes were decoded and suppressed, and before features were pooled from them
(``force_fp32``); mmdet 3 does not, so under autocast anchors, boxes and the offsets between classes are rounded, small
objects lose their extent, a second stage looks beside its boxes, and motion trackers meet arrays that NumPy does not
have. Here what predicts takes float32 again; pooled features go on in the precision that they came in. Training stays
as mmdet has it.
The mend is no longer needed once ``BaseDenseHead.predict_by_feat`` gives the same boxes for maps of either precision,
and ``SingleRoIExtractor.forward`` leaves regions as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

_REDUCED = (torch.bfloat16, torch.float16)


def install() -> None:
    """Mend the heads and what pools for them; once is enough, twice does no harm. mmdet must be importable."""
    from mmdet.models.dense_heads import YOLOXHead
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
    from mmdet.models.roi_heads.bbox_heads import BBoxHead
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

    for part, names, mend in (
        (BaseDenseHead, ("predict_by_feat",), _widening),
        (YOLOXHead, ("predict_by_feat",), _widening),
        (BBoxHead, ("predict_by_feat", "refine_bboxes", "regress_by_class"), _widening),
        (SingleRoIExtractor, ("forward",), _pooling),
    ):
        for name in names:
            if not hasattr(method := getattr(part, name), "__wrapped__"):
                setattr(part, name, mend(method))


def _widening(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: Any, *arguments: Any, **options: Any) -> Any:
        if torch.is_grad_enabled() or not (devices := _devices_of_reduced([arguments, options])):
            return method(self, *arguments, **options)
        with torch.autocast(devices[0], enabled=False):
            return method(self, *_widen(arguments), **_widen(options))

    return wrapped


def _pooling(method: Callable[..., Any]) -> Callable[..., Any]:
    widened = _widening(method)

    @functools.wraps(method)
    def wrapped(self: Any, feats: Any, *arguments: Any, **options: Any) -> Any:
        if self.training:  # frozen parts pool without gradients
            return method(self, feats, *arguments, **options)
        return widened(self, feats, *arguments, **options).type_as(feats[0])

    return wrapped


def _devices_of_reduced(node: Any) -> list[str]:
    if isinstance(node, torch.Tensor):
        return [node.device.type] if node.dtype in _REDUCED else []
    items = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return [device for item in items for device in _devices_of_reduced(item)]


def _widen(node: Any) -> Any:
    if isinstance(node, torch.Tensor):
        return node.float() if node.dtype in _REDUCED else node
    if type(node) in (list, tuple):
        return type(node)(_widen(item) for item in node)
    return {key: _widen(item) for key, item in node.items()} if type(node) is dict else node
