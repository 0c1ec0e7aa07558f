"""pycocotools under the name of xtcocotools, which mmpose 1.3.2 imports.

xtcocotools' wheels are built for NumPy 1 and do not import under NumPy 2. It is pycocotools with additions for
whole-body and crowded keypoints; what mmpose's datasets use is the same in both. mmpose's own ``CocoMetric`` uses the
additions (two more arguments of ``COCOeval``) and cannot run on pycocotools; BDD100K's pose metric is not that one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

ALIASES = {
    "xtcocotools": "pycocotools",
    "xtcocotools.coco": "pycocotools.coco",
    "xtcocotools.cocoeval": "pycocotools.cocoeval",
    "xtcocotools.mask": "pycocotools.mask",
}


class _AliasLoader(Loader):
    _own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that stands behind the alias."""
        module = importlib.import_module(ALIASES[spec.name])
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back its own spec; it was executed under its own name."""
        module.__spec__ = self._own_spec


class _AliasFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to import an alias, or None for every other name."""
        if fullname not in ALIASES:
            return None
        return ModuleSpec(fullname, _AliasLoader(), is_package=fullname == "xtcocotools")


def install() -> None:
    """Let ``import xtcocotools`` find pycocotools. Safe to call again; imports nothing itself."""
    if not any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AliasFinder())
