"""Training with OpenMMLab's runner, set up for the machine at hand."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from bdd100k_models.datasets.images import find_data_root
from bdd100k_models.engine.checkpoint import load_weights, read_checkpoint
from bdd100k_models.errors import CheckpointError, ConfigError, DownloadError, InputError, ZooError
from bdd100k_models.formats.files import make_folder, output_error
from bdd100k_models.registry import enter_scope

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
        auto_scale_lr: Scale the learning rate to the total batch size.
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
    auto_scale_lr: bool = False
    seed: int | None = None
    deterministic: bool = False
    validate: bool = True


def run_training(config: Config, options: TrainOptions) -> Path:
    """Train the model of a config.

    ``load_from`` of a published config names the finished model; training starts from the backbone's weights instead.

    Args:
        config: The model's config with its recipe; changed by the options.
        options: How to train.

    Returns:
        The newest checkpoint.

    Raises:
        ConfigError: The config has no recipe, or one that cannot be built.
        LabelError, MissingFileError: The data set is not there or does not fit.
        CheckpointError: What to start or resume from cannot be used.
        OutputError: The folder cannot be written.
    """
    make_folder(options.work_dir)
    _apply(config, options)
    enter_scope(config.get("default_scope"))
    try:
        runner = Runner.from_cfg(config)
        if options.weights is not None and not options.resume:
            load_weights(_bare(runner.model), options.weights)
            _keep_weights(runner.model)
        runner.train()
    except ZooError as error:
        raise _without_trace(error) from None
    except urllib.error.URLError as error:
        raise DownloadError(
            f"the backbone's weights ({', '.join(_pretrained(config.model))}) cannot be fetched ({error.reason}); "
            "start from weights with --checkpoint FILE, or set model.backbone.init_cfg.checkpoint=FILE by --cfg-options"
        ) from None
    except (KeyError, TypeError, AssertionError) as error:
        if isinstance(error.__cause__, ZooError):
            raise error.__cause__ from None
        raise ConfigError(f"{config.filename}: training cannot be set up ({type(error).__name__}: {error})") from error
    except OSError as error:
        raise output_error(options.work_dir, error) from error
    newest = options.work_dir / "last_checkpoint"
    return Path(newest.read_text().strip()) if newest.exists() else options.work_dir


def _without_trace(error: ZooError) -> ZooError:
    """Return an error with its message alone; PyTorch puts the traceback of the process that reads images before it."""
    trace, _, message = str(error).rpartition(f"{type(error).__module__}.{type(error).__qualname__}: ")
    return type(error)(message.strip()) if trace.startswith("Caught ") else error


def _apply(config: Config, options: TrainOptions) -> None:
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        if config.get(key) is None:
            raise ConfigError(f"{config.filename}: has no {key}, so it cannot be trained")
    root = find_data_root(options.data_root, _innermost(config.train_dataloader.dataset).get("data_root"))
    for loader in _LOADERS:
        if config.get(loader) is not None:
            _innermost(config[loader].dataset).data_root = str(root)
    config.work_dir = str(options.work_dir)
    config.launcher = options.launcher
    config.load_from = None
    config.resume = False
    if options.resume:
        checkpoint = _resume_from(options)
        if checkpoint is not None:
            read_checkpoint(checkpoint)  # refuses what would run code before mmengine opens it
            config.load_from, config.resume = str(checkpoint), True
    if not options.validate:
        config.val_dataloader = config.val_cfg = config.val_evaluator = None
    # the runner builds all three loops' parts; testing is a command of its own
    config.test_dataloader = config.test_cfg = config.test_evaluator = None
    if options.auto_scale_lr:
        if "auto_scale_lr" not in config:
            raise ConfigError(f"{config.filename}: names no auto_scale_lr.base_batch_size, which --auto-scale-lr needs")
        config.auto_scale_lr.enable = True
    config.randomness = {"seed": options.seed, "deterministic": options.deterministic}
    _set_precision(config, options)
    if options.device.type == "cpu":
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


def _resume_from(options: TrainOptions) -> Path | None:
    if isinstance(options.resume, Path):
        return options.resume
    newest = options.work_dir / "last_checkpoint"
    if not newest.exists():
        print_log(f"nothing to resume in {options.work_dir}: training begins", "current")
        return None
    return Path(newest.read_text().strip())


def _set_precision(config: Config, options: TrainOptions) -> None:
    wrapper = config.optim_wrapper
    mixed = options.amp or wrapper.type == "AmpOptimWrapper"
    if options.device.type == "cpu":
        if options.amp:
            raise InputError("--amp trains on NVIDIA GPUs only; leave it out on the CPU")
        if mixed:
            print_log("this recipe is for mixed precision, which needs a GPU: training in full precision", "current")
            wrapper.type = "OptimWrapper"
            for key in ("loss_scale", "dtype", "use_fsdp"):
                wrapper.pop(key, None)
    elif options.amp and wrapper.type != "AmpOptimWrapper":
        wrapper.type = "AmpOptimWrapper"
        wrapper.setdefault("loss_scale", "dynamic")


def _bare(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model inside a wrapper for several processes."""
    inner: torch.nn.Module = getattr(model, "module", model)
    return inner


def _keep_weights(model: torch.nn.Module) -> None:
    """Stop the runner from initialising weights that were just loaded."""
    for module in model.modules():
        if hasattr(module, "_is_init"):
            setattr(module, "_is_init", True)  # noqa: B010 (a plain attribute, which nn.Module's annotations hide)


def _pretrained(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        initial = node.get("init_cfg")
        if isinstance(initial, dict) and initial.get("checkpoint"):
            yield str(initial["checkpoint"])
        for value in node.values():
            yield from _pretrained(value)


def publish(checkpoint: Path, destination: Path, half: bool = False) -> None:
    """Strip a checkpoint to its weights, as the zoo hands them out.

    Args:
        checkpoint: A checkpoint of a run.
        destination: The file to write.
        half: Store floating-point weights in half precision; loading converts them back.

    Raises:
        CheckpointError: The checkpoint cannot be read.
        OutputError: The file cannot be written.
    """
    from bdd100k_models.formats.files import atomic_writer

    content = read_checkpoint(checkpoint)
    state = content["state_dict"]
    if not state:
        raise CheckpointError(f"{checkpoint}: holds no weights")
    if half:
        state = {key: value.half() if value.dtype == torch.float32 else value for key, value in state.items()}
    meta = {"dataset_meta": content["meta"].get("dataset_meta", {})}
    with atomic_writer(destination) as file:
        torch.save({"meta": meta, "state_dict": state}, file)
