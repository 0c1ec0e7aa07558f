"""``bdd100k-models train TASK CONFIG_OR_NAME``, and each task folder's ``train.py``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from bdd100k_models.commands.joined import add_launcher_arguments, joined
from bdd100k_models.commands.task_verb import TaskVerb
from bdd100k_models.tasks import get_task

_EXAMPLES = """\
examples:
  {call} faster_rcnn_r50_fpn_1x_det_bdd100k --data-root data/bdd100k
  {call} faster_rcnn_r50_fpn_1x_det_bdd100k --resume
  torchrun --nproc_per_node=8 {script} CONFIG --launcher pytorch
  {call} CONFIG --checkpoint WEIGHTS --ema --seed 0 --cfg-options train_dataloader.batch_size=1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every task has."""
    parser.set_defaults(run=run)
    parser.add_argument("config", metavar="CONFIG_OR_NAME", help="a config file, or the name of a model of the zoo")
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="checkpoints and logs (default: work_dirs/NAME)")
    parser.add_argument(
        "--data-root", metavar="ROOT", help="folder with images/ and labels/ (default: BDD100K_ROOT, ...)"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="FILE",
        help="go on from a checkpoint (default: the newest of the work folder)",
    )
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="start from these weights (fine-tuning)")
    parser.add_argument("--amp", action="store_true", help="mixed precision: float16 on a GPU, bfloat16 on the CPU")
    parser.add_argument("--channels-last", action="store_true", help="faster memory layout, above all on a CPU")
    parser.add_argument(
        "--accumulate",
        type=_parts,
        default="auto",
        metavar="auto|off|N",
        help="parts in which a step's images are computed (default auto: as many as make the published batch; where "
        "they cannot, learning rate and iterations follow)",
    )
    parser.add_argument("--auto-scale-lr", action="store_true", help="scale the learning rate to the total batch size")
    parser.add_argument("--ema", action="store_true", help="score and keep a moving average of the weights")
    parser.add_argument("--no-tensorboard", action="store_true", help="log text and JSON alone")
    parser.add_argument("--no-validate", action="store_true", help="do not score the validation split")
    parser.add_argument("--seed", type=int, help="seed of everything random")
    parser.add_argument("--deterministic", action="store_true", help="only deterministic operators")
    parser.add_argument("--device", help="cpu or cuda (default: the GPU where there is one)")
    parser.add_argument(
        "--cfg-options", "--options", nargs="+", metavar="KEY=VALUE", help="override entries of the config"
    )
    add_launcher_arguments(parser)


_VERB = TaskVerb(
    name="train",
    help="train a model, resumable and distributed",
    description="Train a model with its published recipe; score the validation split as the official tool does.",
    script="Train a model of {} on BDD100K.",
    examples=_EXAMPLES,
    example="det",
    add_arguments=add_arguments,
)
register, main = _VERB.register, _VERB.main


def _parts(word: str) -> str | int:
    """Parse ``--accumulate``."""
    if word in ("auto", "off"):
        return word
    if word.isdigit() and int(word) > 0:
        return int(word)
    raise argparse.ArgumentTypeError(f"{word!r} is not auto, off or a number from 1")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    task = get_task(args.task)
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from bdd100k_models.engine import distributed
    from bdd100k_models.engine.config import load_config, parse_overrides
    from bdd100k_models.engine.train import TrainOptions, run_training
    from bdd100k_models.zoo.records import resolve_config

    path = resolve_config(task.name, args.config)
    config = load_config(path, parse_overrides(args.cfg_options))
    resume: bool | Path = bool(args.resume) if args.resume in (None, "auto") else Path(args.resume)
    with joined(args, config) as device:
        checkpoint = run_training(
            config,
            TrainOptions(
                work_dir=args.work_dir or Path("work_dirs") / path.stem,
                device=device,
                launcher=args.launcher,
                data_root=args.data_root,
                resume=resume,
                weights=args.checkpoint,
                amp=args.amp,
                channels_last=args.channels_last,
                accumulate=args.accumulate,
                auto_scale_lr=args.auto_scale_lr,
                ema=args.ema,
                tensorboard=not args.no_tensorboard,
                seed=args.seed,
                deterministic=args.deterministic,
                validate=not args.no_validate,
            ),
        )
        if distributed.rank() == 0:
            print(f"finished: {checkpoint}")
    return 0
