"""Pictures of tracks, and movies of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.datasets.video_images import videos_of_folder
from bdd100k_models.errors import OutputError
from bdd100k_models.formats.results.tracks import MaskTrackRecord, TrackRecord
from bdd100k_models.formats.rle import encode
from bdd100k_models.inference.convert import to_result
from bdd100k_models.inference.results import Tracks
from bdd100k_models.tasks import TASKS
from bdd100k_models.visualization.gallery import Gallery
from bdd100k_models.visualization.movie import Movie
from bdd100k_models.visualization.results import draw_results
from bdd100k_models.visualization.tracks import TRAIL, Trails, draw_trails, track_colour
from drawing_support import draw_record


def record(ids: list[int], score: float = 0.9) -> TrackRecord:
    boxes = [(10.0 * i, 5.0, 10.0 * i + 20, 40.0) for i in range(len(ids))]
    return TrackRecord(boxes=boxes, scores=[score] * len(ids), classes=[2] * len(ids), ids=ids)


def tracks(record: TrackRecord, video: str) -> Tracks:
    return to_result(record, TASKS["mot"], "a.jpg", (60, 60), video)


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]


def test_a_movie_shows_what_was_added(tmp_path: Path) -> None:
    pictures = [np.full((49, 65, 3), (level, 90, 200 - level), np.uint8) for level in range(0, 200, 20)]
    with Movie(tmp_path / "deep/a.mp4", rate=5) as movie:
        for picture in pictures:
            movie.add(picture)
    shown = frames_of(tmp_path / "deep/a.mp4")
    assert [frame.shape for frame in shown] == [(48, 64, 3)] * 10
    for picture, frame in zip(pictures, shown, strict=True):
        assert np.abs(frame.astype(int) - picture[:48, :64]).mean() < 6
    with av.open(str(tmp_path / "deep/a.mp4")) as file:
        assert file.streams.video[0].codec_context.name == "h264" and file.streams.video[0].average_rate == 5


def test_a_movie_that_failed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Movie(tmp_path / "a.mp4") as movie:
        movie.add(np.zeros((32, 32, 3), np.uint8))
        raise RuntimeError
    with Movie(tmp_path / "empty.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        Movie(tmp_path / "file/a.mp4")


def test_colours_of_tracks_stay_and_differ() -> None:
    colours = [track_colour(number) for number in range(40)]
    assert colours == [track_colour(number) for number in range(40)]
    assert len(set(colours)) == 40
    distances = [np.abs(np.subtract(a, b)).sum() for a, b in pairwise(colours)]
    assert min(distances) > 90


def test_trails_reach_back_and_end_with_the_video() -> None:
    trails = Trails()
    for step in range(TRAIL + 5):
        moved = record([4])
        moved.boxes[0] = (float(step), 0.0, float(step) + 10, 30.0)
        ways = trails.add(tracks(moved, "a"), 0.5)
    assert [x for x, _ in ways[4]] == [step + 5 for step in range(5, TRAIL + 5)]
    assert trails.add(tracks(record([4], score=0.1), "a"), 0.5)[4] == ways[4]
    assert trails.add(tracks(record([]), "a"), 0.5) == {}
    assert len(trails.add(tracks(record([4]), "b"), 0.5)[4]) == 1
    pixels = np.zeros((60, 60, 3), np.uint8)
    draw_trails(pixels, ways)
    assert pixels.any()


def test_trails_of_two_models_stay_apart() -> None:
    trails: dict[int, Trails] = {}
    for step in range(5):
        results = []
        for left in (10.0, 50.0):
            own = record([4])
            own.boxes[0] = (left + step, 0.0, left + step + 10, 30.0)
            results.append(tracks(own, "a"))
        draw_results(results, np.zeros((60, 80, 3), np.uint8), trails=trails)
    ways = [own.add(result, 0.5)[4] for own, result in zip(trails.values(), results, strict=True)]
    assert [max(x for x, _ in way) - min(x for x, _ in way) for way in ways] == [4, 4]


def test_trails_forget_what_is_gone() -> None:
    trails = Trails()
    for step in range(4 * TRAIL):
        trails.add(tracks(record([step]), "a"), 0.5)
    assert len(trails._ways) == len(trails._seen) <= TRAIL + 1


def test_masks_are_tinted_in_the_colour_of_their_track() -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:60] = True
    tracked = MaskTrackRecord(
        boxes=[(30, 20, 59, 39)], scores=[0.9], classes=[0], ids=[3], size=(60, 80), masks=[encode(mask).counts]
    )
    pixels = np.full((60, 80, 3), 100, np.uint8)
    draw_record(tracked, pixels, TASKS["mots"], 0.5)
    expected = 100 * 0.55 + np.array(track_colour(3)[::-1]) * 0.45
    np.testing.assert_allclose(pixels[37, 45], expected, atol=1)
    assert (pixels[50, 10] == 100).all()


def test_a_gallery_of_videos_has_pictures_and_movies(tmp_path: Path) -> None:
    generate_videos(tmp_path / "data", {"val": 2}, frames=3, size=(128, 72), nproc=1, tasks=["mot"])
    images = videos_of_folder(tmp_path / "data" / TASKS["mot"].image_dir("val"))
    with Gallery(TASKS["mot"], images, tmp_path / "drawn", 0.5) as gallery:
        for index in range(len(images.items)):
            gallery.add(index, record([index % 3, 7]))
    movies = sorted((tmp_path / "drawn").glob("*.mp4"))
    assert [path.stem for path in movies] == sorted({item.video for item in images.items})
    for path in movies:
        assert [frame.shape for frame in frames_of(path)] == [(72, 128, 3)] * 3
    for item in images.items:
        drawn = cv2.imread(str(tmp_path / "drawn" / item.name))
        assert np.abs(drawn.astype(int) - cv2.imread(str(item.path))).max() > 60


def test_a_gallery_that_fails_at_its_end_leaves_no_half_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_videos(tmp_path / "data", {"val": 1}, frames=3, size=(128, 72), nproc=1, tasks=["mot"])
    images = videos_of_folder(tmp_path / "data" / TASKS["mot"].image_dir("val"))
    saved: list[Path] = []

    def save(path: Path, _: Any) -> None:
        saved.append(path)
        if len(saved) == 3:
            raise OutputError(f"{path}: cannot be written")

    monkeypatch.setattr("bdd100k_models.visualization.gallery.save_picture", save)
    with pytest.raises(OutputError), Gallery(TASKS["mot"], images, tmp_path / "drawn", 0.5) as gallery:
        for index in range(3):
            gallery.add(index, record([index % 3, 7]))
    assert len(saved) == 3 and list((tmp_path / "drawn").iterdir()) == []
