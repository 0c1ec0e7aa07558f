"""The files of a contribution: beside its entry, or fetched from its links."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bdd100k_models.errors import DownloadError, OutputError
from bdd100k_models.paths import is_dir, is_file
from bdd100k_models.zoo.check.entry import PLACES, EntryModel, config_link_problem, is_address
from bdd100k_models.zoo.download import cache_folder, fetch
from bdd100k_models.zoo.download.probe import refuse_private
from bdd100k_models.zoo.download.transfer import Bounds

#: Bytes that a file of a contribution may have at most, by kind.
LIMITS = {
    "config": 1 << 18,
    "weights": 8 << 30,
    "md5": 1 << 12,
    "preds": 16 << 30,
    "scores_val": 1 << 24,
    "scores_test": 1 << 24,
    "visuals": 32 << 30,
}


class NotHere(Exception):
    """A file is not there to be checked; the message says why."""


class Files:
    """Finds the files of one model of a contribution.

    Args:
        folder: The entry's folder. Files lie in it as in the published zoo (``models/NAME.pth``, ``preds/NAME.json``,
            ...); config, weights, MD5 and visuals may also lie beside the entry.
        root: The checkout in which configs are looked for first.
        task: The task's name.
        model: The row.
        fetch_missing: Whether to download what is not in the folder, within :data:`LIMITS`.
        private: Whether links may lead into the own network.
    """

    def __init__(
        self, folder: Path, root: Path, task: str, model: EntryModel, *, fetch_missing: bool, private: bool
    ) -> None:
        self.folder = folder
        self.root = root
        self.task = task
        self.model = model
        self._fetch_missing = fetch_missing
        self._private = private
        self._fetched: set[Path] = set()

    @property
    def config_place(self) -> Path | None:
        """Where the config will stand in the checkout; None if its link names no such place."""
        link = self.model.links.get("config", "")
        return None if not link or config_link_problem(link) else self.root / self.task / link

    def find(self, kind: str) -> Path:
        """Return the file of one kind; the config in the checkout, where it is there already.

        Raises:
            NotHere: It is not in the folder and is not, or cannot be, fetched.
            DownloadError: Its link does not deliver, it leads out of the contribution, or there are several configs
                that differ.
        """
        there = [path for path in self._candidates(kind) if is_file(path) or (kind == "preds" and is_dir(path))]
        for path in there:
            self._refuse_outside(path)
        if kind == "config":
            return self._the_config(there)
        return there[0] if there else self._fetch(kind)

    def _the_config(self, there: list[Path]) -> Path:
        """Return the one config, of all the places that have it: what is checked has to be what is merged."""
        if not there:
            raise DownloadError(f"{self.model.name}.py lies neither beside the entry nor where links.config says")
        if any(path.stat().st_size > LIMITS["config"] for path in there):
            raise DownloadError(f"{self.model.name}.py is larger than {LIMITS['config']} bytes")
        if len({path.read_bytes() for path in there}) > 1:
            raise DownloadError(
                f"{self.model.name}.py beside the entry differs from that where links.config says; keep one of them"
            )
        return there[0]

    def _candidates(self, kind: str) -> list[Path]:
        folder, suffix = PLACES[kind]
        named = _name_in(self.model.links.get(kind, ""))
        names = [
            name for name in (f"{self.model.name}{suffix}", named) if name and "/" not in name and "\0" not in name
        ]
        if kind == "preds":
            names.append(self.model.name)
        below = [self.folder / folder / name for name in names]
        if kind in ("config", "weights", "md5", "visuals"):
            below += [self.folder / name for name in names]
        if kind == "config" and self.config_place is not None:
            below.insert(0, self.config_place)
        return list(dict.fromkeys(below))

    def _refuse_outside(self, path: Path) -> None:
        """Refuse a link of the file system that leads out of the contribution; in a folder also what is no file."""
        real = path.resolve()
        if not (real.is_relative_to(self.folder.resolve()) or real.is_relative_to(self.root.resolve())):
            raise DownloadError(f"{path.name} is a link to a file outside the contribution")
        for inner in sorted(path.rglob("*")) if is_dir(path) else ():
            if not is_dir(inner):
                self._refuse_outside(inner)
                if not is_file(inner):
                    raise DownloadError(f"{inner.name} in {path.name} is no file that can be read")
            elif inner.is_symlink():
                raise DownloadError(f"{inner.name} in {path.name} is a link to a folder")

    def _fetch(self, kind: str) -> Path:
        url = self.model.links.get(kind, "")
        if not is_address(url):
            raise NotHere(f"{self.model.name}: there is no {kind} file and no link to one")
        if not self._fetch_missing:
            raise NotHere(f"{self.model.name}: the {kind} file is not beside the entry, and nothing is fetched")
        bounds = Bounds(LIMITS[kind], None if self._private else refuse_private)
        folder = cache_folder() / "contributions" / hashlib.sha256(url.encode()).hexdigest()[:16]
        path = folder / f"{kind}{PLACES[kind][1]}"
        try:
            if path not in self._fetched:  # what the link delivers now, not what it did at an earlier check
                path.unlink(missing_ok=True)
                fetch(url, path, bounds=bounds)
                self._fetched.add(path)
            return path
        except OutputError as error:
            raise OutputError(f"{error}, or keep downloads elsewhere with BDD100K_MODELS_CACHE=FOLDER") from None


def _name_in(link: str) -> str:
    """Return the name of the file that a link leads to; "" where it names none."""
    try:
        return PurePosixPath(unquote(urlsplit(link).path)).name
    except ValueError:  # no address, which is told where links are looked at
        return ""
