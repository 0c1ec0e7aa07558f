"""The official tool's own result objects, and the comparison of ours with them."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bdd100k_models.evaluation.result import Result


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what the official tool prints and NumPy remarks on it; skip where it is not installed."""
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    sink = io.StringIO()
    with (
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        np.errstate(all="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def official_masks(task: str, truth: Path, result: Path) -> Any:
    """Score folders of PNG masks."""
    with quiet():
        from bdd100k.common.utils import list_files, load_bdd100k_config
        from bdd100k.eval.run import run_bitmask

        truths, results = (list_files(str(folder), ".png", with_prefix=True) for folder in (truth, result))
        return run_bitmask(load_bdd100k_config(task), task, truths, results, None, nproc=1, quiet=True)


def official_frames(task: str, truth: Path, result: Path, config: Path | None = None) -> Any:
    """Score JSON files."""
    with quiet():
        from bdd100k.common.utils import load_bdd100k_config
        from bdd100k.eval.run import run_rle
        from bdd100k.label.to_scalabel import bdd100k_to_scalabel
        from scalabel.eval.pose import evaluate_pose
        from scalabel.label.io import load

        settings = load_bdd100k_config(str(config) if config else task)
        truths, results = (bdd100k_to_scalabel(load(str(path), 1).frames, settings) for path in (truth, result))
        if task == "pose":
            return evaluate_pose(truths, results, settings.scalabel, nproc=1)
        return run_rle(settings, task, truths, results, nproc=1)


def assert_same(result: Result, reference: Any) -> None:
    """Compare every metric, row and average, the summary, the keys of the file and the table.

    Args:
        result: Ours.
        reference: The official tool's own result object, or what it says as a :class:`Result` (``engine="official"``).
    """
    own_kind = isinstance(reference, Result)
    expected = reference.scores if own_kind else json.loads(json.dumps(dict(reference)))
    assert list(result.scores) == list(expected)
    for metric, groups in expected.items():
        mine = result.scores[metric]
        if isinstance(groups, (int, float)):
            assert mine == pytest.approx(groups, abs=1e-6, nan_ok=True), metric
            continue
        assert not isinstance(mine, (int, float)), metric
        assert [list(group) for group in mine] == [list(group) for group in groups]
        for group, own in zip(groups, mine, strict=True):
            assert own == pytest.approx(group, abs=1e-6, nan_ok=True), metric
            if own_kind:
                assert [isinstance(value, int) for value in own.values()] == [
                    isinstance(value, int) for value in group.values()
                ], metric
    summary = reference.summary()
    assert list(result.summary()) == list(summary)
    assert result.summary() == pytest.approx(summary, abs=1e-6, nan_ok=True)
    written = json.loads(reference.to_json()) if own_kind else expected
    assert _keys(json.loads(result.to_json())) == _keys(written)
    assert result.table() == (reference.table() if own_kind else str(reference).removeprefix("\n"))


def _keys(content: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of an output file."""
    return {
        metric: [list(group) for group in groups] if isinstance(groups, list) else None
        for metric, groups in content.items()
    }
