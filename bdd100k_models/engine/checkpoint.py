"""Weights of the published zoo, and of runs made here, loaded without executing anything and without a silent gap."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from bdd100k_models.compat.mmengine_load import safe_types
from bdd100k_models.errors import CheckpointError, MissingFileError, first_line

#: Keys that a checkpoint may lack, with the reason.
MAY_BE_MISSING: Mapping[str, str] = {
    r"\.relative_position_index$": "Swin's index table: computed from the window size when the model is built",
    r"\.num_batches_tracked$": "counter of batch normalisation: plays no part at test time",
}

#: Keys that a checkpoint may have although the model does not, with the reason.
MAY_BE_UNEXPECTED: Mapping[str, str] = {
    r"^data_preprocessor\.(mean|std)$": "older mmengine kept the image statistics as buffers; the config has them",
}

#: How keys began when the weights were published, and how the libraries' models name them now.
RENAMED: Mapping[str, str] = {"keypoint_head.": "head."}

#: Parameters whose shape follows from the number of classes.
_OF_CLASSES = (
    r"cls|reg|class|conv_seg|fc_bbox|conv_logits|head\.fc\.",
    r"^backbone\.fc\.",  # DLA classifies in its backbone
    r"^decode_head\.\d+\.(fc_seg|fcs\.\d+)\.",  # PointRend hands the coarse scores to each of its layers
)


def current_key(key: str) -> str:
    """Return what a published model's parameter is called now."""
    for old, new in RENAMED.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file; nothing in it is executed.

    Args:
        path: A file of ``torch.save``, of OpenMMLab 1.x or 2.x.

    Returns:
        A dict with ``state_dict`` (name to tensor, on the CPU), ``meta`` (a dict, maybe empty), ``resumable``
        (whether it holds the optimiser's state too) and ``averaged`` (whether the weights are a moving average).

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: It is damaged, holds objects that would run code, or no weights.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such checkpoint")
    try:
        with torch.serialization.safe_globals(safe_types()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_explain_unpickling(path, str(error))) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
        reason = first_line(error)
        raise CheckpointError(f"{path}: damaged or cut off ({reason}); download it again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a dict of weights")
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: holds no weights under 'state_dict'; is it a checkpoint of this zoo?")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    meta = content.get("meta")
    return {
        "state_dict": state,
        "meta": meta if isinstance(meta, dict) else {},
        "resumable": "optimizer" in content,
        "averaged": "ema_state_dict" in content,
    }


def _explain_unpickling(path: Path, message: str) -> str:
    """Tell a file that would run code from one that is damaged."""
    if match := re.search(r"[Uu]nsupported (?:global: )?(?:GLOBAL|class|operand) ([\w.]+)", message):
        return f"{path}: refused, since loading it would run code ({match.group(1)}); get weights from a trusted source"
    if "nsupported" in message or "not allowed" in message:
        return f"{path}: refused, since it holds more than weights; get weights from a trusted source"
    return f"{path}: damaged or cut off; download it again"


def load_weights(model: nn.Module, path: Path, *, new_heads: bool = False) -> dict[str, Any]:
    """Load a checkpoint into a model; every key must find its place.

    Args:
        model: The model as its config builds it.
        path: The checkpoint.
        new_heads: Where the file has another number of classes, leave the layers that depend on it as they are. Their
            names are logged.

    Returns:
        The checkpoint's ``meta``.

    Raises:
        MissingFileError: There is no such file.
        CheckpointError: It cannot be read safely, or its keys or shapes are not the model's.
    """
    checkpoint = read_checkpoint(path)
    fill(model, checkpoint["state_dict"], checkpoint["meta"], path, new_heads=new_heads)
    return dict(checkpoint["meta"])


def fill(
    model: nn.Module,
    state_dict: Mapping[str, torch.Tensor],
    meta: Mapping[str, Any],
    path: Path,
    *,
    new_heads: bool = False,
) -> None:
    """Put weights into a model; every key must find its place.

    Args:
        model: The model.
        state_dict: Tensors by their name, here or in the published zoo.
        meta: What the checkpoint says of itself.
        path: Where they are from, for messages.
        new_heads: See :func:`load_weights`.

    Raises:
        CheckpointError: Keys or shapes are not the model's.
    """
    state = {current_key(key): value for key, value in state_dict.items()}
    if callable(rename := getattr(model, "map_keys", None)):
        state = rename(state)
    own = model.state_dict()
    wrong = [key for key, value in state.items() if key in own and own[key].shape != value.shape]
    if wrong and not (new_heads and _only_heads(wrong)):
        raise CheckpointError(_explain_shapes(path, wrong, state, own, meta))
    if wrong:
        print_log(f"{path}: other classes, so these begin anew: {', '.join(sorted(wrong))}", "current")
    result = model.load_state_dict({key: value for key, value in state.items() if key not in wrong}, strict=False)
    missing = _not_listed([key for key in result.missing_keys if key not in wrong], MAY_BE_MISSING)
    unexpected = _not_listed(result.unexpected_keys, MAY_BE_UNEXPECTED)
    if missing or unexpected:
        raise CheckpointError(
            f"{path}: weights of another model: "
            + " and ".join(
                f"{len(keys)} keys {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
                for kind, keys in (("missing", missing), ("unexpected", unexpected))
                if keys
            )
            + "; give the checkpoint of this config"
        )


def _not_listed(keys: list[str], listed: Mapping[str, str]) -> list[str]:
    return [key for key in keys if not any(re.search(pattern, key) for pattern in listed)]


def _only_heads(names: list[str]) -> bool:
    """Tell whether all of these parameters are of layers that have an output, or an input, a class."""
    return all(any(re.search(pattern, name) for pattern in _OF_CLASSES) for name in names)


def _explain_shapes(
    path: Path,
    wrong: list[str],
    state: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    meta: Mapping[str, Any],
) -> str:
    key = wrong[0]
    shapes = f"{key} is {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the model"
    if _only_heads(wrong):
        dataset_meta = meta.get("dataset_meta")
        classes = meta.get("CLASSES") or (dataset_meta.get("classes") if isinstance(dataset_meta, dict) else None)
        count = f" ({len(classes)} classes)" if isinstance(classes, (list, tuple)) else ""
        return f"{path}: weights for another number of classes{count}: {shapes}; give weights trained for this task"
    more = f" and {len(wrong) - 1} more keys differ" if len(wrong) > 1 else ""
    return f"{path}: weights of another model: {shapes}{more}; give the checkpoint of this config"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
