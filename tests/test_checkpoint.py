import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bdd100k_models import compat
from bdd100k_models.errors import CheckpointError, MissingFileError

compat.activate()

from bdd100k_models.engine.checkpoint import load_weights, read_checkpoint  # noqa: E402


class Model(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.fc_cls = nn.Linear(4, classes)


def save(path: Path, model: nn.Module, meta: Any = None, prefix: str = "") -> Path:
    state = OrderedDict((prefix + key, value) for key, value in model.state_dict().items())
    torch.save({"meta": meta or {}, "state_dict": state}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_arrive(tmp_path: Path, prefix: str) -> None:
    torch.manual_seed(0)
    source, target = Model(), Model()
    meta = load_weights(target, save(tmp_path / "a.pth", source, {"CLASSES": ("a", "b")}, prefix))
    assert meta == {"CLASSES": ("a", "b")}
    for key, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[key]), key


def test_a_counter_may_be_missing_but_nothing_else(tmp_path: Path) -> None:
    state = Model().state_dict()
    del state["bn.num_batches_tracked"]
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    load_weights(Model(), tmp_path / "a.pth")
    del state["bn.running_var"]
    state["extra.weight"] = torch.zeros(1)
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(
        CheckpointError, match=r"1 keys missing \(bn\.running_var\).*1 keys unexpected \(extra\.weight\)"
    ):
        load_weights(Model(), tmp_path / "a.pth")


def test_another_number_of_classes_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pth", Model(80), {"CLASSES": tuple(map(str, range(80)))})
    with pytest.raises(CheckpointError, match=r"another number of classes \(80 classes\).*fc_cls"):
        load_weights(Model(), path)


def test_another_model_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {"conv.weight": torch.zeros(8, 3, 1, 1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"another model: conv\.weight is \(8, 3, 1, 1\) in the file"):
        load_weights(Model(), tmp_path / "a.pth")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_damaged(tmp_path: Path, share: float) -> None:
    whole = save(tmp_path / "a.pth", Model()).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"damaged|cut off"):
        read_checkpoint(tmp_path / "cut.pth")


class Trap:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.witness),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    witness = tmp_path / "it-ran"
    content = {"meta": Trap(witness), "state_dict": Model().state_dict()}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(content["meta"]))
    with pytest.raises(CheckpointError, match=r"refused|damaged"):
        read_checkpoint(tmp_path / "b.pth")
    assert not witness.exists()


@pytest.mark.parametrize("content", [[1, 2], {"meta": {}, "state_dict": {}}, {"state_dict": {"a": 1}}])
def test_files_without_weights(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "a.pth")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_checkpoint(tmp_path / "a.pth")


def test_the_mend_of_mmengine_is_still_needed(tmp_path: Path) -> None:
    """Without the mend, mmengine runs what a refused file holds; when it no longer does, the mend can go."""
    import subprocess
    import sys

    witness = tmp_path / "it-ran"
    torch.save({"meta": Trap(witness), "state_dict": {}}, tmp_path / "a.pth")
    code = "import sys; from mmengine.runner.checkpoint import _safe_torch_load as load; load(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.pth")], check=False, capture_output=True)
    assert witness.exists()
    witness.rmdir()
    from mmengine.runner.checkpoint import load_checkpoint

    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(Model(), str(tmp_path / "a.pth"))
    assert not witness.exists()
