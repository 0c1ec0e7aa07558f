"""A config's recipe fitted to the processes, memory and wishes of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from mmengine.config import Config, ConfigDict

from bdd100k_models.errors import ConfigError, InputError

#: How to reach the published batch: as many parts as it takes, what the config itself says, or so many.
Accumulate: TypeAlias = Literal["auto", "off"] | int

#: Entries of a schedule that are counted in iterations where it is not ``by_epoch``.
_LENGTHS = ("begin", "end", "milestones", "T_max", "step_size", "total_steps", "total_iters")
_LOOPS = {"EpochBasedTrainLoop": "EpochTrainLoop", "IterBasedTrainLoop": "IterTrainLoop"}
#: The moving average of the published YOLOX tracker.
_EMA = {
    "type": "EMAHook",
    "ema_type": "mmdet.ExpMomentumEMA",
    "momentum": 0.0002,
    "gamma": 2000,
    "update_buffers": True,
    "priority": 49,
}


@dataclass(frozen=True)
class BatchPlan:
    """Of what one step of the optimiser is made.

    Attributes:
        part: Images of a process that go through the model at once.
        parts: Such parts, one after another.
        processes: How many processes take part.
        published: Images of a step as published, or None where the config does not say.
    """

    part: int
    parts: int
    processes: int
    published: int | None

    @property
    def total(self) -> int:
        """Images of a step."""
        return self.part * self.parts * self.processes

    def as_dict(self) -> dict[str, int | None]:
        """Return all numbers by name."""
        return {**asdict(self), "total": self.total}

    def __str__(self) -> str:
        """Return one line."""
        published = "" if self.published is None else f"; published: {self.published}"
        return f"{self.part} at once x {self.parts} parts x {self.processes} processes = {self.total} a step{published}"


def plan_batch(config: Config, processes: int, accumulate: Accumulate) -> BatchPlan:
    """Decide in how many parts the batch of a step is computed.

    ``auto`` takes the number of parts whose total is nearest to ``auto_scale_lr.base_batch_size`` of the config, which
    is the published images a GPU times GPUs; where the config has none, one part. A config that accumulates by itself
    says how many parts there are, for ``off`` too.

    Args:
        config: The config; ``train_dataloader.batch_size`` is what a process has memory for. Loses
            ``optim_wrapper.accumulative_counts``, whose work the parts do.
        processes: How many processes take part.
        accumulate: What was asked for.

    Raises:
        InputError: The number of parts is not positive.
        ConfigError: Neither is the batch size, or the config's own number of parts.
    """
    part = _count(config.train_dataloader.get("batch_size"), "train_dataloader.batch_size")
    published = config.get("auto_scale_lr", {}).get("base_batch_size")
    own = _count(config.optim_wrapper.pop("accumulative_counts", 1), "optim_wrapper.accumulative_counts")
    if isinstance(accumulate, int):
        if accumulate < 1:
            raise InputError(f"--accumulate must be auto, off or a number from 1, not {accumulate}")
        parts = accumulate
    elif accumulate == "off" or own > 1 or published is None:
        parts = own
    else:
        parts = max(1, round(published / (part * processes)))
    return BatchPlan(part, parts, processes, published)


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a number from 1, not {value!r}")
    return value


def fit_recipe(config: Config, plan: BatchPlan, *, follow: bool, scale_rate: bool = False) -> None:
    """Fit a recipe to the images of a step. From then on they are its own number: it needs no fitting again.

    Args:
        config: Changed.
        plan: Of what a step is made.
        follow: Where the total is not the published one, let the learning rate grow in proportion, and everything that
            is counted in iterations shrink, so that as many images are seen.
        scale_rate: Let the learning rate alone grow.

    Raises:
        ConfigError: The recipe names no learning rate that could grow.
    """
    if plan.published and plan.total != plan.published:
        if follow or scale_rate or config.auto_scale_lr.get("enable", False):
            optimiser = config.optim_wrapper.get("optimizer", {})
            if "lr" not in optimiser:
                raise ConfigError(
                    f"{config.filename}: names no optim_wrapper.optimizer.lr, which follows the images a step; set it"
                )
            optimiser["lr"] *= plan.total / plan.published
        if follow:
            scale_iterations(config, plan.published / plan.total)
    config.auto_scale_lr = {"enable": False, "base_batch_size": plan.total}


def apply_plan(config: Config, plan: BatchPlan) -> None:
    """Make a config load and train as planned."""
    loader = config.train_dataloader
    loader.batch_size = plan.part * plan.parts
    if plan.parts > 1 and loader.get("num_workers"):
        loader.setdefault("prefetch_factor", 1)  # a worker's batch is several times as large
    config.train_cfg.part_size = plan.part


def scale_iterations(config: Config, factor: float) -> None:
    """Multiply everything in a recipe that is counted in iterations, to at least one."""

    def scaled(value: Any) -> Any:
        return [scaled(item) for item in value] if isinstance(value, (list, tuple)) else max(1, round(value * factor))

    loop = config.train_cfg
    if not _by_epoch(loop):
        for key in ("max_iters", "val_interval"):
            if key in loop:
                loop[key] = scaled(loop[key])
    checkpoint = config.get("default_hooks", {}).get("checkpoint", {})
    if checkpoint.get("by_epoch", True) is False and checkpoint.get("interval", -1) > 0:
        checkpoint.interval = scaled(checkpoint.interval)
    for schedule in _schedules(config):
        if schedule.get("by_epoch", True):
            continue
        for key in _LENGTHS:
            if schedule.get(key):
                schedule[key] = scaled(schedule[key])


def _by_epoch(loop: ConfigDict) -> bool:
    return bool(loop.get("by_epoch", "Epoch" in str(loop.get("type", ""))))


def _schedules(config: Config) -> Iterator[ConfigDict]:
    schedules = config.get("param_scheduler") or []
    yield from schedules if isinstance(schedules, (list, tuple)) else [schedules]


def wrap_for_running(config: Config, validate: bool, metric: str | None) -> None:
    """Put in what makes a run reproducible, resumable and safe; what a recipe says stays as it is.

    Args:
        config: Changed; may have been through here before.
        validate: Whether the validation split is scored.
        metric: The official metric that ranks models, or None.

    Raises:
        ConfigError: The loop is not known, or checkpoints are to be saved from which it could not go on.
    """
    loader = config.train_dataloader
    if "sampler" not in loader:
        raise ConfigError(f"{config.filename}: train_dataloader has no sampler; give it one, such as DefaultSampler")
    if loader.dataset.get("type") != "SeededDataset":
        loader.dataset = {"type": "SeededDataset", "dataset": loader.dataset}
        loader.sampler = {"type": "SeededSampler", "sampler": loader.sampler}
    loop = config.train_cfg
    kind = "EpochBasedTrainLoop" if _by_epoch(loop) else "IterBasedTrainLoop"
    named = loop.get("type", kind)
    if named not in (*_LOOPS, *_LOOPS.values()):
        raise ConfigError(f"{config.filename}: train_cfg.type {named!r} is not known; use one of {', '.join(_LOOPS)}")
    loop.pop("by_epoch", None)
    loop.type = _LOOPS.get(named, named)
    hooks = config.setdefault("default_hooks", ConfigDict())
    checkpoint = hooks.setdefault("checkpoint", ConfigDict(type="CheckpointHook", interval=1))
    checkpoint.type = "KeepingCheckpointHook"
    if loop.type == "EpochTrainLoop" and checkpoint.get("by_epoch", True) is False:
        raise ConfigError(
            f"{config.filename}: default_hooks.checkpoint.by_epoch=False saves within epochs, where training cannot go "
            "on; save after whole ones, or train by iterations (train_cfg.type='IterBasedTrainLoop')"
        )
    if validate and metric and "save_best" not in checkpoint:
        checkpoint.save_best, checkpoint.rule = metric, "greater"
    if "visualizer" in config:
        config.visualizer.pop("name", None)  # named after the run: another run in this process would log to its folder
    own = ("FitCheckHook", "IterationSeedHook", "StatisticsHook", "MissedValidationHook")
    config.custom_hooks = [*(config.get("custom_hooks") or []), *({"type": name} for name in own)]


def add_average(config: Config) -> None:
    """Keep a moving average of the weights, which is what is scored and published; one that is there already stays."""
    hooks = list(config.get("custom_hooks") or [])
    if not any(hook.get("type") == "EMAHook" for hook in hooks):
        config.custom_hooks = [*hooks, ConfigDict(_EMA)]


def set_tensorboard(config: Config, wanted: bool) -> None:
    """Write what is logged for TensorBoard too, or not."""
    visualizer = config.setdefault("visualizer", ConfigDict(type="Visualizer", name="visualizer"))
    backends = visualizer.get("vis_backends") or [ConfigDict(type="LocalVisBackend")]
    kept = [backend for backend in backends if backend.get("type") != "TensorboardVisBackend"]
    visualizer.vis_backends = [*kept, *([ConfigDict(type="TensorboardVisBackend")] if wanted else [])]
