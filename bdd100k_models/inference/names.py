"""What inference takes where nothing else is said; importing it costs nothing."""

from __future__ import annotations

from collections.abc import Mapping

#: Least score of what is kept.
THRESHOLD = 0.3

#: Finds people for pose models.
DEFAULT_DETECTOR = "faster_rcnn_r50_fpn_3x_det_bdd100k"

#: With a motion tracker: the task of what a detector of boxes, or of instances, becomes.
TRACKED: Mapping[str, str] = {"det": "mot", "ins_seg": "mots"}
