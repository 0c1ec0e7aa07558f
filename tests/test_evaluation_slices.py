"""Slices: equal to the evaluation of the frames of each value alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bdd100k_models.commands.eval import register, run
from bdd100k_models.errors import InputError, LabelError
from bdd100k_models.evaluation.parts import Assessment
from bdd100k_models.evaluation.run import Options, assess, evaluate
from bdd100k_models.evaluation.slices import read_scenes, slice_scores
from bdd100k_models.formats.bitmask import encode_png
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.tasks import TAGS
from evaluation_cases import ALL, TRACKS, Case, draw_case, select


def options(case: Case) -> Options:
    return Options(score_file=case.scores, hota=case.task in ("box_track", "seg_track"))


def sliced(case: Case) -> Assessment:
    assessment = assess(case.task, case.truth, case.result, options(case))
    if not case.truth.is_dir():
        return assessment
    return replace(assessment, units=read_scenes(case.attributes, assessment.units))


@pytest.mark.parametrize("kind", ALL)
def test_a_slice_scores_like_its_frames_alone(tmp_path: Path, kind: str):
    case = draw_case(kind, tmp_path / "all", seed=3, units=9)
    assessment = sliced(case)
    slices = slice_scores(assessment)
    assert {one.tag for one in slices} == set(TAGS)
    listed = json.loads(case.attributes.read_text())
    for tag in TAGS:
        assert sum(one.units for one in slices if one.tag == tag) == 9
    for number, one in enumerate(slices):
        names = {
            frame["videoName"] if kind in TRACKS else Path(frame["name"]).stem
            for frame in listed
            if frame["attributes"][one.tag] == one.value
        }
        assert len(names) == one.units
        alone = select(case, tmp_path / str(number), dict.fromkeys(names, 1))
        expected = evaluate(alone.task, alone.truth, alone.result, options(alone))
        assert one.result.summary() == pytest.approx(expected.summary(), abs=1e-9, nan_ok=True)
        for metric, groups in expected.scores.items():
            if not isinstance(groups, (int, float)):
                for mine, group in zip(one.result.scores[metric], groups, strict=True):
                    assert mine == pytest.approx(group, abs=1e-9, nan_ok=True)


def command(*flags: object) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    return run(parser.parse_args(["eval", *map(str, flags)]))


def test_the_command_prints_slices_and_leaves_official_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = draw_case("det", tmp_path, seed=1, units=6)
    files = ["-t", "det", "-g", case.truth, "-r", case.result]
    assert command(*files, "--out-file", tmp_path / "plain.json") == 0
    assert command(*files, "--slices", "weather", "--out-file", tmp_path / "sliced.json") == 0
    text = capsys.readouterr().out
    plain, more = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("plain", "sliced"))
    slices = more.pop("slices")
    assert json.dumps(more) == json.dumps(plain)
    assert list(slices) == ["weather"]
    for value, content in slices["weather"].items():
        line = next(line for line in text.splitlines() if line.startswith(f"weather: {value} "))
        assert str(content["images"]) in line.split()
        score = content["scores"]["AP"]
        assert (f"{score:.1f}" if not math.isnan(score) else "-") in line.split()
    assert command(*files, "--slices", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["slices"]) == set(TAGS)


def test_frames_without_attributes_are_in_no_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case = draw_case("det", tmp_path, seed=2, units=4)
    frames = json.loads(case.truth.read_text())
    frames[0].pop("attributes")
    frames[1]["attributes"] = {"weather": 5, "scene": "moon", "timeofday": None}
    case.truth.write_text(json.dumps(frames))
    slices = slice_scores(assess("det", case.truth, case.result))
    assert sum(one.units for one in slices if one.tag == "weather") == 2
    assert [one.units for one in slices if one.value == "moon"] == [1]
    assert command("-t", "det", "-g", case.truth, "-r", case.result, "--slices") == 0
    assert "2 of 4 images have no weather" in capsys.readouterr().err
    for frame in frames:
        frame.pop("attributes", None)
    case.truth.write_text(json.dumps(frames))
    with pytest.raises(LabelError, match="--attributes"):
        slice_scores(assess("det", case.truth, case.result))
    with pytest.raises(InputError, match="wether"):
        slice_scores(assess("det", case.truth, case.result), ["wether"])


def test_attributes_of_other_images_are_refused(tmp_path: Path):
    case = draw_case("sem_seg", tmp_path, seed=2, units=4)
    other = tmp_path / "other.json"
    other.write_text(json.dumps([{"name": "zzz.jpg", "attributes": {"weather": "clear"}}]))
    with pytest.raises(LabelError, match="same split"):
        read_scenes(other, assess("sem_seg", case.truth, case.result).units)


def test_names_with_dots_keep_all_but_their_suffix(tmp_path: Path):
    for side in ("truth", "result"):
        for name in ("a.1", "a.2"):
            write_bytes(tmp_path / side / f"{name}.png", encode_png(np.zeros((4, 4), np.uint8)))
    other = tmp_path / "other.json"
    frames = [{"name": f"a.{number}.jpg", "attributes": {"weather": f"clear {number}"}} for number in (1, 2)]
    other.write_text(json.dumps(frames))
    units = read_scenes(other, assess("sem_seg", tmp_path / "truth", tmp_path / "result").units)
    assert [scene[0] for scene in units.scenes] == ["clear 1", "clear 2"]


def test_no_frames_no_slices(tmp_path: Path):
    empty = tmp_path / "gt.json"
    empty.write_text("[]")
    assert slice_scores(assess("det", empty, empty)) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--slices", "--engine", "official", "-r", "x"], "--engine"),
        ([], "--result"),
        (["--compare", "a", "b", "-r", "x"], "--compare"),
        (["--compare", "a", "b", "--slices"], "--compare"),
        (["-r", "x", "--report", "page", "--worst", "-1"], "--worst must be at least 0, not -1"),
        (["-r", "x", "--score-file", "a"], "--score-file goes with .* ins_seg"),
        (["-t", "ins_seg", "-r", "x", "--score-file", "a", "b"], "--score-file: give one"),
        (["-r", "x", "--slices", "weather", "wether"], "no slices by 'wether'"),
        (["-r", "x", "--attributes", "a"], "--attributes does nothing without --slices"),
        (["-r", "x", "--worst", "3"], "--worst does nothing without --report"),
        (["-r", "x", "--seed", "3"], "--seed does nothing without --compare"),
        (["--compare", "a", "b", "--samples", "0"], "--samples must be at least 1, not 0"),
        (["--compare", "a", "b", "--confidence", "2"], "--confidence 2"),
    ],
)
def test_flags_that_do_not_go_together(flags: list[str], words: str):
    with pytest.raises(InputError, match=words):
        command("-t", "det", "-g", "gt.json", *flags)
