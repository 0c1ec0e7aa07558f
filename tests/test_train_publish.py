"""Weights as the zoo hands them out: nothing but weights and class names, an MD5, a row of the zoo."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate
from bdd100k_models.engine.checkpoint import load_weights
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.model import build_model
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import resolve_config
from det_model import MODEL, make_checkpoint
from train_model import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with everything that a run saves."""
    path = tmp_path_factory.mktemp("run") / "epoch_3.pth"
    content = torch.load(make_checkpoint(path), weights_only=True)
    parameters = [value for value in content["state_dict"].values() if value.is_floating_point()]
    meta = {"epoch": 3, "iter": 30, "experiment_name": f"{MODEL}_20260101_000000", "cfg": "x" * 1000}
    content["meta"] = meta | {"dataset_meta": {"classes": ("car", "truck"), "ann_file": "/home/me/train.json"}}
    content["optimizer"] = {"state": {index: {"exp_avg": value.clone()} for index, value in enumerate(parameters)}}
    torch.save(content, path)
    return path


def test_a_run_becomes_a_file_of_the_zoo(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "zoo files"  # is made
    assert main(["publish", str(trained), str(folder), "--base-url", "https://example.org/det/"]) == 0
    weights = folder / f"{MODEL}.pth"
    content = torch.load(weights, weights_only=True)
    assert content.keys() == {"meta", "state_dict"}
    assert content["meta"] == {"dataset_meta": {"classes": ("car", "truck")}}
    assert weights.stat().st_size < 0.7 * trained.stat().st_size
    digest = hashlib.md5(weights.read_bytes()).hexdigest()
    assert (folder / f"{MODEL}.md5").read_text() == f"{digest}  {MODEL}.pth\n"
    model = build_model(load_config(resolve_config("det", MODEL)))
    load_weights(model, weights)
    entry = json.loads((folder / f"{MODEL}.entry.json").read_bytes())
    assert entry["name"] == MODEL
    assert entry["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert entry["links"]["weights"] == f"https://example.org/det/{MODEL}.pth"
    assert (resolve_config("det", MODEL).parents[2] / entry["links"]["config"]).is_file()
    printed = capsys.readouterr().out
    assert digest in printed and "zoo/det.json" in printed
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".md5", ".pth"]


@pytest.mark.parametrize("averaged", [False, True])
def test_a_real_run_is_published(tmp_path: Path, averaged: bool) -> None:
    """Of a run with a moving average that is what is published."""
    root, work = tmp_path / "data", tmp_path / "work"
    generate(root, {"train": 2}, seed=5, tasks=("det",), size=(320, 180), nproc=1)
    loader = ("train_dataloader.batch_size=1", "train_dataloader.num_workers=0")
    loader = (*loader, "train_dataloader.persistent_workers=False", "auto_scale_lr.base_batch_size=1")
    options = (*loader, "train_dataloader.dataset.pipeline.2.scale=(128,72)", "train_cfg.max_epochs=1")
    flags = ("--no-validate", *(["--ema"] if averaged else []))
    assert train("det", MODEL, root, work, *flags, "--cfg-options", *options) == 0
    assert main(["publish", str(work / "epoch_1.pth"), str(tmp_path / "zoo")]) == 0
    content = torch.load(work / "epoch_1.pth", weights_only=False)
    published = torch.load(tmp_path / "zoo" / f"{MODEL}.pth", weights_only=True)
    assert published["meta"]["dataset_meta"].keys() == {"classes", "palette"}
    assert tuple(published["meta"]["dataset_meta"]["classes"]) == TASKS["det"].categories
    state = published["state_dict"]
    assert state.keys() == content["state_dict"].keys()
    assert all(torch.equal(value, content["state_dict"][key]) for key, value in state.items())
    if averaged:
        last = {key.removeprefix("module."): value for key, value in content["ema_state_dict"].items()}
        assert any(not torch.equal(value, last[key]) for key, value in state.items() if key.endswith("conv1.weight"))
    load_weights(build_model(load_config(resolve_config("det", MODEL))), tmp_path / "zoo" / f"{MODEL}.pth")


def test_a_published_row_keeps_its_recipe_and_no_scores_of_others(tmp_path: Path) -> None:
    from bdd100k_models.engine.publish import publish
    from bdd100k_models.zoo.records import load_zoo

    row = next(model for method in load_zoo("tagging") for model in method.models if "resnet18" in model.name)
    state = build_model(load_config(resolve_config("tagging", row.name))).state_dict()
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "latest.pth")
    done = publish(tmp_path / "latest.pth", tmp_path / f"{row.name}.pth", base_url="https://example.org")
    assert done.task == "tagging" and done.entry is not None
    assert done.entry.columns == {
        name: cell for name, cell in row.columns.items() if "-val" not in name and "-test" not in name
    }
    assert done.entry.columns and done.entry.links.keys() == {"config", "weights", "md5"}
    assert done.entry.parameters == row.parameters
    assert done.entry.links["weights"] == f"https://example.org/{row.name}.pth"


def test_scores_fill_the_row(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"AP": [{"car": 41.5}, {"OVERALL": 41.456}], "AP50": [{"car": 60.0}, {"OVERALL": 60.0}]}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    words = ["publish", str(trained), str(tmp_path / f"{MODEL}.pth"), "--scores", str(tmp_path / "scores.json")]
    assert main(words) == 0
    entry = json.loads((tmp_path / f"{MODEL}.entry.json").read_bytes())
    assert entry["columns"]["Box AP-val"] == "41.46"
    assert main([*words[:2], str(tmp_path / "own.pth"), *words[3:]]) == 2
    assert "no entry for --scores" in capsys.readouterr().err
    assert not (tmp_path / "own.pth").exists()


def test_half_precision_halves_the_file_and_loads(trained: Path, tmp_path: Path) -> None:
    for name, flags in (("whole.pth", []), ("half.pth", ["--half"])):
        assert main(["publish", str(trained), str(tmp_path / name), *flags]) == 0
    whole, half = (tmp_path / name for name in ("whole.pth", "half.pth"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    model = build_model(load_config(resolve_config("det", MODEL)))
    load_weights(model, half)
    expected = torch.load(whole, weights_only=True)["state_dict"]
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-3)
    assert not (tmp_path / "half.entry.json").exists()  # not named like a config


def test_what_half_precision_cannot_hold_stays_as_it_is(trained: Path, tmp_path: Path) -> None:
    content = torch.load(trained, weights_only=True)
    key = next(key for key in content["state_dict"] if key.endswith("running_var"))
    content["state_dict"][key][0] = 1e6
    torch.save(content, tmp_path / "epoch_3.pth")
    assert main(["publish", str(tmp_path / "epoch_3.pth"), str(tmp_path / f"{MODEL}.pth"), "--half"]) == 0
    kinds = {name: value.dtype for name, value in torch.load(tmp_path / f"{MODEL}.pth")["state_dict"].items()}
    assert [name for name, kind in kinds.items() if kind == torch.float32] == [key]
    model = build_model(load_config(resolve_config("det", MODEL)))
    load_weights(model, tmp_path / f"{MODEL}.pth")
    assert torch.equal(model.state_dict()[key], content["state_dict"][key])


def test_what_cannot_be_published(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "strange.pth")
    other = "faster_rcnn_r50_fpn_1x_det_bdd100k"
    content = torch.load(trained, weights_only=True)
    fewer, more = tmp_path / "fewer.pth", tmp_path / "more.pth"
    torch.save(content | {"state_dict": content["state_dict"] | {"refine_head.pos_mu": torch.zeros(2)}}, more)
    for key in ("bbox_head.atss_cls.weight", "bbox_head.atss_cls.bias"):
        content["state_dict"][key] = content["state_dict"][key][:2]
    torch.save(content, fewer)
    for source, target, expected in (
        (tmp_path / "none.pth", tmp_path / "out.pth", "no such checkpoint"),
        (tmp_path / "strange.pth", tmp_path, "does not say which config it is of"),
        (tmp_path / "strange.pth", tmp_path / f"{MODEL}.pth", "keys missing"),
        (trained, tmp_path / f"{other}.pth", f"it is no {other}: publish it under the name of its own config"),
        (fewer, tmp_path / f"{MODEL}.pth", "weights for another number of classes"),
        (more, tmp_path / f"{MODEL}.pth", "1 keys unexpected (refine_head.pos_mu)"),
    ):
        assert main(["publish", str(source), str(target)]) == 2
        assert expected in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"strange.pth", "fewer.pth", "more.pth"}
