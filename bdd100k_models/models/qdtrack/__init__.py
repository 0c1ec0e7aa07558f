"""QDTrack: tracks boxes by quasi-dense embeddings. Importing this registers the models with mmdet."""

from bdd100k_models.models.qdtrack.heads import PairTrackHead
from bdd100k_models.models.qdtrack.qdtrack import BoxQDTrack, OneStageQDTrack
from bdd100k_models.models.qdtrack.tracker import BoxTracker

__all__ = ["BoxQDTrack", "BoxTracker", "OneStageQDTrack", "PairTrackHead"]
