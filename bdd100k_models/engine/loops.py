"""Training loops whose iteration is one step of the optimiser for the whole batch, in as many parts as memory needs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine import dist
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from bdd100k_models.errors import TrainingError

#: With loss scaling an iteration now and then overflows and is skipped; so many in a row mean that training is lost.
MAX_OVERFLOWS = 10
_NAMED = 8


class _Part:
    """Stands in for the optimiser while one part of a batch goes through the model.

    Args:
        optimiser: The run's own.
        weight: The part's share of the batch.
        last: Whether the optimiser takes its step after this part.
    """

    def __init__(self, optimiser: OptimWrapper, weight: float, last: bool) -> None:
        self.optimiser, self.weight, self.last = optimiser, weight, last

    @contextlib.contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Run forward as the optimiser's precision asks; processes exchange gradients in the last part alone."""
        postpone = None if self.last else getattr(model, "no_sync", None)
        with contextlib.nullcontext() if postpone is None else postpone(), self.optimiser.optim_context(model):
            yield

    def update_params(self, loss: torch.Tensor) -> None:
        """Add the part's gradients; after the last part take the step."""
        self.optimiser.backward(loss * self.weight)
        if self.last:
            self.optimiser.step()
            self.optimiser.zero_grad()


def split_batch(batch: Any, size: int) -> list[Any]:
    """Split a batch as a data loader puts it together.

    Args:
        batch: Tensors or lists of one entry a sample, in dicts, lists of such or alone.
        size: Samples a part.

    Returns:
        The parts in order, the last maybe smaller. A batch of ``size`` or fewer is the only part, itself.
    """
    count = count_samples(batch)
    if count <= size:
        return [batch]
    return [_slice(batch, start, min(start + size, count)) for start in range(0, count, size)]


def count_samples(batch: Any) -> int:
    """Return how many samples a batch has."""
    if isinstance(batch, Mapping):
        return count_samples(batch["inputs"] if "inputs" in batch else next(iter(batch.values())))
    return len(batch)


def _slice(node: Any, start: int, stop: int) -> Any:
    if isinstance(node, Mapping):
        return {key: _slice(value, start, stop) for key, value in node.items()}
    return node[start:stop]


def train_batch(runner: Runner, batch: Any, part_size: int | None) -> dict[str, float]:
    """Take one step of the optimiser.

    The gradient is the mean of the parts' gradients, each weighted by its samples; of several processes it is the mean
    again. Losses that count samples or boxes do so within a part, as they do within a process.

    Args:
        runner: The run.
        batch: This process's share of the batch.
        part_size: Samples that go through the model at once; None for all.

    Returns:
        The mean of each logged value over the parts, and of the loss over the processes too.

    Raises:
        TrainingError: The loss of a part is not a finite number; the message names the iteration and the images.
    """
    parts = split_batch(batch, part_size or count_samples(batch))
    total = count_samples(batch)
    means: dict[str, torch.Tensor] = {}
    lost: list[str] = []
    for index, part in enumerate(parts):
        weight = count_samples(part) / total
        optimiser: Any = runner.optim_wrapper
        if len(parts) > 1:
            optimiser = _Part(optimiser, weight, last=index == len(parts) - 1)
        logged = runner.model.train_step(part, optim_wrapper=optimiser)
        values = {key: torch.as_tensor(value).detach().float().mean() for key, value in logged.items()}
        if not math.isfinite(float(values["loss"])):
            lost += image_names(part)
        for key, value in values.items():
            means[key] = means[key] + value * weight if key in means else value * weight
    averaged = _average(means)
    _check_finite(runner, averaged, lost)
    return averaged


def _average(means: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Average the loss over processes; the other values, which some of them may lack, are those of this one."""
    loss = means["loss"].clone()
    dist.all_reduce(loss, op="mean")
    return {key: float(value) for key, value in {**means, "loss": loss}.items()}


def _check_finite(runner: Runner, values: Mapping[str, float], lost: Sequence[str]) -> None:
    count = 0 if math.isfinite(values["loss"]) else getattr(runner, "overflows", 0) + 1
    runner.overflows = count
    scaled = isinstance(runner.optim_wrapper, AmpOptimWrapper)
    if count == 0 or (scaled and count < MAX_OVERFLOWS):
        return
    names = [name for part in dist.all_gather_object(list(lost)) for name in part]
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    repeated = f" for {count} iterations in a row" if scaled else ""
    raise TrainingError(
        f"iteration {runner.iter + 1}: the loss is {values['loss']}{repeated} with the images {shown}; look at their "
        "labels, or begin a new run from an earlier checkpoint's weights with a lower rate (--checkpoint epoch_N.pth "
        "--work-dir NEW --cfg-options optim_wrapper.optimizer.lr=...)"
    )


def image_names(batch: Any) -> list[str]:
    """Return the paths of a batch's images, in order, each once."""
    samples = batch.get("data_samples", ()) if isinstance(batch, Mapping) else ()
    frames = [frame for sample in samples for frame in getattr(sample, "video_data_samples", [sample])]
    return list(dict.fromkeys(str(frame.metainfo.get("img_path", "?")) for frame in frames))


@LOOPS.register_module()
class EpochTrainLoop(EpochBasedTrainLoop):  # type: ignore[misc]
    """Epochs; see :func:`train_batch` for an iteration.

    Args:
        part_size: Samples of a process that go through the model at once; None for all.
        options: Of mmengine's loop.
    """

    def __init__(self, *arguments: Any, part_size: int | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.part_size = part_size

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train one batch."""
        self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        outputs = train_batch(self.runner, data_batch, self.part_size)
        self.runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1


@LOOPS.register_module()
class IterTrainLoop(IterBasedTrainLoop):  # type: ignore[misc]
    """A number of iterations; see :func:`train_batch` for one.

    Args:
        part_size: Samples of a process that go through the model at once; None for all.
        options: Of mmengine's loop.
    """

    def __init__(self, *arguments: Any, part_size: int | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.part_size = part_size

    def run_iter(self, data_batch: Any) -> None:
        """Train one batch."""
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=data_batch)
        outputs = train_batch(self.runner, data_batch, self.part_size)
        self.runner.call_hook("after_train_iter", batch_idx=self._iter, data_batch=data_batch, outputs=outputs)
        self._iter += 1
