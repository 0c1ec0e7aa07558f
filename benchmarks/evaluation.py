"""Evaluation against the official tool: time, memory and largest difference, in one run.

    python benchmarks/evaluation.py --task det --images 2000 --objects 100
    python benchmarks/evaluation.py --task ins_seg-rle --images 200 --objects 20

Both tools read the same drawn files in a process of their own, start to end: imports, reading, matching, scores; with
the same number of worker processes. Times are of this machine and this moment; the ratio is what to compare.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import evaluation_drawers as drawers
import numpy as np
from process_memory import peak_memory

ENGINES = ("official", "ours")

#: How often each category occurs, roughly as in the data set: pedestrian, rider, car, truck, bus, train, motorcycle,
#: bicycle, traffic light, traffic sign.
FREQUENCIES = np.array([9.5, 0.5, 55.5, 2.3, 0.9, 0.01, 0.3, 0.7, 12.0, 18.3])

SIZE = (720, 1280)

#: Frames of a video of the tracking tasks, as many as most of the data set have.
VIDEO_LENGTH = 200


def draw_boxes(folder: Path, images: int, boxes: int, rng: np.random.Generator) -> None:
    """Write ``gt.json`` and ``pred.json``: boxes, and noisy copies of them as predictions."""
    from bdd100k_models.tasks import TASKS

    names = np.array(TASKS["det"].categories)
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


class Blobs:
    """The segments of an image: rough-edged blobs over each other, and the same ones moved a little as predictions.

    Args:
        rng: Source of chance.
        number: How many blobs.
        width: Their typical width in pixels.
    """

    def __init__(self, rng: np.random.Generator, number: int, width: float) -> None:
        self.rng = rng
        self.centres = rng.uniform((0, 200), (SIZE[1], SIZE[0]), (number, 2))
        self.sizes = width * np.exp(rng.normal(0, 0.8, (number, 2)))
        self.edges = rng.uniform(0.7, 1.0, (number, 60))

    def paint(self, noise: float) -> np.ndarray:
        """Return ids from 1, int32 (720, 1280), with places and sizes off by ``noise`` of the size."""
        ids = np.zeros(SIZE, np.int32)
        angles = np.linspace(0, 2 * np.pi, self.edges.shape[1], endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        for index, (centre, size) in enumerate(zip(self.centres, self.sizes, strict=True)):
            moved = centre + self.rng.normal(0, noise, 2) * size
            outline = moved + circle * self.edges[index, :, None] * size * (1 + self.rng.normal(0, noise))
            cv2.fillPoly(ids, [outline.round().astype(np.int32)], index + 1)
        return ids


def draw_instances(folder: Path, images: int, objects: int, rng: np.random.Generator, masks: bool = True) -> None:
    """Write instance masks, and disturbed copies of them with scores: bitmasks, or run-length masks in JSON."""
    share = FREQUENCIES[:8] / FREQUENCIES[:8].sum()
    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        blobs = Blobs(rng, objects, 40)
        kinds = np.r_[0, rng.choice(8, objects, p=share) + 1]
        flags = np.r_[0, rng.choice([0, 4, 8, 12, 2, 1], objects, p=[0.5, 0.2, 0.2, 0.07, 0.02, 0.01])]
        guesses = np.where(rng.random(objects + 1) < 0.1, np.minimum(kinds, 1) * 3, kinds)
        scores = rng.random(objects + 1).round(4).tolist()
        name = f"{image:08d}"
        _save(folder, "gt", name, blobs.paint(0), kinds, flags, sides["gt"], masks, None, "ins_seg")
        _save(folder, "pred", name, blobs.paint(0.08), guesses, flags * 0, sides["pred"], masks, scores, "ins_seg")
        if masks:
            labels = [{"id": str(i), "index": i, "score": scores[i]} for i in range(1, objects + 1)]
            sides["pred"].append({"name": f"{name}.jpg", "labels": labels})
    if masks:
        (folder / "score.json").write_text(json.dumps(sides["pred"]))
    else:
        _write_sides(folder, sides)


def draw_panoptic(folder: Path, images: int, objects: int, rng: np.random.Generator, masks: bool = True) -> None:
    """Write panoptic segments: twelve kinds of stuff over the whole image, things upon them; and disturbed copies."""
    stuff = 12
    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        background, things = Blobs(rng, stuff, 300), Blobs(rng, objects, 40)
        kinds = np.r_[0, rng.permutation(30)[:stuff] + 1, rng.choice(np.arange(31, 41), objects)]
        guesses = np.where(rng.random(len(kinds)) < 0.05, 7, kinds)
        # stuff has one segment of each kind
        guesses[: stuff + 1] = kinds[: stuff + 1]
        for side, noise, categories in (("gt", 0.0, kinds), ("pred", 0.05, guesses)):
            upper = things.paint(noise)
            ids = np.where(upper > 0, upper + stuff, background.paint(noise))
            _save(folder, side, f"{image:08d}", ids, categories, kinds * 0, sides[side], masks, None, "pan_seg")
    if not masks:
        _write_sides(folder, sides)


def draw_tracks(folder: Path, images: int, objects: int, rng: np.random.Generator) -> None:
    """Write boxes that move through videos, and noisy copies with lost, false and broken tracks as predictions."""
    from bdd100k_models.tasks import TASKS

    names, share = np.array(TASKS["mot"].categories), FREQUENCIES[:8] / FREQUENCIES[:8].sum()
    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        if image % VIDEO_LENGTH == 0:
            corner, speed = rng.uniform(0, [1200, 650], (objects, 2)), rng.normal(0, 4, (objects, 2))
            size, kinds = np.exp(rng.normal(3.6, 0.8, (objects, 2))), rng.choice(8, objects, p=share)
            numbers = np.arange(objects)
        corner = corner + speed
        broken = rng.random(objects) < 0.02
        numbers = np.where(broken, numbers + objects, numbers)
        moved = np.concatenate([corner, corner + size], axis=1) + rng.normal(0, 0.06, (objects, 4)) * size.mean()
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2])
        labels = _labels(np.concatenate([corner, corner + size], axis=1), names[kinds])
        found = _labels(moved, names[np.where(rng.random(objects) < 0.03, 2, kinds)])
        for index, (label, guess) in enumerate(zip(labels, found, strict=True)):
            label["attributes"] = {"occluded": False, "truncated": False, "crowd": index % 40 == 39}
            guess |= {"id": str(numbers[index]), "score": 0.9}
        kept = [label for label, seen in zip(found, rng.random(objects) < 0.9, strict=True) if seen]
        for side, rows in (("gt", labels), ("pred", kept)):
            sides[side].append({"name": f"{image:08d}.jpg", **_place_in_video(image), "labels": rows})
    _write_sides(folder, sides)


def draw_mask_tracks(folder: Path, images: int, objects: int, rng: np.random.Generator, masks: bool = True) -> None:
    """Write blobs that move through videos, and disturbed copies of them with broken tracks."""
    share = FREQUENCIES[:8] / FREQUENCIES[:8].sum()
    sides: dict[str, list[Any]] = {"gt": [], "pred": []}
    for image in range(images):
        if image % VIDEO_LENGTH == 0:
            blobs, speed = Blobs(rng, objects, 40), rng.normal(0, 4, (objects, 2))
            kinds = np.r_[0, rng.choice(8, objects, p=share) + 1]
            flags = np.r_[0, rng.choice([0, 4, 8, 2, 1], objects, p=[0.55, 0.2, 0.2, 0.03, 0.02])]
            order = np.arange(objects + 1)
        blobs.centres = blobs.centres + speed
        if rng.random() < 0.1:
            first, second = rng.integers(1, objects + 1, 2)
            order[[first, second]] = order[[second, first]]
        place = _place_in_video(image)
        name = f"{place['videoName']}/{image:08d}"
        _save(folder, "gt", name, blobs.paint(0), kinds, flags, sides["gt"], masks, None, "mots")
        swapped = order[blobs.paint(0.06)]
        _save(folder, "pred", name, swapped, kinds[np.argsort(order)], flags * 0, sides["pred"], masks, None, "mots")
        for frames in sides.values():
            if frames:
                frames[-1] |= place
    if not masks:
        _write_sides(folder, sides)


def _place_in_video(image: int) -> dict[str, Any]:
    return {"videoName": f"video{image // VIDEO_LENGTH:04d}", "frameIndex": image % VIDEO_LENGTH}


def _save(
    folder: Path,
    side: str,
    name: str,
    ids: np.ndarray,
    kinds: np.ndarray,
    flags: np.ndarray,
    frames: list[Any],
    masks: bool,
    scores: list[float] | None,
    task: str,
) -> None:
    """Write one image's bitmask, or add its frame to ``frames``."""
    from bdd100k_models.formats import rle
    from bdd100k_models.formats.bitmask import write_bitmask
    from bdd100k_models.tasks import TASKS

    if masks:
        category, attributes = kinds.astype(np.uint8)[ids], flags.astype(np.uint8)[ids]
        write_bitmask(folder / side / f"{name}.png", category, ids, attributes)
        return
    labels = []
    for value, mask in rle.encode_labels(ids).items():
        if value:
            label: dict[str, Any] = {"id": str(value), "category": TASKS[task].categories[kinds[value] - 1]}
            label["attributes"] = {"crowd": bool(flags[value] & 2), "ignored": bool(flags[value] & 1)}
            label["rle"] = {"counts": mask.counts, "size": list(mask.size)}
            if scores:
                label["score"] = scores[value]
            labels.append(label)
    frames.append({"name": f"{name}.jpg", "labels": labels})


def _write_sides(folder: Path, sides: dict[str, list[Any]]) -> None:
    for side, frames in sides.items():
        (folder / f"{side}.json").write_text(json.dumps(frames))


#: By case (a task, and after a hyphen its form): what writes ``gt`` and ``pred``, folders or ``.json``, and perhaps
#: ``score.json``, given the folder, numbers of images and of objects in each, and the source of chance.
DRAWERS: dict[str, Callable[[Path, int, int, np.random.Generator], None]] = {
    "det": draw_boxes,
    "ins_seg": draw_instances,
    "ins_seg-rle": lambda *drawn: draw_instances(*drawn, masks=False),
    "pan_seg": draw_panoptic,
    "pan_seg-rle": lambda *drawn: draw_panoptic(*drawn, masks=False),
    "box_track": draw_tracks,
    "seg_track": draw_mask_tracks,
    "seg_track-rle": lambda *drawn: draw_mask_tracks(*drawn, masks=False),
    "sem_seg": drawers.draw_sem_seg,
    "sem_seg-rle": lambda *drawn: drawers.draw_sem_seg(*drawn, masks=False),
    "drivable": drawers.draw_drivable,
    "drivable-rle": lambda *drawn: drawers.draw_drivable(*drawn, masks=False),
    "lane_mark": drawers.draw_lanes,
    "pose": drawers.draw_poses,
    "tagging": drawers.draw_tags,
}


def _side(folder: Path, name: str) -> Path:
    return folder / f"{name}.json" if (folder / f"{name}.json").exists() else folder / name


def work(engine: str, case: str, folder: Path, processes: int) -> None:
    """Evaluate in this process; print memory as JSON (called in a subprocess)."""
    from bdd100k_models.evaluation.run import Options, evaluate

    scores = folder / "score.json"
    options = Options(processes=processes, score_file=scores if scores.exists() else None)
    result = evaluate(case.split("-")[0], _side(folder, "gt"), _side(folder, "pred"), options, engine=engine)
    result.save(folder / f"{engine}.json")
    # of worker processes, kilobytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    print(json.dumps({"own": peak_memory() * 2**20, "workers": workers}))


def measure(engine: str, case: str, folder: Path, processes: int) -> tuple[float, float, float]:
    """Return seconds, seconds of all processors, and peak memory in MB (of the largest process) of one tool."""
    command = [sys.executable, __file__, "--work", engine, "--task", case, "--folder", str(folder)]
    command += ["--processes", str(processes)]
    started, busy = time.perf_counter(), _busy()
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    seconds, busy = time.perf_counter() - started, _busy() - busy
    memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, busy, max(memory["own"], memory["workers"]) / 1e6


def _busy() -> float:
    """Return how long processors have worked for finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def largest_difference(folder: Path) -> float:
    """Return the largest difference between any two scores; infinite if one is NaN where the other is not."""
    first, second = (json.loads((folder / f"{engine}.json").read_text()) for engine in ENGINES)
    largest = 0.0
    for metric, groups in first.items():
        pairs = (
            [(groups, second[metric])] if isinstance(groups, (int, float)) else zip(groups, second[metric], strict=True)
        )
        for group, other in pairs:
            rows = {"": group} if isinstance(group, (int, float)) else group
            others = {"": other} if isinstance(other, (int, float)) else other
            for row, value in rows.items():
                if math.isnan(value) != math.isnan(others[row]):
                    return math.inf
                largest = max(largest, 0.0 if math.isnan(value) else abs(value - others[row]))
    return largest


def main() -> None:
    """Run both tools and print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--task", choices=tuple(DRAWERS), default="det", help="what to evaluate, and in which form")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument(
        "--objects", "--boxes", type=int, default=100, help="in each image, labelled and predicted each"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="workers of both tools")
    parser.add_argument("--only-ours", action="store_true", help="leave the official tool out")
    parser.add_argument("--work", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work, args.task, args.folder, args.processes)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        DRAWERS[args.task](folder, args.images, args.objects, np.random.default_rng(args.seed))
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
        print(f"{args.task}, {args.images} images x {args.objects} objects, {size:.0f} MB of files")
        figures = {}
        for engine in ENGINES[args.only_ours :]:
            figures[engine] = measure(engine, args.task, folder, args.processes)
            seconds, busy, memory = figures[engine]
            print(f"{engine:>9}: {seconds:8.2f} s ({busy:.2f} s of processors), peak {memory:6.0f} MB")
        if not args.only_ours:
            ratios = [first / second for first, second in zip(figures["official"], figures["ours"], strict=True)]
            print(
                f"    ratio: {ratios[0]:.1f} times as fast ({ratios[1]:.1f} of processors), "
                f"{ratios[2]:.1f} times less memory"
            )
            print(f"largest difference of any score: {largest_difference(folder):.1e}")


if __name__ == "__main__":
    main()
