"""Errors that a user can cause or mend.

Each is also a builtin kind, so callers can catch either. The message is one line: what was wrong, where, and what to
do next. The command line prints it and exits with status 2; a traceback means a bug.
"""


class ZooError(Exception):
    """Root of everything this package raises on purpose."""

    def __str__(self) -> str:
        """Return the message alone, whichever builtin the subclass mixes in."""
        return str(self.args[0]) if self.args else self.__class__.__name__


def first_line(error: BaseException, most: int = 120) -> str:
    """Return the first line of what another library's error says, cut off after ``most`` characters, or its kind."""
    return str(error).strip().split("\n", 1)[0][:most] or type(error).__name__


class InputError(ZooError, ValueError):
    """An argument, name or option that cannot be used."""


class ConfigError(ZooError, ValueError):
    """A config that cannot be found, parsed or built."""


class MissingFileError(ZooError, FileNotFoundError):
    """A file or folder that should be there and is not."""


class ImageError(ZooError, ValueError):
    """One image that cannot be used."""


class LabelError(ZooError, ValueError):
    """A label or prediction file that breaks its format."""


class OutOfMemoryError(ZooError, MemoryError):
    """Images for which the memory does not suffice."""


class CheckpointError(ZooError, ValueError):
    """Weights that are damaged, unsafe, or of another model."""


class DownloadError(ZooError, OSError):
    """A file that no mirror could deliver."""


class OutputError(ZooError, OSError):
    """A result that could not be written."""


class TrainingError(ZooError, ArithmeticError):
    """Training that cannot go on, such as a loss that is no number."""


class UnsupportedOpError(ZooError, NotImplementedError):
    """An operator that this installation does not have."""
