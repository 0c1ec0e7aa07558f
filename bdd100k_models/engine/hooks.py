"""Training hooks that OpenMMLab lacks."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

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
