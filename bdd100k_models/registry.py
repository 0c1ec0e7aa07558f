"""Registers this package's datasets and metrics with OpenMMLab, after the mends it needs.

Importing this module is enough; configs name it in ``custom_imports`` so that OpenMMLab's own tools find the types.
"""

from __future__ import annotations

import importlib
import uuid

from bdd100k_models import compat
from bdd100k_models.compat.import_notes import without_import_remarks
from bdd100k_models.errors import ConfigError

compat.activate()

#: The library whose types a config names when it does not say so.
DEFAULT_SCOPE = "mmdet"

#: What this package adds to the registries of one library alone, imported with that library.
_ADDITIONS = {"mmpose": ("bdd100k_models.models.pose_codecs",)}

with without_import_remarks():
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)

from bdd100k_models.compat import full_precision_boxes  # noqa: E402
from bdd100k_models.datasets import (  # noqa: E402
    detection,  # noqa: F401
    instances,  # noqa: F401
    pair_mixing,  # noqa: F401
    panoptic,  # noqa: F401
    pose,  # noqa: F401
    pose_transforms,  # noqa: F401
    semantic,  # noqa: F401
    tagging,  # noqa: F401
    videos,  # noqa: F401
)
from bdd100k_models.engine import hooks, metric  # noqa: E402, F401
from bdd100k_models.models import (  # noqa: E402
    dla,  # noqa: F401
    fine_pyramid,  # noqa: F401
    ladder_head,  # noqa: F401
    panoptic_ladder,  # noqa: F401
    pcan,  # noqa: F401
    qdtrack,  # noqa: F401
    stem_resnet,  # noqa: F401
)

full_precision_boxes.install()


def enter_scope(scope: str | None) -> None:
    """Make names in configs mean the types of one library: ``mmdet``, ``mmseg``, ``mmpretrain`` or ``mmpose``.

    Its data sets and transforms are imported here, where their remarks can be kept from standard output.
    """
    from mmengine.registry import DefaultScope

    scope = scope or DEFAULT_SCOPE
    with without_import_remarks():
        try:
            importlib.import_module(f"{scope}.datasets")
        except ModuleNotFoundError as error:
            if error.name != scope:
                raise
            raise ConfigError(
                f"{scope} is not installed, which this model needs; pip install --no-deps -r requirements.txt"
            ) from None
        for module in _ADDITIONS.get(scope, ()):
            importlib.import_module(module)
    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name != scope:
        # mmengine's own function warns of a change, but one process may use models of several libraries
        DefaultScope.get_instance(f"{scope}-{uuid.uuid4().hex}", scope_name=scope)
