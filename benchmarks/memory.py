"""Whether the memory of `test` grows with the data set: peak resident memory at 200 and at 5,000 images.

    python benchmarks/memory.py
    python benchmarks/memory.py --counts 200 1000

Each run is a process of its own, on a small model; the images are links to a few files. The figure is the process's
peak (readers of images are processes of their own and hold two batches each, whatever the data set).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from process_memory import peak_memory


def measure(count: int, folder: Path) -> None:
    """Run one test in this process and print its peak memory in MiB."""
    import torch

    from bdd100k_models.datasets.images import images_of_folder
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.test import TestOptions, run_test
    from bdd100k_models.tasks import get_task
    from bdd100k_models.zoo.records import resolve_config

    config = load_config(resolve_config("det", "atss_mini_det_synthetic"))
    config.test_dataloader.dataset.pipeline[1].scale = (160, 90)
    images = images_of_folder(folder / f"images{count}")
    options = TestOptions(folder / f"out{count}", folder / "weights.pth", torch.device("cpu"), batch_size=4)
    report = run_test(get_task("det"), config, images, options)
    assert report is not None
    print(f"{count} {report.labels} {peak_memory():.1f}")


def prepare(folder: Path, counts: list[int]) -> None:
    """Write weights that fill each image with 100 boxes, and the images."""
    import cv2
    import numpy as np
    import torch

    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.model import build_model
    from bdd100k_models.zoo.records import resolve_config

    torch.manual_seed(0)
    model = build_model(load_config(resolve_config("det", "atss_mini_det_synthetic")))
    state = model.state_dict()
    state["bbox_head.atss_cls.bias"].fill_(1.0)
    state["bbox_head.atss_cls.weight"].normal_(0, 0.3)
    torch.save({"state_dict": state}, folder / "weights.pth")
    rng = np.random.default_rng(0)
    for number in range(8):
        coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC))
    for count in counts:
        images = folder / f"images{count}"
        images.mkdir()
        for index in range(count):
            (images / f"{index:06d}.jpg").symlink_to(folder / f"{index % 8}.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs=2, default=[200, 5000])
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        measure(args.work, args.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args.counts)
        peaks = []
        for count in args.counts:
            command = [sys.executable, __file__, "--work", str(count), "--folder", name]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            peaks.append(float(printed[-1]))
            print(f"{printed[-3]} images, {printed[-2]} boxes: peak {printed[-1]} MiB", flush=True)
    print(f"growth: {peaks[1] - peaks[0]:.1f} MiB")


if __name__ == "__main__":
    main()
