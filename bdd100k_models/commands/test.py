"""``bdd100k-models test TASK CONFIG_OR_NAME``, and each task folder's ``test.py``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdd100k_models.commands import pose
from bdd100k_models.commands.joined import add_launcher_arguments, joined
from bdd100k_models.commands.limits import check_least
from bdd100k_models.commands.task_verb import TaskVerb
from bdd100k_models.errors import ConfigError, InputError, MissingFileError
from bdd100k_models.tasks import SPLITS, Task, get_task

if TYPE_CHECKING:
    from mmengine.config import Config

    from bdd100k_models.datasets.images import ImageSet
    from bdd100k_models.engine.test import TestReport
    from bdd100k_models.evaluation.result import Result

_PROBLEMS_SHOWN = 10

#: With ``--tracker``: the tasks whose models find what is followed.
_MODELS_OF: Mapping[str, Sequence[str]] = {"mot": ("det", "ins_seg"), "mots": ("ins_seg",)}

_EXAMPLES = """\
examples:
  {call} faster_rcnn_r50_fpn_1x_det_bdd100k --data-root data/bdd100k --format-dir out --eval
  {call} configs/det/retinanet_r50_fpn_3x_det_bdd100k.py --checkpoint weights.pth --format-only --format-dir out
  {call} faster_rcnn_r50_fpn_1x_det_bdd100k --images my_pictures --format-dir out --show-dir out/pictures
  torchrun --nproc_per_node=4 {script} CONFIG --format-only --format-dir out --launcher pytorch
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every task has."""
    parser.set_defaults(run=run)
    parser.add_argument("config", metavar="CONFIG_OR_NAME", help="a config file, or the name of a model of the zoo")
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="weights: a file or URL (default: the config's load_from, from the zoo)"
    )
    _add_data_arguments(parser)
    pose.add_arguments(parser)
    _add_output_arguments(parser)
    _add_running_arguments(parser)


_VERB = TaskVerb(
    name="test",
    help="run a model over a split or a folder of images and write its predictions",
    description="Run a model over a split or a folder of images; write its predictions in the official format.",
    script="Test a model of {} on BDD100K.",
    examples=_EXAMPLES,
    example="det",
    add_arguments=add_arguments,
)
register, main = _VERB.register, _VERB.main


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data-root", metavar="ROOT", help="folder with images/ and labels/ (default: BDD100K_ROOT, or data/bdd100k)"
    )
    group.add_argument("--split", choices=SPLITS, help="split of the data set (default: val)")
    group.add_argument("--images", metavar="DIR", type=Path, help="a folder of pictures instead, without labels")
    group.add_argument(
        "--tracker",
        choices=("bytetrack", "ocsort"),
        help="follow what CONFIG_OR_NAME, a model of ins_seg (for mot or mots) or det (for mot), finds by how it moves",
    )


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format-dir", metavar="OUT", type=Path, help="folder of the predictions (default: work_dirs/NAME)"
    )
    group.add_argument("--format-only", action="store_true", help="write predictions without scoring them")
    group.add_argument(
        "--eval", nargs="*", metavar="METRIC", help="score with the official evaluation (metric names are ignored)"
    )
    group.add_argument(
        "--outputs",
        nargs="+",
        metavar="KIND",
        help="forms to write, where a task has several: json, bitmasks, masks ... (default: those of the original)",
    )
    group.add_argument("--out", metavar="FILE", type=Path, help="also pickle the results, as OpenMMLab 1.x did (.pkl)")
    group.add_argument("--work-dir", metavar="DIR", type=Path, help="folder of the scores (default: the output folder)")
    group.add_argument("--show-dir", metavar="DIR", type=Path, help="draw the predictions into this folder")
    group.add_argument(
        "--show-score-thr", metavar="SCORE", type=float, default=0.3, help="least score that is drawn (default: 0.3)"
    )


def _add_running_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: the GPU where there is one)")
    group.add_argument("--batch-size", type=int, default=1, metavar="N", help="images a forward pass (default: 1)")
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes that read images (default: 1, or 6 with a GPU)"
    )
    group.add_argument("--amp", action="store_true", help="reduced precision: bfloat16 on the CPU, float16 on a GPU")
    group.add_argument(
        "--channels-last", action="store_true", help="faster memory layout; boxes of nearly equal scores may swap"
    )
    group.add_argument("--fuse-conv-bn", action="store_true", help="fold batch normalisation into convolutions")
    group.add_argument(
        "--aug-test", action="store_true", help="mean over six scales and their mirror images, for models of pixels"
    )
    group.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    group.add_argument(
        "--cfg-options",
        "--options",
        nargs="+",
        metavar="KEY=VALUE",
        help="override entries of the config, e.g. model.test_cfg.rcnn.score_thr=0.1",
    )
    add_launcher_arguments(group)
    group.add_argument(
        "--gpu-collect", "--gpu_collect", action="store_true", help="accepted; results never need collecting here"
    )
    group.add_argument("--tmpdir", help="accepted; results never need collecting here")


@dataclass(frozen=True)
class Outcome:
    """What came of a test.

    Attributes:
        report: Of the inference.
        scores: Of the official evaluation, where it was asked for.
    """

    report: TestReport
    scores: Result | None = None


def run(args: argparse.Namespace) -> int:
    """Run the verb; 0, or 1 when some images had problems."""
    outcome = carry_out(args)
    return 1 if outcome is not None and outcome.report.problems else 0


def carry_out(args: argparse.Namespace) -> Outcome | None:
    """Test a model as the flags say.

    Args:
        args: The parsed flags.

    Returns:
        What came of it, in the first process; None in the others.
    """
    task = get_task(args.task)
    _check_arguments(args)
    pose.check_arguments(task, args)
    from bdd100k_models.engine.config import load_config, parse_overrides, use_views
    from bdd100k_models.zoo.records import resolve_config

    source, *others = _MODELS_OF[task.name] if args.tracker else (task.name,)
    path = resolve_config(source, args.config, *others)
    config = load_config(path, parse_overrides(args.cfg_options))
    for key in ("model", "test_dataloader"):
        if config.get(key) is None:
            raise ConfigError(f"{path}: has no {key}, so it cannot be tested; name a model's config")
    if args.aug_test:
        use_views(config)
    task = _with_own_classes(task, args, config)
    with joined(args, config) as device:
        return _run_joined(task, args, path, config, device)


def _with_own_classes(task: Task, args: argparse.Namespace, config: Config) -> Task:
    """Return the task with the classes that the config has, if all that was asked for can be done with them."""
    from bdd100k_models.engine.config import with_own_classes

    detected = get_task(_MODELS_OF[task.name][0]) if args.tracker else task
    own = with_own_classes(detected, config)
    if own is detected:
        return task
    for flag, given in (("--tracker", args.tracker), ("--eval", args.eval)):
        if given is not None:
            raise InputError(f"{flag} knows the data set's categories alone, and the config has others; leave it out")
    return own


def _run_joined(task: Task, args: argparse.Namespace, path: Path, config: Config, device: Any) -> Outcome | None:
    from bdd100k_models.datasets.video_images import refuse_among_videos
    from bdd100k_models.engine import distributed
    from bdd100k_models.engine.test import TestOptions, format_of, run_test
    from bdd100k_models.engine.weights import find_weights

    images = _choose_images(task, args, config)
    if distributed.rank() == 0:
        _print_some([f"warning: {remark}" for remark in images.remarks])
    if args.eval is not None:
        check_labels(task, images)
    out_dir = args.format_dir or Path("work_dirs") / path.stem
    if args.images is not None and task.videos:
        refuse_among_videos(images, args.images, out_dir, "--format-dir")
        if args.show_dir is not None:
            refuse_among_videos(images, args.images, args.show_dir, "--show-dir")
    result_format = format_of(task, config, args.outputs)
    if args.eval is not None:
        assert images.label_file is not None
        scored = result_format.output_for(images.label_file)
        result_format = format_of(task, config, {*result_format.outputs, scored})
        result_format.refuse_foreign((item.name for item in images.items), out_dir, scored)
    options = TestOptions(
        out_dir=out_dir,
        weights=distributed.on_main(lambda: find_weights(args.checkpoint, config)),
        device=device,
        batch_size=args.batch_size,
        workers=args.workers,
        amp=args.amp,
        channels_last=args.channels_last,
        fuse_conv_bn=args.fuse_conv_bn,
        resume=args.resume,
        show_dir=args.show_dir,
        show_score_thr=args.show_score_thr,
        raw_file=args.out,
        outputs=result_format.outputs,
        tracker=args.tracker,
    )
    if task.name == "pose":
        options.regions = pose.choose_regions(args, config, images, options)
    report = run_test(task, config, images, options)
    if report is None:
        return None
    _print_report(report, out_dir)
    if args.eval is None or images.label_file is None:
        return Outcome(report)
    result = result_format.result_path(out_dir, scored)
    scores = _score(task, images.label_file, result, result_format.score_file(out_dir), args.work_dir or out_dir)
    return Outcome(report, scores)


def _check_arguments(args: argparse.Namespace) -> None:
    if args.images is not None and (args.split is not None or args.data_root is not None):
        raise InputError("--images names a folder of pictures; leave out --data-root and --split")
    if args.format_only and args.eval is not None:
        raise InputError("--format-only leaves out the scoring that --eval asks for; give one of them")
    if args.out is not None and (args.out.suffix not in (".pkl", ".pickle") or args.out.is_dir()):
        raise InputError(
            f"--out {args.out}: a file .pkl of raw results; the folder of the official ones is --format-dir"
        )
    if args.tracker is not None and args.task not in _MODELS_OF:
        raise InputError(f"--tracker is for {' and '.join(_MODELS_OF)}; leave it out for {args.task}")
    check_least(args, 0, "workers")


def check_labels(task: Task, images: ImageSet) -> None:
    """Require labels with which predictions can be scored.

    Raises:
        InputError: There are none, or they are of a form that cannot hold what the task predicts.
    """
    from bdd100k_models.formats.coco import is_coco_file

    if images.label_file is None:
        raise InputError(f"--eval needs labels, and {images.source} has none; leave out --eval")
    if task.name == "tagging" and is_coco_file(images.label_file):
        raise InputError(f"{images.label_file}: COCO JSON holds no tags to score against; leave out --eval")


def _choose_images(task: Task, args: argparse.Namespace, config: Config) -> ImageSet:
    from bdd100k_models.datasets.images import images_of_folder, images_of_labels, images_of_split
    from bdd100k_models.datasets.video_images import videos_of_folder, videos_of_split
    from bdd100k_models.engine.config import data_root_of

    if args.images is not None:
        return videos_of_folder(args.images) if task.videos else images_of_folder(args.images)
    dataset = config.test_dataloader.dataset
    root = data_root_of(config, dataset, args.data_root)
    if task.videos:
        return videos_of_split(task, root, args.split or "val")
    # label files other than the task's own (a COCO conversion, say) are taken from the config
    configured = dataset.get("ann_file")
    own = {path for split in SPLITS for path in task.label_paths(split)}
    if args.split is None and configured and configured not in own:
        label_file = root / configured
        if not label_file.exists():
            raise MissingFileError(f"{label_file}: no such label file (test_dataloader.dataset.ann_file)")
        return images_of_labels(label_file, root / dataset.data_prefix["img"])
    return images_of_split(task, root, args.split or "val")


def _print_some(lines: Sequence[str]) -> None:
    """Print lines on standard error; of many the first, and how many more there are."""
    for line in lines[:_PROBLEMS_SHOWN]:
        print(line, file=sys.stderr)
    if len(lines) > _PROBLEMS_SHOWN:
        print(f"... and {len(lines) - _PROBLEMS_SHOWN} more", file=sys.stderr)


def _print_report(report: TestReport, out_dir: Path) -> None:
    kinds = {True: "warning", False: "error"}
    _print_some([f"{kinds[problem.predicted]}: {problem.name}: {problem.message}" for problem in report.problems])
    speed = f", {report.processed / report.seconds:.2f} images/s" if report.processed and report.seconds else ""
    line = f"{report.images} images, {report.labels} labels{speed}: {report.result}"
    if report.problems:
        failed = sum(not problem.predicted for problem in report.problems)
        line += f" ({failed} images failed, {len(report.problems) - failed} were unusual: {out_dir / 'errors.json'})"
    print(line)


def _score(task: Task, labels: Path, result: Path, score_file: Path | None, folder: Path) -> Result:
    from bdd100k_models.evaluation.run import Options, evaluate

    scores = evaluate(task.name, labels, result, Options(coco_truth=True, score_file=score_file))
    print(scores.table())
    path = folder / f"eval_{time.strftime('%Y%m%d_%H%M%S')}.json"
    scores.save(path)
    print(f"scores: {path}")
    return scores
