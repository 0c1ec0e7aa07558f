"""The demonstration of all nine tasks, on a few scenes and a short video."""

import json
import re
from pathlib import Path

import pytest

from bdd100k_models.commands.demo import MODELS
from bdd100k_models.tasks import TASKS
from conftest import ROOT
from det_model import run

#: On so few scenes scores say little; models that had learnt nothing would stay far below.
LEAST = {"det": 50, "ins_seg": 40, "sem_seg": 40, "drivable": 60, "pan_seg": 25, "tagging": 50, "pose": 30}
LEAST |= {"mot": 40, "mots": 30}


def test_every_task_has_a_model_that_ships_and_is_small() -> None:
    assert {model.task for model in MODELS} == set(TASKS)
    sizes = {}
    for model in MODELS:
        config = next((ROOT / model.task / "configs/mini").glob(f"{model.name}.py"))
        weights = re.search(r"^load_from = '(.+)'$", config.read_text(), re.M)
        assert weights is not None
        sizes[model.name] = (ROOT / weights[1]).stat().st_size
    assert max(sizes.values()) < 5e6
    assert sum(sizes.values()) < 30e6


def test_the_demo_ends_with_a_page_that_shows_what_was_found(tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "out", "--count", "6", "--frames", "4", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    *_, page_line = done.stdout.strip().splitlines()
    table = done.stdout[done.stdout.index("\ntask ") :].splitlines()[2 : 2 + len(MODELS)]
    for model, line in zip(MODELS, table, strict=True):
        assert model.name in line
        # of videos not the mean over classes, most of which are in none of so few frames
        name = r"\bMOTA" if TASKS[model.task].videos else r"^\s+\S+"
        found = re.search(name + r" ([-\d.]+)", line.partition(model.name)[2])
        assert found is not None, line
        score = float(found[1])
        assert 100 >= score > LEAST[model.task], line
    text = Path(page_line.removeprefix("page: ")).read_text()
    stills = [model for model in MODELS if not TASKS[model.task].videos]
    assert text.count("data:image/jpeg;base64,") == 3 * len(stills)
    assert text.count("data:video/mp4;base64,") == len(MODELS) - len(stills) == 2
    assert "http://" not in text
    assert "https://" not in text
    (found,) = (tmp_path / "out/atss_mini_det_synthetic").glob("*/det.json")
    assert len(json.loads(found.read_text())["frames"]) == 6
    # other scenes into the same folder, where the results of these must not be in the way
    again = ("--tasks", "mot", "--seed", "1", "--frames", "2", "--device", "cpu")
    done = run("demo", "--out", tmp_path / "out", *again)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("words", "expected"), [(("--count", "0"), "--count must be"), (("--tasks", "dte"), "det")])
def test_a_mistake_is_one_line(tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    done = run("demo", "--out", tmp_path / "out", *words)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
