"""Registers this package's datasets and metrics with OpenMMLab, after the mends it needs.

Importing this module is enough; configs name it in ``custom_imports`` so that OpenMMLab's own tools find the types.
"""

from __future__ import annotations

import importlib

from bdd100k_models import compat
from bdd100k_models.compat.import_notes import without_import_remarks

compat.activate()

#: The library whose types a config names when it does not say so.
DEFAULT_SCOPE = "mmdet"

with without_import_remarks():
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)

from bdd100k_models.datasets import detection, tagging  # noqa: E402, F401
from bdd100k_models.engine import hooks, metric  # noqa: E402, F401
from bdd100k_models.models import dla  # noqa: E402, F401


def enter_scope(scope: str | None) -> None:
    """Make names in configs mean the types of one library: ``mmdet``, ``mmseg``, ``mmpretrain`` or ``mmpose``.

    Its data sets and transforms are imported here, where their remarks can be kept from standard output.
    """
    from mmengine.registry import init_default_scope

    scope = scope or DEFAULT_SCOPE
    with without_import_remarks():
        importlib.import_module(f"{scope}.datasets")
    init_default_scope(scope)
