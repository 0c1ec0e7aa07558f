"""The checklist of a contribution, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What is looked at, in the order in which it is listed.
ITEMS: Mapping[str, str] = {
    "entry": "The entry is complete and has no field that is not known",
    "paper": "Paper: its title and link",
    "venue": "Paper: the venue and year of publication",
    "authors": "Paper: its authors, with a page of each where there is one",
    "abstract": "Paper: its abstract",
    "code": "Code: a link to the code and one to instructions for its use",
    "columns": "Results: every column of the task's table, on validation and test set",
    "names": "Results: config, weights and row have one name, which is not taken",
    "files": "Results: links to weights, MD5, predictions, visuals, and the scores of both sets",
    "links": "Every link answers",
    "config": "Config: plain data, no code",
    "model": "Config: its model can be built, from classes of the libraries alone",
    "md5": "Weights: the MD5 is that of the file",
    "weights": "Weights: load without running code, into the config's model, key for key",
    "predictions": "Predictions: valid for the task",
    "complete": "Predictions: one entry for each image of the validation set",
    "scores": "Scores: those of an evaluation of the predictions, in the file of the validation set",
    "table": "Scores: those of an evaluation of the predictions, in the table",
    "visuals": "Visuals: a zip of pictures that can be unpacked safely",
}


@dataclass
class Item:
    """One point of the checklist.

    Attributes:
        text: What is asked for.
        problems: What is wrong, one line each.
        unchecked: Why it, or a part of it, was not looked at, one line each.
        done: Whether anything was looked at.
    """

    text: str
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    done: bool = False

    @property
    def passed(self) -> bool:
        """Whether it was looked at in full and nothing is wrong."""
        return self.done and not self.problems and not self.unchecked


def one_line(text: str) -> str:
    """Return a text in which what was sent may stand as one line, without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


class Checklist:
    """What was found in a contribution."""

    def __init__(self) -> None:
        self.items = {key: Item(text) for key, text in ITEMS.items()}
        self.row = ""

    def start(self, key: str) -> None:
        """Note that an item is looked at; without a problem it is then in order."""
        self.items[key].done = True

    def fail(self, key: str, problem: str) -> None:
        """Note what is wrong, in one line."""
        self.items[key].done = True
        line = one_line(problem)
        if line not in self.items[key].problems:
            self.items[key].problems.append(line)

    def skip(self, key: str, reason: str) -> None:
        """Note why an item, or a part of it, is not looked at, in one line."""
        line = one_line(reason)
        if line not in self.items[key].unchecked:
            self.items[key].unchecked.append(line)

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong."""
        return [problem for item in self.items.values() for problem in item.problems]

    @property
    def unchecked(self) -> int:
        """How many items were not looked at, or not in full."""
        return sum(not item.passed and not item.problems for item in self.items.values())

    def lines(self) -> list[str]:
        """Return the checklist in Markdown: ``[x]`` for what was looked at and is right, the reasons below the rest."""
        lines = []
        for item in self.items.values():
            lines.append(f"- [{'x' if item.passed else ' '}] {item.text}")
            lines += [f"  - wrong: {problem}" for problem in item.problems]
            if not item.passed:
                reasons = item.unchecked or ([] if item.problems else ["the entry cannot be read"])
                lines += [f"  - not checked: {reason}" for reason in reasons]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the checklist for scripts: by item whether it passed, its problems, and what was not checked."""
        items = {
            key: {"text": item.text, "passed": item.passed, "problems": item.problems, "unchecked": item.unchecked}
            for key, item in self.items.items()
        }
        return {"ok": not self.problems, "unchecked": self.unchecked, "items": items, "row": self.row}
