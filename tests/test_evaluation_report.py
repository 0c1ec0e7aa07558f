"""The report: one page that holds everything, needs no network and says what is wrong."""

from __future__ import annotations

import base64
import html.parser
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from bdd100k_models.evaluation import coco
from bdd100k_models.evaluation.parts import Confusion
from bdd100k_models.evaluation.report import Sources, pictures, write_report
from bdd100k_models.evaluation.report.faults import best_threshold, find_faults
from bdd100k_models.evaluation.report.pictures import draw_worst
from bdd100k_models.evaluation.report.plots import bar_plot, confusion_plot
from bdd100k_models.evaluation.run import assess
from bdd100k_models.evaluation.slices import slice_scores
from conftest import draw_noise
from evaluation_cases import ALL, SIZE, TRACKS, draw_case
from test_evaluation_slices import command, sliced


class Page(html.parser.HTMLParser):
    """Collects what a page refers to and whether its tags are closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text()
        self.sources: list[str] = []
        self.headings: list[str] = []
        self.open: list[str] = []
        self.feed(self.text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [str(values[key]) for key in ("src", "href", "xlink:href") if values.get(key)]
        if tag not in ("meta", "img", "link", "br", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [str(value) for key, value in attrs if key in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    def pictures(self) -> list[np.ndarray]:
        data = [source.partition("base64,")[2] for source in self.sources if source.startswith("data:image")]
        return [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in data]


@pytest.mark.parametrize("kind", ALL)
def test_a_report_of_every_task(tmp_path: Path, kind: str):
    case = draw_case(kind, tmp_path / "case", seed=3, units=5)
    images = tmp_path / "images"
    for number, frame in enumerate(json.loads(case.attributes.read_text())):
        draw_noise(images / frame.get("videoName", "") / frame["name"], number, SIZE)
    assessment = sliced(case)
    sources = Sources(case.truth, case.result, images)
    path = write_report(tmp_path / "report", assessment, slice_scores(assessment), sources, worst=3)
    page = Page(path)
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    # nothing is fetched: pictures are inside, references point into the page
    assert all(source.startswith(("data:image", "#")) for source in page.sources)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page.text)
    assert 'name="viewport"' in page.text
    expected = {"Scores", "Slices"}
    if case.task in ("det", "ins_seg", "pose"):
        expected.add("Precision and recall")
    if case.task in ("det", "sem_seg", "drivable", "pan_seg", "tagging"):
        expected.add("Confusion")
    if kind in TRACKS:
        expected.add("Misses and switches")
    assert expected < set(page.headings)
    faults = find_faults(assessment)
    worst = faults.worst(3)
    assert worst
    for unit in worst:
        assert html.escape(faults.describe(unit)) in page.text
    pictures = page.pictures()
    assert len(pictures) == (0 if case.task == "lane_mark" else 2 * len(worst))
    for picture in pictures:
        assert picture.shape == (*SIZE, 3)


def test_without_pictures_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = draw_case("det", tmp_path, seed=3)
    assessment = assess("det", case.truth, case.result)
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "_pick", None)  # nothing is looked for that would not be drawn
        page = Page(write_report(tmp_path / "report", assessment, [], Sources(case.truth, case.result)))
    assert "no folder of images was given" in page.text
    assert not page.pictures()
    faults = find_faults(assessment)
    assert assessment.units.names[faults.worst(1)[0]] in page.text
    missing = Sources(case.truth, case.result, tmp_path / "nowhere")
    page = Page(write_report(tmp_path / "report", assessment, [], missing))
    assert "no image of this name" in page.text


def test_what_cannot_be_drawn_still_has_a_page(tmp_path: Path):
    """Evaluations need less of a frame than drawing does."""
    (tmp_path / "gt.json").write_text(json.dumps([{"name": 7, "labels": []}, {"name": "a.jpg", "labels": []}]))
    (tmp_path / "pred.json").write_text(json.dumps([{"name": 7, "labels": []}]))
    sources = Sources(tmp_path / "gt.json", tmp_path / "pred.json", tmp_path)
    assessment = assess("det", sources.truth, sources.result)
    assert Page(write_report(tmp_path / "report", assessment, [], sources)).text
    pairs = draw_worst("det", ["7", "a.jpg"], sources, 0.3)
    assert all(pair.problem for pair in pairs)


def test_an_empty_evaluation_has_a_page(tmp_path: Path):
    empty = tmp_path / "gt.json"
    empty.write_text("[]")
    for task in ("det", "pose", "pan_seg", "ins_seg", "box_track", "tagging", "lane_mark"):
        page = Page(write_report(tmp_path / task, assess(task, empty, empty), [], Sources(empty, empty)))
        assert any(heading.startswith("Worst") for heading in page.headings)


def test_names_cannot_leave_the_text(tmp_path: Path):
    name = "<script>alert(1)</script>.jpg"
    truth = tmp_path / "gt.json"
    box = {"x1": 1, "y1": 1, "x2": 9, "y2": 9}
    labels = [{"id": "1", "category": "car", "box2d": box}]
    truth.write_text(json.dumps([{"name": name, "labels": labels, "attributes": {"weather": "<b>&"}}]))
    result = tmp_path / "pred.json"
    result.write_text(json.dumps([{"name": name, "labels": []}]))
    assessment = assess("det", truth, result)
    sources = Sources(truth, result)
    page = Page(write_report(tmp_path / "report", assessment, slice_scores(assessment), sources))
    assert "<script" not in page.text
    assert "<b>&" not in page.text
    assert html.escape(name) in page.text


def test_the_confusion_of_boxes_is_that_of_a_loop(tmp_path: Path):
    """Greedy by falling score, each prediction the free object that it overlaps most, of whatever category."""
    case = draw_case("det", tmp_path, seed=12, units=10)
    threshold = 0.3
    table = assess("det", case.truth, case.result).confusions(threshold)[0]
    expected = np.zeros_like(table.counts)
    names, none = list(table.rows), len(table.rows) - 1
    results = {frame["name"]: frame["labels"] for frame in json.loads(case.result.read_text())}
    for frame in json.loads(case.truth.read_text()):
        free = list(frame["labels"])
        guesses = [one for one in results[frame["name"]] if one["score"] >= threshold]
        for guess in sorted(guesses, key=lambda one: -one["score"]):
            shares = [(share(guess["box2d"], one["box2d"], one["attributes"]["crowd"]), one) for one in free]
            shares = [pair for pair in shares if pair[0] >= 0.5]
            regular = [pair for pair in shares if not pair[1]["attributes"]["crowd"]]
            column = names.index(guess["category"])
            if regular:
                best = max(regular, key=lambda pair: pair[0])[1]
                expected[names.index(best["category"]), column] += 1
                free.remove(best)
            elif not shares:
                expected[none, column] += 1
        for one in free:
            if not one["attributes"]["crowd"]:
                expected[names.index(one["category"]), none] += 1
    assert (table.counts == expected).all()
    assert expected[:-1, :-1].trace() > 0


def share(one: dict[str, int], other: dict[str, int], crowd: bool) -> float:
    width = min(one["x2"], other["x2"]) - max(one["x1"], other["x1"]) + 1
    height = min(one["y2"], other["y2"]) - max(one["y1"], other["y1"]) + 1
    areas = [(box["x2"] - box["x1"] + 1) * (box["y2"] - box["y1"] + 1) for box in (one, other)]
    common = max(0, width) * max(0, height)
    return common / (areas[0] if crowd else sum(areas) - common)


def test_the_threshold_has_the_best_f1_score():
    scores = np.array([0.9, 0.8, 0.8, 0.4, 0.3])
    outcomes = np.array([1, 1, 0, 1, 0], np.uint8)[:, None, None] * np.ones((1, 4, 10), np.uint8)
    zeros = np.zeros(5, np.int64)
    counts = np.full((1, 1, 4), 3, np.int32)
    matches = coco.Matches(zeros, zeros, np.arange(5), scores, outcomes, counts, np.ones((1, 1), np.bool_))
    assert best_threshold(matches) == 0.4
    assert best_threshold(matches.take(np.array([], np.int64))) == 0


def test_segments_of_other_categories_are_confused(tmp_path: Path):
    case = draw_case("pan_seg masks", tmp_path, seed=4, units=6)
    assessment = assess("pan_seg", case.truth, case.result)
    counts = assessment.confusions(0)[0].counts
    matched = assessment.parts.table.reshape(-1, 4, counts.shape[0] - 1).sum(axis=0)[1]  # type: ignore[attr-defined]
    # what matches within a category stands on the diagonal
    assert (counts.diagonal()[:-1] == matched).all()
    assert counts.sum() > matched.sum()


def test_plots_of_nothing():
    names = ("a", "b")
    drawing = confusion_plot(Confusion("x", names, names, np.array([[0, 0], [0, 3]])))
    assert "<svg" in drawing and "QuadMesh" in drawing
    assert "<svg" in bar_plot([("night", float("nan")), ("day", 3.0)], float("nan"), "AP")


def test_the_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = draw_case("det", tmp_path, seed=3)
    files = ["-t", "det", "-g", case.truth, "-r", case.result]
    assert command(*files, "--report", tmp_path / "out" / "report", "--slices", "scene") == 0
    assert str(tmp_path / "out" / "report" / "index.html") in capsys.readouterr().err
    assert "Slices" in Page(tmp_path / "out" / "report" / "index.html").headings
