"""``zoo check`` on damaged and random files: always a line, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.errors import LabelError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.check import Checklist, CheckOptions, check_entry
from bdd100k_models.zoo.check.scores import read_scores
from bdd100k_models.zoo.check.visuals import zip_problems
from bdd100k_models.zoo.check.weights import weights_problem
from contribution import Contribution, picture, write_zip

relaxed = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=30) | st.sampled_from(["det", "https://a.org/b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)


def damaged(data: bytes, flips: list[tuple[float, int]], end: float) -> bytes:
    """Replace some bytes, then cut the file off."""
    changed = bytearray(data)
    for place, value in flips:
        changed[int(place * len(data))] = value
    return bytes(changed[: int(end * len(data)) + 1])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import torch

    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save({"meta": {"epoch": 1}, "state_dict": {"a.weight": torch.ones(3, 4), "b": torch.zeros(2)}}, path)
    assert weights_problem(path, None) == ""
    return path.read_bytes()


@relaxed
@given(FLIPS, st.floats(0, 1, exclude_max=True) | st.just(0.9999))
def test_damaged_weights_are_one_line(
    weights: bytes, tmp_path: Path, flips: list[tuple[float, int]], end: float
) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(damaged(weights, flips, end))
    assert "\n" not in weights_problem(path, None)


@relaxed
@given(FLIPS, st.floats(0, 1, exclude_max=True) | st.just(0.9999))
def test_damaged_archives_are_lines(tmp_path: Path, flips: list[tuple[float, int]], end: float) -> None:
    path = write_zip(tmp_path / "pictures.zip", {"a/x.jpg": picture(seed=1), "a/y.jpg": picture(seed=2)})
    assert list(zip_problems(path)) == []
    path.write_bytes(damaged(path.read_bytes(), flips, end))
    assert all("\n" not in problem for problem in zip_problems(path))


@relaxed
@given(st.binary(max_size=400))
def test_bytes_that_are_no_archive_are_a_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pictures.zip"
    path.write_bytes(data)
    assert len(list(zip_problems(path))) >= 1


@relaxed
@given(VALUES)
def test_any_json_is_an_entry_or_a_line(tmp_path: Path, value: object) -> None:
    (tmp_path / "entry.json").write_text(json.dumps(value))
    report = check_entry(tmp_path, CheckOptions(offline=True))[0]
    assert report.problems


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Contribution:
    return Contribution(tmp_path_factory.mktemp("right"))


@relaxed
@given(st.data())
def test_any_value_in_an_entry_is_told_or_fine(right: Contribution, tmp_path: Path, data: st.DataObject) -> None:
    entry = json.loads(json.dumps(right.entry))
    places = [entry, entry["paper"], entry["authors"][0], entry["models"][0], *entry["models"][0].values()]
    target = data.draw(st.sampled_from([place for place in places if isinstance(place, dict)]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
    (tmp_path / "entry.json").write_text(json.dumps(entry))
    report: Checklist = check_entry(tmp_path, CheckOptions(offline=True))[0]
    assert all("\n" not in line for line in report.lines())


@relaxed
@given(st.sampled_from(list(TASKS)), VALUES)
def test_any_json_is_scores_or_a_line(tmp_path: Path, task: str, value: object) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(value))
    try:
        read_scores(TASKS[task], path).summary()
    except LabelError as error:
        assert "\n" not in str(error)
