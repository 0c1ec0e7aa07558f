"""MP4 files that every browser plays: H.264, written frame by frame."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av

from bdd100k_models.errors import OutputError
from bdd100k_models.formats.files import make_folder, output_error
from bdd100k_models.visualization.drawing import Pixels

_QUALITY = "23"  # x264's constant rate factor


class Movie:
    """Writes pictures of one size to an MP4 file, which appears when the block ends without an error.

    Args:
        path: The file; its folder is made if needed.
        rate: Frames a second.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path, rate: float = 5.0) -> None:
        make_folder(path.parent)
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._rate = Fraction(rate).limit_denominator(1001)
        self._stream: Any = None
        try:
            # moved to the front, the index lets a browser begin before it has all
            self._file: Any = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "faststart"})
        except OSError as error:
            raise output_error(path, error) from None

    def add(self, pixels: Pixels) -> None:
        """Append a picture (height, width, 3), blue-green-red; one row or column is cut off odd sizes.

        Raises:
            OutputError: The disk is full.
        """
        height, width = (side - side % 2 for side in pixels.shape[:2])
        if self._stream is None:
            self._stream = self._file.add_stream("libx264", rate=self._rate, options={"crf": _QUALITY})
            self._stream.height, self._stream.width, self._stream.pix_fmt = height, width, "yuv420p"
        frame = av.VideoFrame.from_ndarray(pixels[: self._stream.height, : self._stream.width], format="bgr24")
        self._write(frame)

    def _write(self, frame: Any) -> None:
        try:
            self._file.mux(self._stream.encode(frame))
        except OSError as error:
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
            self._file.close()
            if error is None and self._stream is not None:
                self._temporary.replace(self.path)
        except OSError as problem:
            if isinstance(problem, OutputError):
                raise
            raise output_error(self.path, problem) from None
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)
