"""The sound of one film on its way into another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bdd100k_models.inference.videos import has_decoder, open_media

#: What players expect in an MP4 file; other sound is encoded anew.
_KEPT = ("aac", "mp3", "ac3", "eac3", "alac")

#: Samples a second that FFmpeg asks for before it puts a codec into an MP4 file.
_LEAST_RATES = {"mp3": 16000}

#: Samples a second that AAC can have.
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


class Sound:
    """Copies the sound of a film beside its pictures, as far as they have come.

    Args:
        source: The film.
        target: The container that is being written, before anything was.
        start: When the pictures begin in the film, in seconds.

    Attributes:
        exists: Whether there is any sound.
    """

    def __init__(self, source: Path, target: Any, start: float) -> None:
        self._target, self._start = target, start
        self._file: Any = None
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        self._stream: Any = None
        with contextlib.suppress(OSError, av.FFmpegError):
            self._file = open_media(source)
        streams: Sequence[Any] = self._file.streams.audio if self._file is not None else ()
        self.exists = bool(streams) and has_decoder(streams[0])
        if self.exists:
            self._begin(streams[0])

    def _begin(self, own: Any) -> None:
        if _can_be_copied(own):
            self._stream = self._target.add_stream_from_template(own)
            self._packets = _readable(self._copied(own))
        else:
            # AAC has not every rate, and some films only say how many channels there are, not where
            rate = own.codec_context.sample_rate
            self._stream = self._target.add_stream("aac", rate=min(_RATES, key=lambda known: abs(known - rate)))
            self._stream.layout = "mono" if own.codec_context.channels == 1 else "stereo"
            self._packets = _readable(self._encoded(own))
        self._next = next(self._packets, None)

    def _copied(self, own: Any) -> Iterator[Any]:
        clock = _Clock(round(self._start / own.time_base))
        for packet in self._file.demux(own):
            if packet.dts is None or packet.pts is None or not clock.reaches(packet.dts, packet.duration):
                continue
            packet.stream = self._stream
            packet.pts, packet.dts = packet.pts - clock.shift, packet.dts - clock.shift
            yield packet

    def _encoded(self, own: Any) -> Iterator[Any]:
        clock: _Clock | None = None
        resampler = _Resampler(self._stream.codec_context)
        for frame in self._decoded(own):
            if frame.pts is None:
                continue
            clock = clock or _Clock(round(self._start / frame.time_base))
            if not clock.reaches(frame.pts, round(frame.samples / frame.sample_rate / frame.time_base)):
                continue
            frame.pts -= clock.shift
            for part in resampler.take(frame):
                yield from self._stream.encode(part)
        for part in resampler.rest():
            yield from self._stream.encode(part)
        yield from self._stream.encode(None)

    def _decoded(self, own: Any) -> Iterator[Any]:
        """Yield the sound that can be decoded; a packet that is broken costs itself alone."""
        for packet in _readable(self._file.demux(own)):
            frames: Sequence[Any] = ()
            with contextlib.suppress(OSError, av.FFmpegError):
                frames = packet.decode()
            yield from frames

    def advance(self, time: float) -> None:
        """Write the sound up to a moment, in seconds from the first picture.

        Raises:
            OSError: It cannot be written.
        """
        while self._next is not None and (self._next.pts is None or self._next.pts * self._next.time_base <= time):
            self._target.mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the film."""
        if self._file is not None:
            self._file.close()


def _can_be_copied(own: Any) -> bool:
    """Tell whether an MP4 file takes sound as it is."""
    name: str = own.codec_context.codec.canonical_name  # a decoder has a name of its own, as mp3float
    rate: int = own.codec_context.sample_rate
    return name in _KEPT and rate >= _LEAST_RATES.get(name, 0)


class _Resampler:
    """Brings sound into the form that an encoder takes; its own layout, rate and format may change on the way.

    Args:
        target: The encoder.
    """

    def __init__(self, target: Any) -> None:
        self._target = target
        self._form: tuple[Any, ...] | None = None
        self._resampler: Any = None

    def take(self, frame: Any) -> Iterator[Any]:
        """Yield what a frame comes to, and before it what is left of sound in another form."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        if form != self._form:
            yield from self.rest()
            self._form = form
            target = self._target
            self._resampler = av.AudioResampler(target.format, target.layout, target.sample_rate)
        yield from self._timed(self._resampler.resample(frame))

    def rest(self) -> Iterator[Any]:
        """Yield what is left of the sound that was taken last."""
        if self._resampler is not None:
            yield from self._timed(self._resampler.resample(None))

    def _timed(self, frames: Sequence[Any]) -> Iterator[Any]:
        """Yield frames with their times in samples; each resampler has a unit of its own."""
        for frame in frames:
            if frame.pts is not None:
                frame.pts = round(frame.pts * frame.time_base * self._target.sample_rate)
                frame.time_base = Fraction(1, self._target.sample_rate)
            yield frame


class _Clock:
    """Times of sound, counted from the first picture and never set back, as in films put behind one another.

    Args:
        start: When the pictures begin.

    Attributes:
        shift: What to take from the next time.
    """

    def __init__(self, start: int) -> None:
        self.shift = start
        self._last: tuple[int, int] | None = None

    def reaches(self, time: int, duration: int | None) -> bool:
        """Take the next time, and tell whether the pictures have begun then."""
        if self._last is None and time < self.shift:
            return False
        if self._last is not None and time - self.shift <= self._last[0]:
            self.shift = time - sum(self._last)
        self._last = time - self.shift, duration or 1
        return True


def _readable(items: Iterator[Any]) -> Iterator[Any]:
    """Yield as much as can be had: broken sound must not cost the pictures."""
    with contextlib.suppress(OSError, av.FFmpegError):
        yield from items
