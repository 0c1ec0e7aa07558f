"""``numpy.asfarray`` for motmetrics 1.4.0, under the name that NumPy 2 took away; and its solver.

The official tracking evaluation stands on motmetrics 1.4.0, which calls ``np.asfarray`` for every matrix of overlaps.
NumPy 2.0 removed the function. Only the official-evaluation engine needs it, so :func:`install` is not part of
:func:`bdd100k_models.compat.activate`.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

import numpy as np
import numpy.typing as npt


def asfarray(a: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """Return the values as a floating-point array: of ``dtype`` if that is one, else float64.

    Complex types count as floating-point, as they did in NumPy 1.
    """
    return np.asarray(a, dtype=dtype if np.issubdtype(dtype, np.inexact) else np.float64)


def install() -> None:
    """Add ``numpy.asfarray`` where NumPy has none, and let motmetrics assign with SciPy. Safe to call again.

    motmetrics takes the first solver that it finds, and they differ where assignments are equally good. SciPy's is the
    one that the official tool's requirements bring; lap, which the trackers need, would come before it.
    """
    if not hasattr(np, "asfarray"):
        vars(np)["asfarray"] = asfarray
    with contextlib.suppress(ImportError):
        vars(importlib.import_module("motmetrics.lap"))["default_solver"] = "scipy"
