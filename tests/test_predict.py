"""``bdd100k-models predict``: whatever shows pictures goes in, whole files come out, and every fault is told."""

from __future__ import annotations

import gc
import http.server
import json
import struct
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest

from bdd100k_models import load_model
from bdd100k_models.cli import main
from bdd100k_models.datasets.images import read_image
from bdd100k_models.engine.shards import Problem
from bdd100k_models.errors import DownloadError, ImageError, InputError, MissingFileError, OutputError
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.tracks import MaskTrackRecord, TrackRecord
from bdd100k_models.formats.rle import encode
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.inference.ahead import read_ahead
from bdd100k_models.inference.model import Session
from bdd100k_models.inference.pictures import Picture
from bdd100k_models.inference.run import PredictOptions, run_predict
from bdd100k_models.inference.sources import ImageFiles, find_sources
from bdd100k_models.inference.videos import VideoFile
from bdd100k_models.inference.writers import Writers
from bdd100k_models.tasks import TASKS
from conftest import draw_noise
from pose_model import make_config, make_weights
from predict_support import (
    Stub,
    fast_detector_file,
    segmentor_files,
    tagger_files,
    tiny_pose,
    tiny_tracker,
    tracker_files,
    write_video,
)


def pictures_of(source: Any) -> list[Picture]:
    return [item for item in source if isinstance(item, Picture)]


def greys(source: Any) -> list[int]:
    return [round(picture.pixels.mean() / 20) for picture in pictures_of(source)]


def sources_of(folder: Path, *inputs: object, **options: Any) -> list[Any]:
    return find_sources([str(given) for given in inputs], folder / "fetched", **options)


def film_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


# ------------------------------------------------------------------------------------------------------------ sources


def test_images_of_folders_patterns_and_files(tmp_path: Path) -> None:
    for name in ("b/10.jpg", "b/9.png", "b/deep/1.webp", "c/10.jpg", "c/x.txt"):
        draw_noise(tmp_path / name, seed=1, size=(8, 9)) if not name.endswith("txt") else None
    (tmp_path / "c/x.txt").touch()
    one, two = tmp_path / "b", tmp_path / "c/10.jpg"
    (source,) = sources_of(tmp_path, one, two, f"{tmp_path}/**/*.webp")
    assert [name for name, _ in source.files] == ["9.png", "10.jpg", "c-10.jpg", "1.webp"]
    assert [picture.name for picture in pictures_of(source)] == ["9.png", "10.jpg", "c-10.jpg", "1.webp"]
    assert source.count == 4 and source.rate is None


def test_equal_names_stay_apart(tmp_path: Path) -> None:
    path = draw_noise(tmp_path / "a/1.jpg", seed=1, size=(8, 8))
    png = draw_noise(tmp_path / "a/1.png", seed=1, size=(8, 8))
    (source,) = sources_of(tmp_path, path, png, path, path, path)
    stems = [Path(name).stem for name, _ in source.files]
    assert len(set(stems)) == 5 and stems[0] == "1"


def test_frames_of_one_folder_are_a_video(tmp_path: Path) -> None:
    for name in ("v/1.jpg", "v/2.jpg", "w/1.jpg"):
        draw_noise(tmp_path / name, seed=1, size=(8, 8))
    first, second = sources_of(tmp_path, tmp_path / "v", tmp_path / "w", as_videos=True)
    assert [(picture.video, picture.position) for picture in pictures_of(first)] == [("v", 0), ("v", 1)]
    assert [picture.video for picture in pictures_of(second)] == ["w"] and second.rate == 5
    draw_noise(tmp_path / "v/1.png", seed=1, size=(8, 8))
    draw_noise(tmp_path / "v/4.png", seed=1, size=(8, 8))
    (thinned,) = sources_of(tmp_path, tmp_path / "v", as_videos=True, every=2)
    found = [(picture.name, picture.position, picture.time) for picture in pictures_of(thinned)]
    names = [name for name, _ in sources_of(tmp_path, tmp_path / "v", as_videos=True)[0].files]
    assert len({Path(name).stem for name in names}) == len(names) == 4
    assert found == [(names[0], 0, 0.0), (names[2], 1, 0.4)] and thinned.rate == 2.5


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("missing.jpg", MissingFileError, "no such file or folder"),
        ("nothing/*.jpg", MissingFileError, "no image or video matches"),
        ("empty", MissingFileError, "no images or videos in this folder"),
        ("9999", ImageError, "camera 9999: cannot be opened"),
        ("zero.mp4", ImageError, r"empty \(0 bytes\)"),
        ("text.mp4", ImageError, "not a video that can be read"),
        ("notes.txt", ImageError, "not a video that can be read"),  # FFmpeg would show it as a film
        ("sound.mp4", ImageError, "holds no pictures"),
        ("http://127.0.0.1:9/a.jpg", DownloadError, "cannot be reached"),
    ],
)
def test_inputs_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, kind: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "notes.txt").write_text("some notes\n" * 20)
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(kind, match=message):
        sources_of(tmp_path, given)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Serve a folder on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda path: f"http://127.0.0.1:{server.server_address[1]}/{path.relative_to(folder)}?size=large"
    server.shutdown()
    server.server_close()


def test_addresses_are_fetched(tmp_path: Path, address: Callable[[Path], str]) -> None:
    image = draw_noise(tmp_path / "served/a b.png", seed=3, size=(8, 9))
    film = write_video(tmp_path / "served/film.mp4", 3)
    pictures, video = sources_of(tmp_path, address(image).replace(" ", "%20"), address(film))
    (picture,) = pictures_of(pictures)
    assert picture.name == "a_b.png"
    np.testing.assert_array_equal(picture.pixels, cv2.imread(str(image)))
    assert greys(video) == [0, 1, 2]
    with pytest.raises(DownloadError, match="answers 404"):
        sources_of(tmp_path, address(tmp_path / "served/none.jpg"))


# ------------------------------------------------------------------------------------------------------------- videos


def test_frames_come_in_their_order(tmp_path: Path) -> None:
    video = VideoFile(write_video(tmp_path / "a.mp4", 10))
    assert (video.rate, video.count) == (10, 10)
    pictures = pictures_of(video)
    assert greys(video) == list(range(10))
    assert [picture.position for picture in pictures] == list(range(10))
    assert [round(10 * (picture.time or 0)) for picture in pictures] == list(range(10))
    assert pictures[4].name == "a-0000005.jpg" and pictures[4].video == "a"


@pytest.mark.parametrize(
    ("codec", "suffix"), [("mpeg4", "avi"), ("libx264", "avi"), ("libx264", "mpg"), ("libx264", "h264")]
)
def test_every_frame_has_its_time(tmp_path: Path, codec: str, suffix: str) -> None:
    """These files have times in the order of decoding, of some frames alone, or none."""
    path = write_video(tmp_path / f"a.{suffix}", 50, rate=25, codec=codec, disordered=True)
    times = [picture.time or 0.0 for picture in pictures_of(VideoFile(path))]
    assert len(times) == 50
    np.testing.assert_allclose(np.array(times) - times[0], np.arange(50) / 25, atol=0.1)
    assert run_predict([Stub()], sources_of(tmp_path, path), PredictOptions(tmp_path / "out")).problems == []
    with av.open(str(tmp_path / "out/videos/a.mp4")) as file:
        shown = [frame.time for frame in file.decode(video=0)]
    np.testing.assert_allclose(shown, np.arange(50) / 25, atol=0.1)


def test_times_that_a_film_lacks() -> None:
    from bdd100k_models.inference.videos import _Clock

    def told(*said: tuple[float | None, ...]) -> list[float]:
        clock = _Clock(10)
        return [round(clock.tell(*times), 3) for times in said]

    assert told((None,), (None,), (None,)) == [0, 0.1, 0.2]
    assert told((5.0,), (None,), (5.2,)) == [5, 5.1, 5.2]
    assert told((None,), (3600.0,), (3600.1,)) == [0, 0.1, 0.2]
    assert told((0.1, 0.2), (0.3, 0.3), (0.4, 0.4), (0.2, 0.5), (0.6, 0.6)) == [0.1, 0.3, 0.4, 0.5, 0.6]
    assert told((0.1,), (0.3,), (0.2,), (0.4,)) == [0.1, 0.3, 0.3, 0.4]
    assert told((9.0,), (9.1,), (0.0,), (0.1,)) == [9, 9.1, 0, 0.1]


@pytest.mark.parametrize("every", [1, 3, 9, 10, 100])
def test_every_so_many_frames(tmp_path: Path, every: int) -> None:
    video = VideoFile(write_video(tmp_path / "a.mp4", 10), every=every)
    expected = list(range(0, 10, every))
    assert greys(video) == expected and video.count == len(expected)
    assert [int(picture.name[2:-4]) - 1 for picture in pictures_of(video)] == expected


def test_a_broken_frame_costs_no_other(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 10, codec="mjpeg")
    data = bytearray(path.read_bytes())
    frames = [place for place in range(len(data)) if data[place : place + 3] == b"\xff\xd8\xff"]
    assert len(frames) == 10
    data[frames[4] : frames[5] - 8] = bytes(frames[5] - 8 - frames[4])
    path.write_bytes(data)
    items = list(VideoFile(path))
    problems = [item for item in items if isinstance(item, Problem)]
    assert [problem.name for problem in problems] == ["a-0000005.jpg"]
    assert greys(VideoFile(path)) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [picture.position for picture in pictures_of(VideoFile(path))] == list(range(9))


def test_a_video_that_is_cut_off(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.ts", 10, size=(240, 320)).read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    assert 0 < len(pictures_of(VideoFile(cut))) < 10
    (tmp_path / "stub.mp4").write_bytes(write_video(tmp_path / "b.mp4", 10).read_bytes()[:900])
    with pytest.raises(ImageError, match=r"stub\.mp4"):
        list(VideoFile(tmp_path / "stub.mp4"))


def test_frames_are_turned_upright() -> None:
    from bdd100k_models.inference.videos import _upright

    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(_upright(pixels, 0), pixels)
    np.testing.assert_array_equal(_upright(pixels, 90), cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE))
    np.testing.assert_array_equal(_upright(pixels, -90), cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE))
    np.testing.assert_array_equal(_upright(pixels, 180), cv2.rotate(pixels, cv2.ROTATE_180))


def test_films_of_phones_stand_upright(tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[:, :16] = 250
        file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        file.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    # the matrix of the track's header (ISO 14496-12): x' = -y, y' = x, so what is left goes to the top
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    place = data.index(b"tkhd") + 4 + 40
    data[place : place + len(matrix)] = matrix
    path.write_bytes(data)
    (picture,) = pictures_of(VideoFile(path))
    assert picture.size == (64, 48)
    assert picture.pixels[:12].mean() > 200 and picture.pixels[20:].mean() < 40


def test_cameras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [100.0]
    monkeypatch.setattr("bdd100k_models.inference.videos.time", SimpleNamespace(monotonic=lambda: now[0]))

    class Fake:
        def __init__(self, index: int) -> None:
            self.left, self.open = 7, index == 3

        def isOpened(self) -> bool:
            return self.open

        def get(self, _: int) -> float:
            return 0.0

        def read(self) -> tuple[bool, np.ndarray | None]:
            self.left -= 1
            now[0] += 0.25  # a dark room
            return (True, np.full((24, 32, 3), 20 * (6 - self.left), np.uint8)) if self.left >= 0 else (False, None)

        def release(self) -> None:
            self.open = False

    monkeypatch.setattr(cv2, "VideoCapture", Fake)
    (camera,) = sources_of(tmp_path, "3", every=3)
    assert camera.rate == 10 and camera.count is None
    assert greys(camera) == [0, 3, 6]
    draw_noise(tmp_path / "camera3.jpg", seed=1, size=(8, 8))
    again, image, camera = sources_of(tmp_path, "03", tmp_path / "camera3.jpg", "3")
    assert [again.name, *(name for name, _ in image.files), camera.name] == [
        "camera3",
        f"{tmp_path.name}-camera3.jpg",
        "camera3-3",
    ]
    (camera,) = sources_of(tmp_path, "3")
    assert run_predict([Stub()], [camera], PredictOptions(tmp_path / "out")).pictures == 7
    with av.open(str(tmp_path / "out/videos/camera3.mp4")) as file:
        times = [frame.time for frame in file.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(7) / 4, atol=0.02)  # whatever rate the camera names
    with pytest.raises(ImageError, match="camera 2"):
        sources_of(tmp_path, "2")


def test_what_pyav_cannot_open_opencv_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi", 5, codec="mjpeg")

    def refuse(*_: object, **__: object) -> None:
        raise OSError("unknown format")

    monkeypatch.setattr("bdd100k_models.inference.videos.av.open", refuse)
    video = VideoFile(path)
    assert greys(video) == [0, 1, 2, 3, 4] and video.count == 5


def without_decoder(path: Path) -> Path:
    """Give the streams of an AVI file codes that no decoder knows."""
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"QQQQ").replace(b"mjpg", b"QQQQ"))
    return path


def test_pictures_without_a_decoder_are_told(tmp_path: Path) -> None:
    path = without_decoder(write_video(tmp_path / "a.avi", 5, codec="mjpeg"))
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context is None  # to decode would end the process
    with pytest.raises(ImageError, match="not a video that can be read"):
        sources_of(tmp_path, path)


@pytest.mark.parametrize("name", ["2024-01-01T10:20:30.mp4", "a:b.mp4", "~nobody-at-all.mp4", "file:x.mp4"])
def test_odd_names_of_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", 3).rename(tmp_path / name)
    (source,) = find_sources([name], tmp_path / "fetched")
    assert greys(source) == [0, 1, 2]


def test_digits_that_are_no_numbers(tmp_path: Path) -> None:
    for name in ("5\u00b20.jpg", "4.jpg", "10.jpg"):
        draw_noise(tmp_path / name, seed=1, size=(8, 8))
    (source,) = sources_of(tmp_path, tmp_path)
    assert [picture.name for picture in pictures_of(source)] == ["4.jpg", "5\u00b20.jpg", "10.jpg"]


# --------------------------------------------------------------------------------------------------------- read ahead


def test_reading_ahead_is_bounded_and_in_order() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    seen = []
    for number in read_ahead(numbers(), 4):
        seen.append(number)
        assert len(taken) <= number + 6
    assert seen == list(range(50))


def test_errors_come_after_what_was_read() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ImageError("gone")

    ahead = read_ahead(broken(), 3)
    assert next(ahead) == 1
    with pytest.raises(ImageError, match="gone"):
        next(ahead)


def test_the_reader_ends_with_who_reads() -> None:
    before = threading.active_count()
    ahead = read_ahead(iter(range(1000)), 2)
    assert next(ahead) == 0
    ahead.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


# --------------------------------------------------------------------------------------------------------------- runs


def test_a_run_over_images_and_videos(tmp_path: Path) -> None:
    draw_noise(tmp_path / "in/a.jpg", seed=1, size=(40, 60))
    write_video(tmp_path / "in/b.mp4", 5)
    stub = Stub()
    report = run_predict([stub], sources_of(tmp_path, tmp_path / "in"), PredictOptions(tmp_path / "out", batch_size=2))
    assert (report.pictures, report.found, report.problems) == (6, {"stub": 6}, [])
    assert stub.seen == [1, 2, 2, 1]
    frames = load_frames(tmp_path / "out/stub.json")
    assert [frame.name for frame in frames] == ["a.jpg", *(f"b-{number:07d}.jpg" for number in range(1, 6))]
    assert [frame.frameIndex for frame in frames] == [None, 0, 1, 2, 3, 4]
    assert [label.category for label in frames[0].labels] == ["car"]
    assert cv2.imread(str(tmp_path / "out/pictures/a.jpg")).shape == (40, 60, 3)
    assert len(film_frames(tmp_path / "out/videos/b.mp4")) == 5
    assert leftovers(tmp_path / "out") == []


@pytest.mark.parametrize("kinds", [("json",), ("pictures",)])
def test_only_what_is_wanted_is_written(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    path = draw_noise(tmp_path / "a.jpg", seed=1, size=(40, 60))
    run_predict([Stub()], sources_of(tmp_path, path), PredictOptions(tmp_path / "out", kinds=kinds))
    expected = {"json": "stub.json", "pictures": "pictures/a.jpg"}[kinds[0]]
    assert [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.j*")] == [expected]
    with pytest.raises(InputError, match="can be"):
        Writers(tmp_path / "out", [], ["film"])


@pytest.mark.parametrize(
    ("codec", "suffix", "layout"),
    [
        ("aac", "mp4", "mono"),
        ("libopus", "mkv", "mono"),
        ("pcm_s16le", "avi", "stereo"),  # which does not say where its channels are
        ("pcm_s16le", "mkv", "mono"),
        ("pcm_s16le", "mkv", "quad"),  # which AAC does not have
    ],
)
def test_the_sound_is_kept(tmp_path: Path, codec: str, suffix: str, layout: str) -> None:
    path = write_video(tmp_path / f"a.{suffix}", 20, audio=codec, layout=layout)
    run_predict([Stub()], sources_of(tmp_path, path, every=2), PredictOptions(tmp_path / "out"))
    with av.open(str(tmp_path / "out/videos/a.mp4")) as file:
        assert file.streams.audio[0].codec_context.name == "aac"
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
        rate = file.streams.audio[0].rate
    assert 1.8 < len(sound) / rate < 2.3
    spectrum = np.abs(np.fft.rfft(sound[rate // 2 : rate // 2 + rate]))
    assert abs(int(spectrum.argmax()) - 440) <= 2
    assert len(film_frames(tmp_path / "out/videos/a.mp4")) == 10
    with av.open(str(tmp_path / "out/videos/a.mp4")) as file:
        times = [float(frame.time) for frame in file.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(10) / 5, atol=0.02)


@pytest.mark.parametrize("codec", ["mp2", "aac"])
def test_films_put_behind_one_another(tmp_path: Path, codec: str) -> None:
    """Their clocks begin again, which must cost neither pictures nor sound."""
    parts = [write_video(tmp_path / f"{name}.ts", 20, audio=codec) for name in "ab"]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    report = run_predict([Stub()], sources_of(tmp_path, both), PredictOptions(tmp_path / "out"))
    assert report.pictures == 40 and report.problems == []
    with av.open(str(tmp_path / "out/videos/both.mp4")) as file:
        times = [float(frame.time) for frame in file.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(40) / 10, atol=0.02)
    with av.open(str(tmp_path / "out/videos/both.mp4")) as file:
        assert 3.7 < sum(frame.samples for frame in file.decode(audio=0)) / file.streams.audio[0].rate < 4.3


def test_sound_without_a_decoder_is_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 5, codec="mjpeg", audio="pcm_s16le")
    data = path.read_bytes()
    place = data.index(b"strf", data.index(b"auds")) + 8  # the code of the sound's format
    path.write_bytes(data[:place] + b"\x7a\x7a" + data[place + 2 :])
    with av.open(str(path)) as file:
        assert file.streams.audio[0].codec_context is None
    report = run_predict([Stub()], sources_of(tmp_path, path), PredictOptions(tmp_path / "out"))
    assert report.pictures == 5 and len(film_frames(tmp_path / "out/videos/a.mp4")) == 5


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    alive: list[weakref.ref[Picture]] = []
    most = 0

    class Long:
        name, count, rate, sound = "long", 200, 10.0, None

        def __iter__(self) -> Iterator[Picture | Problem]:
            nonlocal most
            for number in range(200):
                picture = Picture(f"{number}.jpg", np.zeros((32, 32, 3), np.uint8), "long", number, number / 10)
                alive.append(weakref.ref(picture))
                gc.collect(0)
                most = max(most, sum(reference() is not None for reference in alive))
                yield picture

    report = run_predict([Stub()], [Long()], PredictOptions(tmp_path, batch_size=2))
    assert report.pictures == 200 and most < 30


class Interrupted:
    """A video that is interrupted after some frames, as by Ctrl-C."""

    name, count, rate, sound, paths = "film", None, 10.0, None, ()

    def __iter__(self) -> Iterator[Picture | Problem]:
        for number in range(7):
            yield Picture(f"{number}.jpg", np.zeros((32, 32, 3), np.uint8), "film", number, number / 10)
        raise KeyboardInterrupt


def test_what_was_written_before_an_interruption_is_whole(tmp_path: Path) -> None:
    report = run_predict([Stub()], [Interrupted()], PredictOptions(tmp_path))
    assert report.interrupted and report.pictures == 7
    assert len(load_frames(tmp_path / "stub.json")) == 7
    assert len(film_frames(tmp_path / "videos/film.mp4")) == 7
    assert leftovers(tmp_path) == []


def test_an_error_leaves_no_half_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/stub.json").write_text("[]")

    def fail(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("bdd100k_models.inference.writers.draw_results", lambda *_, **__: fail())
    with pytest.raises(OutputError, match="disk is full"):
        run_predict([Stub()], [Interrupted()], PredictOptions(tmp_path / "old"))
    assert (tmp_path / "old/stub.json").read_text() == "[]"
    assert [path.name for path in (tmp_path / "old").rglob("*") if path.is_file()] == ["stub.json"]


def test_one_broken_picture_among_many(tmp_path: Path) -> None:
    draw_noise(tmp_path / "in/a.jpg", seed=1, size=(40, 60))
    (tmp_path / "in/b.jpg").write_text("text")
    (tmp_path / "in/c.mp4").write_bytes(write_video(tmp_path / "c.mp4", 10).read_bytes())
    sources = sources_of(tmp_path, tmp_path / "in")
    (tmp_path / "in/c.mp4").write_bytes(b"")
    report = run_predict([Stub()], sources, PredictOptions(tmp_path / "out"))
    assert report.pictures == 1 and len(report.problems) == 2
    assert "not an image" in report.problems[0].message and report.problems[1].name == "c"
    assert len(load_frames(tmp_path / "out/stub.json")) == 1


def test_a_picture_that_a_model_refuses(tmp_path: Path) -> None:
    class Picky(Stub):
        def run(self, network: Any, pictures: Any, people: Any, remarks: Any) -> list[Any]:
            if any(picture.size[0] < 10 for picture in pictures):
                raise ImageError("x.jpg (5x5): too small")
            return super().run(network, pictures, people, remarks)

    for name, side in (("a", 20), ("b", 5), ("c", 20)):
        draw_noise(tmp_path / f"in/{name}.png", seed=1, size=(side, side))
    sources = sources_of(tmp_path, tmp_path / "in")
    report = run_predict([Picky()], sources, PredictOptions(tmp_path / "out", batch_size=3))
    assert [(problem.name, problem.message) for problem in report.problems] == [("b.png", "too small")]
    assert [len(frame.labels or ()) for frame in load_frames(tmp_path / "out/stub.json")] == [1, 0, 1]


def test_a_tracker_sees_each_frame_once(tmp_path: Path) -> None:
    class Follower(Stub):
        def __init__(self) -> None:
            super().__init__()
            self.task, self.format = TASKS["mot"], get_format(TASKS["mot"])
            self.frames: list[int | None] = []

        def session(self) -> Session:
            return Session(self, self.network)

        def run(self, network: Any, pictures: Any, people: Any, remarks: Any) -> list[Any]:
            self.frames += [picture.position for picture in pictures]
            if 2 in self.frames[-1:]:
                raise ImageError("x.jpg (5x5): too dark")
            return [TrackRecord([(0, 0, 9, 9)], [0.9], [2], [4])]

    follower = Follower()
    video = write_video(tmp_path / "a.mp4", 5)
    report = run_predict([follower], sources_of(tmp_path, video), PredictOptions(tmp_path / "out", batch_size=4))
    assert follower.frames == [0, 1, 2, 3, 4]
    assert [problem.message for problem in report.problems] == ["too dark"]
    assert [len(frame.labels or ()) for frame in load_frames(tmp_path / "out/stub.json")] == [1, 1, 0, 1, 1]


# ------------------------------------------------------------------------------------------------------------ command


def run(*arguments: object) -> int:
    return main(["predict", *map(str, arguments)])


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fast_detector_file(tmp_path_factory.mktemp("fast"))


def test_the_command(tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(90, 160))
    film = write_video(tmp_path / "b.mp4", 4, size=(90, 160))
    assert run(fast, image, film, "--out", tmp_path / "out", "--every", 2, "--device", "cpu", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["pictures"] == 3 and set(summary["found"]) == {"fast_det"}
    assert len(load_frames(tmp_path / "out/fast_det.json")) == 3


def test_several_models_are_drawn_together(tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(180, 320))
    (area, area_weights), (tag, tag_weights) = segmentor_files(tmp_path, "drivable"), tagger_files(tmp_path)
    shipped = Path(__file__).parent.parent / "det/weights/atss_mini_det_synthetic.pth"
    weights = [f"--checkpoint={path}" for path in (f"{tag.stem}={tag_weights}", shipped, area_weights)]
    out = tmp_path / "out"
    assert run(f"{fast},{area}", image, "-m", tag, *weights, "--out", out, "--device", "cpu") == 0
    assert {path.name for path in out.glob("*.json")} == {"fast_det.json", "tiny_drivable.json", "tiny_tagger.json"}
    (tags,) = load_frames(out / "tiny_tagger.json")
    assert set(tags.attributes) == {"weather"}
    mask = cv2.imread(str(out / "tiny_drivable/masks/a.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (180, 320) and set(np.unique(mask)) <= {0, 1, 2}
    drawn, plain = cv2.imread(str(out / "pictures/a.jpg")), cv2.imread(str(image))
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 40
    assert changed[mask < 2].mean() > 0.5
    assert "fast_det:" in capsys.readouterr().out


def test_tracks_through_a_video(tmp_path: Path) -> None:
    config, weights = tracker_files(tmp_path)
    film = write_video(tmp_path / "b.mp4", 3, size=(96, 160))
    assert (
        run(config, film, "--checkpoint", weights, "--threshold", 0, "--out", tmp_path / "out", "--device", "cpu") == 0
    )
    frames = load_frames(tmp_path / "out/tiny_tracker.json")
    assert [(frame.videoName, frame.frameIndex) for frame in frames] == [("b", 0), ("b", 1), ("b", 2)]
    first, *others = ({label.id for label in frame.labels or ()} for frame in frames)
    assert any(first & other for other in others)
    assert len(film_frames(tmp_path / "out/videos/b.mp4")) == 3


def test_boxes_of_people_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of pictures and of frames, whose names nobody knows before; what cannot be used is told."""
    config = make_config(tmp_path)
    weights = make_weights(config, tmp_path / "pose.pth")
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(96, 160))
    film = write_video(tmp_path / "b.mp4", 2, size=(96, 160))
    good, outside = ({"x1": x, "y1": 10, "x2": x + 40, "y2": 90} for x in (20, 400))

    def predict(inputs: list[Path], people: dict[str, list[dict[str, int]]]) -> int:
        boxes, frames = tmp_path / "boxes.json", []
        for name, given in people.items():
            labels = [{"id": "0", "category": "pedestrian", "box2d": box} for box in given]
            frames.append({"name": name, "labels": labels})
        boxes.write_text(json.dumps(frames))
        words = ["--checkpoint", weights, "--boxes", boxes, "--threshold", 0, "--save", "json", "--device", "cpu"]
        return run(config, *inputs, *words, "--out", tmp_path / "out")

    def found() -> list[int]:
        return [len(frame.labels or ()) for frame in load_frames(tmp_path / "out/tiny_pose.json")]

    assert predict([image, film], {"b-0000002.jpg": [good]}) == 0
    assert found() == [0, 0, 1]
    assert predict([image], {"a.jpg": [good, outside]}) == 1
    assert found() == [1]
    assert "warning: a.jpg: person box (400, 10, 441, 91) lies outside the image" in capsys.readouterr().err
    assert predict([image], {"c.jpg": [good]}) == 2
    assert "names none of the images" in capsys.readouterr().err


def test_a_tracked_detector_still_finds_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pose model looks at are the people that the detector named beside it finds, also behind a tracker."""
    shipped = Path(__file__).parent.parent / "det/weights/atss_mini_det_synthetic.pth"
    followed = load_model(fast_detector_file(tmp_path), shipped, device="cpu", tracker="bytetrack")
    pedestrian = TrackRecord([(20, 10, 60, 90)], [0.9], [0], [4])
    monkeypatch.setattr(followed, "run", lambda network, pictures, people, remarks: [pedestrian])
    pose = tiny_pose(tmp_path, "faster_rcnn_r50_fpn_3x_det_bdd100k")  # which is not here
    film = write_video(tmp_path / "b.mp4", 3, size=(96, 160))
    options = PredictOptions(tmp_path / "out", threshold=0)
    report = run_predict([followed, pose], sources_of(tmp_path, film), options)
    assert report.pictures == 3 and report.problems == []
    assert report.found == {"fast_det": 3, "tiny_pose": 3}
    assert followed.finds_people and not pose.finds_people and not tiny_tracker(tmp_path).finds_people


def test_masks_of_tracks_have_their_folder(tmp_path: Path) -> None:
    class Follower(Stub):
        def __init__(self) -> None:
            super().__init__()
            self.task, self.format = TASKS["mots"], get_format(TASKS["mots"])

        def session(self) -> Session:
            return Session(self, self.network)

        def run(self, network: Any, pictures: Any, people: Any, remarks: Any) -> list[Any]:
            mask = np.zeros(pictures[0].size, bool)
            mask[:10, :10] = True
            return [MaskTrackRecord([(0, 0, 9, 9)], [0.9], [2], [4], pictures[0].size, [encode(mask).counts])]

    film = write_video(tmp_path / "a.mp4", 2)
    run_predict([Follower()], sources_of(tmp_path, film), PredictOptions(tmp_path / "out"))
    masks = sorted((tmp_path / "out/stub/seg_track/a").iterdir())
    assert [path.name for path in masks] == ["a-0000001.png", "a-0000002.png"]
    assert (cv2.imread(str(masks[0]), cv2.IMREAD_UNCHANGED)[..., 2] > 0).sum() == 100


def test_a_picture_too_flat_costs_no_other(tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "flat.png"), np.zeros((1, 3000, 3), np.uint8))
    draw_noise(tmp_path / "a.jpg", seed=1, size=(90, 160))
    assert run(fast, tmp_path / "*.*g", "--out", tmp_path / "out", "--device", "cpu", "--batch", 2) == 1
    assert "flat.png" in (shown := capsys.readouterr().err) and "3000x1 pixels cannot be scaled" in shown
    frames = load_frames(tmp_path / "out/fast_det.json")
    assert "a.jpg" in [frame.name for frame in frames]


def test_numbers_in_patterns_count_as_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        draw_noise(tmp_path / f"{number}.jpg", seed=1, size=(8, 8))
    (source,) = sources_of(tmp_path, f"{tmp_path}/*.jpg", as_videos=True)
    assert [picture.name for picture in pictures_of(source)] == ["1.jpg", "2.jpg", "10.jpg"]


def test_a_picture_of_too_many_pixels_is_told_from_a_broken_one(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "wide.png"
    Image.new("1", (20_000, 10_000)).save(path)
    with pytest.raises(ImageError, match="more than 178,956,970 pixels"):
        read_image(path)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 30), (30, 3_000)])
def test_pictures_of_odd_shapes(tmp_path: Path, fast: Path, width: int, height: int) -> None:
    path = tmp_path / "odd.png"
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    assert run(fast, path, "--out", tmp_path / "out", "--device", "cpu", "--threshold", 0) == 0
    assert cv2.imread(str(tmp_path / "out/pictures/odd.jpg")).shape == (height, width, 3)
    (frame,) = load_frames(tmp_path / "out/fast_det.json")
    assert (frame.size.width, frame.size.height) == (width, height)


def in_one_line(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("error: ") and shown.out == ""
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["atss_mini_det_syntetic", "a.jpg"], "did you mean atss_mini_det_synthetic"),
        (["atss_mini_det_synthetic", "b.jpg"], "no such file or folder"),
        (["atss_mini_det_synthetic", "a.jpg", "--every", "0"], "--every must be at least 1"),
        (["atss_mini_det_synthetic", "a.jpg", "--batch", "0"], "--batch must be at least 1"),
        (["atss_mini_det_synthetic", "a.jpg", "--threshold", "7"], "from 0 to 1"),
        (["atss_mini_det_synthetic", "a.jpg", "--classes", "cat"], "no category 'cat'"),
        (["atss_mini_det_synthetic", "a.jpg", "--boxes", "a.json"], "--boxes is for pose models"),
        (["atss_mini_det_synthetic", "a.jpg", "--device", "abacus"], "there is no device"),
        (["atss_mini_det_synthetic,atss_mini_det_synthetic", "a.jpg"], "named twice"),
        (["atss_mini_det_synthetic,atss_mini_det_synthetic.py", "a.jpg"], "named twice"),
        (["atss_mini_det_synthetic", "a" * 300], "cannot be read (File name too long)"),
        (["atss_mini_det_synthetic", "a.jpg", "--device", "meta"], "there is no device 'meta' here"),
        (["atss_mini_det_synthetic", "a.jpg", "--checkpoint", "x", "--checkpoint", "y"], "one a model"),
        (["fpn_r50_512x1024_40k_drivable_bdd100k", "a.jpg", "--tracker", "ocsort"], "--tracker follows"),
        (["res50_256x192_1x_pose_bdd100k", "a.jpg", "--detector-checkpoint", "x"], "needs --detector"),
        ([",", "a.jpg"], "no model was named"),
        (
            ["atss_mini_det_synthetic", "pictures", "--out", "."],
            "pictures: what is written would replace the originals",
        ),
        (["atss_mini_det_synthetic", "pictures/b.jpg", "--out", "."], "choose another (--out)"),
    ],
)
def test_what_the_command_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_noise(tmp_path / "a.jpg", seed=1, size=(8, 8))
    draw_noise(tmp_path / "pictures/b.jpg", seed=1, size=(8, 8))
    assert run(*arguments) == 2
    assert message in in_one_line(capsys)
    assert not (tmp_path / "predictions").exists()


def test_bad_inputs_are_told_in_one_line(tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "file").touch()
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(90, 160))
    for path, out, message in (
        (tmp_path / "text.jpg", "out", "text.jpg: not an image that can be read"),
        (tmp_path / "zero.mp4", "out", "zero.mp4: the file is empty"),
        (image, "file/out", "cannot be written"),
    ):
        assert run(fast, path, "--out", tmp_path / out, "--device", "cpu") == 2
        assert message in in_one_line(capsys)
    assert list((tmp_path / "out").rglob("*.j*")) == []
    assert run(fast, tmp_path, "--out", tmp_path / "out", "--device", "cpu") == 1
    text, zero = json.loads((tmp_path / "out/errors.json").read_text())
    assert text["name"].endswith("text.jpg") and "text.jpg" in capsys.readouterr().err
    assert zero["name"].endswith("zero.mp4") and "empty" in zero["message"]
    assert len(load_frames(tmp_path / "out/fast_det.json")) == 1


@pytest.mark.parametrize("taken", ["pictures", "fast_det.json"])
def test_places_that_cannot_be_written(
    tmp_path: Path, fast: Path, capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    """Whoever runs it, also root: a file lies where a folder must be, a folder where a file must be."""
    place = tmp_path / "out" / taken
    place.parent.mkdir()
    if place.suffix:
        place.mkdir()
    else:
        place.touch()
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(9, 16))
    assert run(fast, image, "--out", tmp_path / "out", "--device", "cpu") == 2
    line = in_one_line(capsys)
    assert str(place) in line and "cannot be written" in line


def test_an_interrupted_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fast: Path
) -> None:
    monkeypatch.setattr("bdd100k_models.commands.predict._load", lambda *_: [Stub()])
    monkeypatch.setattr("bdd100k_models.inference.sources.find_sources", lambda *_, **__: [Interrupted()])
    assert run(fast, "a.jpg", "--out", tmp_path / "out", "--device", "cpu") == 130
    assert "interrupted: what was written is kept" in capsys.readouterr().err
    assert len(load_frames(tmp_path / "out/stub.json")) == 7


def test_every_image_file_source_has_its_names() -> None:
    source = ImageFiles([("a.jpg", Path("missing.jpg"))])
    (problem,) = list(source)
    assert isinstance(problem, Problem) and problem.message == "no such file"
