"""Several processes: started by torchrun, SLURM or MPI, or just one."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import TypeVar

import torch
from mmengine import dist

from bdd100k_models.errors import InputError, ZooError

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")

Result = TypeVar("Result")

_LEAST_THREADS = 2

#: What starts processes for a launcher, and which variable it sets to a process's number.
_STARTERS = {"slurm": ("srun", "SLURM_PROCID"), "mpi": ("mpirun", "OMPI_COMM_WORLD_LOCAL_RANK")}


def find_place(launcher: str, local_rank: int = 0) -> None:
    """Set the environment's ``LOCAL_RANK``, by which :func:`choose_device` and mmengine choose a process's GPU.

    Args:
        launcher: One of :data:`LAUNCHERS`.
        local_rank: What older launchers say by a flag.

    Raises:
        InputError: The launcher's environment is missing.
    """
    if launcher in _STARTERS:
        starter, variable = _STARTERS[launcher]
        if variable not in os.environ:
            raise InputError(
                f"--launcher {launcher} is for processes started by {starter}, and there is no {variable}; start them "
                f"with {starter}, or leave it out"
            )
        # as mmengine counts; a process that sees one GPU alone has the first
        place = int(os.environ[variable]) % max(1, torch.cuda.device_count())
        os.environ["LOCAL_RANK"] = str(place)
    if launcher == "mpi" and "MASTER_ADDR" not in os.environ:
        if os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") != os.environ.get("OMPI_COMM_WORLD_SIZE"):
            raise InputError("--launcher mpi on several machines needs the first one's address: mpirun -x MASTER_ADDR")
        os.environ["MASTER_ADDR"] = "127.0.0.1"
    os.environ.setdefault("LOCAL_RANK", str(local_rank))


def choose_device(name: str | None) -> torch.device:
    """Return the device to run on.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:1`` ...; None takes the GPU where there is one.

    Raises:
        InputError: The name is not a device of this machine.
    """
    available = torch.cuda.is_available()
    try:
        device = torch.device(name or ("cuda" if available else "cpu"))
    except RuntimeError:
        raise InputError(f"there is no device {name!r}; use cpu, cuda or cuda:0") from None
    if device.type not in ("cpu", "cuda") and not _runs(device):
        raise InputError(f"there is no device {name!r} here; use cpu, cuda or cuda:0")
    if device.type == "cuda" and not available:
        raise InputError("PyTorch finds no NVIDIA GPU here; run with --device cpu")
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"there is no {device}; this machine has {torch.cuda.device_count()} GPU(s)")
    return device


def _runs(device: torch.device) -> bool:
    """Tell whether this machine has a device of a rarer kind."""
    try:
        return torch.empty(1, device=device).cpu().numel() == 1
    except (RuntimeError, NotImplementedError, AssertionError):
        return False


def set_cpu_threads() -> None:
    """Share the cores among the processes of this machine, but give each at least two threads.

    With one thread PyTorch 2.11 computes 1x1 convolutions by another algorithm: several times slower, and with another
    rounding than with two or more (for which all counts agree), so results would depend on the number of processes.
    """
    if int(os.environ.get("OMP_NUM_THREADS", "0") or 0) >= _LEAST_THREADS:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(_LEAST_THREADS, cores // ranks))


def start(launcher: str, device: torch.device) -> None:
    """Join the other processes of a run; with ``none`` there are none.

    Raises:
        InputError: The launcher's environment is missing.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if launcher == "none":
        return
    if launcher == "pytorch" and "RANK" not in os.environ:
        raise InputError(
            "--launcher pytorch is for processes started by torchrun; start them with torchrun, or leave it out"
        )
    if launcher == "pytorch":
        # not mmengine's way, which asks for a GPU even for gloo
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    elif device.type == "cuda":
        dist.init_dist(launcher, backend="nccl")
    else:
        raise InputError(f"--launcher {launcher} needs GPUs; on the CPU start the processes with torchrun")


def stop() -> None:
    """Leave the group of processes, if any.

    What still holds the group, such as a wrapped model in a cycle of references, is let go first: a group that lives on
    until the interpreter ends can abort the process, since its threads are then torn down while they run.
    """
    if dist.is_distributed():
        gc.collect()
        torch.distributed.destroy_process_group()
        gc.collect()


def rank() -> int:
    """Return this process's number, from 0."""
    return int(dist.get_rank())


def world_size() -> int:
    """Return how many processes take part."""
    return int(dist.get_world_size())


def barrier() -> None:
    """Wait for the others."""
    dist.barrier()


def on_main(work: Callable[[], Result]) -> Result:
    """Do something on rank 0 alone and give its result, or its error, to all.

    Raises:
        ZooError: What ``work`` raised, on every rank, so that none is left waiting.
    """
    if world_size() == 1:
        return work()
    outcome: list[Result | ZooError | None] = [None]
    if rank() == 0:
        try:
            outcome[0] = work()
        except ZooError as error:
            outcome[0] = error
    dist.broadcast_object_list(outcome)
    if isinstance(outcome[0], ZooError):
        raise outcome[0]
    return outcome[0]  # type: ignore[return-value]
