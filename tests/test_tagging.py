"""Image tagging: the DLA backbone, the labels, the files, and the whole against the original's outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bdd100k_models.datasets.tagging import BDD100KTaggingDataset
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.errors import ConfigError, LabelError
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.tags import classification_scores
from bdd100k_models.models.dla import DLA
from bdd100k_models.tasks import TAGS, TASKS
from bdd100k_models.zoo.records import config_files
from conftest import draw_noise
from det_model import TWO_PROCESSES, environment, run

NETS = {
    "dla34": "dla34_5x_224x224_weather_tag_bdd100k",
    "dla60": "dla60_5x_224x224_weather_tag_bdd100k",
    "dla60x": "dla60x_5x_224x224_weather_tag_bdd100k",
}
REFERENCES = (
    "dla34_5x_224x224_scene_tag_bdd100k",
    "resnet18_4x_weather_tag_bdd100k",
    "vgg11_5x_224x224_weather_tag_bdd100k",
)


# --------------------------------------------------------------------------------------------------- the models


def _draw(number: int, key: str, value: torch.Tensor) -> torch.Tensor:
    """Return the numbers that the recorded logits were computed with."""
    rng = np.random.RandomState(1000 + number)
    shape = tuple(value.shape)
    if key.endswith("num_batches_tracked"):
        return value
    if value.ndim == 4:
        return torch.tensor(rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])))
    if key.endswith("running_var"):
        return torch.tensor(0.5 + rng.random_sample(shape))
    noise = 0.1 * rng.standard_normal(shape)
    return torch.tensor(noise if key.endswith(("running_mean", "bias")) else 1 + noise)


@pytest.mark.parametrize("net", NETS)
def test_dla_computes_what_the_original_did(shared: Path, net: str):
    backbone = DLA(
        **{k: v for k, v in load_config(config_files("tagging")[NETS[net]]).model.backbone.items() if k != "type"}
    )
    state = backbone.state_dict()
    backbone.load_state_dict(
        {key: _draw(i, key, state[key]).to(state[key].dtype) for i, key in enumerate(sorted(state))}
    )
    images = torch.tensor(np.random.RandomState(0).standard_normal((2, 3, 224, 224)), dtype=torch.float32)
    with torch.no_grad():
        (logits,) = backbone.eval()(images)
    np.testing.assert_allclose(logits, np.load(shared / "specs/golden/dla_logits.npz")[net], atol=2e-6)


@pytest.mark.parametrize("arguments", [{"block": "Nothing"}, {"levels": [1, 1]}])
def test_a_dla_that_cannot_be_is_refused(arguments: dict[str, Any]):
    with pytest.raises(ValueError, match=r"choose one of|six"):
        DLA(**{"levels": [1] * 6, "channels": [8] * 6, "num_classes": 2, **arguments})


@pytest.mark.parametrize(
    "name", [*NETS.values(), "resnet18_4x_scene_tag_bdd100k", "vgg11_5x_224x224_scene_tag_bdd100k"]
)
def test_a_model_learns(name: str):
    from mmpretrain.structures import DataSample

    torch.manual_seed(0)
    model = build_model(load_config(config_files("tagging")[name])).train()
    images = [torch.randint(0, 256, (3, 224, 224), dtype=torch.uint8) for _ in range(2)]
    samples = [DataSample().set_gt_label(index) for index in (2, 5)]
    losses = model(**model.data_preprocessor({"inputs": images, "data_samples": samples}, True), mode="loss")
    total, _ = model.parse_losses(losses)
    assert total.isfinite() and total > 0
    total.backward()
    lacking = {key.rpartition(".")[0] for key, value in model.named_parameters() if value.grad is None}
    # a tree of several levels does not use its own projection, in the original neither
    deep = {"dla34": ("3", "4"), "dla60": ("3", "4", "4.tree1"), "dla60x": ("3", "4", "4.tree1")}
    expected = {f"backbone.level{p}.project.{i}" for p in deep.get(name.split("_")[0], ()) for i in (0, 1)}
    assert lacking == expected


# --------------------------------------------------------------------------------------------------- the labels


def write_labels(folder: Path, content: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


def dataset(tag: str, path: Path) -> BDD100KTaggingDataset:
    return BDD100KTaggingDataset(tag=tag, ann_file=str(path), data_prefix={"img_path": "pictures"}, pipeline=[])


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_each_value_gets_its_index(tmp_path: Path, tag: str, wrapped: bool):
    frames = [{"name": f"{i}.jpg", "attributes": {tag: value}} for i, value in enumerate(TAGS[tag])]
    records = dataset(tag, write_labels(tmp_path, {"frames": frames} if wrapped else frames))
    assert [records.get_data_info(i)["gt_label"] for i in range(len(records))] == list(range(len(TAGS[tag])))
    assert records.get_data_info(1)["img_path"] == "pictures/1.jpg"
    assert records.metainfo["classes"] == TAGS[tag]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "holds no frames"),
        ([{"name": "a.jpg"}], "frame a.jpg: attributes have no weather"),
        ([{"name": "a.jpg", "attributes": {"weather": "hail"}}], "unknown weather 'hail'; it can be rainy"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, frames: list[Any], message: str):
    with pytest.raises(LabelError, match=message):
        dataset("weather", write_labels(tmp_path, frames)).full_init()


def test_a_tag_that_does_not_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match="the tags are weather, scene, timeofday"):
        dataset("season", write_labels(tmp_path, []))
    with pytest.raises(ConfigError, match="the tags are weather, scene, timeofday"):
        get_format(TASKS["tagging"], settings={"tag": "season"})


def test_the_sample_labels_are_read(samples: Path):
    records = dataset("scene", samples / TASKS["tagging"].label_path("val"))
    assert len(records) > 0


# --------------------------------------------------------------------------------------------------- the files


def test_a_model_of_another_number_of_classes_is_refused():
    with pytest.raises(ConfigError, match="4 classes, but weather has 7 values"):
        get_format(TASKS["tagging"], settings={"tag": "weather"}).encode([{"pred_score": torch.ones(4) / 4}])


def test_files_of_a_run_with_a_damaged_image(tmp_path: Path):
    tags = get_format(TASKS["tagging"], settings={"tag": "timeofday"})
    records = [
        ("a.jpg", tags.encode([{"pred_score": torch.tensor([0.1, 0.6, 0.2, 0.1])}])),
        ("b.jpg", tags.empty((1, 1))),
    ]
    assert tags.write(records, tmp_path) == 1
    frames = json.loads((tmp_path / "tagging.json").read_text())["frames"]
    assert frames == [
        {"name": "a.jpg", "attributes": {"timeofday": "night"}, "labels": []},
        {"name": "b.jpg", "attributes": {}, "labels": []},
    ]
    columns = json.loads((tmp_path / "preds.json").read_text())
    assert columns["pred_label"] == [1, None] and columns["pred_class"] == ["night", None]
    assert columns["class_scores"][0] == pytest.approx([0.1, 0.6, 0.2, 0.1]) and columns["class_scores"][1] == []
    only = tmp_path / "only"
    assert get_format(TASKS["tagging"], ["preds"], {"tag": "timeofday"}).write(records, only) == 1
    assert [path.name for path in only.iterdir()] == ["preds.json"]


@given(
    arrays.arrays(np.float64, (9, 7), elements=st.floats(0, 1), unique=True),
    st.lists(st.integers(0, 6), min_size=9, max_size=9),
)
def test_scores_against_a_count_by_hand(scores: np.ndarray, truth: list[int]):
    found = classification_scores(scores, np.array(truth))
    guesses = scores.argmax(axis=1).tolist()
    ranks = [(row > row[label]).sum() for row, label in zip(scores, truth, strict=True)]
    precisions, recalls, f1s = [], [], []
    for kind in range(7):
        right = sum(g == t == kind for g, t in zip(guesses, truth, strict=True))
        precisions.append(right / guesses.count(kind) if kind in guesses else 0)
        recalls.append(right / truth.count(kind) if kind in truth else 0)
        total = precisions[-1] + recalls[-1]
        f1s.append(2 * precisions[-1] * recalls[-1] / total if total else 0)
    assert found == pytest.approx(
        {
            "accuracy_top-1": 100 * np.mean([rank < 1 for rank in ranks]),
            "accuracy_top-5": 100 * np.mean([rank < 5 for rank in ranks]),
            "precision": 100 * np.mean(precisions),
            "recall": 100 * np.mean(recalls),
            "f1_score": 100 * np.mean(f1s),
        },
        abs=1e-4,
    )


# --------------------------------------------------------------------------------------------------- the commands


@pytest.mark.parametrize("name", REFERENCES)
def test_probabilities_are_those_of_the_original(shared: Path, samples: Path, tmp_path: Path, name: str):
    weights = tmp_path / "weights.pth"
    tool = [sys.executable, shared / "tools/make_checkpoint.py", f"tagging/{name}", weights]
    subprocess.run(list(map(str, tool)), check=True, capture_output=True)
    out = tmp_path / "out"
    images = samples / "images/100k/val"
    done = run("test", "tagging", name, "--checkpoint", weights, "--images", images, "--format-dir", out)
    assert done.returncode == 0, done.stderr
    ours = json.loads((out / "preds.json").read_text())
    theirs = json.loads((shared / "reference/tagging" / name / "preds.json").read_text())
    assert list(ours) == list(theirs)
    # the original took the two images by name, character by character
    names = [frame["name"] for frame in json.loads((out / "tagging.json").read_text())["frames"]]
    order = sorted(range(len(names)), key=names.__getitem__)
    np.testing.assert_allclose([ours["class_scores"][i] for i in order], theirs["class_scores"], atol=1e-4)
    for column in ("pred_class", "pred_label"):
        assert [ours[column][i] for i in order] == theirs[column]


def test_one_process_two_and_a_resumed_run_write_the_same(tmp_path: Path):
    name, weights, root = "resnet18_5x_224x224_timeofday_tag_bdd100k", tmp_path / "weights.pth", tmp_path / "data"
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(load_config(config_files("tagging")[name])).state_dict()}, weights)
    frames = []
    for index in range(5):
        draw_noise(root / f"images/100k/val/{index}.jpg", seed=index)
        frames.append({"name": f"{index}.jpg", "attributes": {"timeofday": "night"}})
    (root / "labels/det_20").mkdir(parents=True)
    (root / "labels/det_20/det_val.json").write_text(json.dumps(frames))
    flags = ["--checkpoint", weights, "--data-root", root]
    done = run(
        "test", "tagging", name, *flags, "--format-dir", tmp_path / "one", "--eval", "--show-dir", tmp_path / "drawn"
    )
    assert done.returncode == 0, done.stderr
    assert "night" in done.stdout and len(list((tmp_path / "drawn").iterdir())) == 5
    assert json.loads((tmp_path / "one/results.json").read_text())["accuracy_top-5"] == 100

    launcher = [*TWO_PROCESSES, "-m", "bdd100k_models.cli"]
    command = [*launcher, "test", "tagging", name, *flags, "--format-dir", tmp_path / "two", "--launcher", "pytorch"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=environment())

    # what a killed run leaves behind: the second image's line is cut off
    (root / "images/100k/val/3.jpg").rename(root / "hidden")
    assert run("test", "tagging", name, *flags, "--format-dir", tmp_path / "three").returncode == 1
    (root / "hidden").rename(root / "images/100k/val/3.jpg")
    done = run("test", "tagging", name, *flags, "--format-dir", tmp_path / "three", "--resume")
    assert done.returncode == 0, done.stderr
    for file in ("tagging.json", "preds.json", "results.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "three" / file).read_bytes()


def test_training_runs_validates_and_resumes(tmp_path: Path):
    root = tmp_path / "data"
    for split in ("train", "val"):
        frames = []
        for index in range(4):
            draw_noise(root / f"images/100k/{split}/{index}.jpg", seed=index, size=(72, 128))
            frames.append({"name": f"{index}.jpg", "attributes": {"weather": TAGS["weather"][index]}})
        (root / "labels/det_20").mkdir(parents=True, exist_ok=True)
        (root / f"labels/det_20/det_{split}.json").write_text(json.dumps(frames))
    flags = ["--data-root", root, "--work-dir", tmp_path / "run", "--seed", "1", "--device", "cpu"]
    options = ["--cfg-options", "train_dataloader.batch_size=2", "default_hooks.checkpoint.interval=1"]
    name = "resnet18_5x_224x224_weather_tag_bdd100k"
    done = run("train", "tagging", name, *flags, *options, "train_cfg.max_epochs=1")
    assert done.returncode == 0, done.stderr
    assert "bdd100k/" in done.stdout + done.stderr
    done = run("train", "tagging", name, *flags, "--resume", *options, "train_cfg.max_epochs=2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/epoch_2.pth").is_file()
