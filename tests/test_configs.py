"""The configs of every task: complete, plain data, and true to the models that were published."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bdd100k_models.registry  # noqa: F401
import legacy
import legacy_mmpose
import legacy_mmpretrain
import legacy_mmseg
from bdd100k_models.engine.checkpoint import current_key
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.weightless import build_weightless
from bdd100k_models.errors import ConfigError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.check.plain_config import NAMES, parse, read_config
from bdd100k_models.zoo.records import config_files
from conftest import ROOT, handed_in
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
    if name not in handed_in() and not any(fnmatch.fnmatch(name, pattern) for pattern in OWN)
]
FILES = sorted(
    path.relative_to(ROOT).as_posix() for task in TASKS_HERE for path in (ROOT / task).rglob("configs/**/*.py")
)

WORDS = st.from_regex("[a-d_ ]*", fullmatch=True).filter(lambda text: "__" not in text)
LEAVES = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | WORDS

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


@pytest.mark.parametrize("file", FILES)
def test_a_config_is_data(file: str):
    assert parse((ROOT / file).read_text())[1] == []


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "model = open('f')",
        "model = [i for i in (1, 2)]",
        "model = {i: i for i in (1, 2)}",
        "model = f'{1}'",
        "model = 2 * 3",
        "model = 1\nload_from = model",
        "model = dict(**{'a': 1})",
        "model = dict([('a', 1)])",
        "model = {**{}}",
        "model = load_from = 1",
        "model: int = 1",
        "model = '{{ fileDirname }}'",
        "model = {{'a'}}",
        "# {{$ZZ:x|\\n__import__('os').system('id')#}}",
        "model = (lambda: 1)",
        "model = dict",
        "model = dict.fromkeys([1])",
        "model = [*[1]]",
        "model = (x := 1)",
        "model = 1 if 2 else 3",
        "model = not 1",
        "model = -'a'",
        "model = b'bytes'",
        "model = 1j",
        "model = ...",
        "model = 1e999",
        "model = 10 ** 9 ** 9",
        "model = {1, 2}",
        "model = {(1, 2): 3}",
        "model = {'a': 1, 'a': 2}",
        "model = dict(a=1)['a']",
        "model = 1\nmodel = 2",
        "model[0] = 1",
        "model.x = 1",
        "(model, load_from) = 1, 2",
        "model += 1",
        "del model",
        "'a docstring'",
        "_base_ = []\nmodel = _base_.y",
        "_base_ = '../x.yml'",
        "_base_ = 1",
        "x = 1",
        "if True:\n    model = 1",
        "with open('f') as f: pass",
        "@print\ndef f(): pass",
        "async def f(): pass",
        "model = yield",
        "model = dict(type='os.system')",
        "model = dict(type='torch.load')",
        "model = dict(type=1)",
        "model = dict(type='LAD')",
        "custom_imports = dict(imports=['os'])",
        "custom_imports = 'os'",
        "custom_imports = 5",
        "custom_imports = dict(imports=5)",
        "custom_imports = dict(imports=None)",
        "custom_imports = dict(imports=[['os']])",
        "model = a" + ".b" * 3000 + "()",
        "model = '../../secret'",
        "model = '~/secret'",
        "model = 'file:///etc/passwd'",
        "model = " + "[" * 60 + "]" * 60,
        "model = " + "(" * 5000 + ")" * 5000,
        "model = '" + "x" * 300_000 + "'",
        "model = [" + "1," * 100_000 + "]",
        "model = 'nul\0'",
        "model = (",
        "\ud800",
    ],
)
def test_code_in_a_config_is_found(source: str):
    problems = parse(source)[1]
    assert problems
    assert all("\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "from torch.optim import SGD\na = dict(b=[dict(type=SGD)])\n",
            r" is <class .*SGD'>, not a name",
        ),
        ("from torch.optim import Nothing\na = dict(b=Nothing)\n", "imports what is not here"),
        ("import no_such_module\na = no_such_module.b\n", "imports what is not here"),
        ("raise RuntimeError('no')\n", "cannot be read as a config"),
    ],
)
def test_configs_hold_names_not_objects(tmp_path: Path, source: str, message: str):
    (tmp_path / "config.py").write_text(source)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "config.py")


def test_a_template_of_the_environment_is_not_filled_in(tmp_path: Path):
    path = tmp_path / "config.py"
    path.write_text(f"name = '{{{{ fileBasename }}}}'\n# {{{{$ZZ:x|\\nopen('{tmp_path}/ran','w')#}}}}\n")
    assert load_config(path).name == "config.py"
    assert not (tmp_path / "ran").exists()


@settings(max_examples=40)
@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner), max_leaves=20))
def test_any_literal_is_read_as_python_reads_it(value: object):
    values, problems = parse(f"train_cfg = {value!r}")
    assert values == {"train_cfg": value}
    assert problems == []


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(source: str):
    values, problems = parse(source)
    assert problems or set(values) <= NAMES


@each_task
def test_configs_read_as_data_are_those_that_are_executed(task: str):
    names = list(config_files(task))
    for name in names[:: max(1, len(names) // 8)]:
        path = config_files(task)[name]
        assert read_config(path, ROOT).to_dict() == load_config(path).to_dict()


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
def test_parameters_are_those_of_the_published_weights(shared: Path, task: str, name: str):
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
