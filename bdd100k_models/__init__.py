"""BDD100K Models: the published zoo of nine driving perception tasks on today's OpenMMLab.

``load_model`` and what it returns are imported when they are first used: they need PyTorch, which takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bdd100k_models.inference.model import Model, load_model
    from bdd100k_models.inference.results import (
        ClassMap,
        Detections,
        Instances,
        MaskTracks,
        Panoptic,
        People,
        Result,
        Tags,
        Tracks,
    )
    from bdd100k_models.inference.videos import video_frames

try:
    __version__ = version("bdd100k-models")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"

_RESULTS = ("ClassMap", "Detections", "Instances", "MaskTracks", "Panoptic", "People", "Result", "Tags", "Tracks")
_LATE = {"Model": "model", "load_model": "model", "video_frames": "videos"} | dict.fromkeys(_RESULTS, "results")

__all__ = [
    "ClassMap",
    "Detections",
    "Instances",
    "MaskTracks",
    "Model",
    "Panoptic",
    "People",
    "Result",
    "Tags",
    "Tracks",
    "__version__",
    "load_model",
    "video_frames",
]


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.inference.{_LATE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
