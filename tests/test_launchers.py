"""Processes that SLURM, MPI or torchrun started find their GPU, or say what is missing."""

from __future__ import annotations

import os

import pytest
import torch

from bdd100k_models.engine import distributed
from bdd100k_models.errors import InputError

_VARIABLES = (
    *("LOCAL_RANK", "MASTER_ADDR", "SLURM_PROCID"),
    *("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_SIZE"),
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)


@pytest.mark.parametrize(("process", "place"), [("0", 0), ("7", 7), ("8", 0), ("13", 5)])
def test_tasks_of_slurm_share_the_gpus_of_their_node(monkeypatch: pytest.MonkeyPatch, process: str, place: int) -> None:
    monkeypatch.setenv("SLURM_PROCID", process)
    distributed.find_place("slurm")
    assert distributed.choose_device(None) == torch.device("cuda", place)


def test_a_task_that_sees_one_gpu_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "5")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    distributed.find_place("slurm")
    assert distributed.choose_device(None) == torch.device("cuda", 0)


def test_processes_of_mpi_have_a_gpu_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(_VARIABLES[3:], ("3", "8", "8"), strict=True):
        monkeypatch.setenv(name, value)
    distributed.find_place("mpi")
    assert distributed.choose_device(None) == torch.device("cuda", 3)
    assert os.environ["MASTER_ADDR"] == "127.0.0.1"
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "16")
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(InputError, match="mpirun -x MASTER_ADDR"):
        distributed.find_place("mpi")


@pytest.mark.parametrize(("launcher", "starter"), [("slurm", "srun"), ("mpi", "mpirun")])
def test_without_its_launcher_a_process_says_so(launcher: str, starter: str) -> None:
    with pytest.raises(InputError, match=f"processes started by {starter}"):
        distributed.find_place(launcher)


def test_a_place_that_is_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed.find_place("none", local_rank=2)
    assert distributed.choose_device("cuda") == torch.device("cuda", 2)
    monkeypatch.setenv("LOCAL_RANK", "6")
    distributed.find_place("pytorch", local_rank=2)
    assert distributed.choose_device("cuda") == torch.device("cuda", 6)


def test_the_chosen_gpu_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenMMLab trains on the current one, whatever the device is called."""
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    distributed.start("none", torch.device("cuda", 1))
    distributed.start("none", torch.device("cpu"))
    assert current == [torch.device("cuda", 1)]
