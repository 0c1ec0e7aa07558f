"""Random numbers of training that depend on the seed and on what is trained alone.

Every image is prepared from a state of the generators that follows from the seed, the epoch and the image's place in
the global order; every iteration runs from one that follows from the seed, the iteration and the process. So neither
the number of workers nor that of processes nor an interruption changes what a model is shown.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from bdd100k_models.errors import LabelError


def set_generators(*entropy: int) -> None:
    """Set the generators of Python, NumPy and PyTorch (of all devices) to a state that ``entropy`` determines.

    Args:
        entropy: Numbers from 0; any difference gives an unrelated state.
    """
    # with their number, since zeros at the end would not count
    state = int(np.random.SeedSequence((len(entropy), *entropy)).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002 (what OpenMMLab draws from)
    torch.manual_seed(state)


class SampleIndex(int):
    """The index of a sample, with what its random numbers follow from.

    Attributes:
        entropy: Seed, epoch and place in the global order of the epoch.
    """

    entropy: tuple[int, int, int]

    @classmethod
    def at(cls, index: int, entropy: tuple[int, int, int]) -> SampleIndex:
        """Return ``index`` with its ``entropy``."""
        made = cls(index)
        made.entropy = entropy
        return made


@DATASETS.register_module()
class SeededDataset(Dataset[Any]):
    """Another data set, which prepares a sample the same way whenever, wherever and after whatever it is asked for it.

    Args:
        dataset: Config of the data set.
    """

    def __init__(self, dataset: dict[str, Any]) -> None:
        self.dataset = DATASETS.build(dataset)

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not yet there while a copy is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Prepare a sample.

        Raises:
            LabelError: Neither the image nor any of many drawn in its place has anything to learn from.
        """
        if isinstance(index, SampleIndex):
            set_generators(*index.entropy)
        try:
            return self.dataset[int(index)]
        except Exception as error:
            if type(error) is not Exception or "Cannot find valid image" not in str(error):
                raise
        labels = self.metainfo.get("ann_file", "the labels")
        raise LabelError(
            f"{labels}: of very many images drawn none has anything to learn from; label objects of the classes, or "
            "check the sizes in train_dataloader.dataset"
        )


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler[int]):
    """Another sampler, whose indices say what their random numbers follow from.

    Args:
        dataset: The data set.
        sampler: Config of a sampler that gives process ``r`` of ``n`` the places ``r``, ``r + n``, ``r + 2n``, ... of
            one order, as all of OpenMMLab do.
        seed: The run's seed.
    """

    def __init__(self, dataset: Any, sampler: dict[str, Any], seed: int | None = None) -> None:
        self.dataset = dataset
        self.inner = DATA_SAMPLERS.build(sampler, default_args={"dataset": dataset, "seed": seed})
        self.seed = int(seed or 0)
        self._epoch = 0
        self._skipped = 0
        if hasattr(self.inner, "skip"):
            self.skip = self._skip  # loops ask whether there is such a method

    def __iter__(self) -> Iterator[int]:
        first, step = getattr(self.inner, "rank", 0), get_world_size()
        for place, index in enumerate(self.inner, start=self._skipped):
            yield SampleIndex.at(index, (self.seed, self._epoch, first + step * place))

    def __len__(self) -> int:
        return len(self.inner)

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, which has an order of its own."""
        self._epoch = epoch
        self.inner.set_epoch(epoch)

    def _skip(self, count: int) -> None:
        """Leave out the first ``count`` samples of this process."""
        self._skipped = count
        self.inner.skip(count)
