"""The entry of a contribution: what it must say, and where its files lie."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.check.report import Checklist
from bdd100k_models.zoo.records import LINKS, Author, Link, Method, Model, all_models, published
from bdd100k_models.zoo.render import FACTS
from bdd100k_models.zoo.tables import is_score, template_columns

#: The name of the entry in a contribution's folder.
ENTRY_FILE = "entry.json"

#: Folder and suffix of a model's files, in a contribution as in the published zoo.
PLACES = {
    "config": ("configs", ".py"),
    "weights": ("models", ".pth"),
    "md5": ("models", ".md5"),
    "preds": ("preds", ".json"),
    "scores_val": ("scores-val", ".json"),
    "scores_test": ("scores-test", ".json"),
    "visuals": ("visuals", ".zip"),
}

_MAX_BYTES = 1 << 20
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{2,199}")
_YEAR = re.compile(r"\b(19[89]\d|20\d\d)\b")
#: What terminals and pages obey instead of showing it.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9 .+/()-]{0,39}")
#: What stands beside the columns in lists of models, in lower case; a column of such a name would replace it.
_NO_COLUMNS = frozenset({*FACTS, *LINKS, "runs here"})
#: Names, in lower case, that no model may have: its page would replace that of its task.
_NO_NAMES = frozenset({"index"})
#: A score as a cell has it.
SCORE = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
#: What stands in the template's cells and is no answer.
_PLACEHOLDERS = {"todo", "tbd", "n/a", "none", "-", "...", "put your abstract here.", "paper name", "venue and year"}


class EntryModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row as it is handed in, or as ``publish`` writes it; see :class:`bdd100k_models.zoo.records.Model`."""

    name: str = ""
    columns: dict[str, str] = {}
    links: dict[str, str] = {}
    parameters: int | None = None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contribution as it is handed in, with any field missing; see :class:`bdd100k_models.zoo.records.Method`."""

    task: str = ""
    method: str = ""
    venue: str = ""
    paper: Link = Link("", "")
    authors: list[Author] = []
    abstract: str = ""
    summary: str = ""
    code: str = ""
    usage: str = ""
    group: str = ""
    models: list[EntryModel] = []

    def to_method(self) -> Method:
        """Return the record of the zoo that this becomes."""
        fields: dict[str, Any] = {
            name: getattr(self, name) for name in self.__struct_fields__ if name not in ("task", "models")
        }
        models = [Model(model.name, model.columns, model.links, model.parameters) for model in self.models]
        return Method(**fields, models=models)


def entry_path(given: Path) -> Path:
    """Return the entry's file, given that or its folder.

    Raises:
        MissingFileError: There is none.
        InputError: It is too large to be one.
    """
    path = given / ENTRY_FILE if given.is_dir() else given
    if not path.is_file():
        raise MissingFileError(f"{path}: no such entry; name a contribution's {ENTRY_FILE} or its folder")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES} bytes; an entry holds names, links and scores alone")
    return path


def read_entry(path: Path) -> Entry:
    """Decode an entry.

    Raises:
        LabelError: It is not JSON, or a field has the wrong type or name.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LabelError(f"{path}: {error}; see doc/CONTRIBUTING.md for what an entry holds") from None


def check_entry_fields(entry: Entry, report: Checklist) -> None:
    """Check what an entry says, without looking at any file."""
    for key in ("entry", "paper", "venue", "authors", "abstract", "code", "columns", "names", "files"):
        report.start(key)
    if entry.task not in TASKS:
        report.fail("entry", f"task is {entry.task!r}; the tasks are {', '.join(TASKS)}")
    else:
        groups = dict.fromkeys(method.group for method in published(entry.task))
        if entry.group not in groups and (entry.group or len(groups) > 1):
            report.fail("entry", f"group is {entry.group[:60]!r}; the groups of {entry.task} are {', '.join(groups)}")
    if _is_blank(entry.method):
        report.fail("entry", "method is missing; give the method's name")
    if not entry.models:
        report.fail("entry", "models is empty; give a row for each variant of the method")
    _check_texts(entry, report)
    _check_paper(entry, report)
    for index, model in enumerate(entry.models):
        _check_model(entry, model, model.name or f"model {index}", report)
    for model in entry.models[1:]:
        if list(model.columns) != list(entry.models[0].columns):
            report.fail("columns", f"{model.name}: has other columns than {entry.models[0].name}, or in another order")
    # files of names that differ in case alone are one file on some systems
    names = [model.name.casefold() for model in entry.models]
    for name in sorted({name for name in names if names.count(name) > 1}):
        report.fail("names", f"{name}: stands twice in the entry")


def _check_texts(entry: Entry, report: Checklist) -> None:
    """Refuse text that would be more than text on a page."""
    texts = {"method": entry.method, "venue": entry.venue, "group": entry.group, "paper.title": entry.paper.title}
    texts |= {f"authors[{index}].name": author.name for index, author in enumerate(entry.authors)}
    for field, text in texts.items():
        if found := re.search(r"[<>\[\]|`]", text) or _CONTROL.search(text):
            report.fail("entry", f"{field} is {text[:60]!r}; leave out {found.group()!r}")
    for field, text in (("abstract", entry.abstract), ("summary", entry.summary)):
        if found := re.search(r"<[!?]|<[A-Za-z/][^<>]*>|```|~~~", text):
            report.fail("entry", f"{field} holds HTML or Markdown ({found.group()[:20]}); write plain text")
        if found := _CONTROL.search(re.sub(r"[\n\r\t]", "", text)):
            report.fail("entry", f"{field} holds {found.group()!r}, which terminals and pages obey; leave it out")


def _check_paper(entry: Entry, report: Checklist) -> None:
    if _is_blank(entry.paper.title):
        report.fail("paper", "paper.title is missing")
    if not is_address(entry.paper.url):
        report.fail("paper", f"paper.url is {entry.paper.url!r}; give an address that begins with https://")
    if _is_blank(entry.venue):
        report.fail("venue", "venue is missing; give it with the year, such as CVPR 2021")
    elif not _YEAR.search(entry.venue):
        report.fail("venue", f"venue is {entry.venue!r}, without a year; write it like CVPR 2021")
    if not entry.authors:
        report.fail("authors", "authors is empty")
    for author in entry.authors:
        if _is_blank(author.name):
            report.fail("authors", "an author has no name")
        if author.url and not is_address(author.url):
            report.fail("authors", f"{author.name}: {author.url!r} is no address; leave it out where there is no page")
    if _is_blank(entry.abstract):
        report.fail("abstract", "abstract is missing")
    elif len(entry.abstract.split()) < 20:
        report.fail("abstract", f"abstract has {len(entry.abstract.split())} words; give all of it")
    for name, url in (("code", entry.code), ("usage", entry.usage)):
        if not is_address(url):
            report.fail("code", f"{name} is {url!r}; give an address that begins with https://")


def _check_model(entry: Entry, model: EntryModel, name: str, report: Checklist) -> None:
    if not _STEM.fullmatch(model.name):
        report.fail(
            "names", f"{name[:80]}: a name is 3 to 200 letters, digits and _ . + -, as in faster_rcnn_r50_fpn_1x"
        )
    elif model.name.casefold() in {*_NO_NAMES, *map(str.casefold, all_models())}:
        report.fail("names", f"{name}: the zoo has a model or a page of this name; choose another")
    if entry.task in TASKS:
        _check_columns(entry.task, model, name, report)
    if unknown := sorted(set(model.links) - set(LINKS)):
        report.fail("files", f"{name}: links.{unknown[0]} is not known; the links are {', '.join(LINKS)}")
    for kind in LINKS:
        url = model.links.get(kind, "")
        if _is_blank(url):
            if kind != "scores_test" or _has_test_set(entry.task):
                report.fail("files", f"{name}: links.{kind} is missing")
        elif kind == "config":
            if problem := config_link_problem(url):
                report.fail("files", f"{name}: links.config is {url!r}, {problem}")
            elif PurePosixPath(url).stem != model.name:
                report.fail("names", f"{name}: the config is called {PurePosixPath(url).name}")
        elif not is_address(url):
            report.fail("files", f"{name}: links.{kind} is {url!r}; give an address that begins with https://")
        elif kind in ("weights", "md5") and named_otherwise(url, model.name):
            report.fail("names", f"{name}: links.{kind} leads to {PurePosixPath(urlsplit(url).path).name}")


def _check_columns(task: str, model: EntryModel, name: str, report: Checklist) -> None:
    wanted = template_columns(task)
    there = [column for column in model.columns if column in wanted]
    if there != [column for column in wanted if column in there]:
        report.fail("columns", f"{name}: {', '.join(there)}: another order than the template's, {', '.join(wanted)}")
    without_test = () if _has_test_set(task) else tuple(column for column in wanted if column.endswith("-test"))
    for column in wanted:
        if column not in model.columns and column not in without_test:
            report.fail("columns", f"{name}: the column {column} is missing")
    for column, value in model.columns.items():
        if not _COLUMN.fullmatch(column):
            report.fail("columns", f"{name}: {column[:40]!r} cannot head a column; use letters, digits and blanks")
        elif column.casefold() in _NO_COLUMNS:
            report.fail("columns", f"{name}: the column {column} is one that every model has; call it otherwise")
        elif is_score(column):
            if not SCORE.fullmatch(value) and not (column in without_test and not value):
                report.fail("columns", f"{name}: {column} is {value!r}, which is no number")
            elif column not in wanted:
                report.fail("columns", f"{name}: {column} is no score of {task}; these are {', '.join(wanted)}")
        elif re.search(r"[|\[\]<>`]", value) or not value.isprintable():
            report.fail("columns", f"{name}: {column} is {value!r}, which would break the table")
    described = [column for column in wanted if not is_score(column)]
    if described and _is_blank(model.columns.get(described[0], "?")):
        report.fail("columns", f"{name}: {described[0]} is empty")


def _has_test_set(task: str) -> bool:
    """Tell whether anybody but the data set's authors can score the test set of a task."""
    return task not in TASKS or TASKS[task].test_server is not None


def config_link_problem(link: str) -> str:
    """Return what is wrong with a config's place below its task's folder; "" if nothing."""
    path = PurePosixPath(link)
    if "://" in link or path.is_absolute() or ".." in path.parts or "\\" in link or "\0" in link:
        return "not a path below the task's folder"
    if path.suffix != ".py" or path.parts[:1] != ("configs",) or len(path.parts) < 2:
        return "not a config below ./configs/"
    if not re.fullmatch(r"[\w./+-]+", link, re.ASCII):
        return "not of letters, digits and _ . / + - alone"
    return ""


def is_address(url: str) -> bool:
    """Tell whether a link can stand in a table and be opened: https or http, a host, nothing that breaks Markdown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    usable = url.isprintable() and not re.search(r"[\s<>()|\\\"`]", url)
    return usable and parts.scheme in ("https", "http") and bool(parts.hostname)


def named_otherwise(url: str, name: str) -> bool:
    """Tell whether an address names a weight file that is not the model's; storage services name none."""
    file = PurePosixPath(urlsplit(url).path)
    return file.suffix in (".pth", ".md5") and file.stem != name


def _is_blank(text: str) -> bool:
    return text.strip().lower() in _PLACEHOLDERS | {""}
