"""The distinct architectures of the zoo: models that are built of the same kinds of parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from bdd100k_models.engine.config import load_config
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import all_models, config_files

#: Parts of a config that do not change what a model computes at test time.
_TRAINING_ONLY = ("init_cfg", "train_cfg", "data_preprocessor", "pretrained", "auxiliary_head", "type")


@dataclass(frozen=True)
class Architecture:
    """Models of the same kinds of parts; depth, width and number of classes may differ.

    Attributes:
        name: What it is called: the model's class and its parts.
        models: Names of the models, by task.
        example: The smallest of them.
        task: Its task.
    """

    name: str
    models: Mapping[str, tuple[str, ...]]
    example: str
    task: str

    @property
    def count(self) -> int:
        """How many models there are."""
        return sum(len(names) for names in self.models.values())


def list_architectures(tasks: Iterable[str] = TASKS) -> list[Architecture]:
    """Return the architectures of some tasks, in the order of the tasks and of the names; one that serves two once.

    Only models of the zoo count, not those that are for demonstrations.
    """
    groups: dict[str, list[tuple[str, str, Config]]] = {}
    for task in tasks:
        for name, path in config_files(task).items():
            if name not in all_models():
                continue
            config = load_config(path)
            groups.setdefault(repr(_kinds(config.model)), []).append((task, name, config))
    return [_architecture(members) for members in groups.values()]


def _architecture(members: list[tuple[str, str, Config]]) -> Architecture:
    task, example, config = min(members, key=lambda member: (_uses_windows(member[2]), _size(member[1], member[0])))
    models: dict[str, list[str]] = {}
    for its_task, name, _ in members:
        models.setdefault(its_task, []).append(name)
    listed = {its_task: tuple(names) for its_task, names in models.items()}
    return Architecture(_title(config.model), listed, example, task)


def _uses_windows(config: Config) -> bool:
    """Tell whether a model looks at large pictures piece by piece, which a small one does not show."""
    return (config.model.get("test_cfg") or {}).get("mode") == "slide"


def _size(name: str, task: str) -> tuple[float, str]:
    """Return how large a model is, where that was counted, and its name."""
    count = all_models()[name][2].parameters
    return float("inf") if count is None else count, name


def _kinds(node: Any) -> Any:
    """Return the types that a config names, as a tree; what is only for training is left out."""
    if isinstance(node, Mapping):
        parts = ((key, _kinds(value)) for key, value in sorted(node.items()) if _counts(str(key)))
        inner = tuple((key, part) for key, part in parts if part)
        return (str(node["type"]), inner) if "type" in node else inner
    if isinstance(node, (list, tuple)):
        return tuple(dict.fromkeys(part for part in map(_kinds, node) if part))
    return None


def _counts(key: str) -> bool:
    return key not in _TRAINING_ONLY and "loss" not in key and not key.startswith("norm_cfg")


#: The parts whose types name an architecture, in order.
_PARTS = ("detector", "backbone", "neck", "rpn_head", "roi_head", "bbox_head", "decode_head", "head", "track_head")


def _title(model: Any) -> str:
    """Return the class of a model and of its parts, as ``FasterRCNN: ResNet, FPN, deformable``."""
    inner = model.get("detector") or {}
    parts = [str(inner.get("type", ""))]
    for part in _PARTS[1:]:
        node = model.get(part) or inner.get(part)
        nodes = node if isinstance(node, (list, tuple)) else [node] if node else []
        parts += [str(item["type"]).rpartition(".")[2] for item in nodes]
    text = repr(_kinds(model))
    parts += [word for kind, word in _VARIANTS.items() if kind in text]
    return f"{model['type']}: {', '.join(dict.fromkeys(filter(None, parts)))}"


#: What is told of a part's inner types.
_VARIANTS = {
    "DCN": "deformable",
    "ContextBlock": "global context",
    "UDPHeatmap": "UDP",
    "FCNMaskHead": "masks",
    "'GN'": "group norm",
}
