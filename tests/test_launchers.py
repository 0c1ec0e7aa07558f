"""Processes that SLURM, MPI or torchrun started find their GPU and each other, or say what is missing."""

from __future__ import annotations

import datetime
import os
import socket

import pytest
import torch
from mmengine.config import Config

from bdd100k_models.engine import distributed
from bdd100k_models.errors import ConfigError, InputError

_OF_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "LOCAL_WORLD_SIZE")
_OF_SLURM = (
    *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID", "SLURM_STEP_ID"),
    *("SLURM_NODELIST", "SLURM_JOB_NODELIST", "SLURM_STEP_NODELIST"),
    *("SLURM_TASKS_PER_NODE", "SLURM_STEP_TASKS_PER_NODE"),
)
_OF_MPI = (
    *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    "PMIX_NAMESPACE",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_OF_TORCHRUN, *_OF_SLURM, *_OF_MPI):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)


def find_place_of_slurm(monkeypatch: pytest.MonkeyPatch, process: int, **variables: str) -> None:
    """Be a task of sixteen on two nodes."""
    for name in _OF_TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    told = {"PROCID": str(process), "NTASKS": "16", "NODELIST": "gpu[03-04]", "JOB_ID": "4711", "STEP_ID": "0"}
    for name, value in (told | variables).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    distributed.find_place("slurm")


@pytest.mark.parametrize(("process", "place"), [(0, 0), (7, 7), (8, 0), (13, 5)])
def test_tasks_of_slurm_share_the_gpus_of_their_node(monkeypatch: pytest.MonkeyPatch, process: int, place: int) -> None:
    find_place_of_slurm(monkeypatch, process)
    assert distributed.choose_device(None) == torch.device("cuda", place)
    assert [os.environ[name] for name in _OF_TORCHRUN[:4]] == [str(process), "16", str(place), "gpu03"]


def test_tasks_of_slurm_are_counted_as_it_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes may have unequal numbers of tasks, and a step may be a part of its job."""
    find_place_of_slurm(monkeypatch, 9, LOCALID="3", STEP_NUM_TASKS="12", STEP_NODELIST="gpu04")
    assert [os.environ[name] for name in _OF_TORCHRUN[:4]] == ["9", "12", "3", "gpu04"]


def test_a_task_that_sees_one_gpu_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    find_place_of_slurm(monkeypatch, 5, LOCALID="5")
    assert distributed.choose_device(None) == torch.device("cuda", 0)
    assert os.environ["LOCAL_RANK"] == "0"


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu03", "gpu03"), ("gpu[03-07,12],login1", "gpu03"), ("a-1,b2", "a-1"), ("rack[1-2]n[3,5]", "rack1n3")],
)
def test_the_first_node_of_slurm_is_found_without_its_tools(
    monkeypatch: pytest.MonkeyPatch, nodes: str, first: str
) -> None:
    find_place_of_slurm(monkeypatch, 0, NODELIST=nodes)
    assert os.environ["MASTER_ADDR"] == first


def test_two_jobs_on_a_node_have_two_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []
    for process, job, step in ((0, "4711", "0"), (1, "4711", "0"), (0, "4711", "1"), (0, "4712", "0")):
        find_place_of_slurm(monkeypatch, process, JOB_ID=job, STEP_ID=step)
        ports.append(int(os.environ["MASTER_PORT"]))
    assert ports[0] == ports[1] and len(set(ports)) == 3
    assert all(1024 < port < 32768 for port in ports)
    monkeypatch.setenv("MASTER_PORT", "29511")
    monkeypatch.setenv("MASTER_ADDR", "gpu04")
    distributed.find_place("slurm")
    assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("gpu04", "29511")


def test_processes_of_mpi_have_a_gpu_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(_OF_MPI, ("3", "8", "3", "8", "job-1"), strict=True):
        monkeypatch.setenv(name, value)
    distributed.find_place("mpi")
    assert distributed.choose_device(None) == torch.device("cuda", 3)
    assert [os.environ[name] for name in _OF_TORCHRUN[:4]] == ["3", "8", "3", "127.0.0.1"]
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "16")
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(InputError, match="mpirun -x MASTER_ADDR"):
        distributed.find_place("mpi")


@pytest.mark.parametrize("launcher", ["pytorch", "slurm", "mpi"])
def test_processes_wait_as_long_as_the_config_says(monkeypatch: pytest.MonkeyPatch, launcher: str) -> None:
    joined: list[tuple[str, datetime.timedelta]] = []
    monkeypatch.setenv("RANK", "0")
    store = torch.distributed.HashStore()
    monkeypatch.setattr(distributed, "rendezvous", lambda address, timeout: iter([(store, 0, 2)]))
    monkeypatch.setattr(
        torch.distributed,
        "init_process_group",
        lambda backend, store, rank, world_size, timeout: joined.append((backend, timeout)),
    )
    for dist_cfg in ({"backend": "nccl"}, {"backend": "nccl", "timeout": 90}):
        config = Config({"env_cfg": {"dist_cfg": dist_cfg}})
        distributed.start(launcher, torch.device("cpu"), distributed.patience(config))
    assert joined == [("gloo", distributed.PATIENCE), ("gloo", datetime.timedelta(seconds=90))]
    assert distributed.patience(Config({})) == distributed.PATIENCE
    for wrong in (0, -1, "soon", True):
        with pytest.raises(ConfigError, match=r"env_cfg\.dist_cfg\.timeout"):
            distributed.patience(Config({"env_cfg": {"dist_cfg": {"timeout": wrong}}}))


def test_processes_that_never_come_are_not_waited_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "RANK": "0", "WORLD_SIZE": "2"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "_GATHERING", datetime.timedelta(seconds=1))
    with pytest.raises(InputError, match=r"the 2 processes did not find each other at 127\.0\.0\.1:\d+ within 0:00:01"):
        distributed.start("pytorch", torch.device("cpu"))


@pytest.mark.parametrize(("mine", "processes"), [(64, "4"), (8, None)])
def test_processes_share_the_cores_that_nobody_shared_out(
    monkeypatch: pytest.MonkeyPatch, mine: int, processes: str | None
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(distributed, "cores", lambda: mine)
    find_place_of_slurm(monkeypatch, 3, STEP_TASKS_PER_NODE="4(x2),8", TASKS_PER_NODE="9")
    assert os.environ.get("LOCAL_WORLD_SIZE") == processes


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


@pytest.mark.parametrize(("said", "threads"), [("8,2", None), ("2", None), ("1", 4), ("1,4", 4), ("", 4)])
def test_threads_are_those_that_are_asked_for(monkeypatch: pytest.MonkeyPatch, said: str, threads: int | None) -> None:
    """OpenMP's variable may have a number for each level of what runs within what."""
    found: list[int | None] = [None]
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(distributed, "cores", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", found.append)
    distributed.set_cpu_threads()
    assert found[-1] == threads
