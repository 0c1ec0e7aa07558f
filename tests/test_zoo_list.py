"""``zoo list`` and ``zoo show``: filters, order, facts."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.cli import main
from bdd100k_models.errors import InputError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.listing import columns_of, find_column, list_rows, sort_rows, with_score
from bdd100k_models.zoo.records import all_models, config_files
from conftest import ROOT


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["zoo", "list", *arguments]) == 0
    return capsys.readouterr().out


def test_filters_leave_what_fits_all_of_them() -> None:
    rows = list_rows()
    assert len(rows) == len(all_models())
    assert [row["name"] for row in list_rows(task="pose")] == [row["name"] for row in rows if row["task"] == "pose"]
    assert {row["source"] for row in list_rows(source="vis4d")} == {"vis4d"}
    swin = list_rows(task="det", backbone="swin-b")
    assert swin
    assert all(row["Backbone"].startswith("Swin-B") and row["task"] == "det" for row in swin)
    assert {row["method"] for row in list_rows(method="qDtRaCk")} == {"QDTrack"}
    assert [row["name"] for row in list_rows(backbone="yolox")] == ["qdtrack-yolox_x_25e_mot_bdd100k"]
    assert list_rows(method="no such method") == []


def test_a_column_is_found_as_people_write_it() -> None:
    columns = columns_of(list_rows())
    assert find_column("Box AP-val", columns) == "Box AP-val"
    assert find_column("box ap", columns) == "Box AP-val"
    assert find_column("MIOU-TEST", columns) == "mIoU-test"
    assert find_column("backbone", columns) == "Backbone"
    for name in ("", "ap", "Box"):
        with pytest.raises(InputError, match="the columns are task"):
            find_column(name, columns)


def test_the_best_comes_first_and_less_is_better_for_switches(capsys: pytest.CaptureFixture[str]) -> None:
    scores = [float(row["mIoU-val"]) for row in json.loads(printed(capsys, "--metric", "miou", "--json"))]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 53 + 56 + 1
    switches = [int(row["ID Sw.-val"]) for row in json.loads(printed(capsys, "--metric", "id sw.", "--json"))]
    assert switches == sorted(switches)
    worst = json.loads(printed(capsys, "--metric", "id sw.", "--reverse", "--json"))
    assert [int(row["ID Sw.-val"]) for row in worst] == switches[::-1]
    names = [row["name"] for row in json.loads(printed(capsys, "--sort", "name", "--json"))]
    assert names == sorted(names)


def test_a_score_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--metric", "Box AP", "--at-least", "35", "--task", "det"]
    found = {row["name"]: float(row["Box AP-val"]) for row in json.loads(printed(capsys, *arguments, "--json"))}
    expected = {
        name: float(model.columns["Box AP-val"])
        for name, (task, _, model) in all_models().items()
        if task == "det" and float(model.columns["Box AP-val"]) >= 35
    }
    assert found == expected
    assert found
    assert printed(capsys, "--metric", "Box AP", "--at-least", "99", "--csv") == "\n"
    assert "0 models" in printed(capsys, "--metric", "Box AP", "--at-least", "99")
    assert main(["zoo", "list", "--at-least", "3"]) == 2
    assert "--metric" in capsys.readouterr().err


def test_csv_and_json_hold_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "--task", "mot", "--csv"))))
    content = json.loads(printed(capsys, "--task", "mot", "--json"))
    assert [{key: value for key, value in row.items() if value} for row in rows] == [
        {key: value for key, value in row.items() if value} for row in content
    ]


CELLS = st.sampled_from(["", "1", "2.5", "-3", "10", "abc", "B", "1x"])


@settings(max_examples=60)
@given(st.lists(CELLS, max_size=12), st.booleans(), st.sampled_from(["AP-val", "ID Sw.-val"]))
def test_sorting_loses_no_row_and_keeps_equal_ones_in_order(cells: list[str], reverse: bool, column: str) -> None:
    rows = [{"name": str(i), column: cell} for i, cell in enumerate(cells)]
    found = sort_rows(rows, column, reverse=reverse)
    assert sorted(row["name"] for row in found) == sorted(row["name"] for row in rows)
    filled = [row[column] for row in found if row[column]]
    assert [row[column] for row in found[: len(filled)]] == filled  # empty cells come last
    numbers = [float(cell) for cell in filled if cell not in ("abc", "B", "1x")]
    assert numbers == sorted(numbers, reverse=(column == "AP-val") != reverse)
    scored = with_score(rows, column)
    assert len(scored) == len(numbers)


def test_show_says_all_about_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    name = "faster_rcnn_r50_fpn_3x_det_bdd100k"
    assert main(["zoo", "show", name]) == 0
    text = capsys.readouterr().out
    model = all_models()[name][2]
    for value in (*model.columns.values(), *model.links.values()):
        assert value in text
    assert "41.39 M" in text
    assert "~ load_from: None -> 'https://dl.cv.ethz.ch/" in text
    assert main(["zoo", "show", name, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["parameters"] == model.parameters
    assert content["flops"] == model.flops
    assert content["config changes"][0].startswith("~ load_from")
    assert main(["zoo", "show", "faster_rcnn_r50_1x_bdd100k"]) == 0
    assert "no weights are published" in capsys.readouterr().out


@pytest.mark.parametrize("task", list(TASKS))
def test_every_config_can_be_compared_with_its_base(task: str) -> None:
    from bdd100k_models.zoo.facts import config_changes

    for path in list(config_files(task).values())[::6]:
        assert all(line[:2] in ("~ ", "+ ", "- ") for line in config_changes(path))


def test_changes_are_those_of_the_text(tmp_path: object) -> None:
    from bdd100k_models.zoo.facts import config_changes

    changes = config_changes(ROOT / "mot/configs/mot/qdtrack-frcnn_r50_fpn_augs_1x_mot_bdd100k.py")
    assert "~ model.data_preprocessor.bgr_to_rgb: True -> False" in changes
    assert [line for line in changes if line.startswith("- ")] == []
