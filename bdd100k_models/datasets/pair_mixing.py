"""Strong augmentation for pairs of frames: both are mixed alike, so that tracks still match."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import HOOKS, TRANSFORMS

from bdd100k_models.engine.hooks import ModeSwitchHook

View = dict[str, Any]


class _PairTransform(BaseTransform):  # type: ignore[misc]
    """One of mmdet's transforms, applied to both frames of a pair with the same random numbers.

    Those transforms know nothing of tracks, so a box's number in a table takes the place of its class while they run.
    Tracks of different images get different numbers, from 1.

    Args:
        options: Of mmdet's transform.
    """

    inner: str

    def __init__(self, **options: Any) -> None:
        self.wrapped = TRANSFORMS.build({"type": self.inner, **options})

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Transform a pair, given as a dict of lists, which may hold others under ``mix_results``."""
        pairs = [_split(pair) for pair in (results, *results.pop("mix_results", ()))]
        if not self._can_mix(pairs):
            return results
        _number_tracks(pairs)
        state = np.random.get_state()  # noqa: NPY002  # mmdet's transforms draw from this generator
        changed = []
        for which in range(len(pairs[0])):
            np.random.set_state(state)  # noqa: NPY002
            changed.append(self._transform_view([pair[which] for pair in pairs]))
        return {name: [view[name] for view in changed] for name in changed[0]}

    def _can_mix(self, pairs: Sequence[list[View]]) -> bool:
        return True

    def _transform_view(self, views: list[View]) -> View:
        labels, tracks = (
            np.concatenate([view[name] for view in views]) for name in ("gt_bboxes_labels", "gt_instances_ids")
        )
        first = 0
        for view in views:
            count = len(view["gt_bboxes_labels"])
            view["gt_bboxes_labels"] = np.arange(first, first + count)
            first += count
        changed: View = self.wrapped(views[0] | {"mix_results": views[1:]})
        changed.pop("mix_results")
        rows = changed["gt_bboxes_labels"]
        changed["gt_bboxes_labels"], changed["gt_instances_ids"] = labels[rows], tracks[rows]
        return changed


def _split(pair: dict[str, Any]) -> list[View]:
    """Turn a dict of lists into a list of dicts, with nothing shared."""
    count = len(pair["img"])
    return [copy.deepcopy({name: values[which] for name, values in pair.items()}) for which in range(count)]


def _number_tracks(pairs: Sequence[list[View]]) -> None:
    """Number the tracks of all pairs anew, together and from 1."""
    numbers: dict[tuple[int, int], int] = {}
    for source, pair in enumerate(pairs):
        for view in pair:
            view["gt_instances_ids"] = np.array(
                [
                    numbers.setdefault((source, track), len(numbers) + 1)
                    for track in np.asarray(view["gt_instances_ids"]).tolist()
                ],
                dtype=np.int32,
            )


@TRANSFORMS.register_module()
class PairRandomAffine(_PairTransform):
    """mmdet's ``RandomAffine``, the same for both frames of a pair."""

    inner = "mmdet.RandomAffine"


@TRANSFORMS.register_module()
class PairMosaic(_PairTransform):
    """mmdet's ``Mosaic`` of four pairs, the same for both frames."""

    inner = "mmdet.Mosaic"

    def get_indexes(self, dataset: Any) -> list[int]:
        """Draw the three other pairs."""
        indexes: list[int] = self.wrapped.get_indexes(dataset)
        return indexes


@TRANSFORMS.register_module()
class PairMixUp(_PairTransform):
    """mmdet's ``MixUp`` of two pairs, the same for both frames; it leaves a pair whose partner lacks boxes alone."""

    inner = "mmdet.MixUp"

    def get_indexes(self, dataset: Any) -> int:
        """Draw the other pair."""
        return int(np.random.randint(len(dataset)))  # noqa: NPY002  # mmengine seeds this generator

    def _can_mix(self, pairs: Sequence[list[View]]) -> bool:
        return all(len(view["gt_bboxes"]) for pair in pairs[1:] for view in pair)


@HOOKS.register_module()
class PairModeSwitchHook(ModeSwitchHook):
    """Ends the mixing of pairs some epochs before the end.

    Args:
        num_last_epochs: How many epochs at the end train without it.
    """

    def __init__(self, num_last_epochs: int) -> None:
        super().__init__(num_last_epochs)
        self.skipped = [PairMosaic.__name__, PairRandomAffine.__name__, PairMixUp.__name__]
