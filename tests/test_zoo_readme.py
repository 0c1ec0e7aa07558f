"""What detection's README and the guide for contributions tell their readers to type exists."""

from __future__ import annotations

import argparse
import json
import re

import msgspec
import pytest

from bdd100k_models.cli import build_parser
from bdd100k_models.zoo.check.entry import Entry, check_entry_fields
from bdd100k_models.zoo.check.report import Checklist
from bdd100k_models.zoo.records import find_model
from conftest import ROOT

README = (ROOT / "det/README.md").read_text(encoding="utf-8")


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return a parser and all below it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(deep for action in below for choice in action.choices.values() for deep in parsers(choice))]


def test_every_flag_is_known() -> None:
    known = {flag for parser in parsers(build_parser()) for flag in parser._option_string_actions}
    # torchrun's and the old launcher's own
    known |= {"--nproc_per_node"}
    named = set(re.findall(r"--[a-z][a-z0-9_-]*", README))
    assert len(named) > 15
    assert named <= known


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"^bdd100k-models (.+?)(?:  +#.*)?$", README, flags=re.MULTILINE)))
)
def test_every_command_is_accepted(line: str) -> None:
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
    assert build_parser().parse_args(words).run is not None


def test_every_model_named_is_published() -> None:
    for name in set(re.findall(r"\b[a-z0-9_-]+_det_bdd100k\b", README)):
        assert find_model(name)[0] == "det"


GUIDE = (ROOT / "doc/CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`?bdd100k-models ([a-z]+ [^`\n]+)", GUIDE))))
def test_every_command_of_the_guide_is_accepted(line: str) -> None:
    words = line.replace("...", "det NAME").replace("TASK", "det").split()
    assert build_parser().parse_args(words).run is not None


def test_the_entry_of_the_guide_is_one() -> None:
    [text] = re.findall(r"```json\n(.*?)```", GUIDE, flags=re.DOTALL)
    entry = msgspec.json.decode(text, type=Entry)
    assert set(json.loads(text)) == set(entry.__struct_fields__) - {"group"}
    report = Checklist()
    check_entry_fields(entry, report)
    # all but the abstract is as it should be
    assert {key for key, item in report.items.items() if item.problems} == {"abstract"}
