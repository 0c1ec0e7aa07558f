"""Contributions, verified as a maintainer would: nothing that they hold is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from bdd100k_models.engine.weightless import count_parameters
from bdd100k_models.errors import ConfigError, DownloadError, LabelError, MissingFileError, OutputError, ZooError
from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.run import Options, evaluate
from bdd100k_models.paths import resource_root
from bdd100k_models.tasks import TASKS, Task
from bdd100k_models.zoo.check.entry import Entry, EntryModel, check_entry_fields, entry_path, read_entry
from bdd100k_models.zoo.check.files import Files, NotHere
from bdd100k_models.zoo.check.links import check_links
from bdd100k_models.zoo.check.plain_config import read_config
from bdd100k_models.zoo.check.predictions import compare_images, look_at_predictions
from bdd100k_models.zoo.check.report import Checklist
from bdd100k_models.zoo.check.scores import (
    GROUP_TAGS,
    boxes_of_instances,
    cells_without,
    compare_cells,
    compare_scores,
    read_scores,
)
from bdd100k_models.zoo.check.truth import Truth, find_truth
from bdd100k_models.zoo.check.visuals import picture_names, zip_problems
from bdd100k_models.zoo.check.weights import md5_problem, model_of, weights_problem
from bdd100k_models.zoo.tables import results_table

__all__ = ["CheckOptions", "Checklist", "check_entry"]

#: Why something is not checked.
NO_LABELS = "needs the labels of the validation set; give them with --data-root or --labels"
_OTHER_FORM = "the labels are PNG files, the predictions JSON; name labels in JSON with --labels"

#: Items for which the files of a model are needed, by the kind of file.
_NEEDED = {
    "config": ("config", "model"),
    "weights": ("md5", "weights"),
    "md5": ("md5",),
    "preds": ("predictions", "complete"),
    "scores_val": ("scores",),
    "scores_test": ("table",),
    "visuals": ("visuals",),
}


@dataclass(frozen=True)
class CheckOptions:
    """How a contribution is looked at.

    Attributes:
        offline: Open no link and fetch nothing: only files beside the entry are looked at.
        data_root: The data set's folder, for the labels of the validation set; None to leave out what needs them.
        labels: Those labels themselves, instead.
        root: The checkout whose configs the contribution's build on.
        private: Whether links may lead into the own network.
    """

    offline: bool = False
    data_root: Path | None = None
    labels: Path | None = None
    root: Path | None = None
    private: bool = False


def check_entry(given: Path, options: CheckOptions) -> tuple[Checklist, Entry | None]:
    """Verify a contribution.

    Args:
        given: Its ``entry.json``, or the folder with that.
        options: How.

    Returns:
        The checklist, filled in, and the entry, or None if it cannot be read. Its rows say how many parameters their
        models have.

    Raises:
        MissingFileError: There is no entry, or there are no labels where they should be.
        InputError: The file is too large to be one.
        OutputError: What has to be fetched cannot be kept.
    """
    path = entry_path(given)
    report = Checklist()
    try:
        entry = read_entry(path)
    except LabelError as error:
        report.fail("entry", str(error))
        return report, None
    check_entry_fields(entry, report)
    if options.offline:
        report.skip("links", "--offline")
    else:
        check_links(entry, report, private=options.private)
    if entry.task in TASKS:
        task = TASKS[entry.task]
        truth = find_truth(task, options.data_root, options.labels)
        tag = GROUP_TAGS.get(entry.group) if task.name == "tagging" else None
        checks = [_ModelCheck(path.parent, task, model, truth, options, report, tag) for model in entry.models]
        for check in checks:
            check.run()
        entry = msgspec.structs.replace(entry, models=[check.model for check in checks])
        if not report.items["columns"].problems and entry.models and not report.items["files"].problems:
            report.row = results_table(entry.to_method())
    return report, entry


class _ModelCheck:
    """Looks at the files of one row."""

    def __init__(
        self,
        folder: Path,
        task: Task,
        model: EntryModel,
        truth: Truth | None,
        options: CheckOptions,
        report: Checklist,
        tag: str | None,
    ) -> None:
        self.task, self.model, self.truth, self.report, self.tag = task, model, truth, report, tag
        self.root = options.root or resource_root()
        self.files = Files(
            folder, self.root, task.name, model, fetch_missing=not options.offline, private=options.private
        )

    def run(self) -> None:
        """Look at everything; each problem goes to the checklist."""
        try:
            self._check_all()
        except OutputError:
            raise
        except Exception as error:  # nothing that was sent may keep the rest from being looked at
            self._fail("entry", f"the check broke off ({type(error).__name__}: {str(error)[:160]})")
            for key in sorted({key for keys in _NEEDED.values() for key in keys}):
                self.report.skip(key, f"{self.model.name}: the check broke off")

    def _check_all(self) -> None:
        self._check_weights(self._check_config())
        predictions = self._find("preds", "scores", "table")
        valid = predictions is not None and self._check_predictions(predictions)
        self._check_scores(predictions if valid else None)
        self._check_test_scores()
        self._check_visuals()

    def _fail(self, key: str, problem: object) -> None:
        self.report.fail(key, f"{self.model.name}: {problem}")

    def _find(self, kind: str, *also: str) -> Path | None:
        """Return a file, or tell why the items that need it are not checked."""
        try:
            return self.files.find(kind)
        except NotHere as error:
            for key in (*_NEEDED[kind], *also):
                self.report.skip(key, str(error))
        except DownloadError as error:
            self._fail(_NEEDED[kind][0], error)
            for key in (*_NEEDED[kind][1:], *also):
                self.report.skip(key, f"{self.model.name}: the {kind} file cannot be had")
        return None

    def _check_config(self) -> torch.nn.Module | None:
        path = self._find("config")
        if path is None:
            return None
        self.report.start("config")
        try:
            config = read_config(path, self.root, self.files.config_place)
        except (ConfigError, MissingFileError) as error:
            self._fail("config", str(error).replace(f"{path}: ", ""))
            self.report.skip("model", f"{self.model.name}: the config is not in order")
            return None
        expected = self.model.links.get("weights")
        if config.get("load_from") != expected:
            self._fail("config", f"load_from is {config.get('load_from')!r}, not the link to the weights")
        self.report.start("model")
        try:
            model = model_of(config, self.task)
        except ConfigError as error:
            self._fail("model", error)
            return None
        if self.model.parameters not in (None, count := count_parameters(model)):
            self._fail("model", f"it has {count} parameters, not {self.model.parameters}")
        self.model = msgspec.structs.replace(self.model, parameters=count)
        return model

    def _check_weights(self, model: torch.nn.Module | None) -> None:
        weights, md5_file = self._find("weights"), self._find("md5")
        if weights is None:
            return
        if md5_file is not None:
            self.report.start("md5")
            if problem := md5_problem(weights, md5_file):
                self._fail("md5", problem)
        self.report.start("weights")
        if problem := weights_problem(weights, model):
            self._fail("weights", problem)
        elif model is None:
            self.report.skip("weights", f"{self.model.name}: fits no model, since the config gives none")

    def _check_predictions(self, path: Path) -> bool:
        """Look at the predictions; tell whether they can be evaluated."""
        self.report.start("predictions")
        try:
            found = look_at_predictions(self.task, path, self.tag)
        except ZooError as error:
            self._fail("predictions", error)
            self.report.skip("complete", f"{self.model.name}: the predictions cannot be read")
            return False
        for problem in found.problems:
            self._fail("predictions", problem)
        if found.count > len(found.problems):
            self._fail("predictions", f"there are {found.count} such problems in all")
        if self.truth is None:
            self.report.skip("complete", NO_LABELS)
        else:
            self.report.start("complete")
            for problem in compare_images(found.images, self.truth.images, self.truth.are_files):
                self._fail("complete", problem)
        return not found.count

    def _check_scores(self, predictions: Path | None) -> None:
        given = self._read_scores("scores_val", "scores")
        computed = self._evaluate(predictions)
        if computed is None:
            if given is not None:
                self.report.start("table")
                self._compare_row("val", given.summary(), "the file of scores")
            return
        if given is not None:
            for problem in compare_scores(given, computed):
                self._fail("scores", problem)
        self.report.start("table")
        assert self.truth is not None and predictions is not None
        summary = computed.summary()
        if self.task.name == "ins_seg":
            summary |= boxes_of_instances(self.truth.labels, predictions)
        self._compare_row("val", summary, "an evaluation of the predictions")

    def _read_scores(self, kind: str, key: str) -> Result | None:
        path = self._find(kind)
        if path is None:
            return None
        self.report.start(key)
        try:
            return read_scores(self.task, path, self.tag)
        except LabelError as error:
            self._fail(key, error)
            return None

    def _evaluate(self, predictions: Path | None) -> Result | None:
        """Score valid predictions; where that is not possible, tell why the scores are not checked."""
        reason = NO_LABELS
        if predictions is None:
            reason = f"{self.model.name}: there are no valid predictions to evaluate"
        elif self.truth is not None and self.truth.are_files:
            reason = _OTHER_FORM
        elif self.truth is not None:
            try:
                return evaluate(self.task.name, self.truth.labels, predictions, Options(processes=1))
            except ZooError as error:
                reason = f"{self.model.name}: the predictions cannot be evaluated"
                self._fail("predictions", error)
        for key in ("scores", "table"):
            self.report.skip(key, reason)
        return None

    def _check_test_scores(self) -> None:
        """Compare the row with the test set's file of scores; there are no labels to compute these from."""
        if not self.task.test_server and not self.model.links.get("scores_test"):
            return
        given = self._read_scores("scores_test", "table")
        if given is not None:
            self._compare_row("test", given.summary(), "the file of scores")

    def _compare_row(self, split: str, summary: Mapping[str, float], origin: str) -> None:
        for problem in compare_cells(self.task, self.model.columns, split, summary, origin):
            self._fail("table", problem)
        for column in cells_without(self.task, self.model.columns, split, summary):
            self.report.skip("table", f"{self.model.name}: {column} is not in {origin}")

    def _check_visuals(self) -> None:
        path = self._find("visuals")
        if path is None:
            return
        self.report.start("visuals")
        problems = list(zip_problems(path, movies=self.task.videos))
        for problem in problems:
            self._fail("visuals", problem)
        if not problems and self.truth is not None and not self.truth.names & picture_names(path):
            self._fail("visuals", "none of its pictures has the name of an image of the validation set")
