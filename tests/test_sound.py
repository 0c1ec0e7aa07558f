"""The sound of films on its way into others: copied or encoded anew, to the end, whatever changes on the way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bdd100k_models.inference.run import PredictOptions, run_predict
from bdd100k_models.inference.sources import find_sources
from predict_support import Stub, write_video


def predict(film: Path, out: Path, every: int = 1) -> Any:
    """Predict on a film, and return the report."""
    return run_predict([Stub()], find_sources([str(film)], out, every=every), PredictOptions(out))


def sound_of(film: Path) -> tuple[str, float, np.ndarray]:
    """The codec of a film's sound, its length in seconds, and the first channel."""
    with av.open(str(film)) as file:
        codec = file.streams.audio[0].codec_context
        samples = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
        return codec.codec.canonical_name, len(samples) / codec.sample_rate, samples


def write_parts(path: Path, codec: str, parts: list[tuple[str, int]]) -> Path:
    """Write a film of parts of two seconds each, put behind one another, with tones of some layouts and rates."""
    data = b""
    for number, (layout, rate) in enumerate(parts):
        part = path.with_name(f"{number}-{path.name}")
        with av.open(str(part), "w") as file:
            video = file.add_stream("libx264", rate=10, options={"g": "1"})
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            audio = file.add_stream(codec, rate=rate, layout=layout)
            for index in range(20):
                file.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
                times = np.arange(index * rate // 10, (index + 1) * rate // 10)
                wave = (np.sin(times * 2 * np.pi * 440 / rate) * 9000).astype(np.int16)
                channels = 2 if layout == "stereo" else 1
                frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels)[None], format="s16", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, int(times[0]), Fraction(1, rate)
                file.mux(audio.encode(frame))
            for stream in (video, audio):
                file.mux(stream.encode(None))
        data += part.read_bytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("codec", ["mp2", "aac"])
@pytest.mark.parametrize(
    "parts",
    [
        [("mono", 48000), ("stereo", 48000)],
        [("stereo", 48000), ("mono", 48000)],
        [("stereo", 44100), ("stereo", 48000), ("mono", 32000)],
    ],
    ids=["more channels", "fewer channels", "other rates"],
)
def test_sound_may_change_on_the_way(tmp_path: Path, codec: str, parts: list[tuple[str, int]]) -> None:
    film = write_parts(tmp_path / "a.ts", codec, parts)
    report = predict(film, tmp_path / "out")
    assert report.pictures == 20 * len(parts) and report.problems == []
    if codec == "mp2":  # which is encoded anew, and so can be brought into one form
        name, length, samples = sound_of(tmp_path / "out/videos/a.mp4")
        assert name == "aac" and abs(length - 2 * len(parts)) < 0.4
        quiet = np.abs(samples).reshape(-1)[: len(samples) // 1000 * 1000].reshape(-1, 1000).max(axis=1)
        assert (quiet[2:-4] > 0.05).mean() > 0.9


def test_a_broken_packet_costs_itself_alone(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mkv", 40, audio="flac")
    with av.open(str(film)) as file:
        broken = [bytes(packet) for packet in file.demux(audio=0) if packet.size][5]
    data = film.read_bytes()
    assert data.count(broken) == 1
    film.write_bytes(data.replace(broken, bytes(len(broken))))
    assert predict(film, tmp_path / "out").problems == []
    name, length, _ = sound_of(tmp_path / "out/videos/a.mp4")
    assert name == "aac" and abs(length - 4) < 0.4


@pytest.mark.parametrize("every", [1, 7, 40, 1000])
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_goes_on_to_the_end(tmp_path: Path, codec: str, every: int) -> None:
    film = write_video(tmp_path / "a.mov", 40, audio=codec)
    report = predict(film, tmp_path / "out", every)
    assert report.pictures == -(-40 // every)
    assert abs(sound_of(tmp_path / "out/videos/a.mp4")[1] - 4) < 0.3


@pytest.mark.parametrize(("rate", "expected"), [(44100, "mp3"), (16000, "mp3"), (8000, "aac")])
def test_mp3_is_copied_where_an_mp4_file_takes_it(tmp_path: Path, rate: int, expected: str) -> None:
    film = write_parts(tmp_path / "a.ts", "mp3", [("mono", rate)])
    assert predict(film, tmp_path / "out").problems == []
    name, length, _ = sound_of(tmp_path / "out/videos/a.mp4")
    assert name == expected and abs(length - 2) < 0.3
