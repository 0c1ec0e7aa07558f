"""The numbers of parameters in the zoo's data are those of the published weights, and of the models built here."""

from __future__ import annotations

import gzip
import json
import math
import re
from pathlib import Path

import pytest

from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.weightless import build_weightless, count_parameters
from bdd100k_models.zoo.records import all_models, config_files

#: What a file of weights holds beside parameters. EMANet's bases are a running mean too.
BUFFERS = re.compile(
    r"(running_mean|running_var|num_batches_tracked|relative_position_index|attn_mask|ema_module\.bases)$"
)


def test_counts_are_those_of_the_published_weights(shared: Path) -> None:
    with gzip.open(shared / "facts/legacy_state_dicts.json.gz") as file:
        facts = json.load(file)
    counts = {
        number: sum(math.prod(shape) for key, (_, shape) in weights.items() if not BUFFERS.search(key))
        for number, weights in facts["state_dicts"].items()
    }
    compared = 0
    for path, number in facts["models"].items():
        task, name = path.split("/")
        if name in all_models():
            assert all_models()[name][0] == task
            assert all_models()[name][2].parameters == counts[number], name
            compared += 1
    assert compared > 240


def test_every_published_model_was_counted() -> None:
    lacking = [model.name for _, method, model in all_models().values() if method.is_ours and model.parameters is None]
    assert lacking == []


def check(name: str) -> None:
    task, _, model = all_models()[name]
    assert count_parameters(build_weightless(load_config(config_files(task)[name]))) == model.parameters


@pytest.mark.parametrize("name", ["faster_rcnn_r50_fpn_1x_det_bdd100k", "resnet18_4x_weather_tag_bdd100k"])
def test_counts_are_those_of_models_built_here(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in all_models().items() if row[2].parameters is not None])
def test_every_count_is_that_of_a_model_built_here(name: str) -> None:
    if name not in config_files(all_models()[name][0]):
        pytest.skip("its config was published under another name")
    check(name)
