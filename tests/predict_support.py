"""Tiny models with random weights, loaded as a user loads models."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from bdd100k_models import Model, load_model
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.formats.results.boxes import DetectionRecord
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import resolve_config
from conftest import ROOT
from det_model import MODEL
from pose_model import make_config, make_weights
from qdtrack_model import CONFIGS, NAME, SMALL, SMALL_HEAD
from semantic_model import write_checkpoint, write_config

_TAGGER = """\
_base_ = ['{root}/tagging/configs/weather/resnet18_{looks}_weather_tag_bdd100k.py']
model = dict(
    backbone=dict(stem_channels=8, base_channels=8, init_cfg=None),
    head=dict(in_channels=64))
"""


def fast_detector_file(folder: Path) -> Path:
    """Write the config of the detector that ships here, looking at pictures of half the usual width."""
    config = load_config(resolve_config("det", MODEL))
    for step in config.test_dataloader.dataset.pipeline:
        if step["type"] == "Resize":
            step["scale"] = (640, 360)
    path = folder / "fast_det.py"
    config.load_from = str(ROOT / config.load_from)
    config.dump(path)
    return path


def tiny_segmentor(folder: Path, task: str, **options: Any) -> Model:
    config = write_config(folder, task)
    weights = write_checkpoint(config, folder / f"{task}.pth")
    return load_model(config, weights, device="cpu", **options)


def segmentor_files(folder: Path, task: str) -> tuple[Path, Path]:
    config = write_config(folder, task)
    return config, write_checkpoint(config, folder / f"{task}.pth")


def tagger_files(folder: Path, looks: str = "5x_224x224") -> tuple[Path, Path]:
    config = folder / "tiny_tagger.py"
    config.write_text(_TAGGER.format(root=ROOT.as_posix(), looks=looks))
    return config, _random_weights(config)


def tiny_tagger(folder: Path, looks: str = "5x_224x224") -> Model:
    return load_model(*tagger_files(folder, looks), device="cpu")


def tiny_pose(folder: Path, detector: Model) -> Model:
    config = make_config(folder)
    return load_model(config, make_weights(config, folder / "pose.pth"), device="cpu", detector=detector)


def tracker_files(folder: Path) -> tuple[Path, Path]:
    """Write a QDTrack that takes everything it finds for an object, and what is least unlike for the same."""
    config = folder / "tiny_tracker.py"
    loose: dict[str, Any] = {"model.track_head.embed_head.in_channels": 16, "load_from": None}
    loose |= {f"model.tracker.{name}_score_thr": 0.0 for name in ("init", "obj", "match")}
    changed = load_config(CONFIGS / f"{NAME}.py", SMALL | SMALL_HEAD | loose)
    changed.model.detector.test_cfg.rcnn.score_thr = 0.0
    for step in changed.test_dataloader.dataset.pipeline[0]["transforms"]:
        if step["type"] == "Resize":
            step["scale"] = (320, 192)
    changed.dump(config)
    return config, _random_weights(config)


def tiny_tracker(folder: Path) -> Model:
    return load_model(*tracker_files(folder), device="cpu")


def _random_weights(config: Path) -> Path:
    torch.manual_seed(3)
    path = config.with_suffix(".pth")
    torch.save({"meta": {}, "state_dict": build_model(load_config(config)).state_dict()}, path)
    return path


class Stub(Model):
    """A detector that looks at nothing: it is sure of one object, as large as the picture, and less so of another."""

    def __init__(self, name: str = "stub", category: str = "car") -> None:
        config = load_config(resolve_config("det", MODEL))
        super().__init__(name, TASKS["det"], config, torch.nn.Identity(), None, device="cpu")  # type: ignore[arg-type]
        self.seen: list[int] = []
        self.found = TASKS["det"].categories.index(category)

    def run(self, network: Any, pictures: Any, people: Any, remarks: Any) -> list[Any]:
        self.seen.append(len(pictures))
        corners = [(0.0, 0.0, picture.size[1] - 1.0, picture.size[0] - 1.0) for picture in pictures]
        return [DetectionRecord(boxes=[box] * 2, scores=[0.9, 0.1], classes=[self.found, 0]) for box in corners]


def write_video(
    path: Path,
    count: int = 10,
    *,
    size: tuple[int, int] = (48, 64),
    rate: int = 10,
    codec: str = "libx264",
    disordered: bool = False,
    **sound: Any,
) -> Path:
    """Write a film whose frame i is of the grey 20 * i.

    ``disordered``: with frames that are coded before earlier ones; ``audio`` names the codec of a tone.
    """
    with av.open(str(path), "w") as file:
        options = {"g": "1"} if codec == "libx264" and not disordered else {}
        stream = file.add_stream(codec, rate=rate, options=options | ({"bf": "2"} if disordered else {}))
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        tone = file.add_stream(sound["audio"], rate=48000, layout=sound.get("layout", "mono")) if sound else None
        for index in range(count):
            grey = np.full((*size, 3), 20 * index % 256, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="bgr24")))
            if tone is not None:
                samples = np.arange(index * 48000 // rate, (index + 1) * 48000 // rate)
                wave = (np.sin(samples * 2 * np.pi * 440 / 48000) * 9000).astype(np.int16)[None]
                frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 48000, int(samples[0]), Fraction(1, 48000)
                file.mux(tone.encode(frame))
        for each in (stream, tone):
            if each is not None:
                file.mux(each.encode(None))
    return path
