"""The published batch on any number of processes: parts, learning rate, iterations."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from bdd100k_models.cli import build_parser
from bdd100k_models.engine.config import load_config
from bdd100k_models.engine.loops import count_samples, split_batch
from bdd100k_models.engine.recipe import (
    add_average,
    apply_plan,
    fit_recipe,
    plan_batch,
    scale_iterations,
    set_tensorboard,
    wrap_for_running,
)
from bdd100k_models.engine.run_record import newest_checkpoint, note_checkpoint, read_record
from bdd100k_models.engine.sampling import SampleIndex, SeededDataset, SeededSampler, set_generators
from bdd100k_models.engine.train import TrainOptions, _apply
from bdd100k_models.errors import ConfigError, InputError
from bdd100k_models.tasks import TASKS
from bdd100k_models.zoo.records import config_files, resolve_config

DET = "faster_rcnn_r50_fpn_1x_det_bdd100k"
SEM_SEG = "fcn_r50-d8_512x1024_40k_sem_seg_bdd100k"


def load(task: str, name: str) -> Config:
    return load_config(resolve_config(task, name))


def sem_seg() -> Config:
    name = next(name for name in config_files("sem_seg") if name.endswith("40k_sem_seg_bdd100k"))
    return load("sem_seg", name)


@pytest.mark.parametrize(
    ("task", "every"), [*((task, 12) for task in TASKS), *(pytest.param(t, 1, marks=pytest.mark.slow) for t in TASKS)]
)
def test_every_published_batch_is_a_whole_number_of_parts(task: str, every: int) -> None:
    """On the published GPUs nothing changes; on one, and on two or four where there were so many, parts make it up."""
    for path in list(config_files(task).values())[::every]:
        config = load_config(path)
        published, part = config.auto_scale_lr.base_batch_size, config.train_dataloader.batch_size
        gpus = published // part
        assert gpus * part == published, path.name
        assert plan_batch(config, gpus, "auto").parts == 1
        for processes in (1, 2, 4):
            if processes <= gpus:
                plan = plan_batch(config, processes, "auto")
                assert (plan.total, plan.parts) == (published, gpus // processes), path.name


@given(part=st.integers(1, 70), processes=st.integers(1, 70), published=st.integers(1, 300))
def test_the_total_is_the_nearest_that_whole_parts_make(part: int, processes: int, published: int) -> None:
    config = Config(
        {
            "train_dataloader": {"batch_size": part},
            "optim_wrapper": {},
            "auto_scale_lr": {"base_batch_size": published},
        }
    )
    plan = plan_batch(config, processes, "auto")
    assert plan.total == plan.part * plan.parts * plan.processes
    for parts in (plan.parts - 1, plan.parts + 1):
        if parts > 0:
            assert abs(plan.total - published) <= abs(part * parts * processes - published)


def test_what_is_asked_for_is_done() -> None:
    config = load("det", DET)
    assert plan_batch(config, 1, "off").parts == 1
    assert plan_batch(config, 1, 3).total == 12
    assert str(plan_batch(config, 1, "auto")) == "4 at once x 8 parts x 1 processes = 32 a step; published: 32"
    with pytest.raises(InputError, match="--accumulate"):
        plan_batch(config, 1, 0)
    for accumulate in ("auto", "off"):
        config.optim_wrapper.accumulative_counts = 8
        assert plan_batch(config, 1, accumulate).total == 32 and "accumulative_counts" not in config.optim_wrapper
    config.auto_scale_lr = {}
    assert plan_batch(config, 1, "auto").published is None
    words = ["train", "det", DET, "--accumulate"]
    assert build_parser().parse_args([*words, "3"]).accumulate == 3
    with pytest.raises(SystemExit):
        build_parser().parse_args([*words, "0"])


@pytest.mark.parametrize("wrong", [0, -1, "two", None, 1.5, True])
def test_a_batch_that_is_no_number_of_images_is_refused(wrong: Any) -> None:
    config = load("det", DET)
    config.train_dataloader.batch_size = wrong
    with pytest.raises(ConfigError, match=r"train_dataloader\.batch_size must be a number from 1"):
        plan_batch(config, 1, "auto")


def test_checkpoints_within_epochs_are_refused() -> None:
    """A run would go on from them with the images of its epoch's beginning."""
    config = load("det", DET)
    config.default_hooks.checkpoint.by_epoch = False
    with pytest.raises(ConfigError, match=r"checkpoint\.by_epoch=False saves within epochs"):
        wrap_for_running(config, validate=True, metric=None)
    config = sem_seg()
    wrap_for_running(config, validate=True, metric=None)
    assert config.default_hooks.checkpoint.by_epoch is False


def test_the_published_total_leaves_the_recipe_alone() -> None:
    config, untouched = load("det", DET), load("det", DET)
    plan = plan_batch(config, 1, "auto")
    fit_recipe(config, plan, follow=True)
    apply_plan(config, plan)
    assert config.train_dataloader.batch_size == 32 and config.train_cfg.part_size == 4
    assert config.auto_scale_lr == {"enable": False, "base_batch_size": 32}
    for key in ("param_scheduler", "optim_wrapper", "default_hooks"):
        assert config[key] == untouched[key]
    assert config.train_cfg.max_epochs == untouched.train_cfg.max_epochs


def test_another_total_scales_rate_and_iterations() -> None:
    """Sixteen processes of two images: twice the published sixteen, so half the iterations at twice the rate."""
    config, published = sem_seg(), sem_seg()
    for _ in range(2):  # the second time there is nothing left to do
        fit_recipe(config, plan_batch(config, 16, "auto"), follow=True)
        assert config.auto_scale_lr == {"enable": False, "base_batch_size": 32}
        assert config.optim_wrapper.optimizer.lr == 2 * published.optim_wrapper.optimizer.lr
    for key in ("max_iters", "val_interval"):
        assert config.train_cfg[key] * 2 == published.train_cfg[key]
    assert config.default_hooks.checkpoint.interval * 2 == published.default_hooks.checkpoint.interval
    assert [s.end * 2 for s in config.param_scheduler] == [s.end for s in published.param_scheduler]
    for scaled in (False, True):
        config = sem_seg()
        fit_recipe(config, plan_batch(config, 16, "off"), follow=False, scale_rate=scaled)
        assert config.train_cfg.max_iters == published.train_cfg.max_iters
        assert config.optim_wrapper.optimizer.lr == (1 + scaled) * published.optim_wrapper.optimizer.lr
    config = sem_seg()
    del config.optim_wrapper.optimizer["lr"]
    with pytest.raises(ConfigError, match=r"names no optim_wrapper\.optimizer\.lr"):
        fit_recipe(config, plan_batch(config, 16, "auto"), follow=True)


def test_epochs_stay_and_warm_up_shrinks() -> None:
    config = load("det", DET)
    scale_iterations(config, 0.5)
    warm_up, steps = config.param_scheduler
    assert warm_up.end == 250 and steps.milestones == [8, 11] and config.train_cfg.max_epochs == 12
    scale_iterations(config, 1e-9)
    assert config.param_scheduler[0].end == 1


def test_extras_are_added_once() -> None:
    config = load("det", DET)
    for _ in range(2):
        add_average(config)
        set_tensorboard(config, True)
    assert [hook["type"] for hook in config.custom_hooks].count("EMAHook") == 1
    assert [b["type"] for b in config.visualizer.vis_backends] == ["LocalVisBackend", "TensorboardVisBackend"]
    set_tensorboard(config, False)
    assert [b["type"] for b in config.visualizer.vis_backends] == ["LocalVisBackend"]


# ------------------------------------------------------------------------------------------------------ batches


@given(count=st.integers(1, 40), size=st.integers(1, 50), stacked=st.booleans())
def test_parts_are_the_batch_in_order(count: int, size: int, stacked: bool) -> None:
    inputs: Any = torch.arange(count * 2).reshape(count, 2) if stacked else list(torch.arange(count))
    batch = {"inputs": inputs, "data_samples": [f"sample {index}" for index in range(count)]}
    parts = split_batch(batch, size)
    assert len(parts) == -(-count // size)
    assert all(1 <= count_samples(part) <= size for part in parts)
    assert [name for part in parts for name in part["data_samples"]] == batch["data_samples"]
    joined = [tensor for part in parts for tensor in part["inputs"]]
    assert torch.equal(torch.stack(joined), torch.stack(list(inputs)))
    nested = {"inputs": {"key": inputs}, "data_samples": batch["data_samples"]}
    assert [len(part["inputs"]["key"]) for part in split_batch(nested, size)] == [count_samples(p) for p in parts]


# ---------------------------------------------------------------------------------------------- random numbers


def draw() -> tuple[float, float]:
    """Draw a number from each generator that transforms use."""
    return float(np.random.random()), float(torch.rand(1))  # noqa: NPY002


class _Numbers(torch.utils.data.Dataset[Any]):
    metainfo = {"classes": ("a",)}

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> tuple[int, float, float]:
        return index, *draw()


def _samples(shuffle: bool, kind: str, workers: int, skip: int = 0, epoch: int = 0, seed: int = 3) -> list[Any]:
    dataset = SeededDataset.__new__(SeededDataset)
    dataset.dataset = _Numbers()
    sampler = SeededSampler(dataset, {"type": kind, "shuffle": shuffle}, seed)
    sampler.set_epoch(epoch)
    if skip:
        sampler.skip(skip)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=1, sampler=sampler, num_workers=workers, collate_fn=lambda items: items[0]
    )
    return [sample for sample, _ in zip(loader, range(11 - skip), strict=False)]


@pytest.mark.parametrize("kind", ["DefaultSampler", "InfiniteSampler"])
def test_a_sample_is_prepared_the_same_way_by_any_worker(kind: str) -> None:
    whole = _samples(True, kind, workers=0)
    assert _samples(True, kind, workers=2) == whole
    assert len({number for _, *numbers in whole for number in numbers}) == 22
    assert sorted(index for index, *_ in whole) == list(range(11))
    if kind == "InfiniteSampler":
        assert _samples(True, kind, workers=0, skip=4) == whole[4:]
    else:
        other = _samples(True, kind, workers=0, epoch=1)
        assert {a for _, a, _ in other}.isdisjoint({a for _, a, _ in whole})
    assert {a for _, a, _ in _samples(True, kind, workers=0, seed=4)}.isdisjoint({a for _, a, _ in whole})


def test_indices_and_data_sets_survive_pickling() -> None:
    index = pickle.loads(pickle.dumps(SampleIndex.at(7, (1, 2, 3))))
    assert index == 7 and index.entropy == (1, 2, 3)
    dataset = SeededDataset.__new__(SeededDataset)
    dataset.dataset = _Numbers()
    copied = pickle.loads(pickle.dumps(dataset))
    assert copied.metainfo == {"classes": ("a",)}
    assert copied[SampleIndex.at(7, (1, 2, 3))] == dataset[SampleIndex.at(7, (1, 2, 3))]
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = copied.nothing_of_the_kind


def test_generators_follow_from_every_number() -> None:
    seen = set()
    for entropy in ((0,), (1,), (0, 1), (1, 0), (2**40, 5)):
        set_generators(*entropy)
        first = draw()
        set_generators(*entropy)
        assert draw() == first
        seen.add(first)
    assert len(seen) == 5


# ---------------------------------------------------------------------------------------------------- run folders


@pytest.mark.parametrize("averaged", [True, False])
def test_a_run_goes_on_as_it_was_and_leaves_a_recipe_that_begins_anew(tmp_path: Path, averaged: bool) -> None:
    """Also without the flag for a moving average: without it, training would go on from the average itself."""
    content = {"state_dict": {"a": torch.zeros(1)}, "optimizer": {}, "meta": {"epoch": 1, "iter": 9, "seed": 7}}
    if averaged:
        content["ema_state_dict"] = {"module.a": torch.ones(1)}
    work = tmp_path / "work"
    work.mkdir()
    torch.save(content, work / "epoch_1.pth")
    config = load("det", DET)
    _, saved = _apply(config, TrainOptions(work, torch.device("cpu"), data_root=str(tmp_path), resume=True, seed=3))
    assert (config.load_from, config.resume) == (str(work / "epoch_1.pth"), True)
    assert config.randomness.seed == 7
    assert (saved.load_from, saved.resume) == (None, False)
    hooks = [hook["type"] for hook in saved.get("custom_hooks") or []]
    assert ("EMAHook" in hooks) is averaged


def test_a_recipe_keeps_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is used, and whatever the variable says, which comes before published configs."""
    mine, published, other = (tmp_path / name for name in ("mine", "published", "other"))
    for folder in (mine, published, other):
        folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BDD100K_ROOT", str(published))

    def trained_on(config: Config, **options: Any) -> tuple[str, Config]:
        _, recipe = _apply(config, TrainOptions(tmp_path, torch.device("cpu"), **options))
        (root,) = {recipe[loader].dataset.data_root for loader in ("train_dataloader", "val_dataloader")}
        assert recipe.test_dataloader.dataset.data_root == root
        return root, recipe

    assert trained_on(load("det", DET))[0] == str(published)
    root, recipe = trained_on(load("det", DET), data_root="mine")
    assert root == str(mine)
    file = tmp_path / f"{DET}.py"
    file.write_text(recipe.pretty_text)
    monkeypatch.chdir(other)
    assert trained_on(load_config(file))[0] == str(mine)
    assert trained_on(load_config(file, {"train_dataloader.dataset.data_root": str(other)}))[0] == str(other)
    assert trained_on(load_config(file), data_root=str(published))[0] == str(published)


def test_the_newest_checkpoint_is_found_in_any_state_of_the_folder(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for name in ("epoch_2.pth", "epoch_10.pth", "best_bdd100k_AP_epoch_12.pth", ".epoch_11.pth.1.tmp"):
        (tmp_path / name).touch()
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_10.pth"
    note = tmp_path / "last_checkpoint"
    note.write_text("")  # cut off
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_10.pth"
    note.write_text("/where/the/folder/was/before/epoch_2.pth")
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_2.pth"
    original = tmp_path / "original"
    original.mkdir()
    for name in ("epoch_2.pth", "epoch_3.pth"):
        (original / name).touch()
    note.write_text(f"{original}/epoch_2.pth")  # of which this folder is a copy
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_2.pth"
    note.write_text(f"{original}/epoch_3.pth")
    assert newest_checkpoint(tmp_path) == original / "epoch_3.pth"
    note_checkpoint(tmp_path, None)
    assert newest_checkpoint(tmp_path) is None
    note_checkpoint(tmp_path, str(tmp_path / "epoch_2.pth"))
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch_2.pth"


def test_a_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path) == {}
    (tmp_path / "run.json").write_text("{cut")
    assert read_record(tmp_path) == {}
    (tmp_path / "run.json").write_text("[1]")
    assert read_record(tmp_path) == {}
