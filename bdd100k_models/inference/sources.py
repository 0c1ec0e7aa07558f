"""What a user names as input: images, folders, patterns, videos, cameras, addresses."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from bdd100k_models.datasets.images import IMAGE_SUFFIXES, by_number, images_of_folder, read_image
from bdd100k_models.engine.shards import Problem
from bdd100k_models.errors import ImageError, InputError, MissingFileError
from bdd100k_models.formats.folders import files_in
from bdd100k_models.inference.pictures import Picture
from bdd100k_models.inference.videos import VIDEO_SUFFIXES, Camera, VideoFile
from bdd100k_models.paths import expand_user, printable
from bdd100k_models.tasks import VIDEO_RATE

#: Characters that are kept of the names in addresses; file systems take 255 bytes, and a letter can be four.
_LONGEST_STEM, _LONGEST_SUFFIX = 48, 8


class Source(Protocol):
    """Pictures in their order.

    Attributes:
        name: What to call it.
        count: About how many pictures there are; None where that is not known.
        sound: A file whose sound belongs to the pictures, if any.
        paths: The files that they come from.
    """

    name: str
    count: int | None
    sound: Path | None
    paths: Sequence[Path]

    @property
    def rate(self) -> float | None:
        """Frames a second where it is a video, else None."""

    def __iter__(self) -> Iterator[Picture | Problem]:
        """Yield each picture, or what is wrong with it."""


class ImageFiles:
    """Image files.

    Args:
        files: The files with their names in the output.
        video: What to call the video whose frames they are, if they are.
        every: Take each so many-th frame of it, beginning with the first; in place of a broken one, the next.
        origins: What to call a file in messages, where that is not its path.
    """

    sound: Path | None = None

    def __init__(
        self,
        files: Sequence[tuple[str, Path]],
        video: str | None = None,
        every: int = 1,
        origins: Mapping[Path, str] | None = None,
    ) -> None:
        self.files, self.video, self.every = files, video, every
        self.paths: Sequence[Path] = [path for _, path in files]
        self.name = video or "images"
        self.count: int | None = -(-len(files) // every)
        self._rate, self._origins = VIDEO_RATE / every, origins or {}

    @property
    def rate(self) -> float | None:
        """Frames a second where they are a video, else None."""
        return None if self.video is None else self._rate

    def __iter__(self) -> Iterator[Picture | Problem]:
        """Yield each image, or what is wrong with it."""
        due = 0
        for number, (name, path) in enumerate(self.files):
            position = number // self.every
            if position < due:
                continue
            try:
                pixels, remark = read_image(path)
            except ImageError as error:
                shown = self._origins.get(path, str(path))
                yield Problem(name=shown, message=str(error).replace(str(path), shown))
                continue
            due = position + 1
            if self.video is None:
                yield Picture(name, pixels, remark=remark)
            else:
                yield Picture(name, pixels, self.video, position, position / self._rate, remark)


class _BrokenVideo:
    """A video among others that cannot be opened; it costs itself alone."""

    count: int | None = None
    sound: Path | None = None
    rate: float | None = None

    def __init__(self, path: Path, name: str, message: str) -> None:
        self.name, self._problem = name, Problem(name=str(path), message=message)
        self.paths: Sequence[Path] = (path,)

    def __iter__(self) -> Iterator[Picture | Problem]:
        """Yield what is wrong."""
        yield self._problem


class _Names:
    """Gives each image and video a name that no other has, since results are kept by name."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, path: Path) -> str:
        """Return the file's name, with its folder or a number if its stem was taken before."""
        own, parent = printable(path.stem), printable(path.parent.name)
        candidates = [own, f"{parent}-{own}" if parent else own]
        number = 2
        while (stem := candidates.pop(0)) in self._used:
            candidates = candidates or [f"{own}-{number}"]
            number += 1
        self._used.add(stem)
        return stem + printable(path.suffix)


def find_sources(inputs: Sequence[str], folder: Path, *, every: int = 1, as_videos: bool = False) -> list[Source]:
    """Find out what inputs are.

    Args:
        inputs: Images, folders (their images and videos, without sub-folders), patterns (``*``, ``**``), videos,
            numbers of cameras, or addresses of images and videos (http, https).
        folder: Where addresses are fetched to; made if needed.
        every: Of videos, cameras and folders that are videos, take each so many-th frame.
        as_videos: Whether images are frames: those of one folder that are named together are a video.

    Raises:
        MissingFileError: An input is not there, or a folder or pattern has nothing that can be read.
        ImageError: A video that is named itself cannot be opened; those of folders and patterns, and broken images, are
            told when their turn comes.
        InputError: A number of a camera, or an address, cannot be used.
        DownloadError: An address does not deliver.
    """
    names = _Names()
    sources: list[Source] = []
    images: list[Path] = []
    origins: dict[Path, str] = {}

    def flush() -> None:
        sources.extend(_image_sources(images, names, every if as_videos else None, origins))
        images.clear()

    for given in inputs:
        if re.fullmatch(r"\d{1,4}", given) and not Path(given).exists():
            flush()
            sources.append(Camera(int(given), every, names.take(Path(f"camera{int(given)}"))))
            continue
        paths, by_name = _files(given, folder)
        if _is_address(given):
            origins[paths[0]] = given
        for path in paths:
            if _is_video(path):
                flush()
                sources.append(_video(path, Path(names.take(path)).stem, every, given if by_name else None))
            else:
                images.append(path)
    flush()
    return sources


def _video(path: Path, name: str, every: int, given: str | None) -> Source:
    """Return a video; one that cannot be opened is refused if it was ``given`` itself, and told in its turn if not."""
    try:
        return VideoFile(path, name, every)
    except ImageError as error:
        if given is not None:
            raise ImageError(str(error).replace(str(path), given)) from None
        return _BrokenVideo(path, name, str(error).removeprefix(f"{path}: "))


def _image_sources(
    paths: Sequence[Path], names: _Names, every: int | None, origins: Mapping[Path, str]
) -> Iterator[Source]:
    """Yield images as they are, or as videos of which each so many-th frame is taken."""
    if every is None:
        if paths:
            yield ImageFiles([(names.take(path), path) for path in paths], origins=origins)
        return
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    for folder, members in folders.items():
        video = names.take(Path(folder.resolve().name.replace(".", "_") or "video"))
        own = _Names()
        yield ImageFiles([(own.take(path), path) for path in members], video, every, origins)


def _files(given: str, folder: Path) -> tuple[list[Path], bool]:
    """Return the files that one input stands for, in order, and whether it names a file itself."""
    if _is_address(given):
        return [_fetched(given, folder)], True
    if not given:  # an empty variable of a shell; as a path it would be the current folder
        raise InputError("an input is empty; give images, folders, videos, a camera's number ...")
    path = expand_user(given)
    try:
        if path.is_dir():
            return _in_folder(path), False
        exists = path.exists()
    except MissingFileError:
        raise
    except OSError as error:  # a name that is too long, a folder that is not ours
        raise MissingFileError(f"{given[:100]}: cannot be read ({error.strerror})") from None
    if glob.has_magic(given) and not exists:
        return _matching(str(path)), False
    if not exists:
        raise MissingFileError(f"{given}: no such file or folder; give images, folders, videos, a camera's number ...")
    return [path], True


def _is_address(given: str) -> bool:
    return given.startswith(("http://", "https://"))


def _in_folder(folder: Path) -> list[Path]:
    videos = [path for path in files_in(folder, "") if path.suffix.lower() in VIDEO_SUFFIXES]
    try:
        return [*(item.path for item in images_of_folder(folder).items), *videos]
    except MissingFileError:
        if videos:
            return videos
        raise MissingFileError(
            f"{folder}: no images or videos in this folder; sub-folders are not looked into, '{folder}/**' does"
        ) from None


def _matching(pattern: str) -> list[Path]:
    known = {*IMAGE_SUFFIXES, *VIDEO_SUFFIXES}
    found = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 (the pattern may be absolute)
    paths = sorted(found, key=lambda path: (path.parent, by_number(path.name)))
    files = [path for path in paths if path.is_file() and path.suffix.lower() in known]
    if not files:
        raise MissingFileError(f"{pattern}: no image or video matches")
    return files


def _fetched(url: str, folder: Path) -> Path:
    """Fetch an address and return the file."""
    from bdd100k_models.zoo.download import fetch

    try:
        name = PurePosixPath(unquote(urlsplit(url).path)).name
    except ValueError as error:
        raise InputError(f"{url}: is no address ({error})") from None
    file = PurePosixPath(re.sub(r"[^\w.+-]", "_", name) or "download")
    name = file.stem[:_LONGEST_STEM] + file.suffix[:_LONGEST_SUFFIX]
    # equal names of different addresses stay apart
    place = folder / str(len(list(folder.iterdir())) if folder.is_dir() else 0)
    return fetch(url, place / name)


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    # the name does not tell: what is no image may be a video
    try:
        read_image(path)
    except ImageError:
        return path.stat().st_size > 0
    return False
