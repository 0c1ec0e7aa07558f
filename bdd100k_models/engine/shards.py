"""Results on their way to the final file: each rank appends to a shard of its own, one line an image.

A line is a JSON object with the image's index, so a shard needs no order and any number of ranks can share the work,
now or after a resume. Each attempt has shards of its own, and what the newest one wrote counts. A line that was cut off
by a kill or a full disk is passed over. Memory holds one offset an image, never a result.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import msgspec

from bdd100k_models.errors import ConfigError, OutputError
from bdd100k_models.formats.files import make_folder, output_error, write_bytes
from bdd100k_models.paths import printable

_FOLDER = ".unfinished"
_RUN_FILE = "run.json"

#: What was wrong with images, beside their results.
ERRORS_FILE = "errors.json"


class Problem(msgspec.Struct, omit_defaults=True):
    """What was wrong with one image.

    Attributes:
        name: The image.
        message: What was wrong, in one line.
        predicted: Whether there are predictions for it all the same.
    """

    name: str
    message: str
    predicted: bool = False

    def __post_init__(self) -> None:
        """Make text of file names in any encoding, or they could not be written."""
        self.name, self.message = printable(self.name), printable(self.message)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write problems as JSON; where there are none, remove the file of an earlier run.

    Raises:
        OutputError: The file cannot be written.
    """
    if problems:
        write_bytes(path, msgspec.json.format(msgspec.json.encode(problems), indent=1))
    else:
        path.unlink(missing_ok=True)


def read_problems(path: Path) -> list[Problem]:
    """Read what :func:`write_problems` wrote; nothing where there is no file.

    Raises:
        OSError, msgspec.DecodeError: It cannot be read.
    """
    return msgspec.json.decode(path.read_bytes(), type=list[Problem]) if path.is_file() else []


class Entry(msgspec.Struct, omit_defaults=True):
    """One line of a shard."""

    index: int
    record: msgspec.Raw
    problem: Problem | None = None


class RunIdentity(msgspec.Struct, forbid_unknown_fields=True):
    """What must be equal for a run to be continued: a digest of each thing that decides its results."""

    task: str
    model: str
    weights: str
    images: str
    precision: str
    batch_size: int
    outputs: str = ""

    def difference(self, other: RunIdentity) -> str | None:
        """Return the name of the first part in which two runs differ, or None."""
        for part in self.__struct_fields__:
            if getattr(self, part) != getattr(other, part):
                return part.replace("_", " ")
        return None


class Shards:
    """The unfinished results below an output folder.

    Args:
        out_dir: The run's output folder.
        count: How many images the run has.
    """

    def __init__(self, out_dir: Path, count: int) -> None:
        self.folder = out_dir / _FOLDER
        self.count = count

    def start(self, identity: RunIdentity) -> None:
        """Begin anew: what an earlier run left unfinished is removed."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder)
        make_folder(self.folder)
        write_bytes(self.folder / _RUN_FILE, msgspec.json.encode(identity))

    def identity(self) -> RunIdentity | None:
        """Return whose results lie here, or None when there are none."""
        try:
            return msgspec.json.decode((self.folder / _RUN_FILE).read_bytes(), type=RunIdentity)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def done(self) -> dict[int, int]:
        """Return the indices of the images that need not be done again, each with the attempt that did it.

        Images that could not be read are not among them: their file may have been mended meanwhile.
        """
        newest = {entry.index: (path, _is_done(entry)) for path, _, entry in self._entries()}
        return {index: _attempt_of(path) for index, (path, is_done) in newest.items() if is_done}

    def next_attempt(self) -> int:
        """Return the number of a new attempt, above those of all before; ask in one process, before any writes."""
        return max((_attempt_of(path) + 1 for path in self._paths()), default=0)

    def writer(self, rank: int, attempt: int = 0) -> ShardWriter:
        """Open the shard of a rank in an attempt for appending."""
        return ShardWriter(self.folder / f"attempt{attempt:06d}-rank{rank:03d}.jsonl")

    def records(
        self, record_type: type[Any], names: Sequence[str], problems: list[Problem]
    ) -> Iterator[tuple[str, Any]]:
        """Yield name and record of every image in the data set's order.

        Args:
            record_type: What a record is decoded to.
            names: The images' names, by index.
            problems: Receives what was wrong with images, in the same order.

        Raises:
            OutputError: An image has no record.
            ConfigError: What the model said of an image are no numbers.
        """
        offsets: list[tuple[Path, int] | None] = [None] * self.count
        for path, offset, entry in self._entries():
            offsets[entry.index] = (path, offset)  # in place of what an earlier attempt wrote
        decoder = msgspec.json.Decoder(Entry)
        record_decoder = msgspec.json.Decoder(record_type)
        with contextlib.ExitStack() as stack:
            files: dict[Path, BinaryIO] = {}
            for index, place in enumerate(offsets):
                if place is None:
                    raise OutputError(f"{self.folder}: no result for {names[index]}; run again with --resume")
                path, offset = place
                if path not in files:
                    files[path] = stack.enter_context(path.open("rb"))
                files[path].seek(offset)
                entry = decoder.decode(files[path].readline())
                if entry.problem is not None:
                    problems.append(entry.problem)
                yield names[index], _decode(record_decoder, entry.record, names[index])

    def remove(self) -> None:
        """Delete the shards, once the final file stands."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        """Return the shards, those of the oldest attempt first."""
        return sorted(self.folder.glob("attempt*.jsonl"))

    def _entries(self) -> Iterator[tuple[Path, int, Entry]]:
        decoder = msgspec.json.Decoder(Entry)
        for path in self._paths():
            offset = 0
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        with contextlib.suppress(msgspec.DecodeError):
                            entry = decoder.decode(line)
                            if entry.index < self.count:
                                yield path, offset, entry
                    offset += len(line)


def _attempt_of(shard: Path) -> int:
    return int(shard.name.partition("-")[0].removeprefix("attempt"))


def _is_done(entry: Entry) -> bool:
    return entry.problem is None or entry.problem.predicted


def _decode(decoder: msgspec.json.Decoder[Any], record: msgspec.Raw, name: str) -> Any:
    try:
        return decoder.decode(record)
    except msgspec.ValidationError:  # JSON has no word for what is no number
        raise ConfigError(
            f"{name}: the model's predictions are no finite numbers; look at its weights, or leave out --amp"
        ) from None


class ShardWriter:
    """Appends entries to one shard; each is handed to the operating system before the next image begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encoder = msgspec.json.Encoder()
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise output_error(path, error) from None

    def append(self, index: int, record: msgspec.Struct, problem: Problem | None = None) -> None:
        """Write one image's result.

        Raises:
            OutputError: The disk is full or gone. What was appended before stays.
        """
        raw = msgspec.Raw(self._encoder.encode(record))
        line = memoryview(self._encoder.encode(Entry(index=index, record=raw, problem=problem)) + b"\n")
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise output_error(self.path, error, resumable=True) from None

    def __enter__(self) -> ShardWriter:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the shard."""
        self._file.close()
