"""Scalabel JSON read one frame at a time, for files too large to hold as objects.

The text is mapped and not copied; a first pass finds where each frame stands, a second decodes frame after frame, and
only the fields that the caller's type names.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from bdd100k_models.errors import LabelError, MissingFileError
from bdd100k_models.formats.folders import label_files

_Frame = TypeVar("_Frame", bound=msgspec.Struct)


class _Dataset(msgspec.Struct):
    frames: list[msgspec.Raw]


_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])
_DICT_DECODER = msgspec.json.Decoder(_Dataset)
_KEYS_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def stream_frames(path: str | os.PathLike[str], kind: type[_Frame]) -> Iterator[tuple[str, msgspec.Raw, _Frame]]:
    """Read the frames of a file, or of every ``*.json`` file of a folder in name order.

    Args:
        path: Scalabel JSON, a list of frames or a dict with ``frames``; or a folder of such files.
        kind: What to decode a frame into, such as :class:`bdd100k_models.formats.scalabel.Frame`; fields that it does
            not have are skipped.

    Yields:
        The name of the file, the text of the frame, and the frame.

    Raises:
        MissingFileError: There is nothing at ``path``, or the folder holds no JSON file.
        LabelError: The text is not JSON, is COCO JSON, or a field has the wrong type. The message names file, frame
            and field.
    """
    decoder = msgspec.json.Decoder(kind)
    for file in label_files(Path(path)):
        for text, frame in _decode(_map(file), str(file), decoder):
            yield str(file), text, frame


def _map(file: Path) -> memoryview | bytes:
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size and file.is_file():
                # not closed by hand: it goes with the last view into it, which an error may still hold
                return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
            return stream.read()
    except FileNotFoundError:
        raise MissingFileError(f"{file}: no such label file; check the path, or the data root and split") from None
    except OSError as error:
        raise LabelError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None


def _decode(
    text: memoryview | bytes, where: str, decoder: msgspec.json.Decoder[_Frame]
) -> Iterator[tuple[msgspec.Raw, _Frame]]:
    head = bytes(text[:64]).lstrip()
    if not head:
        raise LabelError(f"{where}: the file is empty; write it again")
    try:
        raw = _LIST_DECODER.decode(text) if head.startswith(b"[") else _DICT_DECODER.decode(text).frames
    except msgspec.ValidationError as error:
        kind = "COCO JSON" if looks_like_coco(bytes(text)) else ""
        raise LabelError(_not_scalabel(where, str(error), kind)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LabelError(f"{where}: {_malformed(bytes(text), str(error))}") from None
    for index, item in enumerate(raw):
        try:
            yield item, decoder.decode(item)
        except msgspec.ValidationError as error:
            kind = "COCO JSON" if index == 0 and looks_like_coco(b"[" + bytes(item) + b"]") else ""
            raise LabelError(_not_scalabel(where, str(error), kind, _frame_name(item, index))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise LabelError(f"{where}: frame {_frame_name(item, index)}: not valid JSON ({error})") from None


def looks_like_coco(text: bytes) -> bool:
    """Tell whether the text of a JSON file has COCO's top-level keys, or is a COCO result list."""
    try:
        if text[:64].lstrip().startswith(b"["):
            first = _LIST_DECODER.decode(text)[:1]
            keys = _KEYS_DECODER.decode(first[0]) if first else {}
            return "image_id" in keys and "name" not in keys
        keys = _KEYS_DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return "images" in keys and "frames" not in keys


def _not_scalabel(where: str, problem: str, kind: str, frame: str = "") -> str:
    if kind:
        return f"{where}: this is {kind}; Scalabel JSON (a list of frames) is needed here"
    return f"{where}: {f'frame {frame}: ' if frame else ''}{problem}; this is not the Scalabel format"


def _frame_name(item: msgspec.Raw, index: int) -> str:
    """Name the frame of which ``item`` is the text, however damaged."""
    match = re.search(rb'"name"\s*:\s*"([^"]*)"', bytes(item))
    return match.group(1).decode(errors="replace") if match else f"number {index}"


def _malformed(text: bytes, problem: str) -> str:
    """Explain text that is not JSON; NaN and Infinity, which Python writes, are named with frame and field."""
    position = re.search(r"byte (\d+)\)", problem)
    start = int(position.group(1)) if position else len(text)
    # msgspec points at the first letter, past the sign of -Infinity
    token = re.compile(rb"NaN|Infinity").match(text, start)
    if token is None:
        return f"not valid JSON ({problem}); the file may be cut off, write it again"
    fields = re.findall(rb'"(\w+)"\s*:', text[max(0, start - 4096) : start])
    field_name = fields[-1].decode() if fields else "a value"
    frame = _frame_around(text, start)
    return f"{frame}{field_name} is {token.group().decode()}, which is not JSON; it must be a finite number"


def _frame_around(text: bytes, position: int) -> str:
    """Name the frame whose text holds ``position``, by making the rest of the text valid JSON of equal length."""
    bare = re.compile(rb"(?<=[\[:,\s])-?(?:NaN|Infinity)(?=[\s,\]}])")
    mended = bare.sub(lambda match: b"0." + b"0" * (len(match.group()) - 2), text)
    try:
        first = mended[:64].lstrip()[:1]
        raw = _LIST_DECODER.decode(mended) if first == b"[" else _DICT_DECODER.decode(mended).frames
    except msgspec.MsgspecError:
        return ""
    end = 0
    for index, item in enumerate(raw):
        content = bytes(item)
        end = mended.index(content, end) + len(content)
        if end > position:
            return f"frame {_frame_name(item, index)}: "
    return ""
