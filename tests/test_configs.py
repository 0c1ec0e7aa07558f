"""The configs of every task: complete, plain data, and true to the models that were published."""

from __future__ import annotations

import ast
import fnmatch
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

import bdd100k_models.registry  # noqa: F401
import legacy
import legacy_mmpose
import legacy_mmpretrain
import legacy_mmseg
from bdd100k_models.engine.checkpoint import current_key
from bdd100k_models.engine.config import load_config
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import config_files
from conftest import ROOT
from legacy import differences, intended, listed_differences, published_links, published_state

#: How the recipes of each library's configs are read, old and new: modules with ``published_recipe`` and ``recipe``.
READERS = {"mmdet": legacy, "mmpretrain": legacy_mmpretrain, "mmseg": legacy_mmseg, "mmpose": legacy_mmpose}

#: Models made here, which no row names.
OWN = ("*_mini_*", "*_timeofday_*")

TASKS_HERE = [task for task in TASKS if (ROOT / task / "configs").is_dir()]
#: Tasks whose models were published with configs; the tracking rows link to other repositories.
PUBLISHED = [task for task in TASKS_HERE if not TASKS[task].videos]
MODELS_HERE = [
    (task, name)
    for task in PUBLISHED
    for name in config_files(task)
    if not any(fnmatch.fnmatch(name, pattern) for pattern in OWN)
]
FILES = sorted(
    path.relative_to(ROOT).as_posix() for task in TASKS_HERE for path in (ROOT / task).rglob("configs/**/*.py")
)

each_model = pytest.mark.parametrize(("task", "name"), MODELS_HERE, ids=[name for _, name in MODELS_HERE])
each_task = pytest.mark.parametrize("task", PUBLISHED)


# ------------------------------------------------------------------------------------------------ the set of files


@each_task
def test_every_published_model_has_its_config_and_no_config_lacks_a_model(shared: Path, task: str):
    links = published_links(task)
    ours = {name: path for name, path in config_files(task).items() if (task, name) in MODELS_HERE}
    paths = {name: f"./{path.relative_to(ROOT / task).as_posix()}" for name, path in ours.items()}
    without_row = legacy.WITHOUT_ROW.get(task, ())
    assert {name: link["config"] for name, link in links.items()} == {
        name: path for name, path in paths.items() if name not in without_row
    }
    assert set(without_row) <= paths.keys()


@each_model
def test_a_config_names_the_weights_of_its_own_model(shared: Path, task: str, name: str):
    row = published_links(task).get(name)
    expected = row["weights"] if row else None
    assert load_config(config_files(task)[name]).load_from == expected


def refuse_code(source: str) -> None:
    """Raise where a config is more than names, each given a literal; ``dict`` may stand for braces."""
    for statement in ast.parse(source).body:
        assert isinstance(statement, ast.Assign), f"line {statement.lineno}: only assignments"
        assert len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name), f"line {statement.lineno}"
        called = set()
        for node in ast.walk(statement.value):
            where = f"line {node.lineno}" if hasattr(node, "lineno") else ""
            if isinstance(node, ast.Call):
                assert isinstance(node.func, ast.Name) and node.func.id == "dict", f"{where}: calls something"
                assert not node.args and all(word.arg for word in node.keywords), f"{where}: dict() takes names alone"
                called.add(node.func)
            elif isinstance(node, ast.Name):
                assert node in called, f"{where}: reads the variable {node.id}"
            elif isinstance(node, ast.UnaryOp):
                assert isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant), f"{where}: computes"
            elif isinstance(node, ast.Constant):
                assert not (isinstance(node.value, str) and "{{" in node.value), f"{where}: a template"
            else:
                assert not (isinstance(node, ast.Dict) and None in node.keys), f"{where}: unpacks something"
                plain = (ast.Dict, ast.List, ast.Tuple, ast.keyword, ast.Load, ast.USub)
                assert isinstance(node, plain), f"{where}: {type(node).__name__} is no literal"


@pytest.mark.parametrize("file", FILES)
def test_a_config_is_data(file: str):
    refuse_code((ROOT / file).read_text())


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "x = open('f')",
        "x = [i for i in (1, 2)]",
        "x = f'{1}'",
        "x = 2 * 3",
        "a = 1\nx = a",
        "x = dict(**{'a': 1})",
        "x = dict([('a', 1)])",
        "x = {**{}}",
        "x = y = 1",
        "x: int = 1",
        "x = '{{ fileDirname }}'",
        "x = {{'a'}}",
        "x = (lambda: 1)",
        "x = dict",
        "x = dict.fromkeys([1])",
        "_base_ = []\nx = _base_.y",
    ],
)
def test_code_in_a_config_is_found(source: str):
    with pytest.raises(AssertionError):
        refuse_code(source)


def test_every_base_serves_a_model():
    used = {path for task in TASKS_HERE for config in config_files(task).values() for path in base_files(config)}
    assert used >= {(ROOT / file).resolve() for file in FILES if "_base_" in file}


def base_files(path: Path) -> set[Path]:
    tree = ast.parse(path.read_text())
    bases = next((node.value for node in tree.body if node.targets[0].id == "_base_"), ast.List([]))
    found = {(path.parent / base).resolve() for base in ast.literal_eval(bases)}
    return found.union(*map(base_files, found))


# ----------------------------------------------------------------------------------------------------- the models


@each_model
def test_parameters_are_those_of_the_published_weights(
    shared: Path, build_weightless: Callable[[Config], torch.nn.Module], task: str, name: str
):
    state = build_weightless(load_config(config_files(task)[name])).state_dict()
    ours = {key: (str(value.dtype).removeprefix("torch."), tuple(value.shape)) for key, value in state.items()}
    assert ours == {current_key(key): tensor for key, tensor in published_state(task, name).items()}


# ---------------------------------------------------------------------------------------------------- the recipes


@each_model
def test_a_recipe_differs_from_the_published_one_only_as_listed(shared: Path, task: str, name: str):
    reader = READERS[TASKS[task].library]
    ours = reader.recipe(load_config(config_files(task)[name]).to_dict())
    found = differences(reader.published_recipe(task, name), ours)
    assert found == intended(listed_differences(task), name)


@each_task
def test_each_listed_difference_concerns_a_model_and_has_a_reason(task: str):
    for entry in listed_differences(task):
        assert entry.keys() == {"facts", "models", "published", "here", "reason"}
        assert entry["facts"] and len(entry["reason"].split()) > 3 and entry["published"] != entry["here"]
        for pattern in entry["models"]:
            assert fnmatch.filter(config_files(task), pattern), f"{pattern} names no model"
