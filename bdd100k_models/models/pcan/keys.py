"""How the original's weights are named here.

The original keeps everything in one two-stage detector. Here the detector, the embedding head and the refinement stand
side by side. Nothing is dropped: ``mu2`` to ``mu4`` and the counters of batch normalisation play no part at test time,
but are loaded and saved with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from bdd100k_models.models.qdtrack.keys import ORIGINAL, Renaming

_Value = TypeVar("_Value")

#: The rules, in the order in which they are tried; the first that fits a key names it. All but the first are QDTrack's,
#: which may have named a checkpoint before: then the refinement is found inside the detector.
RENAMINGS: tuple[Renaming, ...] = (
    Renaming(
        r"^(?:detector\.)?roi_head\.refine_head\.",
        "refine_head.",
        "the refinement follows the tracker, so it is no part of the detector",
    ),
    *ORIGINAL.renamings,
)


def map_key(key: str) -> str:
    """Return the name here of a tensor of the original; names of this model stay as they are."""
    for rule in RENAMINGS:
        renamed, count = re.subn(rule.pattern, rule.replacement, key)
        if count:
            return renamed
    return key


def map_keys(state_dict: Mapping[str, _Value]) -> dict[str, _Value]:
    """Rename the tensors of a checkpoint of the original, or of one made here (which stays as it is)."""
    return {map_key(key): value for key, value in state_dict.items()}
