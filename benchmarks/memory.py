"""Whether the memory of `test` grows with the data set: peak resident memory at 200 and at 5,000 images.

    python benchmarks/memory.py
    python benchmarks/memory.py --counts 200 1000
    python benchmarks/memory.py --task mots          # one video of so many frames

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

MODELS = {
    "det": "atss_mini_det_synthetic",
    "mot": "qdtrack_mini_mot_synthetic",
    "mots": "segtrack_mini_mots_synthetic",
}


def measure(task_name: str, count: int, folder: Path) -> None:
    """Run one test in this process and print its peak memory in MiB."""
    import torch

    from bdd100k_models.datasets.images import images_of_folder
    from bdd100k_models.datasets.video_images import videos_of_folder
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.test import TestOptions, run_test
    from bdd100k_models.paths import resource_root
    from bdd100k_models.tasks import get_task
    from bdd100k_models.zoo.records import resolve_config

    task = get_task(task_name)
    config = load_config(resolve_config(task_name, MODELS[task_name]))
    if not task.videos:
        config.test_dataloader.dataset.pipeline[1].scale = (160, 90)
    images = (videos_of_folder if task.videos else images_of_folder)(folder / f"images{count}")
    weights = resource_root() / config.load_from if task.videos else folder / "weights.pth"
    batch_size = 1 if task.videos else 4
    options = TestOptions(folder / f"out{count}", weights, torch.device("cpu"), batch_size=batch_size)
    report = run_test(task, config, images, options)
    assert report is not None
    print(f"{count} {report.labels} {peak_memory():.1f}")


def link_images(files: list[Path], folder: Path, counts: list[int]) -> None:
    """Make a folder of links for each count: to all files in their order, then back, and so on."""
    there_and_back = files + files[-2:0:-1]
    for count in counts:
        images = folder / f"images{count}"
        images.mkdir()
        for index in range(count):
            (images / f"{index:06d}.jpg").symlink_to(there_and_back[index % len(there_and_back)])


def prepare_videos(folder: Path, counts: list[int]) -> None:
    """Draw a video whose objects come and go as it is played forwards and backwards, for so many frames."""
    from bdd100k_models.datasets.synth import generate_videos

    generate_videos(folder / "drawn", {"val": 1}, frames=16, reach=20.0)
    link_images(sorted((folder / "drawn").rglob("*.jpg")), folder, counts)


def prepare_images(folder: Path, counts: list[int]) -> None:
    """Write weights that fill each image with 100 boxes, and the images."""
    import cv2
    import numpy as np
    import torch

    from bdd100k_models.engine.config import load_config
    from bdd100k_models.engine.model import build_model
    from bdd100k_models.zoo.records import resolve_config

    torch.manual_seed(0)
    model = build_model(load_config(resolve_config("det", MODELS["det"])))
    state = model.state_dict()
    state["bbox_head.atss_cls.bias"].fill_(1.0)
    state["bbox_head.atss_cls.weight"].normal_(0, 0.3)
    torch.save({"state_dict": state}, folder / "weights.pth")
    rng = np.random.default_rng(0)
    files = [folder / f"{number}.jpg" for number in range(8)]
    for file in files:
        coarse = rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(file), cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC))
    link_images(files, folder, counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=MODELS, default="det")
    parser.add_argument("--counts", type=int, nargs=2, default=[200, 5000])
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        measure(args.task, args.work, args.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (prepare_images if args.task == "det" else prepare_videos)(folder, args.counts)
        peaks = []
        for count in args.counts:
            command = [sys.executable, __file__, "--task", args.task, "--work", str(count), "--folder", name]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            peaks.append(float(printed[-1]))
            print(f"{printed[-3]} images, {printed[-2]} labels: peak {printed[-1]} MiB", flush=True)
    print(f"growth: {peaks[1] - peaks[0]:.1f} MiB")


if __name__ == "__main__":
    main()
