"""Inputs of ``bdd100k-models predict`` with names and contents that nobody would choose."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import ImageError, InputError
from bdd100k_models.inference.pictures import Picture
from bdd100k_models.inference.run import PredictOptions, run_predict
from bdd100k_models.inference.sources import find_sources
from conftest import draw_noise
from det_model import MODEL
from predict_support import Stub, fast_detector_file, write_video
from test_predict_faults import SHIPPED
from zoo_server import serving

LATIN = os.fsdecode(b"caf\xe9")


def predict(folder: Path, *inputs: object) -> Path:
    """Predict with a model that looks at nothing; return the output folder."""
    sources = find_sources(list(map(str, inputs)), folder / "fetched")
    report = run_predict([Stub()], sources, PredictOptions(folder / "out"))
    assert report.pictures
    return folder / "out"


def names_in(out: Path) -> list[str]:
    return [frame["name"] for frame in json.loads((out / "stub.json").read_text())["frames"]]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """As archives of other systems leave them: Latin-1 where the file system speaks UTF-8."""
    draw_noise(tmp_path / "in/a.jpg", seed=1, size=(40, 60)).rename(tmp_path / "in" / f"{LATIN}.jpg")
    (tmp_path / "in" / f"{LATIN}2.jpg").write_text("no picture")
    write_video(tmp_path / "film.mp4", 2).rename(tmp_path / "in" / f"{LATIN}3.mp4")
    out = predict(tmp_path, tmp_path / "in")
    assert names_in(out) == ["caf\ufffd.jpg", *(f"caf\ufffd3-000000{place}.jpg" for place in (1, 2))]
    assert (out / "pictures/caf\ufffd.jpg").is_file() and (out / "videos/caf\ufffd3.mp4").is_file()


def test_the_command_tells_of_such_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_noise(tmp_path / "in/good.jpg", seed=1, size=(40, 60))
    (tmp_path / "in" / f"{LATIN}.jpg").write_text("no picture")
    model = ["-m", str(fast_detector_file(tmp_path)), "--checkpoint", str(SHIPPED), "--device", "cpu"]
    assert main(["predict", *model[1:2], str(tmp_path / "in"), *model[2:], "--out", str(tmp_path / "out")]) == 1
    assert "caf" in capsys.readouterr().err


def test_titles_in_no_known_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "Garching, Strasse"
        stream = file.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for grey in (0, 200):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="bgr24")))
        file.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"Strasse", b"Stra\xdfe!"))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert len(names_in(predict(tmp_path, path))) == 2


@pytest.mark.parametrize("stem", ["x" * 250, "\u8857" * 83])
def test_names_as_long_as_they_can_be(tmp_path: Path, stem: str) -> None:
    draw_noise(tmp_path / "a.jpg", seed=1, size=(40, 60)).rename(tmp_path / f"{stem}.jpg")
    out = predict(tmp_path, tmp_path / f"{stem}.jpg")
    assert names_in(out) == [f"{stem}.jpg"]
    assert [path.name for path in (out / "pictures").iterdir()] == [f"{stem}.jpg"]


def test_long_names_in_addresses(tmp_path: Path) -> None:
    draw_noise(tmp_path / "a.jpg", seed=1, size=(40, 60))
    path = f"/{'%E8%A1%97' * 90}.jpg"
    with serving() as server:
        server.files[path] = (tmp_path / "a.jpg").read_bytes()
        out = predict(tmp_path, server.address + path)
    assert names_in(out) == ["\u8857" * 48 + ".jpg"]


def test_an_empty_input_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_noise(tmp_path / "a.jpg", seed=1, size=(40, 60))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="an input is empty"):
        find_sources([""], tmp_path)


@pytest.mark.parametrize("rotated", [False, True])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, rotated: bool) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for grey in (0, 200):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="bgr24")))
        file.mux(stream.encode(None))
    if rotated:
        turn_by_a_quarter(path)
    out = predict(tmp_path, path)
    with av.open(str(out / "videos/a.mp4")) as file:
        stream = file.streams.video[0]
        shown = (stream.width, stream.height, stream.sample_aspect_ratio)
    assert shown == ((48, 64, Fraction(3, 4)) if rotated else (64, 48, Fraction(4, 3)))


def turn_by_a_quarter(path: Path) -> None:
    """Say in the film's header that it is to be turned, as phones do: its matrix is that of the identity before."""
    one = (1 << 16).to_bytes(4, "big")
    last = (1 << 30).to_bytes(4, "big")
    none = bytes(4)
    identity = one + none * 3 + one + none * 3 + last
    turned = none + one + none + (-(1 << 16)).to_bytes(4, "big", signed=True) + none * 4 + last
    data = path.read_bytes()
    place = data.rindex(identity)  # the track's; the film's own comes first
    path.write_bytes(data[:place] + turned + data[place + len(identity) :])


def test_pictures_hold_names_apart_that_look_alike(tmp_path: Path) -> None:
    for number, name in enumerate((b"a\xe9", b"a\xe8")):
        draw_noise(tmp_path / "b.jpg", seed=number, size=(40, 60)).rename(tmp_path / os.fsdecode(name + b".jpg"))
    assert len(set(names_in(predict(tmp_path, tmp_path / "*.jpg")))) == 2


def test_hidden_videos_are_left_out_as_hidden_pictures_are(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in/drive.mp4", 2)
    (tmp_path / "in/._drive.mp4").write_bytes(b"as macOS leaves beside it")
    assert [source.name for source in find_sources([str(tmp_path / "in")], tmp_path)] == ["drive"]


def test_faults_of_addresses_are_told_of_the_address(tmp_path: Path) -> None:
    draw_noise(tmp_path / "a.jpg", seed=1, size=(40, 60))
    with serving() as server:
        server.files["/1/street.jpg"] = (tmp_path / "a.jpg").read_bytes()
        server.files["/2/street.jpg"] = b"<html>"
        server.files["/street.mp4"] = b"<html>"
        addresses = [f"{server.address}/{number}/street.jpg" for number in (1, 2)]
        report = run_predict([Stub()], find_sources(addresses, tmp_path / "f"), PredictOptions(tmp_path / "out"))
        with pytest.raises(ImageError, match=f"^{server.address}/street.mp4: "):
            find_sources([f"{server.address}/street.mp4"], tmp_path / "f")
    (problem,) = report.problems
    assert problem.name == addresses[1] and str(tmp_path) not in problem.message


def test_the_next_frame_of_a_folder_is_taken_for_a_broken_one(tmp_path: Path) -> None:
    for number in range(10):
        draw_noise(tmp_path / f"v/{number}.jpg", seed=number, size=(8, 8))
    for number in (3, 6, 7, 8):
        (tmp_path / f"v/{number}.jpg").write_text("no picture")
    (source,) = find_sources([str(tmp_path / "v")], tmp_path, every=3, as_videos=True)
    found = [item.position if isinstance(item, Picture) else Path(item.name).name for item in source]
    assert found == [0, "3.jpg", 1, "6.jpg", "7.jpg", "8.jpg", 3] and source.count == 4
    assert [item.name for item in source if isinstance(item, Picture)] == ["0.jpg", "4.jpg", "9.jpg"]


def test_a_followed_model_knows_the_categories_of_tracks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", MODEL, str(write_video(tmp_path / "a.mp4", 2)), "--out", str(tmp_path / "out")]
    assert main([*words, "--tracker", "bytetrack", "--classes", "traffic light"]) == 2
    assert "traffic light" in capsys.readouterr().err and not (tmp_path / "out").exists()
