"""One process of a run that may have several: the flags that say who started them, and how it begins and ends."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from mmengine.config import Config


def add_launcher_arguments(parser: Any) -> None:
    """Add the flags of those who start several processes."""
    parser.add_argument(
        "--launcher", choices=("none", "pytorch", "slurm", "mpi"), default="none", help="who started the processes"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help="set by older launchers")


@contextlib.contextmanager
def joined(args: argparse.Namespace, config: Config) -> Iterator[torch.device]:
    """Take part in a run as one of its processes; gives the device of this one.

    A process that fails alone must not wait for the others, which wait for it: NCCL ends a group only together, so
    after an error the group is left as it is, and once the error is printed the process ends without any more ado.
    Whoever started the processes sees that, and ends the others.

    Args:
        args: With the flags of :func:`add_launcher_arguments`, and ``device``.
        config: The model's config, which may say how long to wait.

    Raises:
        InputError, ConfigError: See :mod:`bdd100k_models.engine.distributed`.
    """
    from bdd100k_models.engine import distributed

    distributed.find_place(args.launcher, args.local_rank)
    device = distributed.choose_device(args.device)
    distributed.start(args.launcher, device, distributed.patience(config))
    ending = _Ending()
    if distributed.world_size() > 1:
        atexit.register(ending)  # before what the run itself wants done at its end, so that this comes last
    try:
        yield device
    except BaseException as error:
        if distributed.world_size() == 1:
            distributed.stop()
        ending.error = error
        raise
    atexit.unregister(ending)
    distributed.stop()


class _Ending:
    """Ends the process with the status that the command line has for an error.

    Attributes:
        error: What the run ended with.
    """

    error: BaseException | None = None

    def __call__(self) -> None:
        """End the process at once, if there was an error."""
        if self.error is None:
            return
        from bdd100k_models.cli import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_PROBLEMS
        from bdd100k_models.errors import ZooError

        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        statuses = {ZooError: EXIT_ERROR, KeyboardInterrupt: EXIT_INTERRUPTED}
        os._exit(next((status for kind, status in statuses.items() if isinstance(self.error, kind)), EXIT_PROBLEMS))
