"""Prototypical cross-attention networks: tracks with masks. Importing this registers the model with mmdet."""

from bdd100k_models.models.pcan.pcan import PCAN
from bdd100k_models.models.pcan.refine_head import PrototypeRefineHead
from bdd100k_models.models.pcan.tracker import MaskTracker

__all__ = ["PCAN", "MaskTracker", "PrototypeRefineHead"]
