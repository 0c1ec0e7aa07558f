"""Mends for third-party packages, each in one module with its reason and the version it is for."""

from __future__ import annotations

import functools


@functools.cache
def activate() -> None:
    """Make mmcv's operators importable and apply every mend, once.

    Call it before importing ``mmdet``, ``mmseg``, ``mmpretrain`` or ``mmpose``. Safe to call again.
    """
    from bdd100k_models.compat import image_faults, imgaug, mmcv_ext, mmengine_load, xtcocotools

    mmcv_ext.install()
    mmengine_load.install()
    imgaug.install()
    image_faults.install()
    xtcocotools.install()
