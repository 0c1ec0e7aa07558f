"""How fast a data root is checked, against Pillow opening and decoding the same files one after the other.

    python benchmarks/data_check.py
    python benchmarks/data_check.py --images 10000 --nproc 2

The pictures are drawn scenes in the published size, each written many times with another comment inside, so that no two
files are equal. Pillow's loop notices what cannot be decoded, and nothing else that the check does. Both read files
that were just written, so the disk counts for neither.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import cv2
from PIL import Image

from bdd100k_models.datasets.check import check_data
from bdd100k_models.datasets.synth.picture import draw_picture

_DISTINCT = 20
_QUALITY = 90


def write_pictures(folder: Path, count: int) -> int:
    """Write pictures; return their bytes."""
    folder.mkdir(parents=True)
    size = 0
    scenes = []
    for index in range(min(_DISTINCT, count)):
        pixels = draw_picture(0, "train", index, (1280, 720)).pixels
        scenes.append(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
    for index in range(count):
        scene, comment = scenes[index % len(scenes)], b"%08d" % index
        # a comment's segment: marker, length with its own two bytes, text
        data = scene[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + scene[2:]
        (folder / f"{index:08x}-{index:08x}.jpg").write_bytes(data)
        size += len(data)
    return size


def pillow_seconds(folder: Path) -> float:
    """Time Pillow's loop over a folder."""
    started = time.perf_counter()
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            image.load()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, metavar="N")
    parser.add_argument("--nproc", type=int, metavar="N", help="processes of the check (default: one for each core)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "images/10k/train"
        size = write_pictures(folder, args.images)
        peer = pillow_seconds(folder)
        report = check_data(Path(name), splits=["train"], nproc=args.nproc)
        assert report.files == args.images
        assert not report.problems
    figures = {
        "images": args.images,
        "MB": round(size / 1e6),
        "pillow_s": round(peer, 1),
        "check_s": round(report.seconds, 1),
    }
    print(json.dumps(figures | {"times_as_fast": round(peer / report.seconds, 2)}))


if __name__ == "__main__":
    main()
