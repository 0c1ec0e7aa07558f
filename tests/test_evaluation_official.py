"""The official engine: what it returns is what the official command prints, writes and summarises, for every task."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bdd100k_models.compat import motmetrics, tostring_rgb
from bdd100k_models.errors import ConfigError, InputError, LabelError
from bdd100k_models.evaluation import official
from bdd100k_models.evaluation.config import Options, default_config, load_config, load_tag_config
from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.run import TASK_NAMES, evaluate
from bdd100k_models.tasks import SUPER_CATEGORIES, TAGS, TASKS
from conftest import needs_samples
from evaluation_support import SAMPLES, TOOLKIT, rle_of, write_json

bdd100k = pytest.importorskip("bdd100k", reason="the official tool is not installed")

LABELS = SAMPLES / "labels"

pytestmark = needs_samples(SAMPLES)


def official_run(monkeypatch: pytest.MonkeyPatch, out: Path, task: str, *arguments: str | Path) -> Any:
    """Run the official command line in this process and return its result object."""
    motmetrics.install()
    tostring_rgb.install()
    from bdd100k.eval import run

    shown: list[Any] = []
    monkeypatch.setattr(run, "logger", SimpleNamespace(info=shown.append))
    flags = ["-t", task, "--nproc", "1", "--out-file", str(out), *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", ["run", *flags])
    run.run()
    return shown[-1]


def assert_equal(result: Result, reference: Any) -> None:
    assert f"\n{result.table()}" == str(reference)
    assert list(result.summary()) == list(reference.summary())
    assert result.summary() == pytest.approx(reference.summary(), abs=0, nan_ok=True)


def with_scores(source: Path, target: Path) -> Path:
    """Turn labels into predictions."""
    content = json.loads(source.read_text())
    frames = content if isinstance(content, list) else content["frames"]
    for frame in frames:
        for index, label in enumerate(frame["labels"] or ()):
            label["score"] = 1 / (index + 2)
        frame["labels"] = (frame["labels"] or [])[1:]
    return write_json(target, frames)


CASES = {
    "det": (LABELS / "det_20" / "det_val.json", None, None),
    "ins_seg": (LABELS / "ins_seg" / "rles" / "ins_seg_val.json", None, None),
    "ins_seg masks": (TOOLKIT / "ins_seg" / "gt", TOOLKIT / "ins_seg" / "pred", TOOLKIT / "ins_seg" / "pred.json"),
    "sem_seg": (LABELS / "sem_seg" / "rles" / "sem_seg_val.json", None, None),
    "sem_seg masks": (TOOLKIT / "seg" / "gt", TOOLKIT / "seg" / "pred", None),
    "drivable masks": (TOOLKIT / "seg" / "gt", TOOLKIT / "seg" / "pred", None),
    "pan_seg": (LABELS / "pan_seg" / "rles" / "pan_seg_val.json", None, None),
    "pan_seg masks": (TOOLKIT / "pan_seg" / "gt", TOOLKIT / "pan_seg" / "pred", None),
    "lane_mark masks": (TOOLKIT / "lane" / "gts", TOOLKIT / "lane" / "res", None),
    "box_track": (LABELS / "box_track_20" / "val", SAMPLES / "predictions" / "box_track", None),
    "seg_track": (
        LABELS / "seg_track_20" / "rles" / "val",
        LABELS / "seg_track_20" / "rles" / "val",
        None,
    ),
    "seg_track masks": (TOOLKIT / "mots" / "gt", TOOLKIT / "mots" / "result", None),
}


def all_but(kept: str) -> Callable[[str, list[str]], list[str]]:
    """Return what to ignore in copying a folder."""
    return lambda _, names: [name for name in names if name != kept]


@pytest.mark.parametrize("case", CASES)
def test_the_engine_is_the_official_command(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    task = case.split()[0]
    truth, result, score_file = CASES[case]
    if task == "lane_mark":  # one image takes the official tool seconds
        name = min(path.name for path in truth.iterdir())
        truth, result = (shutil.copytree(side, tmp_path / side.name, ignore=all_but(name)) for side in (truth, result))
    result = result or with_scores(truth, tmp_path / "pred.json")
    flags = ["--score-file", score_file] if score_file else []
    out = tmp_path / "out.json"
    reference = official_run(monkeypatch, out, task, "-g", truth, "-r", result, *flags)
    ours = evaluate(task, truth, result, Options(processes=1, score_file=score_file), engine="official")
    assert_equal(ours, reference)
    assert ours.to_json() == out.read_text()


def test_pose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    places = rng.uniform(100, 300, (18, 2))
    labels = []
    for noise in (0.0, 3.0):
        nodes = [
            {"location": place, "category": "head", "id": str(index), "visibility": "V", "score": 1.0}
            for index, place in enumerate((places + rng.normal(0, noise + 1e-9, places.shape)).tolist())
        ]
        graph = {"nodes": nodes, "edges": [], "type": "Pose2D-18Joints"}
        box = {"x1": 90, "y1": 90, "x2": 310, "y2": 310}
        labels.append({"id": "1", "category": "pedestrian", "score": 0.5, "graph": graph, "box2d": box})
    files = [
        write_json(tmp_path / f"{side}.json", [{"name": "a", "labels": [label]}])
        for side, label in zip("gr", labels, strict=True)
    ]
    out = tmp_path / "out.json"
    reference = official_run(monkeypatch, out, "pose", "-g", files[0], "-r", files[1])
    ours = evaluate("pose", *files, Options(processes=1), engine="official")
    assert_equal(ours, reference)
    assert ours.to_json() == out.read_text()
    assert ours.score("AP50") == pytest.approx(100)


def test_lane_marking_from_run_length_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mask = np.zeros((720, 1280), bool)
    mask[100:110, 200:900] = True
    frames = []
    for shift in (0, 2):
        masks = [("parallel", mask), ("solid", mask), ("crosswalk", mask)]
        labels = [{"id": str(i), "category": n, "rle": rle_of(np.roll(m, shift, 0))} for i, (n, m) in enumerate(masks)]
        frames.append(write_json(tmp_path / f"{shift}.json", [{"name": "a", "labels": labels}]))
    out = tmp_path / "out.json"
    reference = official_run(monkeypatch, out, "lane_mark", "-g", frames[0], "-r", frames[1])
    ours = evaluate("lane_mark", *frames, Options(processes=1), engine="official")
    assert_equal(ours, reference)


@pytest.mark.parametrize("tags", [["weather"], ["weather", "scene", "timeofday"]])
def test_tagging(tags: list[str], tmp_path: Path):
    from scalabel.eval.tagging import evaluate_tagging
    from scalabel.label.typing import Category, Config, Frame

    rng = np.random.default_rng(1)
    sides = [
        [{"name": str(n), "attributes": {tag: str(rng.choice(TAGS[tag])) for tag in tags}} for n in range(50)]
        for _ in range(2)
    ]
    for frame in sides[0]:
        frame["attributes"].update({tag: values[0] for tag, values in TAGS.items() if tag not in tags})
    tree = [Category(name=t, subcategories=[Category(name=n) for n in TAGS[t]]) for t in TAGS if t in tags]
    frames = [[Frame(**frame) for frame in side] for side in sides]
    reference = evaluate_tagging(*frames, Config(categories=tree))
    files = [write_json(tmp_path / f"{place}.json", side) for place, side in enumerate(sides)]
    assert_equal(evaluate("tagging", *files, engine="official"), reference)
    lines = [f'[[categories]]\nname = "{t}"\n' for t in tags]
    values = ["".join(f'[[categories.subcategories]]\nname = "{n}"\n' for n in TAGS[t]) for t in tags]
    config = tmp_path / "tags.toml"
    config.write_text("".join(line + value for line, value in zip(lines, values, strict=True)))
    assert load_tag_config(config).groups == {tag: TAGS[tag] for tag in tags}
    assert_equal(evaluate("tagging", *files, Options(config=str(config)), engine="official"), reference)


@pytest.mark.parametrize("task", [name for name in TASK_NAMES if name != "tagging"])
def test_the_settings_of_each_task_are_the_official_config(task: str):
    from bdd100k.common.utils import load_bdd100k_config
    from scalabel.label.utils import get_leaf_categories, get_parent_categories

    ours = default_config(task)
    file = Path(bdd100k.__file__).parent / "configs" / f"{task}.toml"
    assert load_config(file) == ours
    official = load_bdd100k_config(task)
    tree = official.scalabel.categories
    assert list(ours.categories) == [leaf.name for leaf in get_leaf_categories(tree)]
    assert {name: list(leaves) for name, leaves in ours.groups.items()} == {
        name: [leaf.name for leaf in leaves] for name, leaves in get_parent_categories(tree).items()
    }
    assert ours.name_mapping == (official.name_mapping or {})
    assert ours.ignored_mapping == official.ignored_mapping
    assert ours.remove_ignored == official.remove_ignored
    assert list(ours.sigmas or ()) == (official.scalabel.poseSigmas or [])
    size = official.scalabel.imageSize
    assert ours.image_size == (size.height, size.width)
    if task == "pan_seg":
        assert ours.things == {leaf.name for leaf in get_leaf_categories(tree) if leaf.isThing}
        assert ours.categories == TASKS["pan_seg"].categories


def test_settings_by_row_and_by_name_agree():
    assert default_config(TASKS["mots"]) == default_config("seg_track")
    assert default_config(TASKS["tagging"]) == default_config("tagging")
    assert default_config("box_track").groups == SUPER_CATEGORIES
    with pytest.raises(KeyError):
        default_config("unknown")


@pytest.mark.parametrize("text", ['categories = [{name = "a"}]', "categories = []", "x = 1"])
def test_bad_tag_configs_are_named(tmp_path: Path, text: str):
    file = tmp_path / "tags.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="categories"):
        load_tag_config(file)


def test_what_it_stops_with_is_one_line(tmp_path: Path):
    folder = tmp_path / "mixed"
    write_json(folder / "a.json", [])
    (folder / "a.png").touch()
    with pytest.raises(LabelError, match="directory of only bitmasks") as error:
        evaluate("sem_seg", folder, folder, engine="official")
    assert "\n" not in str(error.value)
    with pytest.raises(LabelError, match="does not exist"):
        evaluate("ins_seg", tmp_path / "none", tmp_path / "none", engine="official")
    with pytest.raises(LabelError, match="requires score_file"):
        evaluate("ins_seg", TOOLKIT / "ins_seg" / "gt", TOOLKIT / "ins_seg" / "pred", engine="official")


def test_several_processes_work_where_the_official_command_fails(tmp_path: Path):
    truth = LABELS / "ins_seg" / "rles" / "ins_seg_val.json"
    result = with_scores(truth, tmp_path / "pred.json")
    results = [evaluate("ins_seg", truth, result, Options(processes=n), engine="official") for n in (1, 2)]
    assert results[0].to_json() == results[1].to_json()


def test_its_absence_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import importlib.metadata

    def version(name: str) -> str:
        return {"bdd100k": "1.0.1", "scalabel": "0.3.1"}.get(name, "2.9")

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(InputError, match=r"pydantic 1\.x, found 2\.9"):
        evaluate("det", tmp_path, tmp_path, engine="official")


def test_workers_end_by_the_default_action_and_the_handler_comes_back() -> None:
    """A handler of Python's can be lost in a fork that has just begun, which would then never end."""

    def handle(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with official._forking():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)
