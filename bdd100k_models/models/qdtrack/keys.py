"""How the weights of the original and of Vis4D are named here.

The original keeps everything in one two-stage detector, or wraps the detector once more; Vis4D has names of its own.
Here the detector and the embedding head stand side by side, as in mmdet 3. Checkpoints made here pass unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

_Value = TypeVar("_Value")


class Renaming(NamedTuple):
    """One rule: what to replace, by what, and why."""

    pattern: str
    replacement: str
    reason: str


class Naming(NamedTuple):
    """The names of one code base.

    Attributes:
        marks: A pattern that some key of its checkpoints fits, and no key of the model here.
        renamings: Rules, in the order in which they are tried; the first that fits a key names it.
    """

    marks: str
    renamings: tuple[Renaming, ...]


_HEAD = "track_head.embed_head."

ORIGINAL = Naming(
    marks=r"^roi_head\.track_head\.",
    renamings=(
        Renaming(r"^roi_head\.track_head\.", _HEAD, "the embedding head stands beside the detector, not inside it"),
        Renaming(r"^(backbone|neck|rpn_head|roi_head)\.", r"detector.\1.", "the model wraps a detector"),
    ),
)

#: The original's repository since August 2022: the detector is wrapped already.
ORIGINAL_WRAPPED = Naming(
    marks=r"^track_head\.track_head\.",
    renamings=(
        Renaming(
            r"^track_head\.track_head\.", _HEAD, "what extracts embeddings of regions is called a head of its own"
        ),
    ),
)

_VIS4D_HEAD = (
    Renaming(
        r"^qdtrack(?:_head)?\.similarity_head\.convs\.(\d+)\.norm\.",
        rf"{_HEAD}convs.\1.gn.",
        "mmcv calls a group normalisation by its abbreviation",
    ),
    Renaming(
        r"^qdtrack(?:_head)?\.similarity_head\.convs\.(\d+)\.weight$",
        rf"{_HEAD}convs.\1.conv.weight",
        "Vis4D's convolution inherits from PyTorch's, mmcv's holds one",
    ),
    Renaming(
        r"^qdtrack(?:_head)?\.similarity_head\.fcs\.(\d+)\.0\.",
        rf"{_HEAD}fcs.\1.",
        "Vis4D keeps each layer and its activation together",
    ),
    Renaming(r"^qdtrack(?:_head)?\.similarity_head\.fc_embed\.", f"{_HEAD}fc_embed.", "another name of the head"),
)

VIS4D_FASTER_RCNN = Naming(
    marks=r"^(?:basemodel|backbone\.body)\.conv1\.",
    renamings=(
        Renaming(r"^(?:basemodel|backbone\.body)\.", "detector.backbone.", "another name of the backbone"),
        Renaming(
            r"^(?:backbone\.)?fpn\.inner_blocks\.(\d+)\.0\.",
            r"detector.neck.lateral_convs.\1.conv.",
            "Vis4D builds on torchvision's feature pyramid",
        ),
        Renaming(
            r"^(?:backbone\.)?fpn\.layer_blocks\.(\d+)\.0\.",
            r"detector.neck.fpn_convs.\1.conv.",
            "Vis4D builds on torchvision's feature pyramid",
        ),
        Renaming(
            r"^faster_rcnn_heads?\.rpn_head\.rpn_box\.",
            "detector.rpn_head.rpn_reg.",
            "mmdet calls the layer by what it does",
        ),
        Renaming(r"^faster_rcnn_heads?\.rpn_head\.", "detector.rpn_head.", "the model wraps a detector"),
        Renaming(
            r"^faster_rcnn_heads?\.roi_head\.",
            "detector.roi_head.bbox_head.",
            "mmdet's RoI head holds a box head, and may hold a mask head",
        ),
        *_VIS4D_HEAD,
    ),
)

VIS4D_YOLOX = Naming(
    marks=r"^basemodel\.stem\.",
    renamings=(
        Renaming(
            r"^basemodel\.(.+)\.norm\.",
            r"detector.backbone.\1.bn.",
            "mmcv calls a batch normalisation by its abbreviation",
        ),
        Renaming(
            r"^basemodel\.(.+)\.weight$",
            r"detector.backbone.\1.conv.weight",
            "Vis4D's convolution inherits from PyTorch's, mmcv's holds one",
        ),
        Renaming(
            r"^fpn\.(.+)\.norm\.", r"detector.neck.\1.bn.", "mmcv calls a batch normalisation by its abbreviation"
        ),
        Renaming(
            r"^fpn\.(.+)\.weight$",
            r"detector.neck.\1.conv.weight",
            "Vis4D's convolution inherits from PyTorch's, mmcv's holds one",
        ),
        Renaming(
            r"^yolox_head\.multi_level_conv_(cls|reg|obj)\.",
            r"detector.bbox_head.multi_level_conv_\1.",
            "the model wraps a detector; these are PyTorch's convolutions in both",
        ),
        Renaming(
            r"^yolox_head\.(.+)\.norm\.",
            r"detector.bbox_head.\1.bn.",
            "mmcv calls a batch normalisation by its abbreviation",
        ),
        Renaming(
            r"^yolox_head\.(.+)\.weight$",
            r"detector.bbox_head.\1.conv.weight",
            "Vis4D's convolution inherits from PyTorch's, mmcv's holds one",
        ),
        *_VIS4D_HEAD,
    ),
)

NAMINGS = (ORIGINAL, ORIGINAL_WRAPPED, VIS4D_FASTER_RCNN, VIS4D_YOLOX)

#: Keys that are left out, with the reason. All others find their place, or loading says which do not.
DROPPED: Mapping[str, str] = {
    r"^model\.": "stands beside ``ema_model.``, the moving average of the same weights, which is what Vis4D tests",
}

_WRAPPER = "model."
_AVERAGE = "ema_model."


def map_key(key: str, naming: Naming) -> str:
    """Return the name here of a tensor of another code base; a name that no rule knows stays."""
    for rule in naming.renamings:
        renamed, count = re.subn(rule.pattern, rule.replacement, key)
        if count:
            return renamed
    return key


def map_keys(state_dict: Mapping[str, _Value]) -> dict[str, _Value]:
    """Name the tensors of a checkpoint of the original, of Vis4D, or made here, as they are named here.

    What a Lightning file wraps is unwrapped. Where it holds both the weights that were trained and their moving
    average, the average is taken.

    Args:
        state_dict: Tensors by name.

    Returns:
        The same tensors, less those that :data:`DROPPED` lists, by the names here.
    """
    state = _unwrap(state_dict)
    for naming in NAMINGS:
        if any(re.search(naming.marks, key) for key in state):
            return {map_key(key, naming): value for key, value in state.items()}
    return state


def _unwrap(state_dict: Mapping[str, _Value]) -> dict[str, _Value]:
    """Strip what training wraps around a model from its names."""
    state = dict(state_dict)
    while state and all(key.startswith(_WRAPPER) for key in state):
        state = {key.removeprefix(_WRAPPER): value for key, value in state.items()}
    if any(key.startswith(_AVERAGE) for key in state):
        state = {
            key.removeprefix(_AVERAGE): value
            for key, value in state.items()
            if not any(re.search(pattern, key) for pattern in DROPPED)
        }
    return state
