"""Validation over videos while training: whole videos for each process, and none for some where there are too few."""

from __future__ import annotations

import json
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from mmengine.registry import DATA_SAMPLERS, DATASETS

import bdd100k_models.registry  # noqa: F401
import qdtrack_model
from bdd100k_models.datasets import videos
from bdd100k_models.datasets.synth import generate, generate_videos
from conftest import ROOT
from det_model import TWO_PROCESSES, environment


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_each_process_gets_whole_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    for name, length in (("a", 3), ("b", 1), ("c", 2)):
        frames = [{"name": f"{name}-{n}.jpg", "videoName": name, "frameIndex": n} for n in range(length)]
        (tmp_path / f"{name}.json").write_text(json.dumps(frames))
    where = {"ann_file": str(tmp_path), "data_prefix": {"img": "images"}}
    dataset = DATASETS.build({"type": "BDD100KVideoDataset", "pipeline": [], "test_mode": True, **where})
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(videos, "get_dist_info", lambda rank=rank: (rank, processes))
        sampler = DATA_SAMPLERS.build({"type": "VideoSampler"}, default_args={"dataset": dataset, "seed": 0})
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1]) and shares[-1] == sorted(shares[-1])
    assert sorted(chain(*shares)) == [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]
    owners = [{video for video, _ in share} for share in shares]
    assert sum(map(len, owners)) == 3 and len(owners[0]) >= len(owners[-1])


@pytest.mark.slow
def test_one_video_is_scored_by_two_processes(tmp_path: Path) -> None:
    root, work = tmp_path / "data", tmp_path / "work"
    generate(root, {"train": 2}, seed=5, size=(320, 180), nproc=1, tasks=("det",))
    generate_videos(root, {"train": 1, "val": 1}, frames=3, seed=5, size=(320, 180), nproc=1, force=True)
    head = qdtrack_model.SMALL_HEAD | {"model.track_head.embed_head.in_channels": 16}
    options = qdtrack_model.SMALL | head | {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 1}
    options |= {"train_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False}
    options |= {"val_dataloader.num_workers": 0, "val_dataloader.persistent_workers": False}
    words = [*TWO_PROCESSES, "-m", "bdd100k_models.cli", "train", "mot", qdtrack_model.NAME, "--data-root", root]
    words += ["--work-dir", work, "--device", "cpu", "--seed", "0", "--launcher", "pytorch", "--cfg-options"]
    words += [f"{key}={','.join(map(str, v)) if isinstance(v, list) else v}" for key, v in options.items()]
    command = list(map(str, words))
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 <= json.loads((work / "run.json").read_bytes())["best_score"] <= 100
