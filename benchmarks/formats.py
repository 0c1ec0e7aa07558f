"""How fast results of masks are written, against the original's way of doing it, and whether memory grows meanwhile.

    python benchmarks/formats.py
    python benchmarks/formats.py --cases ins_seg --images 40 --rounds 5
    python benchmarks/formats.py --cases sem_seg --images 10000 --memory-of ours     # MiB of a process of its own

Both sides get the same drawn masks and write the same files, in one process of one thread, in turn. Ours begins with
what the model hands over; the original's begins where its own merge did, with the masks of all images encoded as run
lengths, so that encoding counts for ours alone. Memory is the peak of a process of its own that writes a few images,
and of another that writes many.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch
from PIL import Image
from process_memory import peak_memory
from pycocotools import mask as coco_mask

from bdd100k_models.datasets.synth.labels import drivable_runs, semantic_runs
from bdd100k_models.datasets.synth.picture import draw_picture
from bdd100k_models.engine.shards import RunIdentity, Shards
from bdd100k_models.formats import rle
from bdd100k_models.formats.results import get_format
from bdd100k_models.tasks import IMAGE_SIZE, NO_CLASS, TASKS

Sample = dict[str, Any]
Compared = tuple[Path, Callable[[Path], np.ndarray]]

_DISTINCT = 10  # different images; more are these again


@dataclass(frozen=True)
class Case:
    """Results of one task.

    Attributes:
        draw: Makes the prediction of an image from a number, as the model would hand it over.
        prepare: Turns it into what the original kept of an image until the end.
        write: Writes all images from that, as the original did.
        check: Reads what both wrote of an image, to see that it is the same.
        outputs: Which of our outputs are the same files.
    """

    draw: Callable[[int], Sample]
    prepare: Callable[[Sample], Any]
    write: Callable[[Sequence[Any], Path], None]
    check: Callable[[Path, int], Any]
    outputs: tuple[str, ...]
    encode: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None  # of one map: ours (bytes), theirs


# ------------------------------------------------------------------------------------------------------- instances


def draw_instances(seed: int, count: int = 100) -> Sample:
    """Return 100 ellipses of many sizes, with boxes, scores and categories."""
    rng = np.random.default_rng(seed)
    height, width = IMAGE_SIZE
    masks = np.zeros((count, height, width), np.uint8)
    for mask in masks:
        axes = np.exp(rng.uniform(np.log(4), np.log(160), 2)).astype(int).tolist()
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.ellipse(mask, centre, axes, float(rng.integers(180)), 0, 360, 1, cv2.FILLED)
    instances = {
        "bboxes": torch.rand(count, 4) * 700,
        "scores": torch.from_numpy(rng.random(count, dtype=np.float32)),
        "labels": torch.from_numpy(np.sort(rng.integers(0, 8, count))),
        "masks": torch.from_numpy(masks).bool(),
    }
    return {"pred_instances": instances, "ori_shape": IMAGE_SIZE}


def prepare_instances(sample: Sample) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Return scores, categories and COCO run lengths."""
    instances = sample["pred_instances"]
    masks = [coco_mask.encode(np.asfortranarray(mask)) for mask in instances["masks"].numpy().astype(np.uint8)]
    return instances["scores"].numpy(), instances["labels"].numpy(), masks


def write_instances(images: Sequence[Any], folder: Path) -> None:
    """Blend mask after mask into each of the four channels, by ascending score."""
    (folder / "bitmasks").mkdir(parents=True)
    for number, (scores, labels, masks) in enumerate(images):
        canvas = np.zeros((*IMAGE_SIZE, 4), np.uint8)
        for row in np.argsort(scores):
            mask = coco_mask.decode(masks[row])
            identity = row + 1
            for channel, value in enumerate((labels[row] + 1, 0, identity >> 8, identity & 255)):
                canvas[..., channel] = canvas[..., channel] * (1 - mask) + mask * value
        Image.fromarray(canvas).save(folder / f"bitmasks/{number}.png")


def read_bitmask(folder: Path, number: int) -> bytes:
    """Return the pixels of a bitmask."""
    return np.array(Image.open(folder / f"bitmasks/{number}.png")).tobytes()


# -------------------------------------------------------------------------------------------------------- panoptic


def draw_segments(seed: int) -> Sample:
    """Return twelve kinds of stuff in blobs, with forty things on top."""
    rng = np.random.default_rng(seed)
    height, width = IMAGE_SIZE
    field = cv2.resize(rng.random((12, 20)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    numbers = (np.clip(field, 0, 0.999) * 12).astype(np.int32) + 16
    for place in range(1, 41):
        axes = np.exp(rng.uniform(np.log(4), np.log(90), 2)).astype(int).tolist()
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.ellipse(numbers, centre, axes, 0, 0, 360, 1000 * place + int(rng.integers(10)), cv2.FILLED)
    return {"pred_panoptic_seg": {"sem_seg": torch.from_numpy(numbers)[None]}}


def prepare_segments(sample: Sample) -> np.ndarray:
    """Return the map of segment numbers, which the original kept."""
    numbers: np.ndarray = sample["pred_panoptic_seg"]["sem_seg"][0].numpy()
    return numbers.copy()


def write_segments(images: Sequence[Any], folder: Path) -> None:
    """Compare each map with each of its numbers, and save all frames with scalabel."""
    from scalabel.label.io import save
    from scalabel.label.transforms import mask_to_rle
    from scalabel.label.typing import Frame, Label

    from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES

    frames = []
    for number, segments in enumerate(images):
        labels = [
            Label(id=str(value), category=MODEL_CATEGORIES[value % 1000], rle=mask_to_rle(segments == value))
            for value in np.unique(segments)
        ]
        frames.append(Frame(name=f"{number}.jpg", labels=labels))
    folder.mkdir(parents=True)
    save(str(folder / "pan_seg.json"), frames)


def read_segments(folder: Path, number: int) -> Any:
    """Return id, category and run lengths of an image's segments."""
    labels = json.loads((folder / "pan_seg.json").read_text())["frames"][number]["labels"]
    return [(label["id"], label["category"], label["rle"]) for label in labels]


# ------------------------------------------------------------------------------------------------ classes of pixels


def draw_classes(seed: int, task: str) -> Sample:
    """Return the classes of a drawn street scene, whose regions have the shapes and sizes of real ones."""
    picture = draw_picture(seed, "val", seed)
    classes = (semantic_runs if task == "sem_seg" else drivable_runs)(picture).paint()
    classes[classes == NO_CLASS] = 0  # a model has a class for each pixel
    return {"pred_sem_seg": {"data": torch.from_numpy(classes)[None]}}


def prepare_classes(sample: Sample) -> np.ndarray:
    """Return the map of classes, as the original kept it: eight bytes a pixel."""
    classes: np.ndarray = sample["pred_sem_seg"]["data"][0].numpy()
    return classes.astype(np.int64)


def encode_classes(classes: np.ndarray) -> list[tuple[int, Any]]:
    """Encode each class of a map with scalabel, as the original did."""
    from scalabel.label.transforms import mask_to_rle

    return [(int(value), mask_to_rle((classes == value).astype(np.uint8))) for value in np.unique(classes)]


def write_classes(task: str, images: Sequence[Any], folder: Path) -> None:
    """Encode all maps and save all frames with scalabel."""
    from scalabel.label.io import save
    from scalabel.label.typing import Frame, Label

    frames, count = [], 0
    for number, classes in enumerate(images):
        labels = []
        for value, mask in encode_classes(classes):
            count += 1
            labels.append(Label(id=str(count), category=TASKS[task].categories[value], rle=mask))
        frames.append(Frame(name=f"{number}.jpg", labels=labels))
    folder.mkdir(parents=True)
    save(str(folder / f"{task}.json"), frames)


def read_classes(task: str, folder: Path, number: int) -> Any:
    """Return id, category and run lengths of an image's classes."""
    labels = json.loads((folder / f"{task}.json").read_text())["frames"][number]["labels"]
    return [(label["id"], label["category"], label["rle"]) for label in labels]


def classes_case(task: str) -> Case:
    """Return the case of a task whose models classify pixels."""
    return Case(
        functools.partial(draw_classes, task=task),
        prepare_classes,
        functools.partial(write_classes, task),
        functools.partial(read_classes, task),
        ("json",),
        (rle.encode_labels, encode_classes),
    )


CASES = {
    "ins_seg": Case(draw_instances, prepare_instances, write_instances, read_bitmask, ("bitmasks",)),
    "pan_seg": Case(draw_segments, prepare_segments, write_segments, read_segments, ("json",)),
    "sem_seg": classes_case("sem_seg"),
    "drivable": classes_case("drivable"),
}


# ------------------------------------------------------------------------------------------------------ measuring


def write_ours(task: str, samples: Sequence[Sample], count: int, folder: Path) -> None:
    """Encode and write as ``test`` does, image by image, with a record of each in a shard."""
    form = get_format(TASKS[task], CASES[task].outputs)
    names = [f"{number}.jpg" for number in range(count)]
    shards = Shards(folder, count)
    shards.start(RunIdentity(task, "", "", "", "full", 1))
    with shards.writer(0) as writer:
        for number, name in enumerate(names):
            record = form.encode([samples[number % len(samples)]])
            form.save_image(name, record, folder)
            writer.append(number, record, None)
    form.write(shards.records(form.record_type, names, []), folder)
    shards.remove()


def write_theirs(task: str, samples: Sequence[Sample], count: int, folder: Path) -> float:
    """Write as the original did; return the seconds without those of preparing, which its model's side did."""
    case = CASES[task]
    images = [case.prepare(samples[number % len(samples)]) for number in range(count)]
    started = time.perf_counter()
    case.write(images, folder)
    return time.perf_counter() - started


def compare(task: str, count: int, rounds: int) -> None:
    """Time both sides in turn, see that they wrote the same, and print images a second."""
    samples = [CASES[task].draw(seed) for seed in range(min(count, _DISTINCT))]
    ours, theirs = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            theirs.append(write_theirs(task, samples, count, folder / "theirs"))
            started = time.perf_counter()
            write_ours(task, samples, count, folder / "ours")
            ours.append(time.perf_counter() - started)
            for number in range(len(samples)):
                assert CASES[task].check(folder / "ours", number) == CASES[task].check(folder / "theirs", number)
    rates = count / float(np.median(ours)), count / float(np.median(theirs))
    ratio = f"ratio {rates[0] / rates[1]:.1f}"
    print(f"{task}: ours {rates[0]:.1f} images/s, the original's way {rates[1]:.2f} images/s, {ratio}", flush=True)


def compare_encoding(task: str, rounds: int) -> None:
    """Time the run-length encoding of whole maps alone, and print images a second."""
    encode = CASES[task].encode
    if encode is None:
        return
    maps = [CASES[task].prepare(CASES[task].draw(seed)) for seed in range(_DISTINCT)]
    sides = list(zip(encode, ([image.astype(np.uint8) for image in maps], maps), strict=True))
    for ours, theirs in zip(*([dict(side(image)) for image in images] for side, images in sides), strict=True):
        assert {value: mask.counts for value, mask in ours.items()} == {
            value: mask.counts for value, mask in theirs.items()
        }
    rates = []
    for side, images in sides:
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            for image in images:
                side(image)
            seconds.append(time.perf_counter() - started)
        rates.append(len(images) / float(np.median(seconds)))
    ours, theirs, ratio = *rates, rates[0] / rates[1]
    print(f"{task}, run lengths alone: ours {ours:.1f} images/s, scalabel {theirs:.2f} images/s, ratio {ratio:.1f}")


def peak(task: str, side: str, count: int) -> float:
    """Return the peak memory in MiB of a process that writes so many images."""
    command = [sys.executable, __file__, "--cases", task, "--images", str(count), "--memory-of", side]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def measure_memory(task: str, side: str, count: int) -> None:
    """Write images in this process and print its peak memory in MiB."""
    samples = [CASES[task].draw(seed) for seed in range(2)]
    with tempfile.TemporaryDirectory() as name:
        (write_ours if side == "ours" else write_theirs)(task, samples, count, Path(name) / "out")
    print(peak_memory())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--images", type=int, default=20, help="images a round (default: 20)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median counts (default: 3)")
    parser.add_argument("--memory", type=int, nargs=2, default=[20, 200], help="few and many images (default: 20 200)")
    parser.add_argument("--memory-of", choices=("ours", "theirs"), help="only write, and print the peak memory")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for task in args.cases:
        if args.memory_of:
            measure_memory(task, args.memory_of, args.images)
            continue
        compare(task, args.images, args.rounds)
        compare_encoding(task, args.rounds)
        for side in ("ours", "theirs"):
            few, many = (peak(task, side, count) for count in args.memory)
            growth = f"growth {many - few:+.1f} MiB"
            print(
                f"{task}, {side}: peak {few:.1f} MiB for {args.memory[0]} images, {many:.1f} MiB for "
                f"{args.memory[1]}, {growth}",
                flush=True,
            )


if __name__ == "__main__":
    main()
