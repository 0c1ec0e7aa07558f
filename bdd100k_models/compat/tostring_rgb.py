"""``FigureCanvasAgg.tostring_rgb``, which matplotlib 3.10 took away and scalabel 0.3.1 draws polygons with.

Only the official-evaluation engine needs it, so :func:`install` is not part of
:func:`bdd100k_models.compat.activate`. The mend is no longer needed once scalabel reads ``buffer_rgba``.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def install() -> None:
    """Add the method where matplotlib has none. Safe to call again."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def tostring_rgb(canvas: Any) -> bytes:
        return np.asarray(canvas.buffer_rgba())[..., :3].tobytes()

    if not hasattr(FigureCanvasAgg, "tostring_rgb"):
        setattr(FigureCanvasAgg, "tostring_rgb", tostring_rgb)  # noqa: B010  (matplotlib's stubs know no such name)
