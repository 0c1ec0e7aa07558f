"""Regions of labels in any of their forms, painted over each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from bdd100k_models.formats import rle
from bdd100k_models.formats.polygons import paint_polygons
from bdd100k_models.formats.scalabel import RLE, Poly2D


def paint_regions(
    regions: Sequence[tuple[RLE | None, Sequence[Poly2D] | None]], size: tuple[int, int], where: str
) -> npt.NDArray[np.int32]:
    """Paint regions over each other, later ones on top, whatever their form.

    Args:
        regions: Run lengths and polygons of each region; of one that has both, the polygons are left out, as the
            official tool leaves them out.
        size: Height and width in pixels.
        where: File and frame, for errors.

    Returns:
        int32 (height, width): the number of each pixel's region, from 1; 0 outside all.

    Raises:
        LabelError: A mask or polygon is malformed, or a mask has another size.
        InputError: There are more than 65535 regions.
    """
    if regions and all(mask is not None for mask, _ in regions):  # in one pass
        return rle.decode_ids(
            [(number, mask) for number, (mask, _) in enumerate(regions, 1) if mask is not None], size, where
        )
    painted = np.zeros(size, np.int32)
    for coded, group in groupby(enumerate(regions, 1), key=lambda numbered: numbered[1][0] is not None):
        if coded:
            masks = [(number, mask) for number, (mask, _) in group if mask is not None]
            layer = rle.decode_ids(masks, size, where)
        elif polygons := [(number, outline) for number, (_, outline) in group if outline]:
            layer = paint_polygons(polygons, size, 0, where)
        else:
            continue
        np.copyto(painted, layer, where=layer > 0)
    return painted
