"""Drawn driving scenes with exact labels, in the data set's own layout; no data is needed to try the models."""

from bdd100k_models.datasets.synth.generate import IMAGE_TASKS, Summary, generate
from bdd100k_models.datasets.synth.generate_videos import VIDEO_TASKS, generate_videos

__all__ = ["IMAGE_TASKS", "VIDEO_TASKS", "Summary", "generate", "generate_videos"]
