"""Several processes: started by torchrun, SLURM or MPI, or just one."""

from __future__ import annotations

import datetime
import gc
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from mmengine import dist
from mmengine.config import Config
from torch.distributed.rendezvous import rendezvous

from bdd100k_models.errors import ConfigError, InputError, ZooError, first_line
from bdd100k_models.processes import cores

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")

Result = TypeVar("Result")

_LEAST_THREADS = 2

#: For how long a process waits for the others once all are there. They may be busy for hours, with the longest video or
#: with scoring; that one has ended, torchrun and mpirun see at once, and srun with --kill-on-bad-exit.
PATIENCE = datetime.timedelta(days=1)

#: For how long it waits for all to begin.
_GATHERING = datetime.timedelta(minutes=30)

#: Ports below those that systems hand out by themselves.
_PORTS = range(10_000, 30_000)


@dataclass(frozen=True)
class _Starter:
    """What starts processes, and the variables by which it tells each its place; of several the first that is set.

    Attributes:
        program: What starts them.
        rank: The process's number.
        size: How many processes there are.
        local: Its number on its machine.
        beside: How many there are on its machine, as a number first.
        job: What tells this run from others on the machine, all of them.
    """

    program: str
    rank: tuple[str, ...]
    size: tuple[str, ...]
    local: tuple[str, ...]
    beside: tuple[str, ...]
    job: tuple[str, ...]


_STARTERS = {
    "slurm": _Starter(
        "srun",
        rank=("SLURM_PROCID",),
        size=("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        local=("SLURM_LOCALID", "SLURM_PROCID"),
        beside=("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"),  # such as 8(x2),4
        job=("SLURM_JOB_ID", "SLURM_STEP_ID"),
    ),
    "mpi": _Starter(
        "mpirun",
        rank=("OMPI_COMM_WORLD_RANK",),
        size=("OMPI_COMM_WORLD_SIZE",),
        local=("OMPI_COMM_WORLD_LOCAL_RANK",),
        beside=("OMPI_COMM_WORLD_LOCAL_SIZE",),
        job=("PMIX_NAMESPACE",),
    ),
}


def find_place(launcher: str, local_rank: int = 0) -> None:
    """Set in the environment what torchrun would, whoever started the processes.

    By ``LOCAL_RANK`` :func:`choose_device` and mmengine choose a process's GPU, by the others it joins the run.
    ``MASTER_ADDR`` and ``MASTER_PORT`` stay where they are set.

    Args:
        launcher: One of :data:`LAUNCHERS`.
        local_rank: What older launchers say by a flag.

    Raises:
        InputError: The launcher's environment is missing.
    """
    if launcher in _STARTERS:
        starter = _STARTERS[launcher]
        os.environ["RANK"] = _told(launcher, starter.rank)
        os.environ["WORLD_SIZE"] = _told(launcher, starter.size)
        # a process may see some of its machine's GPUs, or its own alone
        place = int(_told(launcher, starter.local)) % max(1, torch.cuda.device_count())
        os.environ["LOCAL_RANK"] = str(place)
        beside = next((os.environ[name] for name in starter.beside if name in os.environ), "")
        if (told := re.match(r"\d+", beside)) and cores() == os.cpu_count():  # else each has cores of its own
            os.environ.setdefault("LOCAL_WORLD_SIZE", told[0])
        if "MASTER_ADDR" not in os.environ:
            os.environ["MASTER_ADDR"] = _first_of_slurm() if launcher == "slurm" else _first_of_mpi()
        job = ".".join(os.environ.get(name, "") for name in starter.job)
        os.environ.setdefault("MASTER_PORT", str(_PORTS[zlib.crc32(job.encode()) % len(_PORTS)]))
    os.environ.setdefault("LOCAL_RANK", str(local_rank))


def _told(launcher: str, names: tuple[str, ...]) -> str:
    """Return what a launcher's starter says by the first of some variables that is set."""
    for name in names:
        if name in os.environ:
            return os.environ[name]
    program = _STARTERS[launcher].program
    raise InputError(
        f"--launcher {launcher} is for processes started by {program}, and there is no {names[-1]}; start them with "
        f"{program}, or leave it out"
    )


def _first_of_slurm() -> str:
    """Return the first host of lists such as ``gpu[03-07,12],login1``, without SLURM's own tools."""
    hosts = _told("slurm", ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"))
    return re.sub(r"\[([^],-]+)[^]]*\]", r"\1", hosts).split(",")[0]


def _first_of_mpi() -> str:
    """Return this machine, where all processes are on it."""
    if os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") != os.environ["OMPI_COMM_WORLD_SIZE"]:
        raise InputError("--launcher mpi on several machines needs the first one's address: mpirun -x MASTER_ADDR")
    return "127.0.0.1"


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
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # such as 8,2: of what runs within what
    if int(outermost or 0) >= _LEAST_THREADS:
        return
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(_LEAST_THREADS, cores() // ranks))


def patience(config: Config) -> datetime.timedelta:
    """Return for how long processes wait for each other: ``env_cfg.dist_cfg.timeout`` of a config, or :data:`PATIENCE`.

    Raises:
        ConfigError: It is no number of seconds.
    """
    seconds = config.get("env_cfg", {}).get("dist_cfg", {}).get("timeout")
    if seconds is None:
        return PATIENCE
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
        raise ConfigError(f"env_cfg.dist_cfg.timeout must be a number of seconds above 0, not {seconds!r}")
    return datetime.timedelta(seconds=seconds)


def start(launcher: str, device: torch.device, wait: datetime.timedelta = PATIENCE) -> None:
    """Join the other processes of a run; with ``none`` there are none.

    Args:
        launcher: One of :data:`LAUNCHERS`, after :func:`find_place`.
        device: Where this process runs.
        wait: For how long it waits for the others once all are there.

    Raises:
        InputError: The launcher's environment is missing, or the others do not come.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if launcher == "none":
        return
    if launcher == "pytorch" and "RANK" not in os.environ:
        raise InputError(
            "--launcher pytorch is for processes started by torchrun; start them with torchrun, or leave it out"
        )
    # not mmengine's way, which asks for a GPU even for gloo, chooses another one than find_place, and makes what reads
    # images start anew, without this package's mends
    backend = "nccl" if device.type == "cuda" else "gloo"
    gathering = min(wait, _GATHERING)
    try:
        store, rank, size = next(rendezvous("env://", timeout=gathering))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"--launcher {launcher}: the {os.environ.get('WORLD_SIZE', '?')} processes did not find each other at "
            f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')} within {gathering} "
            f"({first_line(error, 200)}); see what stopped the others"
        ) from None
    store.set_timeout(wait)
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=wait)


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
