"""Memory that does not suffice, wherever it was, is one line that says what to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from bdd100k_models.engine.model import explain_memory
from bdd100k_models.errors import InputError, OutOfMemoryError


class _Failing(Dataset[int]):
    def __init__(self, fail: Callable[[], object]) -> None:
        self.fail = fail

    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> int:
        self.fail()
        return number


def too_much() -> object:
    return np.ones((1 << 23, 1 << 23))


def killed(number: signal.Signals) -> Callable[[], object]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("workers", "fail"),
    [(0, too_much), (1, too_much), (1, killed(signal.SIGKILL)), (1, killed(signal.SIGBUS))],
    ids=["here", "beside", "killed for memory", "no shared memory"],
)
def test_memory_that_does_not_suffice_for_images(workers: int, fail: Callable[[], object]) -> None:
    """A system ends what takes too much memory, or, where it shares too much, with a bus error."""
    with (
        pytest.raises(InputError, match=r"^there is not enough memory \(.+\); take fewer$"),
        explain_memory("take fewer"),
    ):
        list(DataLoader(_Failing(fail), batch_size=None, num_workers=workers))


def test_other_errors_stay_what_they_are() -> None:
    for error in (RuntimeError("of another kind"), OutOfMemoryError("a.jpg: take fewer"), KeyError("out of memory")):
        with pytest.raises(type(error)) as caught, explain_memory("take fewer"):
            raise error
        assert caught.value is error
