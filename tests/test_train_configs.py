"""Every config trains: one step on drawn scenes, reduced in size, reaches every parameter that is to learn.

A sample of at least one model a task runs with the fast tests, all of them with the slow ones.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import config_files
from train_model import one_step

#: Parameters without a gradient, although they could learn, by model, with the reason.
WITHOUT_GRADIENT = {
    r"dla\d+x?_": (
        r"^backbone\.level\d(\.tree1)?\.project\.",
        "the published networks hold a projection in each tree, which those of several levels never use",
    ),
}

#: Parameters whose gradient may be zero everywhere, with the reason.
MAY_BE_STILL = {
    r"neck\.fpn_convs\.[1-9]\.": "of the few boxes that are drawn on small images, perhaps none is of a coarse level",
    r"bbox_head\.scales\.[1-9]\.": "no object of a small image is large enough for a coarse level",
    r"rpn_head\.rpn_reg\.": "of the few boxes that are drawn on small images, perhaps none is on an object",
    r"\.conv_mask\.bias$": "a softmax over all pixels forgets what is added to each of them",
}

#: Small and quick ones of each task, most of which do not share their heads.
SAMPLE = (
    ("det", "retinanet_pvtv2-b0_fpn_1x_det_bdd100k"),
    ("ins_seg", "mask_rcnn_mini_ins_seg_synthetic"),
    ("sem_seg", "fpn_r50_512x1024_40k_sem_seg_bdd100k"),
    ("sem_seg", "fpn_mini_sem_seg_synthetic"),
    ("drivable", "fpn_mini_drivable_synthetic"),
    ("pan_seg", "panoptic_fpn_mini_pan_seg_synthetic"),
    ("tagging", "dla34_5x_224x224_weather_tag_bdd100k"),
    ("pose", "mobilenetv2_256x192_1x_pose_bdd100k"),
    ("mot", "qdtrack_mini_mot_synthetic"),
    ("mots", "segtrack-frcnn_r50_fpn_12e_fixed_mots_bdd100k"),
)

ALL = [(task, name) for task in TASKS for name in config_files(task)]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    generate(root, {"train": 8, "val": 1}, seed=5, size=(320, 180), nproc=1, force=True)
    generate_videos(root, {"train": 1, "val": 1}, frames=4, seed=5, size=(320, 180), nproc=1, force=True)
    return root


def check(task: str, name: str, data_root: Path) -> None:
    step = one_step(config_files(task)[name], data_root)
    assert math.isfinite(step.loss) and step.loss > 0
    assert not step.broken
    for pattern, (unused, _) in WITHOUT_GRADIENT.items():
        if re.match(pattern, name):
            assert any(re.match(unused, parameter) for parameter in step.without)  # the exception is still one
            step.without = [parameter for parameter in step.without if not re.match(unused, parameter)]
    assert not step.without
    assert step.trained > 0 and len(step.still) < step.trained / 10
    assert not [parameter for parameter in step.still if not any(re.search(known, parameter) for known in MAY_BE_STILL)]


@pytest.mark.parametrize(("task", "name"), SAMPLE)
def test_a_step_reaches_every_parameter(task: str, name: str, data_root: Path) -> None:
    check(task, name, data_root)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), ALL, ids=[name for _, name in ALL])
def test_a_step_of_every_config_reaches_every_parameter(task: str, name: str, data_root: Path) -> None:
    check(task, name, data_root)
