"""Classes of one's own: labels are read by the class list that the data set is given, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

import bdd100k_models.registry  # noqa: F401
from bdd100k_models import load_model
from bdd100k_models.cli import main
from bdd100k_models.datasets.categories import canonical_category
from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.engine.checkpoint import fill, load_weights
from bdd100k_models.engine.config import load_config, with_own_classes
from bdd100k_models.engine.model import build_model
from bdd100k_models.engine.weightless import build_weightless
from bdd100k_models.errors import CheckpointError, ConfigError, InputError, LabelError
from bdd100k_models.export.build import ExportOptions, write_model
from bdd100k_models.export.load import load_for_export
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.registry import enter_scope
from bdd100k_models.tasks import TAGS, TASKS
from bdd100k_models.zoo.records import config_files
from conftest import ROOT, draw_noise
from det_model import MODEL

#: Of each task: its data set, the step that reads the labels, and labels that name their categories.
READ: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "det": ({"type": "BDD100KDetDataset"}, [], "labels/det_20/det_train.json"),
    "ins_seg": (
        {"type": "BDD100KInsSegDataset"},
        [{"type": "LoadInstanceLabels"}],
        "labels/ins_seg/rles/ins_seg_train.json",
    ),
    "sem_seg": (
        {"type": "BDD100KSemSegDataset"},
        [{"type": "LoadSemanticLabels", "task": "sem_seg"}],
        "labels/sem_seg/rles/sem_seg_train.json",
    ),
    "drivable": (
        {"type": "BDD100KDrivableDataset"},
        [{"type": "LoadSemanticLabels", "task": "drivable"}],
        "labels/drivable/rles/drivable_train.json",
    ),
    "tagging": ({"type": "BDD100KTaggingDataset", "tag": "weather"}, [], "labels/det_20/det_train.json"),
    "mot": ({"type": "BDD100KTrackPairs", "task": "mot"}, [], "labels/box_track_20/train"),
    "mots": ({"type": "BDD100KTrackPairs", "task": "mots"}, [], "labels/seg_track_20/rles/train"),
}
#: Labels that number their categories.
NUMBERED = {
    "ins_seg": "labels/ins_seg/bitmasks/train",
    "sem_seg": "labels/sem_seg/masks/train",
    "mots": "labels/seg_track_20/bitmasks/train",
}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 2}, seed=5, size=(320, 180), nproc=1, force=True)
    generate_videos(root, {"train": 1}, frames=2, seed=5, size=(320, 180), nproc=1, force=True)
    return root


def classes_of(task: str) -> tuple[str, ...]:
    return TASKS[task].categories or TAGS["weather"]


def read(root: Path, task: str, labels: str | Path | None = None, **metainfo: Any) -> list[int]:
    """Return the class of everything in the images, in order; of pixels without a class, 255."""
    enter_scope("mmdet")
    kind, steps, named = READ[task]
    dataset = DATASETS.build(
        {
            **kind,
            "data_root": str(root),
            "ann_file": str(labels or named),
            "data_prefix": {"img_path" if task == "tagging" else "img": TASKS[task].image_dir("train")},
            "pipeline": [{"type": "LoadImageFromFile"}, *steps] if steps else [],
            **({"metainfo": metainfo} if metainfo else {}),
        }
    )
    samples = [dataset[index] if steps else dataset.get_data_info(index) for index in range(2)]
    found: list[int] = []
    for sample in samples:
        if "gt_seg_map" in sample:
            found += sample["gt_seg_map"].ravel().tolist()
        elif "gt_label" in sample:
            found.append(sample["gt_label"])
        elif steps:
            found += sample["gt_bboxes_labels"].tolist()
        else:
            found += [instance["bbox_label"] for instance in sample["instances"]]
    return found


@pytest.mark.parametrize("task", READ)
def test_names_count_in_the_order_of_the_list(data_root: Path, task: str) -> None:
    classes = classes_of(task)
    known, turned = read(data_root, task), read(data_root, task, classes=list(reversed(classes)))
    last = len(classes) - 1
    assert turned == [255 if number == 255 else last - number for number in known]
    assert set(known) - {255}


@pytest.mark.parametrize("task", READ)
def test_a_name_that_the_list_lacks_is_refused(data_root: Path, task: str) -> None:
    present = {number for number in read(data_root, task) if number != 255}
    # what no label covers is background, which no label need name
    lacking = next(name for number, name in enumerate(classes_of(task)) if number in present and name != "background")
    others = [name for name in classes_of(task) if name != lacking]
    with pytest.raises(LabelError, match=rf"unknown (category|weather) '{lacking}'.*{others[0]}") as caught:
        read(data_root, task, classes=others)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("task", NUMBERED)
def test_numbers_are_places_in_the_list(data_root: Path, task: str) -> None:
    labels, count = NUMBERED[task], len(classes_of(task))
    known = read(data_root, task, labels)
    assert read(data_root, task, labels, classes=[f"class {number}" for number in range(count)]) == known
    fewer = [f"class {number}" for number in range(max(set(known) - {255}))]
    with pytest.raises(LabelError, match=r"categories are 1 to|classes are 0 to|unknown category"):
        read(data_root, task, labels, classes=fewer)


def test_panoptic_segments_are_of_the_official_categories(data_root: Path) -> None:
    enter_scope("mmdet")
    config = {
        "type": "BDD100KPanSegDataset",
        "data_root": str(data_root),
        "ann_file": TASKS["pan_seg"].label_path("train"),
        "data_prefix": {"img": TASKS["pan_seg"].image_dir("train")},
    }
    assert len(DATASETS.build(config)) == 2
    for key in ("classes", "thing_classes", "stuff_classes"):
        with pytest.raises(ConfigError, match=f"metainfo.{key}: panoptic segmentation is trained with the data set's"):
            DATASETS.build(config | {"metainfo": {key: ["car", "road"]}})


def test_a_class_may_have_a_name_that_stands_for_another() -> None:
    assert canonical_category("person") == ("pedestrian", False)
    assert canonical_category("person", ("person", "dog")) == ("person", False)
    assert canonical_category("other vehicle", ["other vehicle"]) == ("other vehicle", False)


def test_labels_of_pixels_that_nothing_is_learned_from(data_root: Path, tmp_path: Path) -> None:
    """Categories that are unknown, and files without any label, are errors; what is never evaluated is left out."""
    for task in ("sem_seg", "drivable"):
        path = tmp_path / f"{task}.json"
        frames = json.loads((data_root / READ[task][2]).read_bytes())
        frames = frames if isinstance(frames, list) else frames["frames"]
        path.write_text(json.dumps([{**frame, "labels": None} for frame in frames]))
        with pytest.raises(LabelError, match=r"no image has a label of the classes; training needs"):
            read(data_root, task, path)
        frames[0]["labels"][0]["category"] = "tram"
        path.write_text(json.dumps(frames))
        place = f"frame {frames[0]['name']}, label {frames[0]['labels'][0]['id']}"
        with pytest.raises(LabelError, match=rf"{place}: unknown category 'tram'; the classes are"):
            read(data_root, task, path)
    known = np.array(read(data_root, "sem_seg"))
    frames = json.loads((data_root / READ["sem_seg"][2]).read_bytes())
    frames = frames if isinstance(frames, list) else frames["frames"]
    named = {"road": "unlabeled", "building": "guard rail"}
    for frame in frames:
        for label in frame["labels"]:
            label["category"] = named.get(label["category"], label["category"])
    (tmp_path / "less.json").write_text(json.dumps(frames))
    less = np.array(read(data_root, "sem_seg", tmp_path / "less.json"))
    assert ((known == less) | (np.isin(known, (0, 2)) & (less == 255))).all() and (known != less).any()


# ---------------------------------------------------------------------------------------------- published weights


def model_config(task: str, name: str, more: int = 0) -> Any:
    """Return a published config whose model has ``more`` classes, and fetches nothing."""
    config = load_config(config_files(task)[name])
    _add_classes(config.model, more)
    return config


def _add_classes(node: Any, more: int) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("num_classes"), int) and node["num_classes"] > 0:
            node["num_classes"] += more
        for value in node.values():
            _add_classes(value, more)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _add_classes(value, more)


@pytest.mark.parametrize(
    ("task", "name", "anew"),
    [
        ("tagging", "dla34_5x_224x224_weather_tag_bdd100k", ("backbone.fc.",)),
        ("sem_seg", "pointrend_r50_512x1024_40k_sem_seg_bdd100k", ("decode_head.0.conv_seg.", "decode_head.1.fc")),
    ],
)
def test_weights_of_other_classes_lend_all_but_the_layers_that_count_classes(
    tmp_path: Path, task: str, name: str, anew: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(model_config(task, name)).state_dict()}, tmp_path / "published.pth")
    model = build_model(model_config(task, name, more=1))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match="weights for another number of classes: "):
        load_weights(model, tmp_path / "published.pth")
    load_weights(model, tmp_path / "published.pth", new_heads=True)
    published = torch.load(tmp_path / "published.pth", weights_only=True)["state_dict"]
    kept = {key for key, value in model.state_dict().items() if not torch.equal(value, published[key])}
    assert kept and all(key.startswith(anew) and torch.equal(model.state_dict()[key], before[key]) for key in kept)


@pytest.mark.parametrize("task", READ)
def test_every_model_begins_with_weights_of_other_classes(task: str) -> None:
    """What depends on the number of classes is known of each architecture, so that none is called another model."""
    seen = set()
    for name in config_files(task):
        config = model_config(task, name)
        if (text := repr(config.model)) in seen:
            continue
        seen.add(text)
        model = build_weightless(model_config(task, name, more=1))
        fill(model, build_weightless(config).state_dict(), {}, Path(name), new_heads=True)


# --------------------------------------------------------------------------------------------------- models of others

OWN = """\
_base_ = ['{root}/det/configs/mini/{model}.py']
classes = ('scooter', 'tram')
train_dataloader = dict(dataset=dict(metainfo=dict(classes=classes)))
model = dict(bbox_head=dict(num_classes={count}))
load_from = None
"""


def own_model(folder: Path, count: int = 2) -> tuple[Path, Path]:
    """Write a config of two classes and weights that find both everywhere; returns the files."""
    config = folder / "own.py"
    config.write_text(OWN.format(root=ROOT.as_posix(), model=MODEL, count=count))
    torch.manual_seed(0)
    state = build_model(load_config(config)).state_dict()
    for key, value in state.items():
        if "atss_cls" in key:
            value.zero_()
    torch.save({"meta": {}, "state_dict": state}, folder / "own.pth")
    return config, folder / "own.pth"


def test_results_have_the_names_that_the_model_learnt(tmp_path: Path) -> None:
    config, weights = own_model(tmp_path)
    image = draw_noise(tmp_path / "images/a.jpg", seed=1, size=(90, 160))
    (result,) = load_model(config, weights, device="cpu").predict([image])
    assert set(result.names) == {"scooter", "tram"}
    flags = [str(config), "--checkpoint", str(weights), "--device", "cpu"]
    assert main(["test", "det", *flags, "--images", str(image.parent), "--format-dir", str(tmp_path / "out")]) == 0
    (frame,) = load_frames(tmp_path / "out/det.json")
    assert {label.category for label in frame.labels or ()} == {"scooter", "tram"}
    classes = ["--threshold", "0.05", "--classes", "tram"]
    assert main(["predict", str(config), str(image), *flags[1:], *classes, "--out", str(tmp_path / "drawn")]) == 0
    (frame,) = load_frames(tmp_path / "drawn/own.json")
    assert {label.category for label in frame.labels or ()} == {"tram"}
    description = write_model(load_for_export(config, weights, (96, 160)), tmp_path / "own.onnx", ExportOptions())
    assert description.categories == ("scooter", "tram") and len(set(description.colours)) == 2


def test_what_is_not_possible_with_other_names_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, weights = own_model(tmp_path)
    folder = draw_noise(tmp_path / "images/a.jpg", seed=1, size=(90, 160)).parent
    with pytest.raises(InputError, match="and this model has its own"):
        load_model(config, weights, device="cpu", tracker="bytetrack")
    flags = [str(config), "--checkpoint", str(weights), "--images", str(folder), "--device", "cpu"]
    for task, flag in (("det", ["--eval"]), ("mot", ["--tracker", "bytetrack"])):
        assert main(["test", task, *flags, *flag, "--format-dir", str(tmp_path / "out")]) == 2
        assert f"{flag[0]} knows the data set's categories alone" in capsys.readouterr().err
    wrong = own_model(tmp_path, count=3)
    for load in (load_model, load_for_export):
        with pytest.raises(ConfigError, match=r"bbox_head has 3 outputs .* has 2 classes \(scooter, tram\)"):
            load(*wrong)
    assert main(["test", "det", *flags, "--format-dir", str(tmp_path / "out")]) == 2
    assert "3 outputs" in capsys.readouterr().err
    tagging = Config({"train_dataloader": {"dataset": {"metainfo": {"classes": ["dry", "wet"]}}}})
    with pytest.raises(ConfigError, match=r"classes of its own \(dry, wet"):
        with_own_classes(TASKS["tagging"], tagging)
