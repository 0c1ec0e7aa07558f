"""Tables between markers: what is shown, and what is refused."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from bdd100k_models.cli import main
from bdd100k_models.errors import ConfigError, MissingFileError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo import render, tables
from bdd100k_models.zoo.records import all_models, load_zoo
from conftest import ROOT


@pytest.mark.parametrize(
    "text",
    [
        "<!-- zoo:begin tasks -->\nold\n",
        "old\n<!-- zoo:end tasks -->\n",
        "<!-- zoo:begin tasks -->\nold\n<!-- zoo:end methods -->\n",
        "<!-- zoo:begin tasks -->\n<!-- zoo:begin tasks -->\nold\n<!-- zoo:end tasks -->\n",
    ],
)
def test_markers_without_their_counterpart_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ConfigError, match="pair them"):
        render.render_all(tmp_path)
    assert (tmp_path / "README.md").read_text() == text


def test_without_a_source_tree_there_is_nothing_to_render(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="checkout of the source tree"):
        render.render_all(tmp_path)


def test_a_page_without_blocks_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing to render\n")
    assert render.render_all(tmp_path) == []


def test_the_front_page_counts_and_scores_as_published() -> None:
    titles: dict[str, str] = {}
    rows = {
        titles.setdefault(title, re.sub(r"^\[(.*)\]\(.*", r"\1", title)): cells
        for line in render.tasks_table(ROOT).splitlines()
        for title, *cells in [[cell.strip() for cell in line.strip("|").split("|")]]
    }
    assert rows.keys() >= {task.title for task in TASKS.values()}
    assert rows[""][1] == f"**{sum(method.is_ours for _, method, _ in all_models().values())}**"
    # as published: not rounded, no digit added
    assert rows["Multiple Object Tracking"][2] == "36.6 mMOTA (QDTrack)"
    assert "81.94" in rows["Image Tagging"][2]
    assert "78.07" in rows["Image Tagging"][2]
    for title, name in titles.items():
        cells, linked = rows[name], re.search(r"\]\((.*)\)", title)
        assert (cells[-1] == "✓") == (linked is not None)
        assert linked is None or (ROOT / linked[1]).is_file()


@pytest.mark.parametrize("task", list(TASKS))
def test_tables_are_rectangles_with_every_cell(task: str) -> None:
    for method in load_zoo(task):
        header, _, *rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in render.results_table(method).splitlines()]
        assert len(rows) == len(method.models)
        for model, row in zip(method.models, rows, strict=True):
            cells = dict(zip([name.strip() for name in header], [cell.strip() for cell in row], strict=True))
            assert {name: cells[name] for name in model.columns} == model.columns
            assert {link for cell in cells.values() for link in re.findall(r"\]\((.+?)\)", cell)} == set(
                model.links.values()
            )


def test_the_csv_holds_every_row_column_and_link(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(render.models_csv())))
    assert [row["name"] for row in rows] == list(all_models())
    for row, (task, method, model) in zip(rows, all_models().values(), strict=True):
        assert (row["task"], row["source"], row["method"]) == (task, method.source, method.method)
        assert {key: row[key] for key in model.columns} == model.columns
        assert {kind: row[kind] for kind in model.links} == model.links
    assert (ROOT / render.CSV_FILE).read_text() == render.models_csv()


def test_a_stale_csv_is_seen_and_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing to render\n")
    (tmp_path / "zoo").mkdir()
    path = tmp_path / render.CSV_FILE
    assert render.render_all(tmp_path, check=True) == [path]
    assert not path.exists()
    assert render.render_all(tmp_path) == [path]
    path.write_text(path.read_text() + "x")
    assert render.render_all(tmp_path, check=True) == [path]


@pytest.mark.parametrize("task", list(TASKS))
def test_the_guide_has_a_template_and_an_example_of_each_task(task: str) -> None:
    guide = (ROOT / "doc/CONTRIBUTING.md").read_text()
    assert f"<!-- zoo:begin template_{task} -->\n{tables.template_table(task)}" in guide
    assert f"<!-- zoo:begin example_{task} -->\n{tables.example_method(task)}" in guide
    header, _, empty = tables.template_table(task).splitlines()
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    for column in tables.template_columns(task):
        assert column in columns
    for column in ("Scores-val", "Scores-test", "Config", "Weights", "Preds", "Visuals"):
        assert columns.count(column) == 1
    assert empty.count("]()") == 7


def test_the_command_says_what_is_stale(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "render", "--check"]) == 0
    monkeypatch.setattr(render, "tasks_table", lambda root: "another table\n")
    before = (ROOT / "README.md").read_bytes()
    assert main(["zoo", "render", "--check"]) == 1
    assert "stale: README.md" in capsys.readouterr().out
    assert (ROOT / "README.md").read_bytes() == before
