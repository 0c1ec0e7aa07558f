"""The guides say what is true: links, commands, flags, paths, counts and pictures; the reference builds."""

from __future__ import annotations

import argparse
import functools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from bdd100k_models.cli import build_parser
from bdd100k_models.commands import test as test_command
from bdd100k_models.tasks import PUBLISHED_COUNTS, TASKS
from bdd100k_models.zoo.records import all_models, config_files
from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("doc/*.md"))]
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def prose(path: Path) -> str:
    """The text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(path: Path) -> Iterator[str]:
    """The commands of this program on a page, in blocks and in lines; not those that stand for several."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash$(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(bdd100k-models [^`]+)`", prose(path))
    for line in lines:
        command = re.split(r"\s#\s|\s>\s", line + " ")[0].strip()
        if command.startswith("bdd100k-models") and not re.search(r"\.\.\. |VERB|--help|…", command):
            yield command


@functools.cache
def program() -> argparse.ArgumentParser:
    """The program's parser; making it imports every verb."""
    return build_parser()


@page
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)", prose(path)):
        assert (path.parent / target).exists(), target


@page
def test_commands_are_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = program()
    for command in commands(path):
        words = shlex.split(command)[1:]
        # a verb may be named without what it takes
        words += ["--help"] * (len(words) <= 2)
        try:
            parser.parse_args(words)
        except SystemExit as end:
            assert end.code == 0, f"{command}: {capsys.readouterr().err.splitlines()[-1]}"


@page
def test_models_in_commands_exist(path: Path) -> None:
    known = set(all_models()).union(*(config_files(task) for task in TASKS))
    for command in commands(path):
        for name in re.findall(
            r"[\w+.-]+_(?:det|ins_seg|sem_seg|drivable|pan_seg|pose|tag|mot|mots)_bdd100k\b", command
        ):
            assert name in known, name


def test_commands_were_found() -> None:
    """The tests above would pass on pages where nothing was recognised."""
    assert sum(1 for path in PAGES for _ in commands(path)) > 20


def flags_of_the_test_command() -> set[str]:
    parser = argparse.ArgumentParser()
    test_command.add_arguments(parser)
    return {flag for action in parser._actions for flag in action.option_strings}


#: What the test.py of the original's tasks took, read off its sources.
ORIGINAL_FLAGS = {
    *("--aug-test", "--cfg-options", "--device", "--format-dir", "--format-only", "--fuse-conv-bn", "--gpu-collect"),
    *("--gpu_collect", "--launcher", "--local_rank", "--metric-options", "--opacity", "--options", "--out", "--show"),
    *("--show-dir", "--show-score-thr", "--tmpdir", "--work-dir"),
}


def test_every_flag_of_the_original_is_accounted_for() -> None:
    text = (ROOT / "doc/MIGRATING.md").read_text()
    table = text.split("## test.py, flag by flag")[1].split("## Data")[0]
    rows = [row.split("|") for row in table.splitlines() if row.startswith("| `--")]
    listed = {flag: cells[3] for cells in rows for flag in re.findall(r"--[\w-]+", cells[1])}
    assert set(listed) == ORIGINAL_FLAGS
    missing = {flag for flag, here in listed.items() if "not there" in here}
    assert missing == ORIGINAL_FLAGS - flags_of_the_test_command()
    mentioned = set(re.findall(r"`(--[\w-]+)", table)) - ORIGINAL_FLAGS
    assert mentioned <= flags_of_the_test_command()


def test_words_of_configs_are_ours() -> None:
    """Keys that the guide to configs promises are in a resolved config."""
    from bdd100k_models.engine.config import load_config
    from bdd100k_models.zoo.records import resolve_config

    keys = {"train_dataloader.batch_size", "train_dataloader.num_workers", "val_dataloader.dataset"}
    keys |= {"test_dataloader.dataset", "model.data_preprocessor.mean", "optim_wrapper.optimizer", "env_cfg.dist_cfg"}
    keys |= {"train_cfg.max_epochs", "train_cfg.val_interval", "default_hooks.checkpoint.interval"}
    text = (ROOT / "doc/MIGRATING.md").read_text()
    config = load_config(resolve_config("det", "faster_rcnn_r50_fpn_1x_det_bdd100k"))
    for key in keys:
        value = config
        for part in key.split("."):
            value = value[part]
        assert key.rpartition(".")[2] in text


def test_the_layout_is_the_table_of_tasks() -> None:
    text = (ROOT / "doc/PREPARE_DATASET.md").read_text()
    layout = text.split("```")[1]
    for task in TASKS.values():
        assert task.images.removeprefix("images/").format(split="{train,val,test}") in layout
        name = task.label_path("SPLIT").removeprefix("labels/")
        assert name.replace("SPLIT", "{train,val}") in layout
    for folder, counts in PUBLISHED_COUNTS.items():
        line = next(line for line in layout.splitlines() if folder.removeprefix("images/").split("/")[0] + "/{" in line)
        assert [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", line.split("jpg")[1])] == list(counts.values())


def test_downloads_are_those_of_the_data_set(shared: Path) -> None:
    facts = json.loads((shared / "facts/tasks.json").read_text())
    text = (ROOT / "doc/PREPARE_DATASET.md").read_text()
    rows = re.findall(r"^\| \[(.+?)\]\(\.\./(\w+)/README\.md\) \| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE)
    assert {name: [images, labels] for _, name, images, labels in rows} == facts["dataset"]["downloads"]
    assert {name: title for title, name, _, _ in rows} == {task.name: task.title for task in TASKS.values()}


def test_every_kind_of_finding_is_explained() -> None:
    text = (ROOT / "doc/PREPARE_DATASET.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "bdd100k_models/datasets").glob("check*.py"))
    kinds = set(re.findall(r'Finding\(\s*"([a-z ]+)"', sources)) | set(re.findall(r'\(\("([a-z ]+)", ', sources))
    kinds |= set(re.findall(r'(?:append|yield) ?\(?\(?"([a-z ]+)", ', sources))
    problems = kinds - {"incomplete", "late start", "stray", "unlabelled"}
    assert {"unreadable", "labels", "tags", "classes", "gap", "missing", "unusual"} <= problems
    table = text.split("| kind |")[1].split("\n\n")[0]
    explained = set(re.findall(r"`([a-z ]+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:])))
    assert problems <= explained


def test_official_names_in_the_guide_to_inference() -> None:
    text = (ROOT / "doc/INFERENCE.md").read_text()
    table = text.split("## What is written")[2 if text.count("## What is written") > 1 else 1]
    rows = dict(re.findall(r"^\| (\w+) \| .+ \| `(\w+)` \|$", table, flags=re.MULTILINE))
    assert rows == {task.name: task.official or task.name for task in TASKS.values()}


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_a_picture(task: str) -> None:
    path = ROOT / f"doc/images/{task}.jpg"
    assert path.stat().st_size <= 150_000
    height, width = cv2.imread(str(path)).shape[:2]
    assert width * 9 == height * 16
    assert f"(doc/images/{task}.jpg)" in (ROOT / "README.md").read_text()


@page
def test_code_in_the_guides_compiles(path: Path) -> None:
    for block in re.findall(r"^```python$(.*?)^```$", path.read_text(), flags=re.DOTALL | re.MULTILINE):
        compile(block, str(path), "exec")


def test_names_in_the_table_of_calls_exist() -> None:
    from importlib import import_module

    names = re.findall(r"`(bdd100k_models[\w.]+)[(\[]", (ROOT / "doc/API.md").read_text())
    assert len(names) > 6
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name


@pytest.mark.slow
def test_the_reference_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="needs sphinx, which builds the reference")
    python = [sys.executable, "-m"]
    source, output = tmp_path / "reference", tmp_path / "docs"
    subprocess.run(
        [*python, "sphinx.ext.apidoc", "-q", "-f", "-M", "--no-toc", "-d", "1", "-o", str(source), "bdd100k_models"],
        check=True,
        cwd=ROOT,
    )
    shutil.copy(ROOT / "doc/reference/index.rst", source)
    done = subprocess.run(
        [*python, "sphinx", "-q", "-W", "--keep-going", "-c", str(ROOT / "doc/reference"), str(source), str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    pages = "".join(path.read_text() for path in output.glob("bdd100k_models*.html"))
    for name in ("datasets.check.check_data", "evaluation.run.evaluate", "formats.scalabel.load_frames"):
        assert f'id="bdd100k_models.{name}"' in pages
