"""mmcv 2.1 does not say which image it cannot load where the file is empty, and raises three kinds of error.

``LoadImageFromFile`` lets pass what the file system, OpenCV and an assertion say; of a file of zero bytes that is an
error of OpenCV without a name. Here each becomes an :class:`~bdd100k_models.errors.ImageError` that names the file. The
mend is no longer needed once the loader's own error does.
"""

from __future__ import annotations

import functools
from typing import Any

import cv2

from bdd100k_models.errors import ImageError


def install() -> None:
    """Mend the loader; once is enough, twice does no harm."""
    from mmcv.transforms import LoadImageFromFile

    original = LoadImageFromFile.transform
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def transform(self: Any, results: dict[str, Any]) -> Any:
        try:
            return original(self, results)
        except (OSError, cv2.error, AssertionError) as error:
            reason = getattr(error, "strerror", None) or "not an image that can be read"
            raise ImageError(f"{results['img_path']}: {reason}; mend it, or take it out of the labels") from error

    LoadImageFromFile.transform = transform
