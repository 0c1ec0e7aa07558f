"""Scaled losses of mixed precision: an overflow is a skipped step, too many end the run, a resume keeps the scale."""

from __future__ import annotations

import bdd100k_models.registry  # noqa: F401  (mends what OpenMMLab loads and saves)

# isort: split

import functools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

from bdd100k_models.engine.loops import MAX_OVERFLOWS, train_batch
from bdd100k_models.engine.run_record import check_resumable
from bdd100k_models.engine.runner import TrainingRunner
from bdd100k_models.errors import TrainingError

INFINITE = math.inf
SCALED = {"type": "AmpOptimWrapper", "loss_scale": {"init_scale": 1024.0, "growth_interval": 3}}
SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9}


@pytest.fixture(autouse=True)
def scaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenMMLab's wrapper run without a GPU too: PyTorch's scaler does."""
    module = "mmengine.optim.optimizer.amp_optimizer_wrapper"
    monkeypatch.setattr(f"{module}.is_cuda_available", lambda: True)
    monkeypatch.setattr(f"{module}.GradScaler", functools.partial(torch.amp.GradScaler, get_device()))


class Neuron(BaseModel):  # type: ignore[misc]
    """A model whose loss is no finite number for an image that is infinite."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 1)

    def forward(
        self, inputs: list[torch.Tensor], data_samples: list[BaseDataElement], mode: str
    ) -> dict[str, torch.Tensor]:
        return {"loss": self.layer(torch.stack(inputs)).float().square().mean()}


class Images(Dataset[dict[str, Any]]):
    """Images of one value each."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> dict[str, Any]:
        value = self.values[index]
        sample = BaseDataElement(metainfo={"img_path": f"{value}.jpg"})
        return {"inputs": torch.full((4,), value), "data_samples": sample}


def make_runner(**wrapper: Any) -> Any:
    model = Neuron().to(get_device())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    return SimpleNamespace(model=model, optim_wrapper=OPTIM_WRAPPERS.build({**wrapper, "optimizer": optimiser}), iter=0)


def step(runner: Any, part_size: int | None, *values: float) -> float:
    samples = list(Images(*values))
    batch = {key: [sample[key] for sample in samples] for key in ("inputs", "data_samples")}
    loss = train_batch(runner, batch, part_size)["loss"]
    runner.iter += 1
    return loss


@pytest.mark.parametrize(("part_size", "named"), [(None, r"0\.5\.jpg, inf\.jpg"), (1, r"inf\.jpg")])
def test_some_overflows_are_skipped_and_too_many_end_the_run(part_size: int | None, named: str) -> None:
    """Of a batch in parts, one that overflows makes the whole step a skipped one."""
    runner = make_runner(**SCALED)
    weights, scaler = runner.model.layer.weight, runner.optim_wrapper.loss_scaler
    for round_ in (1, 2):
        before, scale = weights.detach().clone(), scaler.get_scale()
        for _ in range(MAX_OVERFLOWS - 1):
            assert not math.isfinite(step(runner, part_size, 0.5, INFINITE))
        assert torch.equal(weights, before)
        assert scaler.get_scale() == scale / 2 ** (MAX_OVERFLOWS - 1)
        assert runner.overflows == MAX_OVERFLOWS - 1
        if round_ == 1:  # one that is finite: the count begins anew
            assert math.isfinite(step(runner, part_size, 0.5, 1.0))
            assert runner.overflows == 0
            assert weights.isfinite().all() and not torch.equal(weights, before)
    iteration, row = runner.iter + 1, MAX_OVERFLOWS
    expected = (
        rf"iteration {iteration}: the loss is (nan|inf) for {row} iterations in a row with the images {named}; look"
    )
    with pytest.raises(TrainingError, match=expected):
        step(runner, part_size, 0.5, INFINITE)


def test_without_a_scale_the_first_overflow_ends_the_run() -> None:
    runner = make_runner(type="OptimWrapper")
    assert math.isfinite(step(runner, 1, 0.5, 1.0))
    with pytest.raises(TrainingError, match=r"iteration 2: the loss is (nan|inf) with the images inf\.jpg; look"):
        step(runner, 1, 0.5, INFINITE)


def train(work: Path, resume: Path | None = None) -> dict[str, Any]:
    """Train eight iterations, of which the second and third overflow; returns the last checkpoint."""
    images = Images(0.5, 1.0, 0.5, INFINITE, INFINITE, 1.0, *[0.25, 0.75] * 5)
    runner = TrainingRunner(
        model=Neuron(),
        work_dir=str(work),
        experiment_name=work.name,
        train_dataloader={
            "batch_size": 2,
            "num_workers": 0,
            "sampler": {"type": "InfiniteSampler", "shuffle": False},
            "dataset": images,
            "collate_fn": {"type": "pseudo_collate"},
        },
        train_cfg={"type": "IterTrainLoop", "max_iters": 8, "part_size": 1},
        optim_wrapper={**SCALED, "optimizer": SGD},
        default_hooks={"checkpoint": {"type": "KeepingCheckpointHook", "by_epoch": False, "interval": 4}},
        load_from=None if resume is None else str(resume),
        resume=resume is not None,
    )
    runner.train()
    content: dict[str, Any] = torch.load(work / "iter_8.pth", weights_only=False)
    return content


def test_a_resumed_run_goes_on_with_its_scale(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    scaler = whole["optimizer"]["loss_scaler"]
    # halved twice; doubled after the third good iteration from there on, the sixth; then two more
    assert (scaler["scale"], scaler["_growth_tracker"]) == (512.0, 2)
    middle = tmp_path / "whole/iter_4.pth"
    check_resumable(middle, 2)  # is read without running anything
    parts = train(tmp_path / "parts", resume=middle)
    assert parts["optimizer"]["loss_scaler"] == scaler
    assert all(torch.equal(value, parts["state_dict"][key]) for key, value in whole["state_dict"].items())
    momenta = [content["optimizer"]["state"][0]["momentum_buffer"] for content in (whole, parts)]
    assert torch.equal(*momenta)
