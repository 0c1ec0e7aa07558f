"""Training with OpenMMLab's runner, set up for the machine at hand."""

from __future__ import annotations

import contextlib
import copy
import errno
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import sync_random_seed
from mmengine.logging import print_log

from bdd100k_models.engine import distributed, loops  # noqa: F401  (configs name the loops)
from bdd100k_models.engine.checkpoint import load_weights
from bdd100k_models.engine.config import data_root_of
from bdd100k_models.engine.hooks import RecordHook
from bdd100k_models.engine.model import explain_memory, lay_channels_last
from bdd100k_models.engine.precision import set_precision
from bdd100k_models.engine.recipe import (
    Accumulate,
    BatchPlan,
    add_average,
    apply_plan,
    fit_recipe,
    plan_batch,
    set_tensorboard,
    wrap_for_running,
)
from bdd100k_models.engine.run_record import (
    Interrupted,
    check_resumable,
    newest_checkpoint,
    now,
    read_record,
    write_record,
)
from bdd100k_models.engine.runner import TrainingRunner
from bdd100k_models.errors import ConfigError, DownloadError, InputError, MissingFileError, ZooError
from bdd100k_models.formats.files import make_folder, output_error
from bdd100k_models.memory import keep_freed_memory
from bdd100k_models.paths import resource_root
from bdd100k_models.registry import enter_scope
from bdd100k_models.tasks import get_task

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


@dataclass
class TrainOptions:
    """How to train; the attributes are the flags of the same name.

    Attributes:
        work_dir: Where checkpoints and logs go.
        launcher: Who started the processes.
        data_root: The data set's folder, or None to look for it.
        device: Where to train.
        resume: False, True for the newest checkpoint of ``work_dir``, or a checkpoint.
        weights: Weights to start from; by default those that the backbone's ``init_cfg`` names.
        amp: Mixed precision, whatever the config says.
        channels_last: Lay out convolutions with the channels last; sums are taken in another order.
        accumulate: In how many parts a batch is computed; see :func:`~bdd100k_models.engine.recipe.plan_batch`.
        auto_scale_lr: Scale the learning rate to the total batch size.
        ema: Score and keep a moving average of the weights.
        tensorboard: Write logs for TensorBoard too.
        seed: Seed of everything random, or None for a new one each time.
        deterministic: Only deterministic operators.
        validate: Score the validation split after each epoch.
    """

    work_dir: Path
    device: torch.device
    launcher: str = "none"
    data_root: str | None = None
    resume: bool | Path = False
    weights: Path | None = None
    amp: bool = False
    channels_last: bool = False
    accumulate: Accumulate = "auto"
    auto_scale_lr: bool = False
    ema: bool = False
    tensorboard: bool = True
    seed: int | None = None
    deterministic: bool = False
    validate: bool = True


def run_training(config: Config, options: TrainOptions) -> Path:
    """Train the model of a config.

    ``load_from`` of a published config names the finished model; training starts from the backbone's weights instead.
    The folder of the run holds the recipe as it was used, ``run.json`` (versions, seed, batch, outcome), checkpoints,
    and a folder of logs for each start (text, JSON, TensorBoard).

    Args:
        config: The model's config with its recipe; changed by the options.
        options: How to train.

    Returns:
        The newest checkpoint.

    Raises:
        ConfigError: The config has no recipe, one that cannot be built, or a model that does not fit the data.
        LabelError, MissingFileError: The data set is not there or does not fit.
        CheckpointError: What to start or resume from cannot be used.
        TrainingError: The loss became no number.
        ImageError: An image cannot be read.
        InputError: The memory does not suffice.
        OutputError: The folder cannot be written.
    """
    make_folder(options.work_dir)
    if options.device.type == "cpu":
        distributed.set_cpu_threads()
        keep_freed_memory()
    options = _with_recipe(options, config)
    plan, recipe = _apply(config, options)
    enter_scope(config.get("default_scope"))
    advice = "lower train_dataloader.batch_size by --cfg-options: the images a step stay, in more parts"
    runner: TrainingRunner | None = None
    with explain_memory(advice), _explained(config, options, lambda: runner is not None and runner.begun):
        runner = TrainingRunner.from_cfg(config)
        if options.channels_last:
            lay_channels_last(_bare(runner.model))
        runner.register_hook(RecordHook(recipe, plan, options.device))
        if config.resume:
            _keep_weights(runner.model)  # those of the checkpoint come later: nothing need be fetched
        elif options.weights is not None:
            _initialise_without_fetching(_bare(runner.model))
            load_weights(_bare(runner.model), options.weights, new_heads=True)
            _keep_weights(runner.model)
        runner.train()
    distributed.barrier()  # the first process may still be writing
    newest = newest_checkpoint(options.work_dir) or options.work_dir
    if distributed.rank() == 0:
        best = runner.message_hub.runtime_info.get("best_ckpt")
        score = runner.message_hub.runtime_info.get("best_score")
        outcome = {"finished": now(), "iterations": runner.iter, "checkpoint": newest.name}
        outcome |= {"best": Path(best).name, "best_score": score} if best else {}
        write_record(options.work_dir, read_record(options.work_dir) | outcome)
    return newest


@contextlib.contextmanager
def _explained(config: Config, options: TrainOptions, begun: Callable[[], bool]) -> Iterator[None]:
    """Turn what OpenMMLab and PyTorch raise into this project's errors.

    Args:
        config: The config.
        options: How it is trained.
        begun: Tells whether training has begun: from then on an error is no longer that of the config.
    """
    try:
        yield
    except ZooError as error:
        raise _without_trace(error) from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        if begun():
            raise
        names = ", ".join(str(part["checkpoint"]) for part in _pretrained(config.model))
        raise DownloadError(
            f"the backbone's weights ({names}) cannot be fetched ({getattr(error, 'reason', error)}); "
            "start from weights with --checkpoint FILE, or set model.backbone.init_cfg.checkpoint=FILE by --cfg-options"
        ) from None
    except (KeyError, TypeError, AssertionError, ValueError, OSError) as error:
        if isinstance(error, OSError):
            _explain_system(options.work_dir, error)
        if isinstance(error.__cause__, ZooError):
            raise error.__cause__ from None
        if begun():
            raise
        raise ConfigError(f"{config.filename}: training cannot be set up ({type(error).__name__}: {error})") from error


def _explain_system(folder: Path, error: OSError) -> None:
    """Raise an error that says what to do, where the system could not write into a folder or open more files."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        raise InputError(
            "too many files are open; lower train_dataloader.num_workers by --cfg-options, or allow more (ulimit -n)"
        ) from error
    if isinstance(error.filename, str):
        concerned = Path(error.filename).resolve().is_relative_to(folder.resolve())
    else:
        concerned = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
    if concerned:
        raise output_error(folder, error, resumable=True) from error


def _without_trace(error: ZooError) -> ZooError:
    """Return an error with its message alone; PyTorch puts the traceback of the process that reads images before it."""
    trace, _, message = str(error).rpartition(f"{type(error).__module__}.{type(error).__qualname__}: ")
    return type(error)(message.strip()) if trace.startswith("Caught ") else error


def _with_recipe(options: TrainOptions, config: Config) -> TrainOptions:
    """Return the options with what a config says that an earlier run left: without flags it trains as that run did."""
    randomness = config.get("randomness") or {}
    weights = options.weights or config.get("initial_weights")
    return replace(
        options,
        weights=Path(weights) if weights else None,
        channels_last=options.channels_last or config.get("channels_last", False),
        seed=randomness.get("seed") if options.seed is None else options.seed,
        deterministic=options.deterministic or randomness.get("deterministic", False),
    )


def _apply(config: Config, options: TrainOptions) -> tuple[BatchPlan, Config]:
    """Fit the config to the options and the machine; return what a step is made of, and the recipe as it is then."""
    for key in ("model", "train_dataloader", "train_cfg", "optim_wrapper"):
        if config.get(key) is None:
            raise ConfigError(f"{config.filename}: has no {key}, so it cannot be trained")
    if options.auto_scale_lr and "base_batch_size" not in config.get("auto_scale_lr", {}):
        raise ConfigError(f"{config.filename}: names no auto_scale_lr.base_batch_size, which --auto-scale-lr needs")
    # in full, and before the variable: the recipe is to find the same data wherever it is used
    root = data_root_of(config, _innermost(config.train_dataloader.dataset), options.data_root).resolve()
    config.fixed_data_root = True
    for loader in _LOADERS:
        if config.get(loader) is not None:
            _innermost(config[loader].dataset).data_root = str(root)
    config.work_dir = str(options.work_dir)
    plan = plan_batch(config, distributed.world_size(), options.accumulate)
    print_log(f"images: {plan}", "current")
    checkpoint = _resume_from(options)
    before = Interrupted(options.seed, False) if checkpoint is None else check_resumable(checkpoint, plan.total)
    seed = sync_random_seed() if before.seed is None else before.seed
    config.randomness = {"seed": seed, "deterministic": options.deterministic}
    config.load_from, config.resume = None, False
    if checkpoint is None and options.weights is None:
        _find_stages(config)
    set_precision(config, options.device, amp=options.amp)
    if before.averaged:
        print_log(f"{checkpoint}: goes on with its moving average of the weights", "current")
    if options.ema or before.averaged:
        add_average(config)
    set_tensorboard(config, options.tensorboard)
    if not options.validate:
        config.val_dataloader = config.val_cfg = config.val_evaluator = None
    fit_recipe(config, plan, follow=options.accumulate != "off", scale_rate=options.auto_scale_lr)
    if options.channels_last:
        config.channels_last = True
    if options.weights is not None:
        config.initial_weights = str(options.weights.resolve())
    recipe = copy.deepcopy(config)
    if checkpoint is not None:
        config.load_from, config.resume = str(checkpoint), True
    apply_plan(config, plan)
    # the runner builds all three loops' parts; testing is a command of its own
    config.test_dataloader = config.test_cfg = config.test_evaluator = None
    config.launcher = options.launcher
    wrap_for_running(config, options.validate, _main_metric(config))
    if options.device.type == "cpu":
        _use_cpu(config)
    return plan, recipe


def _use_cpu(config: Config) -> None:
    _without_sync(config.model)
    if "env_cfg" in config:
        config.env_cfg.dist_cfg = {"backend": "gloo"}
    # mmengine would name a GPU for each process
    config.setdefault("model_wrapper_cfg", {"type": "MMDistributedDataParallel", "broadcast_buffers": False})
    config.model_wrapper_cfg.device_ids = None
    config.model_wrapper_cfg.setdefault("find_unused_parameters", config.get("find_unused_parameters", False))


def _without_sync(node: Any) -> None:
    """Turn synchronised batch normalisation, which only GPUs have, into the plain one."""
    if isinstance(node, dict):
        if node.get("type") == "SyncBN":
            node["type"] = "BN"
        for value in node.values():
            _without_sync(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _without_sync(value)


def _innermost(dataset: Any) -> Any:
    """Return the data set that reads files, inside those that repeat or mix it."""
    return _innermost(dataset.dataset) if "dataset" in dataset else dataset


def _main_metric(config: Config) -> str | None:
    """Return the key under which validation logs the official metric that ranks models."""
    evaluators = config.get("val_evaluator") or []
    for evaluator in evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]:
        if evaluator.get("type") == "BDD100KMetric":
            prefix = evaluator.get("prefix") or "bdd100k"
            return f"{prefix}/{get_task(evaluator.task).metric}"
    return None


def _resume_from(options: TrainOptions) -> Path | None:
    if not options.resume or isinstance(options.resume, Path):
        return options.resume or None
    newest = newest_checkpoint(options.work_dir)
    if newest is None:
        print_log(f"nothing to resume in {options.work_dir}: training begins", "current")
    return newest


def _bare(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model inside a wrapper for several processes."""
    inner: torch.nn.Module = getattr(model, "module", model)
    return inner


def _initialise_without_fetching(model: torch.nn.Module) -> None:
    """Give every layer the weights with which its training begins, but none from elsewhere."""
    for module in model.modules():
        given: Any = getattr(module, "init_cfg", None) or []
        kept = [part for part in (given if isinstance(given, list) else [given]) if part["type"] != "Pretrained"]
        setattr(module, "init_cfg", kept or None)  # noqa: B010 (hidden as below)
    model.init_weights()  # type: ignore[operator]


def _keep_weights(model: torch.nn.Module) -> None:
    """Stop the runner from initialising weights that were just loaded."""
    for module in model.modules():
        if hasattr(module, "_is_init"):
            setattr(module, "_is_init", True)  # noqa: B010 (a plain attribute, which nn.Module's annotations hide)


def _find_stages(config: Config) -> None:
    """Find the weights of an earlier stage, which a config begins with: here, or among those that ship."""
    for part in _pretrained(config.model):
        source = str(part["checkpoint"])
        if "://" in source or Path(source).is_file():
            continue
        if (shipped := resource_root() / source).is_file():
            part["checkpoint"] = str(shipped)
            continue
        stage = Path(source).parent.name
        raise MissingFileError(
            f"{source}: no such weights, which {Path(config.filename or 'the config').name} begins with; train "
            f"{stage or 'them'} first, or download its weights and name them by "
            "--cfg-options model.init_cfg.checkpoint=FILE"
        )


def _pretrained(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        initial = node.get("init_cfg")
        for part in initial if isinstance(initial, list) else [initial]:
            if isinstance(part, dict) and part.get("checkpoint"):
                yield part
        for value in node.values():
            yield from _pretrained(value)
