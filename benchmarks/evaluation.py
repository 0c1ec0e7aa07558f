"""Detection evaluation against the official tool: time, memory and largest difference, in one run.

    python benchmarks/evaluation.py --images 2000 --boxes 100

Both tools read the same drawn files in a process of their own, start to end: imports, reading, matching, scores. Times
are of this machine and this moment; the ratio is what to compare.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ENGINES = ("official", "ours")

#: How often each category occurs, roughly as in the data set: pedestrian, rider, car, truck, bus, train, motorcycle,
#: bicycle, traffic light, traffic sign.
FREQUENCIES = np.array([9.5, 0.5, 55.5, 2.3, 0.9, 0.01, 0.3, 0.7, 12.0, 18.3])


def draw(folder: Path, images: int, boxes: int, seed: int) -> None:
    """Write ``gt.json`` and ``pred.json``: boxes, and noisy copies of them as predictions."""
    from bdd100k_models.tasks import TASKS

    names = np.array(TASKS["det"].categories)
    rng = np.random.default_rng(seed)
    with (folder / "gt.json").open("w") as truth, (folder / "pred.json").open("w") as predictions:
        for image in range(images):
            corner = rng.uniform(0, [1200, 650], (boxes, 2))
            size = np.exp(rng.normal(3.4, 1.0, (boxes, 2)))
            kinds = rng.choice(len(names), boxes, p=FREQUENCIES / FREQUENCIES.sum())
            guesses = np.where(rng.random(boxes) < 0.1, rng.choice(len(names), boxes), kinds)
            moved = np.concatenate([corner, corner + size], axis=1) + rng.normal(0, 0.06, (boxes, 4)) * size.mean()
            moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
            labels = _labels(np.concatenate([corner, corner + size], axis=1), names[kinds])
            for label, crowd in zip(labels, rng.random(boxes) < 0.02, strict=True):
                label["attributes"] = {"occluded": False, "truncated": False, "crowd": bool(crowd)}
            found = _labels(moved, names[guesses])
            for label, score in zip(found, rng.random(boxes).tolist(), strict=True):
                label["score"] = score
            start = "[" if image == 0 else ",\n"
            truth.write(start + json.dumps({"name": f"{image:08d}.jpg", "labels": labels}))
            predictions.write(start + json.dumps({"name": f"{image:08d}.jpg", "labels": found}))
        truth.write("]")
        predictions.write("]")


def _labels(corners: np.ndarray, names: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"id": str(index), "category": str(name), "box2d": dict(zip(("x1", "y1", "x2", "y2"), corner, strict=True))}
        for index, (corner, name) in enumerate(zip(corners.tolist(), names, strict=True))
    ]


def work(engine: str, folder: Path, processes: int) -> None:
    """Evaluate in this process; print memory as JSON (called in a subprocess)."""
    from bdd100k_models.evaluation.run import Options, evaluate

    result = evaluate("det", folder / "gt.json", folder / "pred.json", Options(processes=processes), engine=engine)
    result.save(folder / f"{engine}.json")
    # kilobytes on Linux, bytes on macOS; children are the official tool's workers
    unit = 1 if sys.platform == "darwin" else 1024
    own, child = (resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"own": own, "child": child}))


def measure(engine: str, folder: Path, processes: int) -> tuple[float, float]:
    """Return seconds and peak memory in MB (of the largest process) of one tool."""
    command = [sys.executable, __file__, "--work", engine, "--folder", str(folder), "--processes", str(processes)]
    started = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    seconds = time.perf_counter() - started
    memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, max(memory["own"], memory["child"]) / 1e6


def largest_difference(folder: Path) -> float:
    """Return the largest difference between any two scores; infinite if one is NaN where the other is not."""
    first, second = (json.loads((folder / f"{engine}.json").read_text()) for engine in ENGINES)
    largest = 0.0
    for metric, groups in first.items():
        for group, other in zip(groups, second[metric], strict=True):
            for row, value in group.items():
                if math.isnan(value) != math.isnan(other[row]):
                    return math.inf
                largest = max(largest, 0.0 if math.isnan(value) else abs(value - other[row]))
    return largest


def main() -> None:
    """Run both tools and print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--boxes", type=int, default=100, help="boxes an image, labelled and predicted each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="workers of the official tool")
    parser.add_argument("--only-ours", action="store_true", help="leave the official tool out")
    parser.add_argument("--work", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work, args.folder, args.processes)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, args.images, args.boxes, args.seed)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        print(f"det, {args.images} images x {args.boxes} boxes, {size:.0f} MB of JSON")
        figures = {}
        for engine in ENGINES[args.only_ours :]:
            figures[engine] = measure(engine, folder, args.processes)
            print(f"{engine:>9}: {figures[engine][0]:8.2f} s, peak {figures[engine][1]:6.0f} MB")
        if not args.only_ours:
            time_ratio = figures["official"][0] / figures["ours"][0]
            memory_ratio = figures["official"][1] / figures["ours"][1]
            print(f"    ratio: {time_ratio:.1f} times as fast, {memory_ratio:.1f} times less memory")
            print(f"largest difference of any score: {largest_difference(folder):.1e}")


if __name__ == "__main__":
    main()
