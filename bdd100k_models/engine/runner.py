"""OpenMMLab's runner, whose checkpoints appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.runner import Runner

from bdd100k_models.formats.files import output_error


class TrainingRunner(Runner):  # type: ignore[misc]
    """A runner for training.

    Attributes:
        overflows: Iterations in a row, up to now, whose loss was no finite number.
        begun: Whether training has begun; before, everything is put together.
    """

    overflows: int = 0
    begun: bool = False

    @master_only  # type: ignore[untyped-decorator]
    def save_checkpoint(self, out_dir: str, filename: str, *arguments: Any, **options: Any) -> None:
        """Save a checkpoint under a temporary name, then give it its own.

        Raises:
            OutputError: It cannot be written, perhaps since the disk is full. What stood there is untouched.
        """
        path, temporary = Path(out_dir) / filename, Path(out_dir) / f".{filename}.{os.getpid()}.tmp"
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
