"""Training hooks that OpenMMLab lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast, get_rank
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.nn.modules.batchnorm import _NormBase

from bdd100k_models.engine.distributed import on_main
from bdd100k_models.engine.fit import check_fit, check_scored
from bdd100k_models.engine.metric import BDD100KMetric
from bdd100k_models.engine.recipe import BatchPlan
from bdd100k_models.engine.run_record import TOTAL, note_checkpoint, now, read_record, versions, write_record
from bdd100k_models.engine.runner import TrainingRunner
from bdd100k_models.engine.sampling import set_generators
from bdd100k_models.formats.files import write_bytes

_MIXING = ("Mosaic", "MixUp")
_SCALING = "RandomResize"


@HOOKS.register_module()
class ModeSwitchHook(Hook):  # type: ignore[misc]
    """Ends strong augmentation some epochs before the end, as the published ``_strong_`` recipes do.

    Args:
        num_last_epochs: How many epochs at the end train without mixed images.
        single_scale: In those epochs also leave images at their own scale.
    """

    def __init__(self, num_last_epochs: int, single_scale: bool = False) -> None:
        self.num_last_epochs = num_last_epochs
        self.skipped = [*_MIXING, *([_SCALING] if single_scale else [])]
        self._switched = False

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch at the epoch in question, or at once when training resumes after it."""
        if self._switched or runner.epoch < runner.max_epochs - self.num_last_epochs:
            return
        loader = runner.train_dataloader
        loader.dataset.update_skip_type_keys(self.skipped)
        if getattr(loader, "persistent_workers", False):
            # workers hold a copy of the data set: new ones must be made
            loader._DataLoader__initialized = False
            loader._iterator = None
            loader._DataLoader__initialized = True
        runner.logger.info(f"no {', '.join(self.skipped)} from epoch {runner.epoch + 1} on")
        self._switched = True


@HOOKS.register_module()
class FitCheckHook(Hook):  # type: ignore[misc]
    """Refuses a model whose outputs are not the classes of its data, before anything is fetched or trained."""

    def before_run(self, runner: Runner) -> None:
        """Compare the model with the training data, and that with the validation data."""
        meta = runner.train_dataloader.dataset.metainfo
        check_fit(getattr(runner.model, "module", runner.model), meta)
        if runner.val_loop is not None:
            official = [
                metric.classes for metric in runner.val_loop.evaluator.metrics if isinstance(metric, BDD100KMetric)
            ]
            check_scored(meta, runner.val_dataloader.dataset.metainfo, official)


@HOOKS.register_module()
class IterationSeedHook(Hook):  # type: ignore[misc]
    """Runs each iteration from generators that follow from the seed, the iteration and the process alone."""

    priority = "VERY_HIGH"

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set the generators."""
        # one number more than an image's, so that no image shares the state
        set_generators(runner.seed, 0, runner.iter, get_rank())


@HOOKS.register_module()
class StatisticsHook(Hook):  # type: ignore[misc]
    """Gives all processes the first one's means and variances before they validate.

    Each process has counted its own images; those of the first are what a checkpoint holds, so they are what is scored.
    """

    priority = "VERY_HIGH"  # before a moving average takes the model's place

    def before_val_epoch(self, runner: Runner) -> None:
        """Send them, those of a moving average too."""
        for model in (runner.model, *(hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook))):
            for module in model.modules():
                if isinstance(module, _NormBase) and module.track_running_stats:
                    broadcast(module.running_mean)
                    broadcast(module.running_var)


class RecordHook(Hook):  # type: ignore[misc]
    """Writes the recipe and the record of a run once it begins; one that is refused leaves those of the run before.

    Args:
        recipe: The config as it is used, without what this project's runner adds to it.
        batch: Of what a step is made.
        device: Where it is trained.
    """

    priority = "VERY_LOW"

    def __init__(self, recipe: Config, batch: BatchPlan, device: torch.device) -> None:
        self.recipe, self.batch, self.device = recipe, batch, device

    def before_train(self, runner: TrainingRunner) -> None:
        """Write both."""
        if get_rank() != 0:
            return
        folder = Path(runner.work_dir)
        name = Path(self.recipe.filename or "config.py").name
        write_bytes(folder / name, self.recipe.pretty_text.encode())
        before = read_record(folder) if runner.goes_on_in(folder) else {}
        record = {
            "started": now(),
            "seed": runner.seed,
            "deterministic": runner.deterministic,
            "device": torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu",
            "batch": self.batch.as_dict(),
            "versions": versions(),
        }
        write_record(folder, record | ({"scored": before["scored"]} if "scored" in before else {}))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Let a checkpoint say of how many images its steps were, which a run that goes on from it must keep."""
        checkpoint["meta"][TOTAL] = self.batch.total


@HOOKS.register_module()
class MissedValidationHook(Hook):  # type: ignore[misc]
    """Scores what a resumed run begins with, where the run before ended between its checkpoint and its score."""

    priority = "LOWEST"

    def before_train(self, runner: Runner) -> None:
        """Validate if it was due at the resumed checkpoint and is not on record."""
        loop, validation = runner.train_loop, runner.val_loop
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        done, last = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
        if validation is None or not done:
            return
        scored = on_main(lambda: read_record(Path(runner.work_dir)).get("scored"))
        if scored != runner.iter and done >= loop.val_begin and (done % loop.val_interval == 0 or done == last):
            validation.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put on record that this state was scored."""
        if get_rank() == 0:
            folder = Path(runner.work_dir)
            write_record(folder, read_record(folder) | {"scored": runner.iter})


class _Remover:
    """A file backend that removes files only when told that what replaces them is there.

    Args:
        backend: The backend that does the work.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.waiting: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def remove(self, path: str) -> None:
        """Remember a file that is to go."""
        self.waiting.append(path)

    def finish(self, kept: set[str | None]) -> None:
        """Remove the files remembered, but none of ``kept``."""
        for path in self.waiting:
            if path not in kept:
                Path(path).unlink(missing_ok=True)
        self.waiting = []


@HOOKS.register_module()
class KeepingCheckpointHook(CheckpointHook):  # type: ignore[misc]
    """Saves checkpoints; an older one goes only when the newer one is whole.

    A score that an evaluation does not have, since no label is of any class, makes no best checkpoint. A run that goes
    on from another folder leaves the best checkpoint there alone.
    """

    def before_train(self, runner: TrainingRunner) -> None:
        """Find out where checkpoints go and what they go on from; remove what an interrupted run left half written."""
        super().before_train(runner)
        self.file_backend: Any = _Remover(self.file_backend)
        if runner.goes_on_in(Path(self.out_dir)):
            # without one, mmengine would not save the score of a validation that is made up for
            self.last_ckpt: str | None = self._own(str(runner.resumed_from))
        self._find_best(runner.message_hub)
        if get_rank() == 0:
            note_checkpoint(Path(runner.work_dir), self.last_ckpt)
            for leftover in Path(self.out_dir).glob(".*.pth.*.tmp"):
                leftover.unlink(missing_ok=True)

    def _find_best(self, hub: MessageHub) -> None:
        """Let the best checkpoints be those of this folder, also where it was copied, or none."""
        if not self.save_best:
            return
        if hasattr(self, "best_ckpt_path"):
            self.best_ckpt_path: str | None = self._own(self.best_ckpt_path)
            found = {"best_ckpt": self.best_ckpt_path}
        else:
            several: dict[str, str | None] = self.best_ckpt_path_dict
            several.update({key: self._own(path) for key, path in several.items()})
            found = {f"best_ckpt_{key}": path for key, path in several.items()}
        for key, path in found.items():
            hub.runtime_info.pop(key, None)
            if path is not None:
                hub.update_info(key, path)

    def _own(self, path: str | None) -> str | None:
        """Return the file of this run's folder that has the name of ``path``, if there is one."""
        own = Path(self.out_dir) / Path(path or "?").name
        return str(own) if own.is_file() else None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        super()._save_checkpoint_with_step(runner, step, meta)
        self.file_backend.finish({self.last_ckpt, getattr(self, "best_ckpt_path", None)})

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if self.save_best and (lacking := [key for key in self.key_indicators if key not in ("auto", *metrics)]):
            runner.logger.warning(f"the evaluation has no {lacking[0]}, so it makes no best checkpoint")
            return
        super()._save_best_checkpoint(runner, metrics)
        self.file_backend.finish({self.last_ckpt, getattr(self, "best_ckpt_path", None)})
