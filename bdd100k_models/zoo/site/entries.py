"""What the site shows of a model, taken from the zoo's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bdd100k_models.tasks import TASKS, Task
from bdd100k_models.zoo.records import Method, Model, load_zoo
from bdd100k_models.zoo.tables import is_score

#: Columns that say what a model is built on, in the order in which they are looked for.
_BACKBONES = ("Backbone", "Base Network", "Detector")

#: The name of each zoo that rows are from.
SOURCES = {"bdd100k": "BDD100K", "vis4d": "Vis4D"}

#: What a link is called.
LINK_TITLES = {
    "weights": "Weights",
    "md5": "MD5",
    "preds": "Predictions",
    "visuals": "Visuals (zip)",
    "scores_val": "Scores val",
    "scores_test": "Scores test",
    "config": "Config",
}


@dataclass(frozen=True)
class Entry:
    """One row of the zoo.

    Attributes:
        task: Its task.
        method: Its method.
        model: The row.
    """

    task: Task
    method: Method
    model: Model

    @property
    def name(self) -> str:
        """The stem of its config and weights."""
        return self.model.name

    @property
    def page(self) -> str:
        """Where its page stands, below the site's folder."""
        return f"{self.task.name}/{self.name}.html"

    @property
    def source(self) -> str:
        """The name of the zoo that it is from."""
        return SOURCES[self.method.source]

    @property
    def backbone(self) -> str:
        """What it is built on, as published."""
        return next((self.model.columns[name] for name in _BACKBONES if name in self.model.columns), "")

    @property
    def metric(self) -> str:
        """The name of the score that ranks the models of its task, as its table calls it."""
        return self.model.headline[0].removesuffix("-val")

    @property
    def score_val(self) -> str:
        """Its score on val, as published; "" where there is none."""
        return self.model.columns.get(self.model.headline[0], "")

    @property
    def score_test(self) -> str:
        """Its score on test, as published; "" where there is none."""
        return self.model.columns.get(self.model.headline[1], "")

    @property
    def recipe(self) -> str:
        """How it was trained and tested, from the columns that are neither its backbone nor a score."""
        return ", ".join(
            key if value == "✓" else f"{value}" if key in _PLAIN else f"{key} {value}"
            for key, value in self.model.columns.items()
            if value and key not in _BACKBONES and not is_score(key)
        )

    @property
    def series(self) -> str:
        """What its points share a colour with in the plot: its method, and its group where the task has several."""
        return series_name(self.method, several_groups(self.task))

    @property
    def links(self) -> list[tuple[str, str]]:
        """Titles and addresses of its files; a config's only where it lies in another repository."""
        return [
            (title, url) for kind, title in LINK_TITLES.items() if (url := self.model.links.get(kind)) and "://" in url
        ]


#: Columns whose values say by themselves what they are.
_PLAIN = frozenset({"Lr schd", "Input", "Input Size", "Iters", "Network", "Tricks"})


def entries(task: Task) -> list[Entry]:
    """Return all rows of a task, in the order of its tables."""
    return [Entry(task, method, model) for method in load_zoo(task.name) for model in method.models]


def all_entries() -> list[Entry]:
    """Return all rows of all tasks, in the order of the tasks."""
    return [entry for task in TASKS.values() for entry in entries(task)]


def table_columns(rows: Sequence[Entry]) -> list[str]:
    """Return the columns of several tables as those of one: scores last, each at its place among those before it."""
    names = list(dict.fromkeys(name for entry in rows for name in entry.model.columns))
    return sorted(names, key=is_score)


def rare_columns(rows: Sequence[Entry]) -> frozenset[str]:
    """Return the columns in which fewer than a quarter of the rows say something: the first to go for want of room."""
    filled = Counter(name for entry in rows for name, value in entry.model.columns.items() if value)
    return frozenset(name for name in table_columns(rows) if filled[name] * 4 < len(rows))


def several_groups(task: Task) -> bool:
    """Tell whether the methods of a task stand under several headings, as those of two tags do."""
    return len({method.group for method in load_zoo(task.name) if method.is_ours}) > 1


def series_name(method: Method, grouped: bool) -> str:
    """Return the name under which a method's models are drawn."""
    name = f"{method.method} ({method.group})" if grouped else method.method
    return name if method.is_ours else f"{method.method} ({SOURCES[method.source]})"
