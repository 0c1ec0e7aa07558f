"""A model of each task on real pictures, and on a film of real frames."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import cv2
import pytest

from bdd100k_models.cli import main
from bdd100k_models.commands.demo import MODELS, Shown
from bdd100k_models.formats.scalabel import Frame, load_frames
from bdd100k_models.tasks import TASKS
from bdd100k_models.visualization.movie import Movie

FRAMES = 4


@pytest.fixture(scope="module")
def film(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "street.mp4"
    with Movie(path) as movie:
        for frame in itertools.islice(sorted((samples / "images/track/val").rglob("*.jpg")), FRAMES):
            movie.add(cv2.imread(str(frame)))
    return path


def predict(models: list[Shown], out: Path, *inputs: Path) -> dict[str, list[Frame]]:
    """Return the frames of each model."""
    names = ",".join(model.name for model in models)
    words = ["predict", names, *map(str, inputs), "--out", str(out), "--device", "cpu", "--threshold", "0.1"]
    assert main(words) == 0
    return {model.name: load_frames(out / f"{model.name}.json") for model in models}


def shape_of(film: Path) -> tuple[int, int, int]:
    with av.open(str(film)) as file:
        count = sum(1 for _ in file.decode(video=0))
        stream = file.streams.video[0]
        return count, stream.width, stream.height


def test_models_of_images_together_on_real_pictures_and_a_film(samples: Path, film: Path, tmp_path: Path) -> None:
    models = [model for model in MODELS if not TASKS[model.task].videos]
    pictures = sorted((samples / "images/10k/val").glob("*.jpg"))[:2]
    names = [path.name for path in pictures] + [f"street-{place:07d}.jpg" for place in range(1, FRAMES + 1)]
    found = predict(models, tmp_path / "out", *pictures, film)
    for model in models:
        frames = found[model.name]
        assert [frame.name for frame in frames] == names
        assert [frame.videoName for frame in frames] == [None] * 2 + ["street"] * FRAMES
        if model.task == "tagging":
            assert all(len(frame.attributes or {}) == 1 for frame in frames)
        else:
            assert sum(len(frame.labels or ()) for frame in frames), model.name
    assert sorted((tmp_path / "out/pictures").iterdir()) == [tmp_path / "out/pictures" / path.name for path in pictures]
    assert shape_of(tmp_path / "out/videos/street.mp4") == (FRAMES, 1280, 720)


def test_trackers_follow_what_is_in_a_real_film(film: Path, tmp_path: Path) -> None:
    models = [model for model in MODELS if TASKS[model.task].videos]
    for frames in predict(models, tmp_path / "out", film).values():
        ids = [{label.id for label in frame.labels or ()} for frame in frames]
        assert len(frames) == FRAMES and any(one & other for one, other in itertools.pairwise(ids))
    assert shape_of(tmp_path / "out/videos/street.mp4") == (FRAMES, 1280, 720)
