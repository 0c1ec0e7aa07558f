"""What two processes do together, and in parts, as one alone would do it at once."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import get_priority

from bdd100k_models.engine import distributed
from bdd100k_models.engine.hooks import StatisticsHook
from bdd100k_models.engine.loops import train_batch
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


def test_a_process_that_fails_alone_says_so_and_ends(tmp_path: Path) -> None:
    """It must not end the group, which with NCCL waits for the others: they wait for this one."""
    code = """
import argparse, sys, time
import torch.distributed
from mmengine.config import Config
from bdd100k_models.cli import run_command
from bdd100k_models.commands.joined import add_launcher_arguments, joined
from bdd100k_models.engine import distributed
from bdd100k_models.errors import InputError

def run(args):
    with joined(args, Config({})):
        if distributed.rank() == 1:
            raise InputError("the disk is full")
        distributed.barrier()

torch.distributed.destroy_process_group = lambda *_: time.sleep(600)
parser = argparse.ArgumentParser()
parser.set_defaults(run=run, device="cpu")
add_launcher_arguments(parser)
sys.exit(run_command(parser, ["--launcher", "slurm"]))
"""
    slurm = {"SLURM_NTASKS": "2", "SLURM_NODELIST": "localhost", "SLURM_JOB_ID": f"{tmp_path}"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | slurm | {"SLURM_PROCID": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert processes[1].returncode == 2 and said[1] == "error: the disk is full\n"
    assert processes[0].returncode != 0


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


# ------------------------------------------------------------------------------------------------------- gradients


class _Line(BaseModel):  # type: ignore[misc]
    """A layer whose loss is a mean over images."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(5, 1).double()
        torch.nn.init.constant_(self.layer.weight, 0.3)
        torch.nn.init.zeros_(self.layer.bias)

    def forward(
        self, inputs: list[torch.Tensor], wanted: list[torch.Tensor], mode: str = "loss"
    ) -> dict[str, torch.Tensor]:
        return {"loss": (self.layer(torch.stack(inputs)) - torch.stack(wanted)).square().mean()}


def learn(model: Any, images: slice, size: int | None) -> tuple[float, torch.Tensor]:
    """Take two steps with some of twelve images in parts; returns the last loss and the weights."""
    torch.manual_seed(0)
    batches = torch.randn(2, 12, 6, dtype=torch.float64)
    # plain descent: unlike others it notices when gradients are twice as large
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    runner: Any = SimpleNamespace(model=model, iter=0, optim_wrapper=wrapper)
    for batch in batches[:, images]:
        logged = train_batch(runner, {"inputs": list(batch[:, :5]), "wanted": list(batch[:, 5:])}, size)
        assert set(logged) == {"loss"}
    return logged["loss"], getattr(model, "module", model).layer.weight.detach().clone()


def assert_same(found: tuple[float, torch.Tensor], expected: tuple[float, torch.Tensor]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-12, atol=1e-12)


def test_parts_make_the_step_of_the_whole() -> None:
    """With a loss that is a mean over images the gradients of the parts add up to those of the batch."""
    whole = learn(_Line(), slice(None), None)
    assert (whole[1] - 0.3).abs().min() > 1e-6  # where it began
    for size in (12, 5, 2, 1):
        assert_same(learn(_Line(), slice(None), size), whole)


@pytest.mark.parametrize("size", [None, 2, 4])
def test_two_processes_make_the_step_of_one(size: int | None) -> None:
    """Each with every other image, in parts of which the last alone exchanges gradients."""

    def work(rank: int) -> tuple[float, list[list[float]]]:
        loss, weight = learn(MMDistributedDataParallel(_Line()), slice(rank, None, 2), size)
        return loss, weight.tolist()

    whole = learn(_Line(), slice(None), None)
    for loss, weight in together(work):
        assert_same((loss, torch.tensor(weight, dtype=torch.float64)), whole)
