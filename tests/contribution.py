"""A contribution to the zoo that is right in every point, made on the spot."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bdd100k_models.evaluation.run import evaluate
from bdd100k_models.tasks import TASKS
from conftest import ROOT
from det_model import MODEL, make_checkpoint

NAME = "atss_test_1x_det_bdd100k"
BASE = f"det/configs/mini/{MODEL}.py"
CATEGORIES = TASKS["det"].categories


def make_labels(root: Path, images: int = 4, seed: int = 0) -> Path:
    """Write ground truth of the validation set into a data root; return the file."""
    rng = np.random.default_rng(seed)
    frames = [{"name": f"image{i}.jpg", "labels": _boxes(rng, 6)} for i in range(images)]
    path = root / TASKS["det"].label_path("val")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(frames))
    return path


def _boxes(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    corners = rng.uniform(0, 600, (count, 2)).round(2)
    sizes = rng.uniform(20, 100, (count, 2)).round(2)
    return [
        {
            "id": str(i),
            "category": CATEGORIES[rng.integers(3)],
            "box2d": {"x1": x, "y1": y, "x2": x + width, "y2": y + height},
        }
        for i, ((x, y), (width, height)) in enumerate(zip(corners.tolist(), sizes.tolist(), strict=True))
    ]


def predictions_of(labels: Path, seed: int = 1) -> list[dict[str, Any]]:
    """Return predictions that find most of the labels, some of them badly."""
    rng = np.random.default_rng(seed)
    frames = json.loads(labels.read_text())
    for frame in frames:
        frame["labels"] = [label for label in frame["labels"] if rng.random() < 0.8]
        for label in frame["labels"]:
            label["score"] = round(float(rng.uniform(0.1, 1)), 4)
            label["box2d"]["x2"] += float(rng.uniform(0, 30))
    return frames


def picture(size: tuple[int, int] = (32, 18), seed: int = 0) -> bytes:
    """Return a small JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


class Contribution:
    """A folder with an entry and its files, and the data root that it was measured with.

    Args:
        folder: An empty folder.
        address: Where its links lead.
    """

    def __init__(self, folder: Path, address: str = "https://models.example.org/files") -> None:
        self.folder = folder / "contribution"
        self.data_root = folder / "data"
        self.labels = make_labels(self.data_root)
        self.entry = self._entry(address)
        for name in ("configs", "models", "preds", "scores-val", "scores-test", "visuals"):
            (self.folder / name).mkdir(parents=True)
        self._write_model()
        self.write_predictions(predictions_of(self.labels))
        self.write_visuals({f"image{i}.jpg": picture(seed=i) for i in range(4)})
        self.save()

    @property
    def model(self) -> dict[str, Any]:
        """The entry's row."""
        row: dict[str, Any] = self.entry["models"][0]
        return row

    def path(self, folder: str, suffix: str) -> Path:
        """Return one of the model's files."""
        return self.folder / folder / f"{NAME}{suffix}"

    @property
    def config(self) -> Path:
        return self.path("configs", ".py")

    @property
    def weights(self) -> Path:
        return self.path("models", ".pth")

    @property
    def predictions(self) -> Path:
        return self.path("preds", ".json")

    @property
    def visuals(self) -> Path:
        return self.path("visuals", ".zip")

    def save(self) -> None:
        """Write the entry as it is now."""
        (self.folder / "entry.json").write_text(json.dumps(self.entry))

    def _entry(self, address: str) -> dict[str, Any]:
        links = {
            "config": f"./configs/mini/{NAME}.py",
            "weights": f"{address}/models/{NAME}.pth",
            "md5": f"{address}/models/{NAME}.md5",
            "preds": f"{address}/preds/{NAME}.json",
            "visuals": f"{address}/visuals/{NAME}.zip",
            "scores_val": f"{address}/scores-val/{NAME}.json",
            "scores_test": f"{address}/scores-test/{NAME}.json",
        }
        columns = {"Backbone": "R-18", "Lr schd": "1x", "MS-train": "", "Box AP-val": "0", "Box AP-test": "0"}
        return {
            "task": "det",
            "method": "Tiny Detector",
            "venue": "CVPR 2031",
            "paper": {"title": "A Detector for Tests", "url": f"{address}/paper"},
            "authors": [{"name": "Ada Example", "url": f"{address}/ada"}, {"name": "Ben Example"}],
            "abstract": "It is small (p < 0.05).\n" * 10,
            "summary": "Finds little. Costs less.",
            "code": f"{address}/code",
            "usage": f"{address}/usage",
            "models": [{"name": NAME, "columns": columns, "links": links}],
        }

    def _write_model(self) -> None:
        self.write_config(f"_base_ = ['./{MODEL}.py']\nload_from = '{self.model['links']['weights']}'\n")
        make_checkpoint(self.weights)
        self.write_md5()

    def write_config(self, text: str) -> None:
        """Replace the config."""
        self.config.write_text(text)

    def write_md5(self) -> None:
        """Write the MD5 of the weights as they are now."""
        digest = hashlib.md5(self.weights.read_bytes()).hexdigest()
        self.path("models", ".md5").write_text(f"{digest}  {NAME}.pth\n")

    def change_weights(self, change: Any) -> None:
        """Rewrite the weights after ``change`` has been applied to their dict, with a new MD5."""
        content = torch.load(self.weights, weights_only=True)
        change(content["state_dict"])
        torch.save(content, self.weights)
        self.write_md5()

    def write_predictions(self, frames: list[dict[str, Any]]) -> None:
        """Replace the predictions, and the scores by theirs."""
        self.predictions.write_text(json.dumps(frames))
        result = evaluate("det", self.labels, self.predictions)
        for split in ("val", "test"):
            result.save(self.path(f"scores-{split}", ".json"))
            self.model["columns"][f"Box AP-{split}"] = f"{result.summary()['AP']:.2f}"

    def write_visuals(self, files: dict[str, bytes]) -> None:
        """Replace the archive of pictures."""
        write_zip(self.visuals, files)


assert (ROOT / BASE).is_file()
