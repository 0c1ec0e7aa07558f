"""A placeholder for imgaug, which mmdet 3.5.1 imports and BDD100K's models never use.

mmdet's lane-line transforms import ``imgaug`` at the top of a module that all of ``mmdet.datasets`` loads. Its
maintained distribution, imaug 0.4.3, brings numba, llvmlite and ``opencv-python``, whose files overwrite those of
``opencv-python-headless`` and need system libraries. Where imgaug is not installed, a placeholder takes its name and
fails only when something of it is called.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from bdd100k_models.errors import UnsupportedOpError

# the modules that mmdet/datasets/transforms/generate_line.py names, and their parents
MODULES = (
    "imgaug",
    "imgaug.augmenters",
    "imgaug.augmentables",
    "imgaug.augmentables.lines",
    "imgaug.augmentables.segmaps",
)


class _Placeholder(ModuleType):
    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

        def refuse(*args: Any, **kwargs: Any) -> NoReturn:
            raise UnsupportedOpError(f"{self.__name__}.{name} needs imgaug; to have it: pip install imaug")

        return refuse


def install() -> None:
    """Register the placeholder unless imgaug is installed. Safe to call again."""
    if "imgaug" in sys.modules or importlib.util.find_spec("imgaug") is not None:
        return
    for name in MODULES:
        module = _Placeholder(name, __doc__)
        module.__spec__ = ModuleSpec(name, loader=None, origin=__name__, is_package=True)
        module.__path__ = []
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            vars(sys.modules[parent])[child] = module
