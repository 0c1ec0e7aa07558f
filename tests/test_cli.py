"""The command line in surroundings that are not as usual."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from bdd100k_models.cli import build_parser, main
from bdd100k_models.registry import enter_scope


@pytest.mark.parametrize("columns", ["", "wide", "-3", "0", "40"])
def test_any_width_of_the_terminal_will_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert "zoo" in build_parser().format_help()
    assert main(["zoo", "list", "--task", "pose", "--json"]) == 0


def test_a_library_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain installation leaves mmpose out."""
    enter_scope("mmdet")
    original = importlib.import_module

    def without(name: str, package: str | None = None) -> ModuleType:
        if name.partition(".")[0] == "mmpose":
            raise ModuleNotFoundError("No module named 'mmpose'", name="mmpose")
        return original(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    assert main(["export", "res18_mini_pose_synthetic"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: mmpose is not installed") and "requirements.txt" in line
