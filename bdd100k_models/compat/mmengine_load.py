"""mmengine 0.10.12 (onedl fork) opens a checkpoint with ``weights_only=True`` and, when that is refused, again without.

The second attempt executes whatever the file's pickle holds. Here the refusal stands. So that checkpoints of pose
models, whose description of the data set holds small arrays, are not refused, NumPy's plain number types are added to
what mmengine lists as harmless. The mend is no longer needed once ``mmengine.runner.checkpoint._safe_torch_load``
raises for an unsafe file by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

#: Types of the elements of arrays; making one runs nothing.
_NUMBERS = tuple({type(np.dtype(kind)) for kind in "?bhilqBHILQefd"})


def safe_types() -> list[Any]:
    """Return what a checkpoint may hold besides tensors and builtins."""
    from mmengine.runner import checkpoint

    return [*checkpoint.get_torch_safe_globals(), *_NUMBERS]


def _load_weights_only(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    with torch.serialization.safe_globals(safe_types()):
        return torch.load(file, map_location=map_location, weights_only=True)


def install() -> None:
    """Replace mmengine's loader by one that never executes code."""
    from mmengine.runner import checkpoint

    checkpoint._safe_torch_load = _load_weights_only
