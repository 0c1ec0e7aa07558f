import csv
import fnmatch
import io
import json
import re
from pathlib import Path

import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import ConfigError, InputError, LabelError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.check.entry import named_otherwise
from bdd100k_models.zoo.check.plain_config import read_config
from bdd100k_models.zoo.records import (
    all_models,
    config_files,
    decode_zoo,
    find_model,
    load_zoo,
    published,
    resolve_config,
)
from bdd100k_models.zoo.render import render_all
from conftest import ROOT, handed_in

MODEL = "faster_rcnn_r50_fpn_1x_det_bdd100k"

#: Configs that no row names: those made here, published ones without a row, and trackers' first stages.
WITHOUT_ROW = ("*_mini_*", "*_timeofday_*", "*_40k_bdd100k", "segtrack-*")


def test_every_published_row_and_link_is_here_and_rendered(shared: Path) -> None:
    facts = json.loads((shared / "facts/zoo.json").read_text())
    assert sum(len(method["rows"]) for method in facts) == 260
    pages = {task: (ROOT / task / "README.md").read_text() for task in TASKS}
    for method in facts:
        page = pages[method["task"]]
        for link in (method["code"], method["paper"]["url"], *(author.get("url") for author in method["authors"])):
            assert link is None or f"]({link})" in page
        for row in method["rows"]:
            task, found, model = find_model(row["name"])
            assert (task, found.method, found.venue, found.code) == (
                *(method["task"], method["method"]),
                *(method["venue"], method["code"]),
            )
            assert (found.paper.title, found.paper.url) == (method["paper"]["title"], method["paper"]["url"])
            assert [(author.name, author.url) for author in found.authors] == [
                (author["name"], author.get("url")) for author in method["authors"]
            ]
            assert model.columns == row["columns"]
            assert model.links == row["links"]
            [line] = [line for line in page.splitlines() if f"]({row['links']['weights']})" in line]
            assert all(f"]({link})" in line for link in row["links"].values())
            assert all(f"| {cell} |" in line for cell in row["columns"].values())


def test_every_row_of_vis4d_is_here_marked_and_rendered(shared: Path) -> None:
    facts = json.loads((shared / "facts/vis4d_zoo.json").read_text())
    assert sum(len(method["rows"]) for method in facts) == 9
    for method in facts:
        [found] = [m for m in load_zoo(method["task"]) if m.source == "vis4d" and m.method == method["method"]]
        assert [model.columns for model in found.models] == [row["columns"] for row in method["rows"]]
        for model, row in zip(found.models, method["rows"], strict=True):
            assert set(model.links) <= {"config"}
            assert row.get("config") in (None, model.name)
        page = (ROOT / method["task"] / "README.md").read_text()
        _, marked = page.split("### Models of the Vis4D zoo", 1)
        for row in method["rows"]:
            cells = " | ".join(row["columns"].values())
            assert f"| {cells} |" in marked.split("\n## ")[0]


@pytest.mark.parametrize("task", list(TASKS))
def test_stems_agree_and_columns_are_the_same_in_a_method(task: str) -> None:
    for method in load_zoo(task):
        for model in method.models:
            assert list(model.columns) == list(method.models[0].columns)
            if method.is_ours:
                assert not any(named_otherwise(model.links[kind], model.name) for kind in ("weights", "md5"))


@pytest.mark.parametrize("task", list(TASKS))
def test_every_row_has_its_config_and_the_other_way_round(task: str) -> None:
    configs = config_files(task)
    rows = {model.name: (method, model) for method in load_zoo(task) for model in method.models}
    for name, (method, model) in rows.items():
        link = model.links.get("config", "")
        if "://" in link:
            # the published tracking models and Vis4D's link to the code that trained them
            assert TASKS[task].videos or not method.is_ours
            assert method.is_ours == (name in configs)
            continue
        assert (ROOT / task / link).resolve() == configs[name].resolve()
        if method.is_ours:
            assert read_config(configs[name], ROOT).load_from == model.links["weights"]
    own = {name for name in configs if any(fnmatch.fnmatch(name, pattern) for pattern in WITHOUT_ROW)}
    assert own <= set(configs) - set(rows) <= own | handed_in()


def test_summaries_are_two_sentences() -> None:
    for method in published("det"):
        assert not method.summary or len(re.findall(r"\.(?:\s|$)", method.summary)) == 2, method.method


def test_rendered_tables_are_fresh_and_staleness_is_seen(tmp_path: Path) -> None:
    assert render_all(check=True) == []
    (tmp_path / "det").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- zoo:begin tasks -->\nold\n<!-- zoo:end tasks -->\nafter\n")
    (tmp_path / "det/README.md").write_text((ROOT / "det/README.md").read_text())
    assert render_all(tmp_path, check=True) == [readme]
    assert "old" in readme.read_text()
    assert render_all(tmp_path) == [readme]
    assert render_all(tmp_path) == []
    assert readme.read_text().startswith("before\n")
    assert readme.read_text().endswith("after\n")
    readme.write_text("<!-- zoo:begin nothing -->\n<!-- zoo:end nothing -->")
    with pytest.raises(ConfigError, match="nothing"):
        render_all(tmp_path)


def test_relative_links_of_all_pages_resolve() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("doc/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


GOOD = {
    "method": "M",
    "group": "G",
    "venue": "V",
    "paper": {"title": "T", "url": "U"},
    "authors": [{"name": "A", "url": "B"}],
    "code": "C",
    "models": [{"name": "m", "columns": {"AP-val": "1"}, "links": {"config": "x"}}],
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"paper": "T"}, "paper"),
        ({"colour": "red"}, "colour"),
        ({"models": [{"name": "m", "columns": {}, "links": {"wieghts": "x"}}]}, "wieghts"),
        ({"models": [*GOOD["models"], *GOOD["models"]]}, "appears twice"),
        ({"models": [{"name": "m", "columns": {"AP": 3}, "links": {}}]}, "columns"),
        ({"source": "elsewhere"}, "elsewhere"),
        ({"models": [{**GOOD["models"][0], "parameters": -1}]}, "parameters"),
        ({"models": [{**GOOD["models"][0], "speed": [{"hardware": "x", "versions": {}}]}]}, "images_per_second"),
    ],
)
def test_malformed_data_are_refused(change: dict[str, object], word: str) -> None:
    assert decode_zoo(json.dumps([GOOD]).encode(), "z")[0].models[0].name == "m"
    with pytest.raises(LabelError, match=word):
        decode_zoo(json.dumps([{**GOOD, **change}]).encode(), "z")


def test_configs_are_found_by_name_and_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ROOT / f"det/configs/det/{MODEL}.py"
    monkeypatch.chdir(ROOT / "det")
    for name in (MODEL, f"{MODEL}.py", f"configs/det/{MODEL}.py", str(expected)):
        assert resolve_config("det", name).resolve() == expected
    monkeypatch.chdir(ROOT.parent)
    assert resolve_config("det", f"configs/det/{MODEL}.py") == expected
    with pytest.raises(InputError, match=f"did you mean .*{MODEL}"):
        resolve_config("det", "faster_rcnn_r50_fpn_1x_det_bd100k")
    with pytest.raises(InputError, match="no such model"):
        resolve_config("det", f"nowhere/{MODEL}.py")
    with pytest.raises(InputError, match="zoo list"):
        find_model("qqqqqq")


def test_a_piped_table_has_one_whole_line_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{len(all_models())} models"
    assert len(lines) == 1 + len(all_models()) + 1
    for line, (task, method, model) in zip(lines[1:], all_models().values(), strict=False):
        cells = [task, method.source, method.method, model.name, *filter(None, model.columns.values())]
        assert sorted(line.split()) == sorted(" ".join(cells).split())


def test_a_reader_of_the_list_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(text: str) -> None:
        if text:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setattr("sys.stdout.write", gone)
    assert main(["zoo", "list"]) == 0


def test_measured_speeds_say_with_what(capsys: pytest.CaptureFixture[str]) -> None:
    measured = [(task, model) for task, _, model in all_models().values() if model.speed]
    assert {task for task, _ in measured} == set(TASKS)
    for _, model in measured:
        assert len({speed.conditions for speed in model.speed}) == len(model.speed) <= 2
        assert {package for speed in model.speed for package in speed.versions} <= {"torch", "onnxruntime"}
    assert main(["zoo", "show", "faster_rcnn_r50_fpn_1x_det_bdd100k"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("speed")]
    assert len(shown) == 2 and "torch" in shown[0] and "onnxruntime" in shown[1]


def test_the_list_can_be_read_by_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "list", "--task", "det", "--source", "bdd100k", "--sort", "Box AP-val", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == sum(len(method.models) for method in published("det")) >= 64
    scores = [float(row["Box AP-val"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert main(["zoo", "list", "--method", "swin", "--json"]) == 0
    assert all("swin" in (row["name"] + row["method"]).lower() for row in json.loads(capsys.readouterr().out))
    assert main(["zoo", "list", "--source", "bdd100k"]) == 0
    ours = sum(method.is_ours for _, method, _ in all_models().values())
    assert f"{ours} models" in capsys.readouterr().out
    assert main(["zoo", "show", MODEL, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["Box AP-val"] == "31.04"
    assert main(["zoo", "list", "--sort", "nothing"]) == 2
    assert "there is no column" in capsys.readouterr().err
    assert main(["zoo", "show", "nothing"]) == 2
