"""What a user can ask for of a model, and the published files that each stands for."""

from __future__ import annotations

from collections.abc import Mapping

from bdd100k_models.errors import InputError

#: Kinds of links (see :data:`bdd100k_models.zoo.records.LINKS`) by part.
PARTS: Mapping[str, tuple[str, ...]] = {
    "weights": ("weights",),
    "preds": ("preds",),
    "scores": ("scores_val", "scores_test"),
    "visuals": ("visuals",),
}


def kinds_of(what: str) -> list[str]:
    """Return the kinds of links that a list of parts, such as ``weights,scores``, stands for.

    Raises:
        InputError: A part is not known.
    """
    parts = [part.strip() for part in what.split(",")]
    if unknown := [part for part in parts if part not in PARTS]:
        raise InputError(f"--what {what}: there is no {unknown[0]!r}; give any of {', '.join(PARTS)}")
    return list(dict.fromkeys(kind for part in parts for kind in PARTS[part]))
