"""``bdd100k-models demo``: all nine tasks in one command, on drawn scenes, with the small models that ship here."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bdd100k_models.commands.limits import check_least
from bdd100k_models.tasks import TASKS, get_task
from bdd100k_models.text_tables import align

if TYPE_CHECKING:
    from bdd100k_models.commands.test import Outcome

#: Not a seed that the models were trained on.
SEED = 2026
#: In metres (see ``data synth --reach``): models of this size, at 640x360 pixels, see little of what is farther.
REACH = 20.0
_FOLDER = Path("demo_out")
_PICTURES = 3
_ABOUT_MEANS = "Categories that are not in the videos count as 0 in mMOTA and mIDF1, as in the official tool."


@dataclass(frozen=True)
class Shown:
    """A model of the demonstration.

    Attributes:
        task: Its task.
        name: Its name in the zoo.
        metrics: Of the official evaluation, what is shown.
    """

    task: str
    name: str
    metrics: tuple[str, ...]


#: Trained on drawn scenes alone, by the commands at the head of their configs.
MODELS = (
    Shown("det", "atss_mini_det_synthetic", ("AP50", "AP", "AP75")),
    Shown("ins_seg", "mask_rcnn_mini_ins_seg_synthetic", ("AP50", "AP", "AP75")),
    Shown("sem_seg", "fpn_mini_sem_seg_synthetic", ("mIoU", "mAcc", "pAcc")),
    Shown("drivable", "fpn_mini_drivable_synthetic", ("mIoU", "mAcc", "pAcc")),
    Shown("pan_seg", "panoptic_fpn_mini_pan_seg_synthetic", ("PQ", "SQ", "RQ")),
    Shown("tagging", "resnet18_mini_weather_synthetic", ("accuracy", "f1_score")),
    Shown("tagging", "resnet18_mini_scene_synthetic", ("accuracy", "f1_score")),
    Shown("tagging", "resnet18_mini_timeofday_synthetic", ("accuracy", "f1_score")),
    Shown("pose", "res18_mini_pose_synthetic", ("AP50", "AP", "AP75")),
    Shown("mot", "qdtrack_mini_mot_synthetic", ("mMOTA", "MOTA", "mIDF1", "IDSw")),
    Shown("mots", "segtrack_mini_mots_synthetic", ("mMOTA", "MOTA", "mIDF1", "IDSw")),
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``demo``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "demo",
        help="draw a small data set, run the shipped models of all tasks on it, evaluate, make a page",
        description=(
            "Draw a small data set of driving scenes and videos, run the small models that ship with the project on "
            "it, one or more for each of the nine tasks, score them with the official evaluation, and make a page "
            "with their pictures and videos. Needs no data, no network and no GPU."
        ),
        formatter_class=HelpFormatter,
        epilog=(
            "examples:\n"
            "  bdd100k-models demo\n"
            "  bdd100k-models demo --tasks det mot --out demo_out\n"
            "  bdd100k-models demo --count 100 --videos 8 --frames 12   # enough for scores that mean something"
        ),
    )
    parser.add_argument("--out", type=Path, default=_FOLDER, metavar="DIR", help=f"folder (default: {_FOLDER})")
    parser.add_argument("--count", type=int, default=24, metavar="N", help="scenes to draw (default: 24)")
    parser.add_argument("--videos", type=int, default=1, metavar="N", help="videos to draw (default: 1)")
    parser.add_argument("--frames", type=int, default=30, metavar="N", help="frames a video (default: 30)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"another number, other scenes (default: {SEED})")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="these tasks alone (default: all nine)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU where there is one)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    from bdd100k_models.formats.files import make_folder

    check_least(args, 1, "count", "videos", "frames")
    wanted = {get_task(name).name for name in args.tasks or TASKS}
    models = [model for model in MODELS if model.task in wanted]
    data = args.out / f"data_{args.seed}_{args.count}_{args.videos}x{args.frames}"
    make_folder(args.out)
    drawing = _draw(data, args, wanted)
    done = []
    # one file for all, since mmengine's logger keeps writing where the first model's output went
    with (args.out / "log.txt").open("w") as log:
        for place, model in enumerate(models, 1):
            print(f"[{place}/{len(models)}] {get_task(model.task).title}: {model.name}", flush=True)
            with contextlib.redirect_stdout(log):
                done.append(_test(model, data, args))
    table = [["task", "model", "scores", "images/s"], *(run.row() for run in done)]
    print("\n".join(align(table, figures=3)))
    page = args.out / "index.html"
    _write_page(page, table, done, drawing, args)
    print(f"page: {page.resolve()}")
    return 0


@dataclass(frozen=True)
class _Run:
    """What came of a model: its scores by metric, how fast it was, and what it drew."""

    model: Shown
    scores: dict[str, float]
    speed: float
    folder: Path
    command: str

    def row(self) -> list[str]:
        scores = ", ".join(f"{metric} {number(score)}" for metric, score in self.scores.items())
        return [get_task(self.model.task).title, self.model.name, scores, f"{self.speed:.1f}"]


def number(score: float) -> str:
    """Return a score as it is shown: counts whole, percentages with a decimal."""
    return f"{score:.0f}" if score > 100 or isinstance(score, int) else f"{score:.1f}"


def _draw(data: Path, args: argparse.Namespace, tasks: set[str]) -> list[str]:
    """Draw what the tasks need; return the commands that do the same."""
    from bdd100k_models.datasets.synth import IMAGE_TASKS, VIDEO_TASKS, generate, generate_videos

    commands = []
    call = f"bdd100k-models data synth {shlex.quote(str(data))} --seed {args.seed} --reach {REACH:g} --force"
    if stills := [task for task in IMAGE_TASKS if task in tasks]:
        print(f"drawing {args.count} scenes: {data}", flush=True)
        generate(data, {"val": args.count}, seed=args.seed, reach=REACH, tasks=stills, force=True)
        commands.append(f"{call} --val {args.count} --tasks {' '.join(stills)}")
    if moving := [task for task in VIDEO_TASKS if task in tasks]:
        print(f"drawing {args.videos} videos of {args.frames} frames: {data}", flush=True)
        counts = {"val": args.videos}
        generate_videos(data, counts, frames=args.frames, seed=args.seed, reach=REACH, tasks=moving, force=True)
        commands.append(f"{call} --val-videos {args.videos} --frames {args.frames} --tasks {' '.join(moving)}")
    return commands


def _test(model: Shown, data: Path, args: argparse.Namespace) -> _Run:
    """Run ``test`` on a model."""
    from bdd100k_models.cli import build_parser
    from bdd100k_models.commands.test import carry_out

    out = args.out / model.name / data.name.removeprefix("data_")  # not beside what was found in other scenes
    pictures = out / "pictures"
    words = ["test", model.task, model.name, "--data-root", str(data), "--format-dir", str(out)]
    words += ["--eval", "--show-dir", str(pictures), *(["--device", args.device] if args.device else [])]
    outcome: Outcome | None = carry_out(build_parser().parse_args(words))
    assert outcome is not None
    assert outcome.scores is not None
    summary = outcome.scores.summary()
    scores = {metric: summary[metric] for metric in model.metrics}
    speed = outcome.report.processed / outcome.report.seconds
    return _Run(model, scores, speed, pictures, shlex.join(["bdd100k-models", *words]))


def _write_page(
    page: Path, table: list[list[str]], done: Sequence[_Run], drawing: Sequence[str], args: argparse.Namespace
) -> None:
    from bdd100k_models.visualization.page import Section, write_page

    sections = [Section("Official evaluation", table=table)]
    for run in done:
        task = get_task(run.model.task)
        films = sorted(run.folder.glob("*.mp4"))
        pictures = [] if films else sorted(run.folder.glob("*.jpg"))[:_PICTURES]
        sections.append(
            Section(
                f"{task.title}: {run.model.name}",
                facts={metric: number(score) for metric, score in run.scores.items()},
                text=[_ABOUT_MEANS] if task.videos else [],
                pictures=[(picture, picture.name) for picture in pictures],
                videos=[(film, film.name) for film in films[:1]],
                wide=bool(films),
            )
        )
    sections.append(Section("The same by hand", code="\n".join([*drawing, *(run.command for run in done)])))
    write_page(
        page,
        "BDD100K Models: nine tasks on drawn scenes",
        f"Small models, trained on such drawings only, on scenes that they have not seen (seed {args.seed}). "
        "Real models: see the zoo.",
        sections,
    )
