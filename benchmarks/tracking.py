"""How much of a tracker's own speed `test` delivers, end to end.

    python benchmarks/tracking.py                               # QDTrack and PCAN on this machine
    python benchmarks/tracking.py --device cuda --frames 100

A drawn video, and random weights that find many objects with certainty and tell them apart, so that the tracker has
its work. The bare model gets all frames of the video, prepared beforehand, one after the other; `test` begins with
JPEG files and ends with a JSON file of the video (and bitmasks of each frame, for masks). Both are run in turn several
times, and the medians count: these figures are ratios of one run on one machine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from inference import Bench, describe_machine

from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.datasets.video_images import videos_of_folder
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.distributed import choose_device, set_cpu_threads
from bdd100k_models.engine.model import build_model
from bdd100k_models.tasks import get_task
from bdd100k_models.zoo.records import resolve_config

MODELS = {
    "mot": "qdtrack-frcnn_r50_fpn_12e_mot_bdd100k",
    "mots": "pcan-frcnn_r50_fpn_12e_mots_bdd100k",
}


def save_weights(config: Any, path: Path) -> None:
    """Write random weights whose boxes are certain and whose embeddings are far apart."""
    torch.manual_seed(0)
    model = build_model(config)
    torch.nn.init.normal_(model.detector.roi_head.bbox_head.fc_cls.weight, std=3.0)
    torch.nn.init.normal_(model.track_head.embed_head.fc_embed.weight, std=3.0)
    torch.save({"meta": {}, "state_dict": model.state_dict()}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--device")
    parser.add_argument("--frames", type=int, default=10, help="frames of the video (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken (default: 3)")
    args = parser.parse_args()
    device = choose_device(args.device)
    set_cpu_threads()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate_videos(folder, {"val": 1}, frames=args.frames)
        for task in args.tasks:
            images = videos_of_folder(folder / get_task(task).image_dir("val"))
            config = load_config(resolve_config(task, MODELS[task]))
            bench = Bench(task, config, images, device, folder, args.rounds, prepared=args.frames)
            save_weights(config, bench.weights)
            rows.append(bench.row(MODELS[task], 1, amp=False, channels_last=False))
    print(f"a video of {args.frames} frames of 1280x720, {describe_machine(device)}")
    print("\n| model | bare frames/s | end to end frames/s | end to end / bare |")
    print("| :- | -: | -: | -: |")
    for label, _, bare, whole in rows:
        print(f"| {label} | {bare:.2f} | {whole:.2f} | {whole / bare:.2f} |")


if __name__ == "__main__":
    main()
