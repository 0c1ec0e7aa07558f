"""The config and the weights of a contribution: read as data, and fitted to each other."""

from __future__ import annotations

import importlib
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from bdd100k_models.engine.checkpoint import load_weights, read_checkpoint
from bdd100k_models.engine.weightless import build_weightless
from bdd100k_models.errors import ConfigError, ZooError, first_line
from bdd100k_models.tasks import Task
from bdd100k_models.zoo.check.plain_config import LOWER_TYPES
from bdd100k_models.zoo.download.checked import md5_of, read_md5

#: Modules of the libraries whose parts fetch or read what a config names when they are built.
_REFUSED_MODULES = (
    "mmdet.models.language_models",
    "mmpose.models.distillers",
    "mmpretrain.models.multimodal",
    "mmpretrain.models.retrievers",
    "mmpretrain.models.selfsup",
    "mmpretrain.models.utils.huggingface",
    "mmpretrain.models.utils.tokenizer",
    "mmseg.models.text_encoder",
    "transformers",
)

#: Bytes that the parts of a weight file may have together once they are unpacked.
_MAX_UNPACKED = 16 << 30


def model_of(config: Config, task: Task) -> torch.nn.Module:
    """Build a config's model without memory, from classes that the libraries register and nothing else.

    Args:
        config: A config read as data; see :func:`bdd100k_models.zoo.check.plain_config.read_config`.
        task: Its task.

    Raises:
        ConfigError: It has no model, names a class that is not registered, or its model cannot be built.
    """
    scope = config.get("default_scope", "mmdet")
    if scope != task.library:
        raise ConfigError(f"default_scope is {scope!r}; models of {task.name} are built by {task.library}")
    if "model" not in config:
        raise ConfigError("there is no model; give the model's config, not one of its bases")
    from bdd100k_models.registry import enter_scope

    enter_scope(scope)
    names = list(types_in(config.model))
    known = registered_types({scope, *(name.rpartition(".")[0] for name in names)})
    for name in names:
        if problem := _type_problem(name.rpartition(".")[2], known):
            raise ConfigError(f"model: {problem}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return build_weightless(config)
    except ZooError as error:
        raise ConfigError(str(error).removeprefix(f"{config.filename}: ")) from None
    except Exception as error:  # any constructor of any library, with any arguments
        raise ConfigError(f"the model cannot be built ({type(error).__name__}: {first_line(error)})") from None


def _type_problem(name: str, known: Mapping[str, list[Any]]) -> str:
    """Return why a config may not name a type; "" if it may."""
    found = known.get(name)
    if not found:
        return f"no library registers a class {name}; use one that is there"
    if name not in LOWER_TYPES and not all(isinstance(item, type) for item in found):
        return f"{name} is a function, not a class"
    if any(str(item.__module__).startswith(_REFUSED_MODULES) for item in found):
        return f"{name} fetches or reads files of others when it is built"
    return ""


def types_in(value: Any) -> Iterator[str]:
    """Yield the name of every type that a config's value names, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "type":
                yield str(item)
            else:
                yield from types_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from types_in(item)


def registered_types(scopes: Collection[str]) -> dict[str, list[Any]]:
    """Return what OpenMMLab's registries and mmcv's operators hold, by name; several may have one of a name.

    Args:
        scopes: Libraries whose own parts are imported before.
    """
    import mmengine.registry as registries
    from mmcv import ops

    # parts of detectors are looked up among mmcv's operators
    found: dict[str, list[Any]] = {name: [getattr(ops, name)] for name in (*ops.__all__, *LOWER_TYPES)}
    # some libraries have registries that hang below no other
    modules = [registries, *(importlib.import_module(f"{scope}.registry") for scope in scopes if scope)]
    waiting = [item for module in modules for item in vars(module).values() if isinstance(item, registries.Registry)]
    while waiting:
        registry = waiting.pop()
        if registry.scope in scopes:
            registry.import_from_location()
        for name, item in registry.module_dict.items():
            found.setdefault(name, []).append(item)
        waiting += registry.children.values()
    return found


def md5_problem(weights: Path, md5_file: Path) -> str:
    """Return what is wrong with an MD5 file; "" if its hash is that of the weights."""
    expected = read_md5(md5_file)
    if expected is None:
        return "the MD5 file holds no MD5: 32 hexadecimal digits at its beginning"
    found = md5_of(weights)
    return "" if found == expected else f"the weights have the MD5 {found}, the file says {expected}"


def weights_problem(weights: Path, model: torch.nn.Module | None) -> str:
    """Return why weights cannot be used; "" if they can.

    Nothing in the file is executed.

    Args:
        weights: The checkpoint.
        model: Its model, which may have no memory; None to look at the file alone.
    """
    try:
        if problem := _packing_problem(weights):
            return problem
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd pickles
            state = read_checkpoint(weights)["state_dict"]
        for key, value in state.items():
            if value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
                return f"{key} has {tuple(value.shape)} values, more than the file holds"
            if value.is_floating_point() and not torch.isfinite(value).all():
                return f"{key} holds values that are not finite"
        if model is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # copying into no memory does nothing
                load_weights(model, weights)
    except ZooError as error:
        return str(error).removeprefix(f"{weights}: ")
    except Exception as error:  # what a hostile file makes of a tensor
        return f"cannot be looked at ({type(error).__name__}: {first_line(error)})"
    return ""


def _packing_problem(weights: Path) -> str:
    """Return why a weight file should not be unpacked; "" if it may. Files of old versions are not packed."""
    if not zipfile.is_zipfile(weights):
        return ""
    with zipfile.ZipFile(weights) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    if total > min(_MAX_UNPACKED, 20 * weights.stat().st_size):
        return f"unpacks to {total} bytes, which no weights do"
    return ""
