"""How models and configs are named, and what is said when a name is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bdd100k_models.errors import InputError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import config_files, find_model, resolve_config
from conftest import ROOT

MINI = "atss_mini_det_synthetic"


@pytest.mark.parametrize("name", [MINI, f"{MINI}.py", f"configs/mini/{MINI}.py", f"det/configs/mini/{MINI}.py"])
def test_a_config_outside_the_published_folder_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert resolve_config("det", name).resolve() == ROOT / f"det/configs/mini/{MINI}.py"


def test_a_config_of_the_user_is_taken_from_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("model = dict()\n")
    assert resolve_config("det", str(tmp_path / "mine.py")) == tmp_path / "mine.py"
    monkeypatch.chdir(tmp_path)
    assert resolve_config("det", "mine.py").resolve() == tmp_path / "mine.py"
    with pytest.raises(InputError, match=r"^mine: no such model or config of det"):
        resolve_config("det", "mine")


def test_parts_of_configs_are_no_models() -> None:
    bases = {path.stem for path in (ROOT / "det/configs/_base_").rglob("*.py")}
    assert bases
    assert not bases & set(config_files("det"))
    with pytest.raises(InputError):
        resolve_config("det", "schedule_1x")


@pytest.mark.parametrize(
    "name", ["", ".", "configs/det", "qqqqqq", "a/b.py", "x" * 5000, "x" * 5000 + ".py", "a\0.py", "\N{SNOWMAN}.py"]
)
def test_a_wrong_name_is_one_line_that_says_where_the_right_ones_are(name: str) -> None:
    with pytest.raises(InputError, match=r"`bdd100k-models zoo list --task det` shows all$") as raised:
        resolve_config("det", name)
    assert "\n" not in str(raised.value)


def test_a_misspelt_name_brings_the_nearest_ones() -> None:
    with pytest.raises(InputError, match=r"did you mean retinanet_r50_fpn_1x_det_bdd100k "):
        find_model("retinanet_r50_fpn_1x_det_bdd10k")
    with pytest.raises(InputError, match="`bdd100k-models zoo list` shows all"):
        find_model("qqqqqq")


@pytest.mark.parametrize("task", list(TASKS))
def test_configs_of_a_task_that_is_not_here_yet_are_none(task: str) -> None:
    assert bool(config_files(task)) == (ROOT / task / "configs").is_dir()


def test_a_published_model_is_found_by_the_name_of_its_files() -> None:
    name = "deeplabv3_r50-d8_512x1024_40k_drivable_bdd100k"
    task, _, model = find_model(f"{name}.pth")
    assert (task, model.name) == ("drivable", name)
