"""MP4 files that every browser plays: H.264, written frame by frame."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np

from bdd100k_models.errors import OutputError
from bdd100k_models.formats.files import make_folder, output_error, temporary_path
from bdd100k_models.tasks import VIDEO_RATE
from bdd100k_models.visualization.drawing import Pixels
from bdd100k_models.visualization.sound import Sound

_QUALITY = "23"  # x264's constant rate factor
_TICKS = 90_000  # a second: MPEG's clock
_LARGEST = 8192  # pixels; players and encoders give up beyond
_DENOMINATOR = 1001  # of rates, as in 30000/1001


class Movie:
    """Writes pictures of one size to an MP4 file, which appears when the block ends without an error.

    Args:
        path: The file; its folder is made if needed.
        rate: Frames a second.
        sound: A film whose sound is kept, if it has any.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path, rate: float = VIDEO_RATE, sound: Path | None = None) -> None:
        make_folder(path.parent)
        self.path = path
        self._temporary = temporary_path(path)
        # of films of which hardly a frame is taken too
        self._rate = Fraction(rate).limit_denominator(_DENOMINATOR) or Fraction(1, _DENOMINATOR)
        self._step = 1 / rate
        self._stream: Any = None
        self._source = sound
        self._sound: Sound | None = None
        self._start, self._last = 0.0, -1
        self._clock = 0.0
        try:
            # moved to the front, the index lets a browser begin before it has all
            self._file: Any = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "faststart"})
        except (OSError, av.FFmpegError) as error:
            raise output_error(path, error) from None

    def add(self, pixels: Pixels, time: float | None = None, aspect: Fraction | None = None) -> None:
        """Append a picture.

        Args:
            pixels: uint8 (height, width, 3), blue-green-red. Odd sizes lose a row or column, huge ones are made
                smaller, and pictures of another size than the first are made equal to it.
            time: When it is shown, in seconds from any start; by default as the rate says. All pictures have a time, or
                none has. Where times fall back, as in films put behind one another, the clock goes on by the rate.
            aspect: How many times as wide as high pixels are shown, where they are not square; the first counts.

        Raises:
            OutputError: The file cannot be written.
        """
        if self._stream is None:
            self._begin(pixels, time, aspect)
        if time is not None:
            if time - self._start < self._clock:  # a film put behind another has a clock of its own
                self._start = time - self._clock - self._step
            self._clock = time - self._start
        else:
            self._clock = (self._last + 1) * self._step
        height, width = self._stream.height, self._stream.width
        if (pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2) == (height, width):
            pixels = pixels[:height, :width]
        else:
            pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="bgr24")
        self._last += 1
        if time is not None:
            frame.time_base = Fraction(1, _TICKS)
            self._last = max(self._last, round(self._clock * _TICKS))
            frame.pts = self._last
        self._write(frame)
        if self._sound is not None:
            self._sound_until(self._clock + self._step)

    def _begin(self, pixels: Pixels, time: float | None, aspect: Fraction | None) -> None:
        """Set the streams up for pictures like the first."""
        shrink = min(1.0, _LARGEST / max(pixels.shape[:2]))
        height, width = (max(2, round(side * shrink) // 2 * 2) for side in pixels.shape[:2])
        self._stream = self._file.add_stream("libx264", rate=self._rate, options={"crf": _QUALITY})
        self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "yuv420p"
        if aspect is not None:
            self._stream.codec_context.sample_aspect_ratio = aspect
        if time is not None:
            self._start = time
            self._stream.codec_context.time_base = Fraction(1, _TICKS)
        if self._source is not None:
            sound = Sound(self._source, self._file, self._start)
            self._sound = sound if sound.exists else None

    def _sound_until(self, time: float) -> None:
        try:
            if self._sound is not None:
                self._sound.advance(time)
        except (OSError, av.FFmpegError) as error:
            raise output_error(self.path, error) from None

    def _write(self, frame: Any) -> None:
        try:
            self._file.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            raise output_error(self.path, error) from None

    def __enter__(self) -> Movie:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, or leave nothing after an error. Without pictures there is no file."""
        try:
            if error is None and self._stream is not None:
                self._write(None)
            if self._sound is not None:
                self._sound.close()
            self._file.close()
            if error is None and self._stream is not None:
                self._temporary.replace(self.path)
        except (OSError, av.FFmpegError) as problem:
            if isinstance(problem, OutputError):
                raise
            raise output_error(self.path, problem) from None
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)
