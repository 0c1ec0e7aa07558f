"""Registers this package's datasets and metrics with OpenMMLab, after the mends it needs.

Importing this module is enough; configs name it in ``custom_imports`` so that OpenMMLab's own tools find the types.
"""

from __future__ import annotations

from bdd100k_models import compat
from bdd100k_models.compat.import_notes import without_import_remarks

compat.activate()

with without_import_remarks():
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)

from bdd100k_models.datasets import detection  # noqa: E402, F401
from bdd100k_models.engine import hooks, metric  # noqa: E402, F401
