"""``zoo check``: what is right passes, each way of being wrong has its own line, and nothing that was sent is run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bdd100k_models.cli import main
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.zoo.check import Checklist, CheckOptions, check_entry
from bdd100k_models.zoo.check.entry import Entry, EntryModel, read_entry
from bdd100k_models.zoo.check.report import ITEMS
from bdd100k_models.zoo.check.write import write_rows
from conftest import ROOT
from contribution import NAME, Contribution, picture, write_zip
from det_model import MODEL

#: What hostile files try to create; no test may leave it behind.
SENTINEL = Path(tempfile.gettempdir()) / "bdd100k-models-was-here"
TOUCH = f"__import__('os').system('touch {SENTINEL}')"


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("right")
    Contribution(folder)
    return folder


@pytest.fixture
def contribution(right: Path, tmp_path: Path) -> Contribution:
    shutil.copytree(right, tmp_path / "copy")
    made = Contribution.__new__(Contribution)
    made.folder, made.data_root = tmp_path / "copy/contribution", tmp_path / "copy/data"
    made.labels = made.data_root / "labels/det_20/det_val.json"
    made.entry = json.loads((made.folder / "entry.json").read_text())
    return made


@pytest.fixture(autouse=True)
def nothing_ran() -> Any:
    SENTINEL.unlink(missing_ok=True)
    yield
    assert not SENTINEL.exists(), "something that was sent was run"


def check(contribution: Contribution, **options: Any) -> Checklist:
    settings: dict[str, Any] = {"offline": True, "data_root": contribution.data_root} | options
    return check_entry(contribution.folder, CheckOptions(**settings))[0]


def merge_config(contribution: Contribution, checkout: Path) -> Path:
    """Put the config where its link says."""
    place = checkout / f"det/configs/mini/{NAME}.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(contribution.config, place))


def leave_only(contribution: Contribution, folder: str) -> None:
    """Remove the files in the other folders, so that what is not tested costs no time."""
    for path in contribution.folder.iterdir():
        if path.is_dir() and path.name != folder:
            shutil.rmtree(path)
            path.mkdir()


def test_what_is_right_passes(contribution: Contribution, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["zoo", "check", str(contribution.folder), "--data-root", str(contribution.data_root), "--offline"]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert output.count("- [x] ") == len(ITEMS) - 1
    # what was not looked at is never ticked
    assert "- [ ] Every link answers\n  - not checked: --offline\n" in output
    row = next(line for line in output.splitlines() if line.startswith("| R-18 |"))
    assert f"[config](./configs/mini/{NAME}.py)" in row
    assert main([*arguments, "--strict"]) == 1


def test_the_row_that_publish_writes_is_taken(contribution: Contribution, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "zoo", tmp_path / "root/zoo")
    merge_config(contribution, tmp_path / "root")
    count = sum(
        parameter.numel() for parameter in build_model(load_config(ROOT / f"det/configs/mini/{MODEL}.py")).parameters()
    )
    # counted where the entry does not say
    entry = check_entry(contribution.folder, CheckOptions(offline=True))[1]
    assert entry is not None and entry.models[0].parameters == count
    contribution.model["parameters"] = count
    contribution.save()
    report = check(contribution)
    assert not any(item.problems for item in report.items.values())
    written = write_rows(read_entry(contribution.folder / "entry.json"), tmp_path / "root")
    assert f'"parameters": {count}' in written.read_text()
    contribution.model["parameters"] = count + 1
    contribution.save()
    (problem,) = check(contribution).items["model"].problems
    assert f"it has {count} parameters, not {count + 1}" in problem


def test_rows_of_one_entry_have_the_same_columns(contribution: Contribution) -> None:
    contribution.entry["models"].append(json.loads(json.dumps(contribution.model)))
    contribution.entry["models"][1]["columns"]["Tricks"] = "x"
    contribution.save()
    assert any("has other columns than" in problem for problem in check(contribution).items["columns"].problems)
    contribution.entry["models"].reverse()
    contribution.save()
    assert any("has other columns than" in problem for problem in check(contribution).items["columns"].problems)


def test_names_that_no_file_can_have_are_told(contribution: Contribution) -> None:
    contribution.model["name"] = "a" * 300
    contribution.model["links"]["weights"] = "https://models.example.org/" + "b" * 300 + ".pth"
    contribution.save()
    assert check(contribution).items["names"].problems


def test_the_checklist_is_json_for_scripts(contribution: Contribution, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "check", str(contribution.folder / "entry.json"), "--offline", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] is True
    assert content["items"].keys() == ITEMS.keys()
    unchecked = {key for key, item in content["items"].items() if not item["passed"]}
    assert unchecked == {"links", "complete", "scores", "table"}  # there are no labels to compare with
    assert content["unchecked"] == len(unchecked)


# ------------------------------------------------------------------------------------------------- what an entry says


def entry_change(**fields: Any) -> Callable[[Contribution], None]:
    def change(contribution: Contribution) -> None:
        contribution.entry.update(fields)

    return change


def link_change(kind: str, url: str | None) -> Callable[[Contribution], None]:
    def change(contribution: Contribution) -> None:
        if url is None:
            del contribution.model["links"][kind]
        else:
            contribution.model["links"][kind] = url

    return change


def column_change(column: str, value: str | None) -> Callable[[Contribution], None]:
    def change(contribution: Contribution) -> None:
        if value is None:
            del contribution.model["columns"][column]
        else:
            contribution.model["columns"][column] = value

    return change


def renamed(name: str) -> Callable[[Contribution], None]:
    def change(contribution: Contribution) -> None:
        contribution.model["name"] = name

    return change


def twice(contribution: Contribution) -> None:
    contribution.entry["models"].append({**contribution.model, "name": contribution.model["name"].upper()})


def other_order(contribution: Contribution) -> None:
    """Put the score of the test set first, by which the model would be ranked."""
    contribution.model["columns"] = dict(reversed(contribution.model["columns"].items()))


ENTRIES = {
    "unknown field": (entry_change(colour="red"), "entry", "colour"),
    "wrong type": (entry_change(venue=2021), "entry", "venue"),
    "unknown task": (entry_change(task="segmentation"), "entry", "the tasks are det"),
    "unknown group": (entry_change(group="Mine"), "entry", "the groups of det are Table of Contents"),
    "no group where there are several": (entry_change(task="tagging"), "entry", "Weather Tagging"),
    "no method": (entry_change(method=" "), "entry", "method is missing"),
    "no models": (entry_change(models=[]), "entry", "models is empty"),
    "html": (entry_change(abstract="word " * 30 + "<script>"), "entry", "holds HTML"),
    "markup": (entry_change(method="A [link](x)"), "entry", "leave out '['"),
    "processing instruction": (entry_change(summary="<?x"), "entry", "holds HTML"),
    "fence": (entry_change(abstract="word " * 30 + "\n```"), "entry", "holds HTML or Markdown (```)"),
    "bar": (entry_change(method="A | b"), "entry", "leave out '|'"),
    "backtick": (entry_change(method="A ` b"), "entry", "leave out '`'"),
    "control character in a name": (entry_change(authors=[{"name": "A\x1b2J"}]), "entry", r"leave out '\x1b'"),
    "control character in a text": (entry_change(summary="A\x1b[2J"), "entry", r"holds '\x1b', which"),
    "no title": (entry_change(paper={"title": "", "url": "https://a.org"}), "paper", "paper.title is missing"),
    "no address": (entry_change(paper={"title": "T", "url": "javascript:alert(1)"}), "paper", "paper.url is"),
    "no venue": (entry_change(venue=""), "venue", "venue is missing"),
    "no year": (entry_change(venue="CVPR"), "venue", "without a year"),
    "no authors": (entry_change(authors=[]), "authors", "authors is empty"),
    "nameless author": (entry_change(authors=[{"name": ""}]), "authors", "has no name"),
    "author's page": (entry_change(authors=[{"name": "A", "url": "a.org"}]), "authors", "is no address"),
    "no abstract": (entry_change(abstract=""), "abstract", "abstract is missing"),
    "placeholder": (entry_change(abstract="Put your abstract here."), "abstract", "abstract is missing"),
    "short abstract": (entry_change(abstract="It is good."), "abstract", "3 words"),
    "no usage": (entry_change(usage=""), "code", "usage is ''"),
    "no column": (column_change("Lr schd", None), "columns", "the column Lr schd is missing"),
    "no score": (column_change("Box AP-val", "high"), "columns", "which is no number"),
    "another task's score": (column_change("PQ-val", "20.1"), "columns", "PQ-val is no score of det"),
    "cell that breaks the table": (column_change("Tricks", "a | b"), "columns", "would break the table"),
    "column that breaks the page": (column_change("A | b\n::error::", "x"), "columns", "cannot head a column"),
    "other order": (other_order, "columns", "another order than the template's, Backbone"),
    "column like a fact": (column_change("Parameters", "1"), "columns", "is one that every model has"),
    "score without end": (column_change("Box AP-val", "9" * 400), "columns", "which is no number"),
    "cell that a terminal obeys": (column_change("Backbone", "R\x1b[2J"), "columns", "would break the table"),
    "no backbone": (column_change("Backbone", ""), "columns", "Backbone is empty"),
    "taken name": (renamed("faster_rcnn_r50_fpn_1x_det_bdd100k"), "names", "the zoo has a model or a page"),
    "taken in another case": (renamed("Faster_RCNN_R50_fpn_1x_det_bdd100k"), "names", "the zoo has a model"),
    "name of a page": (renamed("Index"), "names", "a page of this name"),
    "name that leads out": (renamed("../../x"), "names", "a name is 3 to 200"),
    "two of a name": (twice, "names", "stands twice"),
    "another config": (link_change("config", "./configs/det/other.py"), "names", "the config is called other.py"),
    "other weights": (link_change("weights", "https://a.org/other.pth"), "names", "leads to other.pth"),
    "no link": (link_change("visuals", None), "files", "links.visuals is missing"),
    "local link": (link_change("preds", "file:///etc/passwd"), "files", "links.preds is 'file:"),
    "config elsewhere": (link_change("config", "../../x.py"), "files", "not a path below the task's folder"),
    "config not below configs": (link_change("config", "./test.py"), "files", "not a config below ./configs/"),
    "config of odd characters": (link_change("config", "./configs/a b.py"), "files", "not of letters, digits"),
    "no host": (link_change("visuals", "https://[x]"), "files", "links.visuals is 'https://[x]'"),
    "unknown link": (link_change("wieghts", "https://a.org"), "files", "wieghts is not known"),
}


@pytest.mark.parametrize(("change", "item", "words"), ENTRIES.values(), ids=ENTRIES)
def test_an_entry_that_is_wrong(
    contribution: Contribution, change: Callable[[Contribution], None], item: str, words: str
) -> None:
    change(contribution)
    contribution.save()
    leave_only(contribution, "preds")
    report = check(contribution, data_root=None)
    assert [problem for problem in report.items[item].problems if words in problem], report.lines()
    assert not report.items[item].passed
    assert all("\n" not in problem for problem in report.problems)


def test_nothing_that_a_terminal_obeys_is_printed(
    contribution: Contribution, capsys: pytest.CaptureFixture[str]
) -> None:
    contribution.entry["venue"] = "\x1b[31mCVPR\n::set-output name=x::y\u202e"
    contribution.model["name"] = "\x1b[2J"
    contribution.save()
    contribution.predictions.unlink()
    main(["zoo", "check", str(contribution.folder), "--offline"])
    output = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in output)
    assert not any(line.lstrip().startswith("::") for line in output.splitlines())


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"task": "det"', "[" * 10_000, "\x00"])
def test_an_entry_that_is_no_json_object_is_one_line(
    contribution: Contribution, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (contribution.folder / "entry.json").write_text(text)
    assert main(["zoo", "check", str(contribution.folder), "--offline"]) == 1
    output = capsys.readouterr().out
    assert output.count("  - wrong: ") == 1
    assert "- [x]" not in output


def test_an_empty_entry_lists_all_that_is_missing(contribution: Contribution) -> None:
    (contribution.folder / "entry.json").write_text("{}")
    report = check(contribution, data_root=None)
    wrong = {key for key, item in report.items.items() if item.problems}
    assert wrong == {"entry", "paper", "venue", "authors", "abstract", "code"}
    assert not any(item.passed for key, item in report.items.items() if key not in ("columns", "names", "files"))


def test_no_entry_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "check", str(tmp_path)]) == 2
    assert "no such entry" in capsys.readouterr().err
    (tmp_path / "entry.json").write_text(" " * (2 << 20))
    assert main(["zoo", "check", str(tmp_path)]) == 2
    assert "larger than" in capsys.readouterr().err
    assert main(["zoo", "check", str(tmp_path), "--data-root", "a", "--labels", "b"]) == 2
    assert main(["zoo", "check", str(tmp_path), "--data-root", str(tmp_path / "none")]) == 2


# ---------------------------------------------------------------------------------------------- config and weights

BASE = "_base_ = ['./atss_mini_det_synthetic.py']\n"
LOAD = f"load_from = 'https://models.example.org/files/models/{NAME}.pth'\n"

CONFIGS = {
    "import": (f"import os\n{BASE}{LOAD}", "config", "an import"),
    "hidden call": (f"{BASE}{LOAD}log_level = {TOUCH}\n", "config", "only dict(...) may be called"),
    "f-string": (f'{BASE}{LOAD}log_level = f"{{{TOUCH}}}"\n', "config", "an f-string"),
    "lambda": (f"{BASE}{LOAD}log_level = (lambda: {TOUCH})()\n", "config", "only dict(...) may be called"),
    "decorator": (f"{BASE}{LOAD}@(lambda f: {TOUCH})\ndef f(): pass\n", "config", "a function with a decorator"),
    "class": (f"{BASE}{LOAD}class A:\n    {TOUCH}\n", "config", "a class"),
    "default argument": (f"{BASE}{LOAD}def f(x={TOUCH}): pass\n", "config", "a function"),
    "comprehension": (f"{BASE}{LOAD}model = [{TOUCH} for i in (1,)]\n", "config", "a comprehension"),
    "attribute": (f"{BASE}{LOAD}model = ().__class__\n", "config", "an attribute"),
    "module to import": (
        f"{BASE}{LOAD}custom_imports = dict(imports=['antigravity'])\n",
        "config",
        "imports 'antigravity'",
    ),
    "type by its path": (f"{BASE}{LOAD}model = dict(type='os.system', command='touch')\n", "config", "'os.system'"),
    "type by a module": (f"{BASE}{LOAD}model = dict(type='this')\n", "config", "'this' is not the name"),
    "type that runs a config": (
        f"{BASE}{LOAD}model = dict(_delete_=True, type='LAD', teacher_config='t')\n",
        "config",
        "runs another config",
    ),
    "text that would be evaluated": (
        f"{BASE}{LOAD}model = dict(tracker=dict(motion=dict(type='ByteTracker', warp_mode=\"{TOUCH}\")))\n",
        "config",
        "as code has",
    ),
    "type that evaluates text": (
        f"{BASE}{LOAD}model = dict(neck=dict(_delete_=True, type='CameraMotionCompensation', warp_mode='cv2.X'))\n",
        "config",
        "runs Python given as text",
    ),
    "key that is code": (f"{BASE}{LOAD}model = {{'a()': 1}}\n", "config", "has brackets, quotes"),
    "path in the model": (f"{BASE}{LOAD}model = dict(neck=dict(weights='x/y'))\n", "config", "is a path"),
    "too many layers": (f"{BASE}{LOAD}model = dict(neck=dict(num_outs=10000000))\n", "config", "is larger than any"),
    "YAML": (f"{BASE}{LOAD}test_dataloader = dict(dataset=dict(ann_file='a.yaml'))\n", "config", "would be run"),
    "type of a refused module": (
        f"{BASE}{LOAD}model = dict(backbone=dict(_delete_=True, type='mmpretrain.MAEViT'))\n",
        "model",
        "fetches or reads files",
    ),
    "function as a type": (f"{BASE}{LOAD}model = dict(neck=dict(type='Lion'))\n", "model", "Lion"),
    "Python file": (f"{BASE}{LOAD}model = dict(teacher='teacher.py')\n", "config", "a file that would be run"),
    "path outside": (
        f"{BASE}{LOAD}test_dataloader = dict(dataset=dict(ann_file='/etc/passwd'))\n",
        "config",
        "outside",
    ),
    "template": (f"{BASE}{LOAD}log_level = '{{{{ fileDirname }}}}'\n", "config", "a template"),
    "template in a remark": (f"{BASE}{LOAD}# {{{{$ZZ:x|\\n{TOUCH}#}}}}\n", "config", "line 3: {{ begins a template"),
    "base outside": (f"_base_ = ['/etc/x.py']\n{LOAD}", "config", "no relative path of a config"),
    "base of a library": (f"_base_ = ['mmdet::x.py']\n{LOAD}", "config", "no relative path of a config"),
    "base that is not there": (f"_base_ = ['./none.py']\n{LOAD}", "config", "which is not there"),
    "base of itself": (f"_base_ = ['./{NAME}.py']\n{LOAD}", "config", "builds on itself"),
    "no Python": ("model = dict(\n", "config", "not Python"),
    "other weights": (f"{BASE}load_from = 'https://a.org/x.pth'\n", "config", "not the link to the weights"),
    "unknown name": (f"{BASE}{LOAD}x = 1\n", "config", "x is not one of the names"),
    "no model": (LOAD, "model", "there is no model"),
    "unknown class": (f"{BASE}{LOAD}model = dict(neck=dict(type='NoSuchNeck'))\n", "model", "NoSuchNeck"),
    "wrong argument": (f"{BASE}{LOAD}model = dict(neck=dict(colour='red'))\n", "model", "cannot be built"),
    "another library": (f"{BASE}{LOAD}default_scope = 'mmseg'\n", "model", "built by mmdet"),
    "another model": (f"{BASE}{LOAD}model = dict(bbox_head=dict(num_classes=7))\n", "weights", "number of classes"),
}


@pytest.mark.parametrize(("text", "item", "words"), CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_is_wrong(contribution: Contribution, text: str, item: str, words: str) -> None:
    contribution.write_config(text)
    report = check(contribution, data_root=None)
    assert any(words in problem for problem in report.items[item].problems), report.lines()
    assert [key for key, found in report.items.items() if found.problems] == [item]


class Runs:
    """An object whose pickle runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {SENTINEL}",)


def changed_weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Contribution], None]:
    return lambda contribution: contribution.change_weights(change)


def pickled(contribution: Contribution) -> None:
    contribution.weights.write_bytes(pickle.dumps({"state_dict": Runs()}))
    contribution.write_md5()


def saved_with_code(contribution: Contribution) -> None:
    torch.save({"state_dict": {"x": torch.zeros(1)}, "meta": Runs()}, contribution.weights)
    contribution.write_md5()


def cut_off(contribution: Contribution) -> None:
    contribution.weights.write_bytes(contribution.weights.read_bytes()[:1000])
    contribution.write_md5()


def no_md5(contribution: Contribution) -> None:
    contribution.path("models", ".md5").write_text("<html>not found</html>")


def wrong_md5(contribution: Contribution) -> None:
    contribution.path("models", ".md5").write_text("0" * 32)


def link_outside(contribution: Contribution) -> None:
    contribution.weights.unlink()
    contribution.weights.symlink_to("/etc/passwd")


def packed(contribution: Contribution) -> None:
    """Pack the weights with a huge further part."""
    with zipfile.ZipFile(contribution.weights, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("archive/data.pkl", b"\0" * (64 << 20))
    contribution.write_md5()


WEIGHTS = {
    "wrong MD5": (wrong_md5, "md5", "the file says 0000"),
    "no MD5": (no_md5, "md5", "holds no MD5"),
    "pickle that runs code": (pickled, "weights", "would run code"),
    "checkpoint that runs code": (saved_with_code, "weights", "would run code"),
    "cut off": (cut_off, "weights", "damaged or cut off"),
    "missing key": (changed_weights(lambda state: state.pop("bbox_head.atss_cls.weight")), "weights", "1 keys missing"),
    "further key": (changed_weights(lambda state: state.update(extra=torch.zeros(1))), "weights", "1 keys unexpected"),
    "other shape": (
        changed_weights(lambda state: state.update({"neck.lateral_convs.0.conv.weight": torch.zeros(1)})),
        "weights",
        "weights of another model",
    ),
    "more values than the file holds": (
        changed_weights(lambda state: state.update(extra=torch.zeros(1).expand(10**12))),
        "weights",
        "more than the file holds",
    ),
    "bomb": (packed, "weights", "unpacks to"),
    "not finite": (
        changed_weights(lambda state: state["bbox_head.atss_cls.bias"].fill_(float("nan"))),
        "weights",
        "not finite",
    ),
    "link out of the folder": (link_outside, "md5", "a file outside the contribution"),
}


@pytest.mark.parametrize(("change", "item", "words"), WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_are_wrong(
    contribution: Contribution, change: Callable[[Contribution], None], item: str, words: str
) -> None:
    change(contribution)
    report = check(contribution, data_root=None)
    assert any(words in problem for problem in report.items[item].problems), report.lines()
    assert [key for key, found in report.items.items() if found.problems] == [item]


def test_the_pickles_would_run_where_they_are_trusted(contribution: Contribution) -> None:
    pickled(contribution)
    pickle.loads(contribution.weights.read_bytes())
    assert SENTINEL.exists()
    SENTINEL.unlink()


def test_the_config_that_is_checked_is_the_one_that_is_merged(
    contribution: Contribution, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = merge_config(contribution, checkout)
    assert check(contribution, root=checkout, data_root=None).problems == []
    place.write_text(f"import os\n{place.read_text()}")
    report = check(contribution, root=checkout, data_root=None)
    assert "differs from that where links.config says" in report.items["config"].problems[0]
    assert not report.items["model"].passed
    # a base beside the entry does not stand for that of the zoo
    place.unlink()
    shutil.copy(checkout / f"det/configs/mini/{MODEL}.py", contribution.folder / "configs")
    (checkout / f"det/configs/mini/{MODEL}.py").write_text("import os\n")
    assert "an import" in check(contribution, root=checkout, data_root=None).items["config"].problems[0]


@pytest.mark.parametrize(
    ("text", "status", "words"), [("log_level = 'INFO'", 0, "plain data"), ("import os", 1, "an import")]
)
def test_a_config_alone_is_read_as_data(
    checkout: Path, text: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkout / "det/configs/x.py"
    path.write_text(text)
    assert main(["zoo", "check", str(path), "--root", str(checkout)]) == status
    assert words in capsys.readouterr().out
    path.unlink()
    path.symlink_to("/dev/zero")
    assert main(["zoo", "check", str(path), "--root", str(checkout)]) == 1


def test_whatever_breaks_is_a_line(contribution: Contribution, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("bdd100k_models.zoo.check.look_at_predictions", broken)
    report = check(contribution, data_root=None)
    assert report.items["entry"].problems == [f"{NAME}: the check broke off (RuntimeError: two lines)"]
    assert not report.items["visuals"].passed


# -------------------------------------------------------------------------------------------- predictions and scores


def frames_change(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Contribution], None]:
    def apply(contribution: Contribution) -> None:
        frames = json.loads(contribution.predictions.read_text())
        change(frames)
        contribution.predictions.write_text(json.dumps(frames))

    return apply


def label_change(**fields: Any) -> Callable[[Contribution], None]:
    return frames_change(lambda frames: frames[0]["labels"][0].update(fields))


def predictions_text(text: str) -> Callable[[Contribution], Any]:
    return lambda contribution: contribution.predictions.write_text(text)


def scores_change(split: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Contribution], None]:
    def apply(contribution: Contribution) -> None:
        path = contribution.path(f"scores-{split}", ".json")
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


def column(name: str, value: str) -> Callable[[Contribution], None]:
    def apply(contribution: Contribution) -> None:
        contribution.model["columns"][name] = value
        contribution.save()

    return apply


INVERTED = {"x1": 50.0, "y1": 5.0, "x2": 5.0, "y2": 50.0}

PREDICTIONS = {
    "no JSON": (predictions_text("{"), "predictions", "not valid JSON"),
    "COCO": (predictions_text('[{"image_id": 1, "bbox": [1, 2, 3, 4]}]'), "predictions", "COCO"),
    "not finite": (label_change(score=float("nan")), "predictions", "score is NaN"),
    "unknown category": (label_change(category="cat"), "predictions", "category is 'cat'"),
    "no score": (label_change(score=None), "predictions", "score is missing"),
    "score above one": (label_change(score=97.0), "predictions", "not from 0 to 1"),
    "no box": (label_change(box2d=None), "predictions", "box2d is missing"),
    "corners swapped": (label_change(box2d=INVERTED), "predictions", "x2 = 5.0 below x1"),
    "image twice": (frames_change(lambda frames: frames.append(frames[0])), "predictions", "appears twice"),
    "image missing": (frames_change(lambda frames: frames.pop()), "complete", "1 of 4 images are missing (image3"),
    "other image": (
        frames_change(lambda frames: frames.append({"name": "other.jpg", "labels": []})),
        "complete",
        "1 images are not of the validation set",
    ),
    "better scores in the file": (
        scores_change("val", lambda content: content["AP"][-1].update(OVERALL=99.0)),
        "scores",
        "AP of OVERALL is 99.0000",
    ),
    "metric missing": (scores_change("val", lambda content: content.pop("AP75")), "scores", "AP75 is missing"),
    "no scores": (scores_change("val", lambda content: content.update(AP="high")), "scores", "no scores of det"),
    "better score in the table": (column("Box AP-val", "77.7"), "table", "Box AP-val is 77.7, an evaluation"),
    "better test score": (column("Box AP-test", "77.70"), "table", "Box AP-test is 77.70, the file of scores"),
}


@pytest.mark.parametrize(("change", "item", "words"), PREDICTIONS.values(), ids=PREDICTIONS)
def test_predictions_and_scores_that_are_wrong(
    contribution: Contribution, change: Callable[[Contribution], Any], item: str, words: str
) -> None:
    change(contribution)
    report = check(contribution)
    assert any(words in problem for problem in report.items[item].problems), report.lines()
    assert not report.items[item].passed


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", ".."])
def test_a_folder_of_predictions_holds_files_of_its_own(contribution: Contribution, target: str) -> None:
    folder = contribution.predictions.with_suffix("")
    folder.mkdir()
    shutil.move(contribution.predictions, folder / "b.json")
    assert check(contribution, data_root=None).problems == []
    (folder / "a.json").symlink_to(target)
    (problem,) = check(contribution, data_root=None).items["predictions"].problems
    assert "a.json" in problem and " is a link to a " in problem


def test_scores_are_compared_with_their_file_where_there_are_no_labels(contribution: Contribution) -> None:
    column("Box AP-val", "77.7")(contribution)
    report = check(contribution, data_root=None)
    assert "Box AP-val is 77.7, the file of scores gives" in report.items["table"].problems[0]


def test_labels_can_be_named_and_must_be_there(contribution: Contribution, capsys: pytest.CaptureFixture[str]) -> None:
    assert not check(contribution, data_root=None, labels=contribution.labels).problems
    contribution.labels.unlink()
    folder = str(contribution.folder)
    assert main(["zoo", "check", folder, "--offline", "--data-root", str(contribution.data_root)]) == 2
    assert "there are no labels of det" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------ visuals


def archive(files: dict[str, bytes]) -> Callable[[Contribution], None]:
    return lambda contribution: contribution.write_visuals(files)


def huge_picture(side: int = 100_000) -> bytes:
    """Return the beginning of a PNG that announces a huge picture."""
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + zlib.crc32(header).to_bytes(4, "big") + b"\0\0\0\0IDAT"


def with_link(contribution: Contribution) -> None:
    entry = zipfile.ZipInfo("image0.jpg")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(contribution.visuals, "w") as made:
        made.writestr(entry, "/etc/passwd")


def bomb(contribution: Contribution) -> None:
    contribution.write_visuals({"image0.jpg": picture() + b"\0" * (64 << 20)})


def overlapping(contribution: Contribution) -> None:
    """Let every entry of the table of contents point at the first file."""
    write_zip(contribution.visuals, {f"image{i}.jpg": picture((320, 180), seed=0) for i in range(9)})
    data = bytearray(contribution.visuals.read_bytes())
    with zipfile.ZipFile(contribution.visuals) as made:
        start, first_end = made.start_dir, made.infolist()[1].header_offset
    contents = bytearray(data[start:])
    position = 0
    while (position := contents.find(b"PK\1\2", position)) >= 0:
        contents[position + 42 : position + 46] = b"\0\0\0\0"
        position += 4
    end = contents.rfind(b"PK\5\6")
    contents[end + 16 : end + 20] = first_end.to_bytes(4, "little")
    contribution.visuals.write_bytes(bytes(data[:first_end]) + bytes(contents))


def packed_otherwise(contribution: Contribution) -> None:
    with zipfile.ZipFile(contribution.visuals, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("image0.jpg", picture())


def lying(contribution: Contribution) -> None:
    """Announce another length than the file has."""
    write_zip(contribution.visuals, {"image0.jpg": picture()})
    data = bytearray(contribution.visuals.read_bytes())
    place = data.rfind(b"PK\1\2")
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")
    contribution.visuals.write_bytes(bytes(data))


def cut_zip(contribution: Contribution) -> None:
    contribution.visuals.write_bytes(contribution.visuals.read_bytes()[:-40])


def locked(contribution: Contribution) -> None:
    data = bytearray(contribution.visuals.read_bytes())
    place = 0
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.find(mark)
        data[place + offset] |= 1
    contribution.visuals.write_bytes(bytes(data))


def many(contribution: Contribution) -> None:
    with zipfile.ZipFile(contribution.visuals, "w") as made:
        for number in range(100_001):
            made.writestr(zipfile.ZipInfo(f"{number}.jpg"), b"")


VISUALS = {
    "escape": (archive({"../../image0.jpg": picture()}), "leads out of the folder"),
    "escape with backslashes": (archive({"..\\image0.jpg": picture()}), "leads out of the folder"),
    "absolute": (archive({"/tmp/image0.jpg": picture()}), "absolute path"),
    "drive": (archive({"C:/image0.jpg": picture()}), "absolute path"),
    "link": (with_link, "is a link or a device"),
    "bomb": (bomb, "times smaller"),
    "packed otherwise": (packed_otherwise, "is packed in another way"),
    "overlapping": (overlapping, "overlap"),
    "lying length": (lying, "image0.jpg"),
    "password": (locked, "needs a password"),
    "program": (archive({"image0.jpg": picture(), "run.exe": b"MZ"}), "run.exe is no picture"),
    "archive in it": (archive({"image0.jpg": picture(), "more.zip": b"PK"}), "more.zip is no picture"),
    "text called a picture": (archive({"image0.jpg": b"hello"}), "no readable picture"),
    "huge picture": (archive({"image0.png": huge_picture()}), "no readable picture"),
    "large picture": (archive({"image0.png": huge_picture(9000)}), "has 9000 x 9000 pixels"),
    "duplicate": (archive({"image0.jpg": picture(), "IMAGE0.jpg": picture()}), "stands in it twice"),
    "empty": (archive({}), "holds no pictures"),
    "no zip": (lambda contribution: contribution.visuals.write_bytes(b"hello"), "no readable zip"),
    "cut off": (cut_zip, "no readable zip"),
    "other images": (archive({"holiday.jpg": picture()}), "has the name of an image"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("change", "words"), VISUALS.values(), ids=VISUALS)
def test_visuals_that_are_wrong(contribution: Contribution, change: Callable[[Contribution], Any], words: str) -> None:
    leave_only(contribution, "visuals")
    change(contribution)
    report = check(contribution)
    assert any(words in problem for problem in report.items["visuals"].problems), report.lines()
    assert [key for key, found in report.items.items() if found.problems] == ["config", "visuals"]


def test_nothing_of_an_archive_reaches_the_disk(contribution: Contribution, tmp_path: Path) -> None:
    archive({"../../../escaped.jpg": picture()})(contribution)
    before = set(tmp_path.rglob("*"))
    assert check(contribution).problems
    assert set(tmp_path.rglob("*")) == before


# ------------------------------------------------------------------------------------------------------------ writing


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the zoo's data and the configs that the contribution builds on."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "zoo", root / "zoo")
    shutil.copytree(ROOT / "det/configs", root / "det/configs")
    return root


def write(contribution: Contribution, checkout: Path) -> int:
    folder, data = str(contribution.folder), str(contribution.data_root)
    return main(["zoo", "check", folder, "--offline", "--data-root", data, "--root", str(checkout), "--write"])


def test_rows_are_written_where_they_belong(contribution: Contribution, checkout: Path) -> None:
    from bdd100k_models.zoo.records import decode_zoo

    path = checkout / "zoo/det.json"
    before = decode_zoo(path.read_bytes(), "before")
    # first the config has to be where its link says
    assert write(contribution, checkout) == 2
    assert path.read_bytes() == (ROOT / "zoo/det.json").read_bytes()
    merge_config(contribution, checkout)
    assert write(contribution, checkout) == 0
    methods = decode_zoo(path.read_bytes(), "after")
    assert [m for m in methods if m.method != "Tiny Detector"] == list(before)
    # below the methods of this zoo, above those of others
    assert [m.is_ours for m in methods] == sorted((m.is_ours for m in methods), reverse=True)
    added = next(method for method in methods if method.method == "Tiny Detector")
    assert added.group == before[0].group
    assert added.abstract == contribution.entry["abstract"]
    assert (added.models[0].columns, added.models[0].links) == (
        contribution.model["columns"],
        contribution.model["links"],
    )
    # a second time there is nothing to add
    assert write(contribution, checkout) == 2


def test_rows_of_a_known_method_join_its_table(contribution: Contribution, checkout: Path) -> None:
    from bdd100k_models.zoo.records import decode_zoo, load_zoo

    merge_config(contribution, checkout)
    contribution.entry["method"] = "RetinaNet"
    contribution.save()
    # another paper's rows do not, whatever they call themselves
    assert write(contribution, checkout) == 2
    contribution.entry["paper"]["url"] = next(m.paper.url for m in load_zoo("det") if m.method == "RetinaNet")
    contribution.save()
    assert write(contribution, checkout) == 0
    methods = decode_zoo((checkout / "zoo/det.json").read_bytes(), "after")
    [retina] = [method for method in methods if method.method == "RetinaNet"]
    assert retina.models[-1].name == NAME
    assert list(retina.models[-1].columns) == list(retina.models[0].columns)


def test_nothing_is_written_where_something_is_wrong(contribution: Contribution, checkout: Path) -> None:
    wrong_md5(contribution)
    before = (checkout / "zoo/det.json").read_bytes()
    assert write(contribution, checkout) == 1
    assert (checkout / "zoo/det.json").read_bytes() == before


def test_a_config_may_stand_in_the_checkout_where_its_link_says(contribution: Contribution, checkout: Path) -> None:
    shutil.move(contribution.config, checkout / f"det/configs/mini/{NAME}.py")
    report = check(contribution, root=checkout)
    assert not report.problems
    assert report.items["config"].passed


def test_the_template_of_pull_requests_has_the_checklist() -> None:
    text = (ROOT / ".github/PULL_REQUEST_TEMPLATE.md").read_text()
    listed = [line.removeprefix("- [ ] ") for line in text.split("By hand")[0].splitlines() if line.startswith("- [")]
    assert listed == list(ITEMS.values())


def workflow_script() -> str:
    workflow = yaml.safe_load((ROOT / ".github/workflows/zoo-check.yml").read_text())
    [script] = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "zoo check" in str(step)]
    return str(script)


def test_the_workflow_has_no_secrets_and_may_only_read() -> None:
    text = (ROOT / ".github/workflows/zoo-check.yml").read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"pull_request"}  # YAML reads `on` as a truth value
    assert "secrets" not in text
    assert "pull_request_target" not in text
    # what the author of a pull request chooses never stands in a script as it is
    assert "${{" not in workflow_script()
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(step["with"]["persist-credentials"] is False for step in steps if "checkout" in step.get("uses", ""))


def test_the_workflow_checks_what_was_changed_and_fails_with_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(sent), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    sent, tool = tmp_path / "sent", tmp_path / "zoo/.venv/bin/bdd100k-models"
    for name in ("old", "kept"):
        (sent / "contributions" / name).mkdir(parents=True)
        (sent / "contributions" / name / "entry.json").write_text("{}")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "before")
    base = git("rev-parse", "HEAD")
    (sent / "contributions/old/entry.json").write_text("{ }")
    hostile = ["new", "-x", "a b", "$(touch here)", "`touch here`", "quote'", "line\nbreak", "ü"]
    for name in hostile:
        (sent / "contributions" / name / "preds").mkdir(parents=True)
        (sent / "contributions" / name / "entry.json").write_text("{}")
        (sent / "contributions" / name / "preds/x.json").write_text("[]")
    (sent / "contributions/note.txt").write_text("no entry")
    configs = [f"det/configs/{name}.py" for name in ("x", "deep/a b", "$(touch here)")]
    for config in configs:
        (sent / config).parent.mkdir(parents=True, exist_ok=True)
        (sent / config).write_text("import os")
    git("add", ".")
    git("commit", "--quiet", "-m", "after")
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\nprintf "%s\\0" "$@" "END" >> calls\ncase "$3" in */new) exit 1;; esac\n')
    tool.chmod(0o755)
    run = ["bash", "-e", "-o", "pipefail", "-c", workflow_script()]
    done = subprocess.run(run, cwd=tmp_path, env={**os.environ, "BASE": base}, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    calls = [call.split("\0")[:-1] for call in (tmp_path / "calls").read_text().split("END\0")[:-1]]
    paths = [*(f"contributions/{name}" for name in (*hostile, "old")), *configs]
    expected = [["zoo", "check", f"sent/{path}", "--root", "sent"] for path in paths]
    assert sorted(calls) == sorted(expected)
    assert not (tmp_path / "here").exists()
    tool.write_text("#!/bin/sh\n")
    done = subprocess.run(run, cwd=tmp_path, env={**os.environ, "BASE": base}, capture_output=True, check=False)
    assert done.returncode == 0


def test_rows_go_to_the_group_that_is_named(checkout: Path) -> None:
    from bdd100k_models.zoo.records import load_zoo

    methods = load_zoo("tagging")
    name = methods[0].method
    scene = next(method for method in methods if method.method == name and method.group != methods[0].group)
    row = EntryModel("new_tag_bdd100k", scene.models[0].columns, {"config": "./configs/new_tag_bdd100k.py"})
    (checkout / "tagging/configs").mkdir(parents=True)
    (checkout / "tagging/configs/new_tag_bdd100k.py").touch()
    path = write_rows(Entry(task="tagging", method=name, paper=scene.paper, group=scene.group, models=[row]), checkout)
    homes = [m["group"] for m in json.loads(path.read_text()) if any(r["name"] == row.name for r in m["models"])]
    assert homes == [scene.group]
