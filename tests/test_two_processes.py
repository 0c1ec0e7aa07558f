"""What two processes do together, which one alone cannot show."""

from __future__ import annotations

import datetime
import multiprocessing
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.hooks import EMAHook
from mmengine.runner import get_priority

from bdd100k_models.engine import distributed
from bdd100k_models.engine.hooks import StatisticsHook
from bdd100k_models.engine.recipe import _EMA

_CPU = torch.device("cpu")


def together(work: Callable[[int], Any]) -> list[Any]:
    """Run a function in two processes that SLURM seems to have started; returns what each returned."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_join, args=(rank, work, results)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    return [found[rank] for rank in range(2)]


def _join(rank: int, work: Callable[[int], Any], results: Any) -> None:
    torch.set_num_threads(1)  # the threads of the process before are not here
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    os.environ |= {"SLURM_PROCID": str(rank), "SLURM_NTASKS": "2", "SLURM_NODELIST": "localhost"}
    os.environ |= {"SLURM_JOB_ID": str(os.getppid())}
    multiprocessing.set_start_method(None, force=True)  # type: ignore[arg-type]  # as in a new process
    distributed.find_place("slurm")
    distributed.start("slurm", _CPU, datetime.timedelta(minutes=1))
    results.put((rank, work(rank)))
    distributed.stop()


def test_processes_of_slurm_join_and_read_images_as_before() -> None:
    """Those that read images are copies of this one, which has the mends; ones that start anew have not."""

    def work(rank: int) -> tuple[Any, ...]:
        start_method = multiprocessing.get_start_method(allow_none=True)
        return distributed.rank(), distributed.world_size(), distributed.on_main(lambda: rank), start_method

    assert together(work) == [(0, 2, 0, None), (1, 2, 0, None)]


def test_all_processes_validate_with_the_statistics_of_the_first() -> None:
    def work(rank: int) -> list[float]:
        model = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.BatchNorm1d(2, track_running_stats=False))
        average = EMAHook()
        runner = SimpleNamespace(model=model, hooks=[average, StatisticsHook()])
        average.before_run(runner)
        for place, norm in enumerate((model[0], average.ema_model.module[0])):
            norm.running_mean.fill_(10 * rank + place)
            norm.running_var.fill_(10 * rank + place + 5)
        runner.hooks[1].before_val_epoch(runner)
        norms = (model[0], average.ema_model.module[0])
        return [float(value[1]) for norm in norms for value in (norm.running_mean, norm.running_var)]

    assert together(work) == [[0.0, 5.0, 1.0, 6.0]] * 2


def test_statistics_are_sent_before_a_moving_average_takes_the_place_of_the_model() -> None:
    assert get_priority(StatisticsHook.priority) < get_priority(_EMA["priority"])
