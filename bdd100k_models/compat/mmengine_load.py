"""mmengine 0.10.12 (onedl fork) opens a checkpoint with ``weights_only=True`` and, when that is refused, again without.

The second attempt executes whatever the file's pickle holds. Here the refusal stands. The mend is no longer needed once
``mmengine.runner.checkpoint._safe_torch_load`` raises for an unsafe file by itself.
"""

from __future__ import annotations

from typing import Any

import torch


def _load_weights_only(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    from mmengine.runner import checkpoint

    with torch.serialization.safe_globals(checkpoint.get_torch_safe_globals()):
        return torch.load(file, map_location=map_location, weights_only=True)


def install() -> None:
    """Replace mmengine's loader by one that never executes code."""
    from mmengine.runner import checkpoint

    checkpoint._safe_torch_load = _load_weights_only
