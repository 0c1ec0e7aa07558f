"""OpenMMLab's runner, whose checkpoints appear whole or not at all."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.runner import Runner

from bdd100k_models.errors import InputError
from bdd100k_models.formats.files import output_error, temporary_path


class TrainingRunner(Runner):  # type: ignore[misc]
    """A runner for training.

    Attributes:
        overflows: Iterations in a row, up to now, whose loss was no finite number.
        begun: Whether training has begun; before, everything is put together.
        resumed_from: The checkpoint from which the run goes on, if it does.
    """

    overflows: int = 0
    begun: bool = False
    resumed_from: Path | None = None

    def resume(self, filename: str, *arguments: Any, **options: Any) -> None:
        """Go on from a checkpoint.

        Raises:
            InputError: The run had another learning rate, which would stay: the optimiser's state holds it.
        """
        wanted = self._rates()
        # where a GPU is, optimisers keep their counts of steps on the CPU; there they would be waited for in each step
        super().resume(filename, *arguments, **{"map_location": "cpu"} | options)
        for now, before in zip(wanted, self._rates(), strict=True):
            if not math.isclose(now, before, rel_tol=1e-6):
                raise InputError(
                    f"{filename}: was trained with the learning rate {before:g}, now it is {now:g}; go on with the "
                    "same, or begin a new run from its weights (--checkpoint FILE --work-dir NEW)"
                )
        self.resumed_from = Path(filename)

    def goes_on_in(self, folder: Path) -> bool:
        """Tell whether the run goes on from a checkpoint of this folder."""
        return self.resumed_from is not None and self.resumed_from.resolve().parent == folder.resolve()

    def _rates(self) -> list[float]:
        """Return the learning rate of each group of parameters, as it is before any schedule."""
        return [float(group.get("initial_lr", group["lr"])) for group in self.optim_wrapper.optimizer.param_groups]

    @master_only  # type: ignore[untyped-decorator]
    def save_checkpoint(self, out_dir: str, filename: str, *arguments: Any, **options: Any) -> None:
        """Save a checkpoint under a temporary name, then give it its own.

        Raises:
            OutputError: It cannot be written, perhaps since the disk is full. What stood there is untouched.
        """
        path = Path(out_dir) / filename
        temporary = temporary_path(path)
        try:
            super().save_checkpoint(out_dir, temporary.name, *arguments, **options)
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise output_error(path, error, resumable=True) from None

    def call_hook(self, fn_name: str, **arguments: Any) -> None:
        """Tell all hooks where the run is, and remember when it begins."""
        self.begun = self.begun or fn_name == "before_train"
        super().call_hook(fn_name, **arguments)

    def set_randomness(self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """Seed everything; what has no deterministic kernel on a GPU, PyTorch names in a warning."""
        super().set_randomness(seed, diff_rank_seed, deterministic)
        if deterministic and torch.cuda.is_available():
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as cuBLAS asks for
            torch.use_deterministic_algorithms(True, warn_only=True)

    def dump_config(self) -> None:
        """Write nothing: the run's folder gets the recipe without what this project's runner adds to it."""
