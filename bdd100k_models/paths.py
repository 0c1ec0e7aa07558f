"""Where configs and tables lie, in a source tree or a package, and questions about paths that cannot fail."""

import contextlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
SOURCE_ROOT = PACKAGE.parent


def resource_root() -> Path:
    """Return the folder that holds ``<task>/configs`` and ``zoo``.

    A source tree (also an editable install) is its own root; a wheel carries the same folders as package data.
    """
    return SOURCE_ROOT if (SOURCE_ROOT / "det" / "configs").is_dir() else PACKAGE / "data"


def expand_user(path: str) -> Path:
    """Return a path with ``~`` and ``~NAME`` replaced by that user's folder; where there is no such user, as it is."""
    with contextlib.suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def printable(name: str) -> str:
    """Return a file name as text that can be printed and stored, whatever bytes it is made of."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def is_file(path: Path) -> bool:
    """Tell whether there is a file; what cannot be looked at, or has an impossible name, is none."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_file()
    return False


def exists(path: Path) -> bool:
    """Tell whether there is anything; see :func:`is_file`."""
    with contextlib.suppress(OSError, ValueError):
        return path.exists()
    return False


def is_dir(path: Path) -> bool:
    """Tell whether there is a folder; see :func:`is_file`."""
    with contextlib.suppress(OSError, ValueError):
        return path.is_dir()
    return False
