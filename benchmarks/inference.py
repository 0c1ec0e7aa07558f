"""How much of a model's own speed `test` delivers, end to end, and what its settings gain.

    python benchmarks/inference.py                             # Faster R-CNN R-50-FPN on this machine
    python benchmarks/inference.py --batch-sizes 1 2 4 8 16    # on a GPU

Each row runs the bare model (one prepared batch again and again, boxes out) and the whole of `test` (JPEG files in,
det.json out) in turn, several times, and gives medians: these figures are ratios of one run on one machine.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from bdd100k_models.datasets.images import ImageSet, images_of_folder
from bdd100k_models.datasets.loader import InferenceImages, Preparation
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.distributed import choose_device, set_cpu_threads
from bdd100k_models.engine.model import build_model, inference_mode, predict, prepare_model
from bdd100k_models.engine.test import TestOptions, run_test
from bdd100k_models.tasks import get_task
from bdd100k_models.zoo.records import resolve_config

#: Name, reduced precision, channels last.
SETTINGS = (("default", False, False), ("--channels-last", False, True), ("--amp", True, True))


def draw_images(folder: Path, count: int) -> None:
    """Write JPEGs of 1280x720 with the detail of a photograph."""
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = rng.integers(0, 256, (45, 80, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        picture += rng.integers(-12, 12, picture.shape, dtype=np.int16)
        cv2.imwrite(str(folder / f"{index:04d}.jpg"), picture.clip(0, 255).astype(np.uint8))


def save_weights(config: Any, path: Path) -> None:
    """Write random weights that fill the model's 100 boxes."""
    torch.manual_seed(0)
    model = build_model(config)
    model.init_cfg = None
    torch.save({"meta": {}, "state_dict": model.state_dict()}, path)


class Bench:
    """One model on one device, timed bare and end to end.

    Args:
        task: Its task.
        config: Its config.
        images: What to run on.
        device: Where.
        folder: Where weights and results go.
        rounds: How often each figure is taken.
        prepared: How many batches the bare model takes in turn.
    """

    def __init__(
        self,
        task: str,
        config: Any,
        images: ImageSet,
        device: torch.device,
        folder: Path,
        rounds: int,
        prepared: int = 1,
    ) -> None:
        self.task, self.config, self.images, self.prepared = get_task(task), config, images, prepared
        self.device, self.folder, self.rounds = device, folder, rounds
        self.weights = folder / "weights.pth"

    def bare(self, batch_size: int, amp: bool, channels_last: bool) -> float:
        """Return images/s of the model alone."""
        model = prepare_model(self.config, self.weights, self.device, channels_last=channels_last)
        batches = [range(start, start + batch_size) for start in range(0, self.prepared * batch_size, batch_size)]
        preparation = Preparation(self.config.test_dataloader.dataset.pipeline)
        dataset = InferenceImages(self.images, batches, preparation)
        prepared = [dataset[number].data for number in range(len(dataset))]
        count = max(
            2, min(len(self.images.items) // batch_size, 20 if self.device.type == "cuda" else 4), len(prepared)
        )
        with inference_mode(self.device, amp):
            predict(model, prepared[0], channels_last)
            self._wait()
            started = time.perf_counter()
            for number in range(count):
                predict(model, prepared[number % len(prepared)], channels_last)
            self._wait()
        return count * batch_size / (time.perf_counter() - started)

    def end_to_end(self, batch_size: int, amp: bool, channels_last: bool) -> float:
        """Return images/s of `test`, from the first image read to the last result written."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            options = TestOptions(
                Path(out), self.weights, self.device, batch_size=batch_size, amp=amp, channels_last=channels_last
            )
            report = run_test(self.task, self.config, self.images, options)
        assert report is not None
        return report.processed / report.seconds

    def row(self, label: str, batch_size: int, amp: bool, channels_last: bool) -> tuple[str, int, float, float]:
        """Time bare and end to end in turn and return the medians."""
        bare, whole = [], []
        for _ in range(self.rounds):
            bare.append(self.bare(batch_size, amp, channels_last))
            whole.append(self.end_to_end(batch_size, amp, channels_last))
        return label, batch_size, statistics.median(bare), statistics.median(whole)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def describe_machine(device: torch.device) -> str:
    """Return what figures depend on: device, versions and date."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
    return f"{where}, Python {platform.python_version()}, PyTorch {torch.__version__}, {date.today()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="faster_rcnn_r50_fpn_1x_det_bdd100k")
    parser.add_argument("--device")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1])
    parser.add_argument("--count", type=int, default=8, help="images of the end-to-end runs (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken (default: 3)")
    args = parser.parse_args()
    device = choose_device(args.device)
    set_cpu_threads()
    with tempfile.TemporaryDirectory() as folder:
        (pictures := Path(folder) / "images").mkdir()
        draw_images(pictures, args.count)
        config = load_config(resolve_config("det", args.model))
        bench = Bench("det", config, images_of_folder(pictures), device, Path(folder), args.rounds)
        save_weights(config, bench.weights)
        rows = [bench.row(label, size, *flags) for label, *flags in SETTINGS for size in args.batch_sizes]
    print(f"{args.model}, 1280x720, {describe_machine(device)}")
    print("\n| setting | batch | bare images/s | end to end images/s | end to end / bare | end to end / first row |")
    print("| :- | -: | -: | -: | -: | -: |")
    for label, size, bare, whole in rows:
        print(f"| {label} | {size} | {bare:.2f} | {whole:.2f} | {whole / bare:.2f} | {whole / rows[0][3]:.2f} |")


if __name__ == "__main__":
    main()
