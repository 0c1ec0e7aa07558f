"""Comparison of two results: processor time of one bootstrap sample, against that of evaluating the result anew.

python benchmarks/evaluation_compare.py
python benchmarks/evaluation_compare.py --task det --images 2000 --objects 100 --samples 200
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from evaluation import DRAWERS

#: What to draw: the form of the files, images, objects in each, and samples.
CASES = (
    ("det", 2000, 100, 200),
    ("pose", 2000, 3, 1000),
    ("box_track", 8000, 20, 1000),
    ("seg_track-rle", 1000, 15, 1000),
    ("pan_seg-rle", 250, 20, 1000),
    ("tagging", 10000, 1, 1000),
)


def measure(case: str, images: int, objects: int, samples: int) -> str:
    """Evaluate a drawn result and compare it with itself; return a line of figures."""
    from bdd100k_models.evaluation.compare import compare
    from bdd100k_models.evaluation.run import Options, assess

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        DRAWERS[case](folder, images, objects, np.random.default_rng(0))
        sides = [
            next(folder / one for one in (f"{side}.json", side) if (folder / one).exists()) for side in ("gt", "pred")
        ]
        scores = folder / "score.json"
        options = Options(score_file=scores if scores.exists() else None)
        started = time.process_time()
        assessment = assess(case.split("-")[0], *sides, options)
        evaluated = time.process_time()
        compare(assessment, assessment, samples=samples)
        sample = (time.process_time() - evaluated) / samples / 2
    whole, units = evaluated - started, assessment.units
    return (
        f"{case}: {len(units.names)} {units.kind}, evaluation {whole:.2f} s, one sample {1000 * sample:.2f} ms "
        f"({whole / sample:.0f} times as fast)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tuple(DRAWERS), help="this one alone, and in which form (default: several)")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=20)
    parser.add_argument("--samples", type=int, default=1000)
    args = parser.parse_args()
    cases = CASES if args.task is None else ((args.task, args.images, args.objects, args.samples),)
    for case in cases:
        print(measure(*case), flush=True)


if __name__ == "__main__":
    main()
