"""Runs the official tool (bdd100k, scalabel) in this process, to compare with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from pathlib import Path

from bdd100k_models.errors import InputError, LabelError
from bdd100k_models.evaluation.result import Result

#: What the official tool raises for input that it cannot use; pydantic's ValidationError is a ValueError.
_ITS_ERRORS = (AssertionError, KeyError, TypeError, ValueError, OSError, IndexError)


def evaluate_detection_officially(
    truth: Path, result: Path, config: str | None = None, processes: int | None = None
) -> Result:
    """Score a detection result with ``bdd100k.eval.run``'s own functions.

    Args:
        truth: Label file or folder.
        result: Prediction file or folder.
        config: A config file (TOML) or the name of one that it carries; ``det`` by default.
        processes: Worker processes; the tool's own number (at most four) by default.

    Returns:
        Its scores, unchanged.

    Raises:
        InputError: The official tool is not installed, or not with the pydantic it needs.
        LabelError: It stopped with an error, which the message holds.
    """
    _require_official()
    # it prints, logs and draws bars whatever one asks of it
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            from bdd100k.common.utils import load_bdd100k_config
            from bdd100k.label.to_scalabel import bdd100k_to_scalabel
            from scalabel.common.parallel import NPROC
            from scalabel.eval.detect import evaluate_det
            from scalabel.label.io import load
        except ImportError as error:
            raise InputError(f"the official tool does not import ({error}); install bdd100k-models[official]") from None
        workers = processes or NPROC
        try:
            settings = load_bdd100k_config(config or "det")
            frames = [bdd100k_to_scalabel(load(str(path), workers).frames, settings) for path in (truth, result)]
            scores = evaluate_det(*frames, settings.scalabel, nproc=workers)
        except _ITS_ERRORS as error:
            first_line = (str(error).splitlines() or [""])[0]
            raise LabelError(
                f"{result}: the official tool stopped with {type(error).__name__}{f': {first_line}' * bool(first_line)}"
                f" (ground truth {truth}); run --engine ours to see what it objects to"
            ) from None
    return Result("det", dict(scores), detail={"AP": 0})


def _require_official() -> None:
    """Check versions before anything is imported."""
    for name, major in (("bdd100k", "1"), ("scalabel", "0"), ("pydantic", "1")):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise InputError(f"--engine official needs {name}; install bdd100k-models[official]") from None
        if version.split(".")[0] != major:
            raise InputError(f"--engine official needs {name} {major}.x, found {version}; install pydantic<2 and retry")
