"""Inference over a split or a folder: stream the results, resume after anything, the same bytes every time."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import msgspec
import torch
from mmengine.config import Config

from bdd100k_models import __version__
from bdd100k_models.datasets.images import ImageSet
from bdd100k_models.datasets.loader import Batch, InferenceImages, Preparation, Regions, load_batches
from bdd100k_models.engine import distributed
from bdd100k_models.engine.checkpoint import file_digest
from bdd100k_models.engine.fit import check_categories
from bdd100k_models.engine.model import explain_memory, inference_mode, predict_in_parts, prepare_model
from bdd100k_models.engine.shards import (
    ERRORS_FILE,
    Problem,
    RunIdentity,
    Shards,
    ShardWriter,
    read_problems,
    write_problems,
)
from bdd100k_models.engine.sharing import leave_out_torn, share_work
from bdd100k_models.errors import ImageError, InputError
from bdd100k_models.formats.files import make_folder, write_bytes
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.base import IMAGE_OUTPUTS, ResultFormat
from bdd100k_models.progress import ProgressBar
from bdd100k_models.tasks import IMAGE_SIZE, Task
from bdd100k_models.visualization.gallery import Gallery, is_drawn

_FINISHED_FILE = "finished.json"
#: Outputs with a file for each image.
_FILE_EACH = {*IMAGE_OUTPUTS, "colormaps"}
#: Regions of an image a forward pass, of the original too.
REGIONS_AT_ONCE = 32


@dataclass
class TestOptions:
    """How to run; the attributes are the flags of the same name.

    Attributes:
        out_dir: Where the results go.
        weights: The checkpoint.
        device: Where the model runs.
        batch_size: Images a forward pass.
        workers: Processes that read images; None chooses.
        amp: Reduced precision.
        channels_last: The faster memory layout; reduced precision always uses it.
        fuse_conv_bn: Fold batch normalisation into convolutions.
        resume: Go on where an earlier run of the same model on the same images stopped.
        show_dir: Where pictures of the predictions go, if anywhere.
        show_score_thr: What is drawn has at least this score.
        raw_file: Where to pickle the results as OpenMMLab 1.x did, if anywhere.
        outputs: Which outputs to write; those of the original where None.
        regions: For models that look at regions of an image: those regions.
        tracker: For videos: the motion tracker that follows what the model, a detector then, finds.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    out_dir: Path
    weights: Path
    device: torch.device
    batch_size: int = 1
    workers: int | None = None
    amp: bool = False
    channels_last: bool = False
    fuse_conv_bn: bool = False
    resume: bool = False
    show_dir: Path | None = None
    show_score_thr: float = 0.3
    raw_file: Path | None = None
    outputs: Collection[str] | None = None
    regions: Regions | None = None
    tracker: str | None = None

    @property
    def uses_channels_last(self) -> bool:
        """Whether the model runs with channels last."""
        return self.channels_last or self.amp


@dataclass
class TestReport:
    """What a run came to.

    Attributes:
        result: The first of the prediction files and folders.
        images: How many images the run has.
        labels: How many labels were written.
        problems: Images that could not be used, or only after a conversion.
        seconds: Time from the first image to the last file, without set-up.
        processed: Images done in this process now (others were done before, or by others).
    """

    __test__ = False

    result: Path
    images: int
    labels: int
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0
    processed: int = 0


def run_test(task: Task, config: Config, images: ImageSet, options: TestOptions) -> TestReport | None:
    """Run a model over images and write the official predictions.

    The images are cut into batches in their order before the work is shared out, so the arithmetic of every image,
    and with it each byte of the result, is the same for any number of processes and after any interruption.

    Args:
        task: The task.
        config: The model's config.
        images: What to run on.
        options: How.

    Returns:
        The report on rank 0, None on the others.

    Raises:
        InputError: ``resume`` was asked for in a folder with another run's results, or of a model whose videos build
            on each other; or two images would share a file.
        ConfigError, CheckpointError: The model cannot be built or filled.
        OutputError: The results cannot be written; what was written before is kept and can be resumed.
    """
    if options.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, not {options.batch_size}")
    distributed.set_cpu_threads()
    share_work(images, options.batch_size, (), distributed.world_size())  # refuses what cannot be shared out
    result_format = format_of(task, config, options.outputs)
    if options.show_dir is not None or set(result_format.outputs) & _FILE_EACH:
        _refuse_equal_stems(images)
    shards = Shards(options.out_dir, len(images.items))
    identity = _identity(task, config, images, options, result_format)
    # what is drawn or pickled is not kept, so it is made again
    complete = options.resume and options.show_dir is None and options.raw_file is None
    if complete and (finished := _finished_report(options.out_dir, identity, result_format, len(images.items))):
        return finished if distributed.rank() == 0 else None
    # all that can be refused first: a mistake must not cost what an earlier run left
    model = prepare_model(
        config,
        options.weights,
        options.device,
        fuse_conv_bn=options.fuse_conv_bn,
        channels_last=options.uses_channels_last,
    )
    if not task.videos or hasattr(model, "tracker"):
        check_categories(model, task)
    if options.tracker is not None:
        from bdd100k_models.engine.motion import MotionTracking

        model = MotionTracking(model, options.tracker)
    preparation = Preparation(config.test_dataloader.dataset.pipeline)
    gallery = _gallery(task, images, options)
    attempt, done = distributed.on_main(lambda: _prepare_output(shards, identity, config, images, options))
    mine = share_work(images, options.batch_size, done, distributed.world_size())[distributed.rank()]
    dataset = InferenceImages(images, mine, preparation, options.regions)
    started = time.monotonic()
    advice = "take fewer images at once (--batch-size); the same command goes on with --resume"
    files = shards.writer(distributed.rank(), attempt)
    with explain_memory(advice), files as writer, gallery as drawn:
        processed = _infer(model, dataset, writer, drawn, result_format, options, len(images.items), len(done))
    distributed.barrier()
    if distributed.rank() != 0:
        return None
    report = _merge(shards, identity, images, result_format, options)
    report.seconds, report.processed = time.monotonic() - started, processed
    return report


def _infer(
    model: torch.nn.Module,
    dataset: InferenceImages,
    writer: ShardWriter,
    gallery: Gallery | None,
    result_format: ResultFormat,
    options: TestOptions,
    total: int,
    done: int,
) -> int:
    workers = _worker_count(options)
    processed = 0
    ranks = distributed.world_size()
    bar = ProgressBar(total, "test", done=done, visible=distributed.rank() == 0)
    with bar, inference_mode(options.device, options.amp):
        for batch in load_batches(dataset, workers):
            samples = _predict(model, batch, dataset.images, options)
            for index, problem in batch.failures.items():
                record = result_format.empty(dataset.images.expected_size or IMAGE_SIZE)
                result_format.save_image(dataset.images.items[index].name, record, options.out_dir)
                writer.append(index, record, problem)
            for index in batch.indices:
                own = [sample for owner, sample in zip(batch.owners, samples, strict=True) if owner == index]
                record = result_format.encode(own)
                # before the record: what has one is complete
                result_format.save_image(dataset.images.items[index].name, record, options.out_dir)
                writer.append(index, record, batch.remarks.get(index))
                if gallery is not None:
                    gallery.add(index, record)
            count = len(batch.indices) + len(batch.failures)
            processed += count
            bar.advance(count * ranks)
    return processed


def _predict(model: torch.nn.Module, batch: Batch, images: ImageSet, options: TestOptions) -> list[dict[str, Any]]:
    """Return one prediction a sample; what a model refuses, such as a frame of another size, becomes a failure."""
    # the regions of an image can be too many for one forward pass
    size = len(batch.owners) if options.regions is None else REGIONS_AT_ONCE
    try:
        return predict_in_parts(model, batch.data, size, options.uses_channels_last)
    except ImageError as error:
        for index in batch.indices:
            item = images.items[index]
            batch.failures[index] = Problem(name=item.name, message=str(error).removeprefix(f"{item.path}: "))
        batch.indices.clear()
        return []


def _merge(
    shards: Shards, identity: RunIdentity, images: ImageSet, result_format: ResultFormat, options: TestOptions
) -> TestReport:
    names = [item.name for item in images.items]
    result_format.frame_indices = {item.name: item.frame_index for item in images.items if item.video is not None}
    problems: list[Problem] = []
    if options.raw_file is not None:
        result_format.write_pickle(shards.records(result_format.record_type, names, []), options.raw_file)
    records = shards.records(result_format.record_type, names, problems)
    labels = result_format.write(records, options.out_dir)
    if images.label_file is not None:
        result_format.write_scores(
            shards.records(result_format.record_type, names, []), images.label_file, options.out_dir
        )
    write_problems(options.out_dir / ERRORS_FILE, problems)
    finished = {"version": __version__, "identity": msgspec.to_builtins(identity), "labels": labels}
    write_bytes(options.out_dir / _FINISHED_FILE, msgspec.json.format(msgspec.json.encode(finished), indent=1))
    if all(problem.predicted for problem in problems):  # else --resume does the others again, once they are mended
        shards.remove()
    return TestReport(
        result=result_format.result_path(options.out_dir), images=len(names), labels=labels, problems=problems
    )


def _refuse_equal_stems(images: ImageSet) -> None:
    """Refuse images that differ in their suffix alone, where each has files of its own."""
    seen = set()
    for item in images.items:
        if (stem := PurePath(item.name).with_suffix("")) in seen:
            raise InputError(f"{item.name}: another image has this name with another suffix; rename one of them")
        seen.add(stem)


def _prepare_output(
    shards: Shards, identity: RunIdentity, config: Config, images: ImageSet, options: TestOptions
) -> tuple[int, set[int]]:
    """Return the number of this attempt, and the indices of what earlier ones did."""
    make_folder(options.out_dir)
    earlier = shards.identity()
    if options.resume and earlier is not None and config.model.get("lifetime") == "run":
        raise InputError(
            f"{options.out_dir}: with model.lifetime=run a video begins with what the ones before left, which is not "
            "kept; leave out --resume to begin anew"
        )
    if options.resume and earlier is not None and (part := identity.difference(earlier)):
        raise InputError(
            f"{options.out_dir}: the unfinished run here differs in its {part}; "
            "use another --format-dir, or leave out --resume to begin anew"
        )
    # from now on files of an earlier run may be replaced
    (options.out_dir / _FINISHED_FILE).unlink(missing_ok=True)
    if not options.resume or earlier is None:
        shards.start(identity)
        return 0, set()
    done = leave_out_torn(images, shards.done())
    if options.show_dir is not None:
        done = {index for index in done if is_drawn(images, index, options.show_dir)}
    return shards.next_attempt(), done


def _finished_report(
    out_dir: Path, identity: RunIdentity, result_format: ResultFormat, count: int
) -> TestReport | None:
    """Return the report of an equal run that is already complete, if there is one and no image failed."""
    results = [result_format.result_path(out_dir, output) for output in result_format.outputs]
    try:
        finished = msgspec.json.decode((out_dir / _FINISHED_FILE).read_bytes())
        earlier = msgspec.convert(finished["identity"], RunIdentity)
        problems = read_problems(out_dir / ERRORS_FILE)
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return None
    failed = not all(problem.predicted for problem in problems)
    if failed or identity.difference(earlier) or not all(path.exists() for path in results):
        return None
    return TestReport(result=results[0], images=count, labels=int(finished["labels"]), problems=problems)


def _identity(
    task: Task, config: Config, images: ImageSet, options: TestOptions, result_format: ResultFormat
) -> RunIdentity:
    names = hashlib.sha256()
    for item in images.items:
        names.update(f"{item.name}\n".encode())
        if options.regions is not None:
            names.update(f"{[_plain(region) for region in options.regions.get(item.name, ())]}\n".encode())
    description = {
        "model": config.model,
        "pipeline": config.test_dataloader.dataset.pipeline,
        "format": (config.get("test_evaluator") or {}).get("format"),
    }
    model = hashlib.sha256(msgspec.json.encode(_plain(description), order="deterministic"))
    precision = "reduced" if options.amp else "full"
    precision += " fused" if options.fuse_conv_bn else ""
    precision += " channels last" if options.uses_channels_last else ""
    precision += f" {options.tracker}" if options.tracker else ""
    return RunIdentity(
        task=task.name,
        model=model.hexdigest(),
        weights=file_digest(options.weights),
        images=names.hexdigest(),
        precision=precision,
        batch_size=options.batch_size,
        outputs=" ".join(result_format.outputs),
    )


def format_of(task: Task, config: Config, outputs: Collection[str] | None = None) -> ResultFormat:
    """Return the format of a config's results; what it needs to know stands in ``test_evaluator.format``.

    Raises:
        InputError, ConfigError: See :func:`bdd100k_models.formats.results.get_format`.
    """
    evaluator = config.get("test_evaluator") or {}
    return get_format(task, outputs, evaluator.get("format"))


def _plain(value: Any) -> Any:
    """Turn config nodes into builtins."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _worker_count(options: TestOptions) -> int:
    if options.workers is not None:
        return options.workers
    # on the CPU the model needs the cores: one reader keeps far ahead of it
    return 1 if options.device.type == "cpu" else 6


def _gallery(task: Task, images: ImageSet, options: TestOptions) -> contextlib.AbstractContextManager[Gallery | None]:
    if options.show_dir is None:
        return contextlib.nullcontext()
    return Gallery(task, images, options.show_dir, options.show_score_thr)
