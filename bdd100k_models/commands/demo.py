"""``bdd100k-models demo``: everything in one command, on drawn scenes, with the detector that ships here."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bdd100k_models.evaluation.result import Result

#: The model that ships with the project; trained on drawn scenes by ``det/train.py``.
MODEL = "atss_mini_det_synthetic"
#: Not a seed that the model was trained on.
SEED = 2026
_PICTURES = 12


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb ``demo``."""
    from bdd100k_models.cli import HelpFormatter

    parser = subparsers.add_parser(
        "demo",
        help="draw a small data set, run the shipped detector on it, evaluate, make a page",
        description=(
            "Draw a small data set of driving scenes, run the detector that ships with the project on it, score it "
            "with the official evaluation, and make a page of the results. Needs no data, no network and no GPU."
        ),
        formatter_class=HelpFormatter,
        epilog="examples:\n  bdd100k-models demo\n  bdd100k-models demo --out demo_out --count 100",
    )
    parser.add_argument("--out", type=Path, default=Path("demo_out"), metavar="DIR", help="folder (default: demo_out)")
    parser.add_argument("--count", type=int, default=40, metavar="N", help="scenes to draw (default: 40)")
    parser.add_argument("--device", help="cpu, cuda, ... (default: the GPU where there is one)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo."""
    from bdd100k_models.datasets.images import images_of_split
    from bdd100k_models.datasets.synth import generate
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.distributed import choose_device
    from bdd100k_models.engine.test import TestOptions, run_test
    from bdd100k_models.engine.weights import find_weights
    from bdd100k_models.errors import InputError
    from bdd100k_models.evaluation.run import evaluate
    from bdd100k_models.formats.files import make_folder
    from bdd100k_models.tasks import get_task
    from bdd100k_models.zoo.records import resolve_config

    if args.count < 1:
        raise InputError(f"--count must be at least 1, not {args.count}")
    task = get_task("det")
    make_folder(args.out)
    data, results, pictures = args.out / "data", args.out / "det", args.out / "det" / "pictures"
    print(f"drawing {args.count} scenes: {data}")
    generate(data, {"val": args.count}, seed=SEED, tasks=("det",), force=True)
    config = load_config(resolve_config(task.name, MODEL))
    images = images_of_split(task, data, "val")
    options = TestOptions(
        out_dir=results,
        weights=find_weights(None, config),
        device=choose_device(args.device),
        show_dir=pictures,
        show_score_thr=0.3,
    )
    print(f"running {MODEL}")
    report = run_test(task, config, images, options)
    assert report is not None and images.label_file is not None
    scores = evaluate(task.name, images.label_file, report.result)
    print(scores.table())
    page = args.out / "index.html"
    speed = report.processed / report.seconds
    shown = sorted(pictures.glob("*.jpg"))[:_PICTURES]
    _write_page(page, scores, shown, args.count, speed)
    print(f"AP {scores.summary()['AP']:.1f}, AP50 {scores.summary()['AP50']:.1f} on {args.count} scenes")
    print(f"page: {page.resolve()}")
    return 0


def _write_page(page: Path, scores: Result, pictures: list[Path], count: int, speed: float) -> None:
    from bdd100k_models.visualization.page import Section, write_page

    summary = scores.summary()
    facts = {name: f"{summary[name]:.1f}" for name in ("AP", "AP50", "AP75")}
    facts |= {"scenes": str(count), "images/s": f"{speed:.1f}"}
    columns = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    table = [["category", *columns], *scores.rows(columns)]
    commands = (
        f"bdd100k-models data synth data --val {count} --seed {SEED}\n"
        f"bdd100k-models test det {MODEL} --data-root data --format-dir out --eval --show-dir out/pictures"
    )
    write_page(
        page,
        "BDD100K Models: object detection on drawn scenes",
        "A small detector, trained on such drawings only, on scenes it has not seen. Real models: see the zoo.",
        [
            Section("Official evaluation", facts=facts),
            Section("By category", table=table),
            Section("Predictions", pictures=[(picture, picture.name) for picture in pictures]),
            Section("The same by hand", code=commands),
        ],
    )
