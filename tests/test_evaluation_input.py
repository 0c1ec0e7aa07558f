"""Bad input to the evaluation: one clear line that names file, frame and field; and the command itself."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdd100k_models.commands import eval as command
from bdd100k_models.commands.test import check_labels
from bdd100k_models.datasets.images import ImageSet
from bdd100k_models.errors import ConfigError, InputError, LabelError, MissingFileError, OutputError, ZooError
from bdd100k_models.evaluation.config import EvalConfig, default_config, load_config
from bdd100k_models.evaluation.detection import evaluate_detection
from bdd100k_models.evaluation.result import Result
from bdd100k_models.evaluation.run import Options, evaluate, task_name
from bdd100k_models.formats.arrays import load_boxes
from bdd100k_models.tasks import TASKS
from evaluation_cases import SIZE, draw_case

BOX = {"x1": 10.0, "y1": 20.0, "x2": 30.0, "y2": 40.0}
LABEL = {"id": "7", "category": "car", "box2d": BOX}
TRUTH = [{"name": "a.jpg", "labels": [LABEL]}, {"name": "b.jpg", "labels": []}]


def predicted(**changes: Any) -> list[dict[str, Any]]:
    """Return predictions for both images; the second label of b.jpg has ``changes``."""
    good = {**LABEL, "score": 0.5}
    return [{"name": "a.jpg", "labels": [good]}, {"name": "b.jpg", "labels": [good, {**good, **changes}]}]


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write(tmp_path / "gt.json", TRUTH)


def message(error: pytest.ExceptionInfo[ZooError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (predicted(category="cra"), ["frame b.jpg", "label 1", "'cra'", "car"]),
        (predicted(category=None), ["frame b.jpg", "label 1", "category is missing"]),
        (predicted(box2d={**BOX, "x2": 5}), ["frame b.jpg", "label 1", "x2 = 5.0", "x1 = 10.0"]),
        (predicted(box2d={**BOX, "y2": 18.5}), ["frame b.jpg", "label 1", "y2 = 18.5", "y1 = 20.0"]),
        (predicted(box2d={**BOX, "x1": -1e308, "x2": 1e308}), ["frame b.jpg", "label 1", "box2d"]),
        (predicted(score=None), ["frame b.jpg", "label 1", "score is missing"]),
        (predicted(score=float("nan")), ["frame b.jpg", "score", "NaN"]),
        (predicted(score=float("-inf")), ["frame b.jpg", "score", "Infinity"]),
        (predicted(box2d={**BOX, "x2": float("nan")}), ["frame b.jpg", "x2", "NaN"]),
        ({"frames": predicted(score=float("nan"))}, ["frame b.jpg", "score", "NaN"]),
        (predicted(score="high"), ["frame b.jpg", "score", "labels[1]"]),
        (predicted(box2d={"x1": 1, "x2": 2, "y1": 3}), ["frame b.jpg", "box2d", "y2"]),
        (predicted(attributes=[1]), ["frame b.jpg", "attributes"]),
        (predicted()[1:] * 2, ["frame b.jpg", "twice"]),
        ([{"labels": []}], ["name"]),
        ([{"name": "c.jpg", "labels": []}], ["c.jpg", "another split", "gt.json"]),
        (json.dumps(predicted())[:-30], ["cut off"]),
        ("", ["empty"]),
        ("  \n", ["empty"]),
        ("not json", ["not valid JSON"]),
        ("[1]", ["not the Scalabel format"]),
        ("{}", ["frames"]),
        ({"images": [], "annotations": [], "categories": []}, ["COCO JSON"]),
        ([{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}], ["COCO JSON"]),
    ],
)
def test_bad_predictions_are_named(tmp_path: Path, truth: Path, content: object, words: list[str]):
    file = write(tmp_path / "bad.json", content)
    with pytest.raises(LabelError) as error:
        evaluate("det", truth, file)
    text = message(error)
    assert text.startswith(str(file))
    for word in words:
        assert word in text


def test_huge_number_is_named(tmp_path: Path, truth: Path):
    file = write(tmp_path / "bad.json", json.dumps(predicted(score=0.125)).replace("0.125", "1e999"))
    with pytest.raises(LabelError, match=r"frame b.jpg"):
        evaluate("det", truth, file)


def test_bad_labels_are_named_by_their_file(tmp_path: Path):
    folder = tmp_path / "gt"
    folder.mkdir()
    write(folder / "0.json", TRUTH)
    write(folder / "1.json", [{"name": "a.jpg"}])
    with pytest.raises(LabelError) as error:
        evaluate("det", folder, write(tmp_path / "p.json", predicted()))
    assert message(error).startswith(str(folder / "1.json"))


def test_missing_files_are_named(tmp_path: Path, truth: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (tmp_path / "none.json", empty):
        with pytest.raises(MissingFileError, match=path.name):
            evaluate("det", truth, path)


def test_boxes_without_width_are_accepted(tmp_path: Path, truth: Path):
    """Published detectors give such boxes, and the official tool counts them as false positives."""
    single = np.float32(1279.3)
    flat = {"x1": float(single), "y1": 20.0, "x2": float(single - np.float32(1)), "y2": 40.0}
    result = evaluate("det", truth, write(tmp_path / "p.json", predicted(box2d=flat)))
    assert result.score("AP", "car") > 0


@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "labels", "frames", "id", "box2d", "x1", "x2", "y1", "y2", "score", "category"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_any_text_is_a_table_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: bytes):
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(text)
    try:
        table = load_boxes(file)
        evaluate_detection(table, table)
    except LabelError as error:
        assert str(error).startswith(str(file))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.toml", "a = ", "not valid TOML"),
        ("c.yaml", "a: [", "not valid YAML"),
        ("c.json", "{", "not valid JSON"),
        ("c.toml", "a = 1", "scalabel"),
        ("c.txt", "a = 1", "a config is"),
        ("c.json", '{"scalabel": {"categories": []}}', "at least one"),
        ("c.json", '{"scalabel": {"categories": [{"name": "a"}, {"name": "a"}]}}', "once"),
        ("c.json", '{"scalabel": {"categories": [{"name": "a"}]}, "ignored_as_class": true}', "ignored"),
    ],
)
def test_bad_configs_are_named(tmp_path: Path, name: str, text: str, words: str):
    file = write(tmp_path / name, text)
    with pytest.raises(ConfigError) as error:
        load_config(file)
    assert str(file) in message(error)
    assert words in message(error)


def test_configs_in_every_format_mean_the_same(tmp_path: Path):
    toml = 'name_mapping = {van = "car"}\n[[scalabel.categories]]\nname = "car"\n'
    yaml = "name_mapping: {van: car}\nscalabel: {categories: [{name: car}]}\n"
    text = '{"name_mapping": {"van": "car"}, "scalabel": {"categories": [{"name": "car"}]}}'
    expected = EvalConfig(("car",), {"van": "car"}, None)
    for name, content in (("a.toml", toml), ("a.yaml", yaml), ("a.yml", yaml), ("a.json", text)):
        assert load_config(write(tmp_path / name, content)) == expected


def test_the_task_table_is_the_official_config():
    official = pytest.importorskip("bdd100k", reason="the official tool is not installed")
    file = Path(official.__file__).parent / "configs" / "det.toml"
    assert load_config(file) == default_config(TASKS["det"])


def test_task_names():
    assert task_name("det") == "det"
    assert task_name("mot") == "box_track"
    with pytest.raises(InputError, match="did you mean sem_seg"):
        task_name("semseg")
    with pytest.raises(InputError, match="engine"):
        evaluate("det", "a", "b", engine="theirs")


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    args = parser.parse_args(["eval", *map(str, arguments)])
    status = args.run(args)
    assert isinstance(status, int)
    return status


def test_command_prints_the_table_and_writes_the_file(tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]):
    predictions = write(tmp_path / "p.json", predicted()[:1])
    out = tmp_path / "new" / "scores.json"
    everything = ("-c", "det", "--iou-thr", "0.5", "--ignore-iof-thr", "0.5", "--nproc", "2")
    assert run("-t", "det", "-g", truth, "-r", predictions, *everything, "--out-file", out) == 0
    printed = capsys.readouterr()
    expected = evaluate("det", truth, predictions)
    assert printed.out == expected.table() + "\n"
    assert printed.err == "note: 1 of 2 images have no predictions; they count as images with none found\n"
    assert out.read_text() == expected.to_json()
    assert [path.name for path in out.parent.iterdir()] == ["scores.json"]
    assert run("-t", "det", "-g", truth, "-r", predictions, "--quiet") == 0
    assert capsys.readouterr().err == ""


def test_command_prints_standard_json(tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]):
    predictions = write(tmp_path / "p.json", predicted())
    assert run("-t", "det", "-g", truth, "-r", predictions, "--json") == 0
    content = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert content["summary"]["AP/bus"] is None
    assert content["scores"]["AP"][0]["car"] == content["summary"]["AP/car"] > 0


def test_engines_print_the_same(tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    predictions = write(tmp_path / "p.json", predicted())
    texts = []
    for engine in ("ours", "official"):
        assert run("-t", "det", "-g", truth, "-r", predictions, "--engine", engine, "--nproc", "1") == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != ""


def test_official_engine_reports_its_errors_in_one_line(tmp_path: Path, truth: Path):
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    file = write(tmp_path / "p.json", predicted(category="cra"))
    with pytest.raises(LabelError) as error:
        run("-t", "det", "-g", truth, "-r", file, "--engine", "official", "--nproc", "1")
    assert "AssertionError" in message(error)


def test_our_own_errors_are_not_the_official_tools(tmp_path: Path):
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    file = write(tmp_path / "p.json", [{"name": "a.jpg", "attributes": {"weather": "clear"}}])
    with pytest.raises(MissingFileError, match="no such config file"):
        run("-t", "tagging", "-g", file, "-r", file, "-c", tmp_path / "none.toml", "--engine", "official")


@pytest.mark.parametrize("kind", ["pose", "ins_seg", "pan_seg"])
def test_a_coco_conversion_serves_as_ground_truth(tmp_path: Path, kind: str):
    case = draw_case(kind, tmp_path, seed=4)
    names = TASKS[kind].categories
    content: dict[str, Any] = {"images": [], "annotations": []}
    content["categories"] = [{"id": number, "name": name} for number, name in enumerate(names)]
    height, width = SIZE
    for number, frame in enumerate(json.loads(case.truth.read_text())):
        content["images"].append({"id": number, "file_name": frame["name"], "width": width, "height": height})
        for label in frame["labels"]:
            box = label["box2d"]
            corner, size = (box["x1"], box["y1"]), (box["x2"] - box["x1"] + 1, box["y2"] - box["y1"] + 1)
            one = {"id": len(content["annotations"]), "image_id": number, "bbox": [*corner, *size]}
            one |= {"category_id": names.index(label["category"]), "iscrowd": int(label["attributes"]["crowd"])}
            if "rle" in label:
                one["segmentation"] = label["rle"]
            if "graph" in label:
                nodes = [(*node["location"], 2 * (node["visibility"] == "V")) for node in label["graph"]["nodes"]]
                one["keypoints"] = [value for node in nodes for value in node]
            content["annotations"].append(one)
    converted = write(tmp_path / "coco.json", content)
    ours = evaluate(kind, case.truth, case.result).summary()
    assert evaluate(kind, converted, case.result, Options(coco_truth=True)).summary() == pytest.approx(
        ours, nan_ok=True
    )
    with pytest.raises(LabelError, match="this is COCO JSON"):
        evaluate(kind, converted, case.result)


def test_a_coco_conversion_holds_no_tags(tmp_path: Path):
    converted = write(tmp_path / "coco.json", {"images": [], "categories": []})
    images = ImageSet((), converted, None, str(converted))
    check_labels(TASKS["det"], images)
    with pytest.raises(InputError, match="COCO JSON holds no tags"):
        check_labels(TASKS["tagging"], images)


@pytest.mark.parametrize("flags", [("--nproc", "0"), ("--iou-thr", "1.5"), ("--ignore-iof-thr", "nan")])
def test_command_refuses_bad_numbers(truth: Path, flags: tuple[str, str]):
    with pytest.raises(InputError, match=flags[0]):
        run("-t", "det", "-g", truth, "-r", truth, *flags)


def test_the_settings_of_another_task_go_by_either_of_its_names(truth: Path):
    scores = [
        evaluate("det", truth, write(truth.with_name("p.json"), predicted()), Options(name)).summary()
        for name in ("mot", "box_track")
    ]
    assert scores[0] == pytest.approx(scores[1], nan_ok=True)


def test_official_packages_are_not_imported(tmp_path: Path, truth: Path):
    """The evaluation itself must not need them."""
    import subprocess

    predictions = write(tmp_path / "p.json", predicted())
    code = (
        "import sys; from bdd100k_models.evaluation.run import evaluate; evaluate('det', *sys.argv[1:]);"
        "print(sorted({name.split('.')[0] for name in sys.modules}"
        " & {'pydantic', 'scalabel', 'bdd100k', 'motmetrics', 'torch', 'pandas', 'pycocotools'}))"
    )
    done = subprocess.run([sys.executable, "-c", code, truth, predictions], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_results_of_other_shapes_print_and_sum_up(tmp_path: Path):
    """The official tool's other tasks have groups of rows, averages of another name, counts and plain numbers."""
    groups = [{"car": 50.0, "bus": float("nan")}, {"vehicle": 50.0}, {"AVERAGE": 25.0, "OVERALL": 50.0}]
    counts = [{"car": 7, "bus": 1234567}, {"vehicle": 0}, {"AVERAGE": 1, "OVERALL": 2}]
    result = Result("x", {"mMOTA": 25.0, "MOTA": groups, "FP": counts}, detail={"MOTA": 1})
    assert result.summary() == {"mMOTA": 25.0, "MOTA": 50.0, "FP": 2, "MOTA/vehicle": 50.0}
    assert result.score("mMOTA") == 25
    assert result.score("MOTA", "AVERAGE") == 25
    with pytest.raises(KeyError):
        result.score("MOTA", "train")
    segments = Result("y", {"IoU": [{"road": 1.0}, {"AVERAGE": 1.0}], "pAcc": 2.0}, prefix="m")
    assert segments.summary() == {"mIoU": 1.0, "pAcc": 2.0}
    assert Result("z", {"pAcc": 2.0}).table() == ""
    assert result.rows(["FP"])[1] == ["bus", " 1234567"]
    scalabel = pytest.importorskip("scalabel.eval.result", reason="the official tool is not installed")

    class Official(scalabel.Result):  # type: ignore[misc, name-defined]
        mMOTA: float
        MOTA: list[dict[str, float]]
        FP: list[dict[str, int]]

    assert f"\n{result.table()}" == Official(**result.scores).table()
    with pytest.raises(OutputError):
        result.save(write(tmp_path / "file", "") / "scores.json")
