"""Whether a model's outputs are the classes of its data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from bdd100k_models.errors import ConfigError
from bdd100k_models.tasks import Task

#: Heads whose number of classes says nothing: they tell objects from background, or one object from another.
_CLASS_AGNOSTIC = ("RPNHead", "EmbeddingRPNHead", "QuasiDenseEmbedHead")
_SHOWN = 12  # classes that a message names


def check_fit(model: nn.Module, meta: Mapping[str, Any]) -> None:
    """Check that each head, or a backbone that classifies, has as many outputs as the data has classes or joints.

    Args:
        model: As built.
        meta: ``metainfo`` of the training data: ``classes``, or ``num_keypoints`` for joints; for panoptic data
            ``thing_classes`` and ``stuff_classes`` too.

    Raises:
        ConfigError: A head does not fit; the message names it, both numbers and what to set.
    """
    if joints := meta.get("num_keypoints"):
        head: Any = getattr(model, "head", None)
        outputs = getattr(head, "out_channels", joints)
        if outputs != joints:
            raise ConfigError(
                f"model.head has {outputs} outputs (out_channels), but the data has {joints} joints; "
                "set model.head.out_channels, or dataset.metainfo"
            )
        return
    classes = tuple(meta.get("classes") or ())
    if not classes:
        return
    things, stuff = (len(meta.get(key) or classes) for key in ("thing_classes", "stuff_classes"))
    fitting = {"num_classes": things, "num_things_classes": things, "num_stuff_classes": stuff}
    for name, attribute, count in _outputs(model):
        if count != fitting[attribute]:
            raise ConfigError(
                f"model.{name} has {count} outputs ({attribute}), but the data has {fitting[attribute]} classes "
                f"({_shown(classes)}); set model.{name}.{attribute}, or the classes in "
                "train_dataloader.dataset.metainfo"
            )


def check_categories(model: nn.Module, task: Task) -> None:
    """Check that a model's outputs are the categories that its results will name.

    Args:
        model: As built.
        task: Its task, with the model's own categories; those that name other things than categories pass.

    Raises:
        ConfigError: See :func:`check_fit`.
    """
    if task.categories and task.name not in ("pan_seg", "pose"):
        check_fit(model, {"classes": task.categories})


def check_scored(trained: Mapping[str, Any], scored: Mapping[str, Any], official: Iterable[Sequence[str]]) -> None:
    """Check that validation is of the classes that are trained, and that the official evaluation knows them.

    Args:
        trained: ``metainfo`` of the training data.
        scored: That of the validation data.
        official: The classes that each metric knows, in order.

    Raises:
        ConfigError: They differ.
    """
    classes, others = (tuple(meta.get("classes") or ()) for meta in (trained, scored))
    if classes != others:
        raise ConfigError(
            f"the validation data has the classes {_shown(others)}, but the training data {_shown(classes)}; set "
            "val_dataloader.dataset.metainfo as that of train_dataloader, or train without scores (--no-validate)"
        )
    for known in official:
        if classes and known and classes != tuple(known):
            raise ConfigError(
                f"the data has the classes {_shown(classes)}, but the official evaluation knows {_shown(known)} alone; "
                "train others without scores (--no-validate)"
            )


def _shown(classes: Sequence[str]) -> str:
    return ", ".join(classes[:_SHOWN]) + (", ..." if len(classes) > _SHOWN else "")


def _outputs(model: nn.Module) -> Iterator[tuple[str, str, int]]:
    """Yield the name of each part with outputs, the attribute that says how many outputs it has, and the number."""
    counted: tuple[str, ...] = ()  # how names inside a semantic head begin, whose classes it has itself
    for name, module in model.named_modules():
        named = "head" in name or name == "backbone"  # some backbones classify
        agnostic = any(base.__name__ in _CLASS_AGNOSTIC for base in type(module).__mro__)
        if not named or name.startswith(counted) or agnostic or getattr(module, "class_agnostic", False):
            continue
        semantic = hasattr(module, "num_stuff_classes") or hasattr(module, "num_things_classes")
        if semantic:
            counted += (f"{name}.",)
        for attribute in ("num_things_classes", "num_stuff_classes") if semantic else ("num_classes",):
            count = getattr(module, attribute, None)
            if isinstance(count, int) and (count > 0 or name != "backbone"):
                yield name, attribute, count
