"""Frames of videos and cameras, one at a time, with every fault noticed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import cv2
import numpy as np

from bdd100k_models.engine.shards import Problem
from bdd100k_models.errors import ImageError, InputError
from bdd100k_models.inference.pictures import Picture
from bdd100k_models.runtime.pictures import Pixels

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".gif", ".mjpeg", ".mjpg", ".h264", ".264", ".hevc"),
)

#: What PyAV raises for files that cannot be used.
FAULTS = (OSError, av.FFmpegError)

#: A frame or None, when it is shown, what is wrong with it, and how wide its pixels are.
_Decoded: TypeAlias = tuple[Pixels | None, float | None, str | None, Fraction | None]

_RATE = 30.0  # frames a second of a video that does not say
_DISORDER = 8  # frames: times that fall back by more are those of another film, put behind the first


class VideoFile:
    """A video file.

    Args:
        path: The file.
        name: What to call the video; by default the file's name without its suffix.
        every: Take each so many-th frame, beginning with the first; in place of a broken one, the next.

    Attributes:
        rate: Frames a second, of those that are taken.
        count: About how many frames are taken; None where the file does not say.
        sound: The file whose sound belongs to the frames.
        paths: The file alone.

    Raises:
        ImageError: It is missing, empty, or no video that PyAV or OpenCV reads.
    """

    def __init__(self, path: Path, name: str | None = None, every: int = 1) -> None:
        self.path, self.name, self.every = path, name or path.stem, every
        self.sound: Path | None = path
        self.paths: Sequence[Path] = (path,)
        rate, count = _properties(path)
        self.rate = rate / every
        self.count = -(-count // every) if count else None

    def __iter__(self) -> Iterator[Picture | Problem]:
        """Yield the frames that are taken, and a problem for each that is broken.

        Raises:
            ImageError: There is no frame at all.
        """
        taken = 0
        due = False
        for number, (pixels, moment, problem, aspect) in enumerate(self._decode()):
            name = f"{self.name}-{number + 1:07d}.jpg"
            due = due or number % self.every == 0
            if pixels is None:
                yield Problem(name=name, message=problem or "the frame is broken")
            elif due:
                yield Picture(name, pixels, self.name, taken, moment, problem, aspect)
                taken += 1
                due = False
        if taken == 0:
            raise ImageError(f"{self.path}: a video without a frame that can be read")

    def _decode(self) -> Iterator[_Decoded]:
        try:
            container: Any = open_media(self.path)
        except FAULTS:
            container = None
        if container is None:
            yield from _decode_by_opencv(self.path)
            return
        with container:
            if has_decoder(container.streams.video[0]):
                yield from _decode_by_pyav(container)
                return
        yield from _decode_by_opencv(self.path)


def video_frames(path: str | os.PathLike[str], every: int = 1) -> Iterator[Picture]:
    """Yield the frames of a video file that can be read, one at a time; a model's ``stream`` takes them.

    Args:
        path: The file.
        every: Take each so many-th frame, beginning with the first; in place of a broken one, the next.

    Raises:
        ImageError: It is missing, empty, no video, or without a frame that can be read.
        InputError: ``every`` is less than 1.
    """
    if every < 1:
        raise InputError(f"every must be at least 1, not {every}")
    yield from (item for item in VideoFile(Path(path), every=every) if isinstance(item, Picture))


def _properties(path: Path) -> tuple[float, int]:
    """Return frames a second and how many frames there are, 0 where that is not known.

    Raises:
        ImageError: The file is no video.
    """
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: the file is empty (0 bytes)")
        path.open("rb").close()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        with open_media(path) as container:
            if container.format.name == "tty":  # FFmpeg shows text as a film of letters
                raise ImageError(f"{path}: not a video that can be read")
            if not container.streams.video:
                raise ImageError(f"{path}: holds no pictures, only other streams")
            stream = container.streams.video[0]
            if has_decoder(stream):
                rate = _rate_of(stream)
                return rate, stream.frames or _length(container.duration, rate)
    except FAULTS:
        pass  # OpenCV may know the format
    reader = cv2.VideoCapture(str(path.absolute()))
    try:
        if not reader.isOpened():
            raise ImageError(f"{path}: not a video that can be read")
        return _rate_of_reader(reader), max(0, int(reader.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        reader.release()


def open_media(path: Path) -> Any:
    """Open a video with PyAV; absolute, for FFmpeg takes what is before a colon as a protocol."""
    # of titles and comments nothing is used; those of many dashcams are in no encoding that PyAV would accept
    return av.open(str(path.absolute()), metadata_errors="replace")


def has_decoder(stream: Any) -> bool:
    """Tell whether a stream can be decoded; PyAV ends the process where one that cannot is asked to."""
    return stream.codec_context is not None


def _rate_of(stream: Any) -> float:
    return float(stream.average_rate or stream.guessed_rate or Fraction(_RATE))


def _rate_of_reader(reader: Any) -> float:
    """Return frames a second as OpenCV says; some of its readers do not know, and say 0 or less."""
    said = float(reader.get(cv2.CAP_PROP_FPS))
    return said if 0 < said < math.inf else _RATE


def _length(duration: int | None, rate: float) -> int:
    return int(duration / av.time_base * rate) if duration and duration > 0 else 0


class _Clock:
    """Gives each frame a time, also where the file says it of some frames alone, or in the order of decoding.

    Args:
        rate: Frames a second.
    """

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._last: float | None = None
        self._shift: float | None = None

    def tell(self, *said: float | None) -> float:
        """Return when the next frame is shown, in seconds; not before the last one, unless another film begins.

        Args:
            said: What the file says, what is to be trusted most first.
        """
        expected = 0.0 if self._last is None else self._last + self._step
        times = [moment for moment in said if moment is not None]
        if times and self._shift is None:
            # frames before the first with a time were counted from 0
            self._shift = 0.0 if self._last is None else expected - times[0]
        times = [moment + (self._shift or 0.0) for moment in times]
        if self._last is None or not times:
            self._last = times[0] if times else expected
        else:
            falls_far = times[0] < self._last - _DISORDER * self._step
            later = (moment for moment in times if moment > self._last)
            self._last = next(later, times[0] if falls_far else self._last)
        return self._last


def _decode_by_pyav(container: Any) -> Iterator[_Decoded]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    clock = _Clock(_rate_of(stream))
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FAULTS as error:
            yield None, None, f"the rest of the video cannot be read ({_reason(error)})", None
            return
        try:
            frames = packet.decode()
        except FAULTS as error:
            yield None, None, f"the frame is broken ({_reason(error)})", None
            continue
        for frame in frames:
            remark = "the frame is damaged; the decoder filled in what is missing" if frame.is_corrupt else None
            decoded = None if frame.dts is None else float(frame.dts * frame.time_base)
            pixels = _upright(frame.to_ndarray(format="bgr24"), frame.rotation)
            yield pixels, clock.tell(frame.time, decoded), remark, _aspect(stream, frame.rotation)


def _upright(pixels: Pixels, rotation: int) -> Pixels:
    """Turn a frame as its video says, by degrees counter-clockwise; phones film with the sensor's rows."""
    turns = _quarters(rotation)
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _aspect(stream: Any, rotation: int) -> Fraction | None:
    """Return how many times as wide as high the pixels of upright frames are shown; None where it is not said."""
    aspect: Fraction | None = stream.sample_aspect_ratio
    if not aspect:
        return None
    return 1 / aspect if _quarters(rotation) % 2 else aspect


def _quarters(degrees: int) -> int:
    return round(degrees / 90) % 4


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).split("\n", 1)[0][:100]


def _decode_by_opencv(path: Path) -> Iterator[_Decoded]:
    reader = cv2.VideoCapture(str(path.absolute()))
    clock = _Clock(_rate_of_reader(reader))
    try:
        while True:
            found, pixels = reader.read()
            if not found:
                return
            # some of its readers know no times and say 0, or -1
            said = reader.get(cv2.CAP_PROP_POS_MSEC) / 1000
            yield np.asarray(pixels, np.uint8), clock.tell(said if said > 0 else None), None, None
    finally:
        reader.release()


class Camera:
    """A camera of this machine; its frames have the time at which they were taken, and end when the run is interrupted.

    Args:
        index: Its number, from 0.
        every: Take each so many-th frame.
        name: What to call it; by default after its number.

    Raises:
        ImageError: There is no such camera.
    """

    count: int | None = None
    sound: Path | None = None
    paths: Sequence[Path] = ()

    def __init__(self, index: int, every: int = 1, name: str | None = None) -> None:
        self.name, self.every = name or f"camera{index}", every
        self._reader = cv2.VideoCapture(index)
        if not self._reader.isOpened():
            raise ImageError(f"camera {index}: cannot be opened; the first camera is 0")
        self.rate = _rate_of_reader(self._reader) / every

    def __iter__(self) -> Iterator[Picture | Problem]:
        """Yield frames until the camera ends.

        Raises:
            ImageError: It gives none.
        """
        number = taken = 0
        started = time.monotonic()
        try:
            while True:
                found, pixels = self._reader.read()
                if not found:
                    break
                if number % self.every == 0:
                    name, moment = f"{self.name}-{number + 1:07d}.jpg", time.monotonic() - started
                    yield Picture(name, np.asarray(pixels, np.uint8), self.name, taken, moment)
                    taken += 1
                number += 1
        finally:
            self._reader.release()
        if taken == 0:
            raise ImageError(f"{self.name}: the camera gives no pictures; see whether another program is using it")
