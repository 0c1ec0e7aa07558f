"""A tiny detector with random weights, and running the command line on it as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from conftest import ROOT

MODEL = "atss_mini_det_synthetic"


def make_checkpoint(path: Path, seed: int = 0) -> Path:
    """Write random weights for the small detector that give boxes of many scores."""
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.model import build_model
    from bdd100k_models.zoo.records import resolve_config

    torch.manual_seed(seed)
    model = build_model(load_config(resolve_config("det", MODEL)))
    state = model.state_dict()
    for key, value in state.items():
        if key.endswith("atss_cls.bias"):
            value.fill_(-1.0)
        elif "atss_cls.weight" in key:
            value.normal_(0, 0.3)
    torch.save({"meta": {}, "state_dict": state}, path)
    return path


#: Starts two processes of one run, at a port that is free.
TWO_PROCESSES = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone")


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a command, without what would change its output."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BDD100K", "OMP_"))}
    return kept | {"CUDA_VISIBLE_DEVICES": "", "COLUMNS": "100"} | variables


def run(
    *arguments: str | Path, cwd: Path | None = None, timeout: float = 240, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run ``bdd100k-models`` and return what it printed and its exit status."""
    return subprocess.run(
        [sys.executable, "-m", "bdd100k_models.cli", *map(str, arguments)],
        cwd=cwd or ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
