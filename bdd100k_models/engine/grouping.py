"""Images of a batch that can run together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def alike(keys: Iterable[Hashable]) -> list[list[int]]:
    """Return the places of equal keys together, in the order in which each key comes first."""
    groups: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return list(groups.values())
