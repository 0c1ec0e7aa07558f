"""BDD100K Models: the published zoo of nine driving perception tasks on today's OpenMMLab."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bdd100k-models")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"
