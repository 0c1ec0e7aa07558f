"""Models of classes: every kind of architecture predicts and learns, and scores become maps as in the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from torch.nn import functional

from bdd100k_models.datasets.images import images_of_folder
from bdd100k_models.datasets.loader import InferenceImages, Preparation
from bdd100k_models.engine import semantic
from bdd100k_models.engine.config import load_config, use_views
from bdd100k_models.engine.model import build_model, predict, prepare_model
from bdd100k_models.errors import InputError
from bdd100k_models.zoo.records import config_files
from conftest import draw_noise
from semantic_model import write_checkpoint, write_config

LIGHT = ("fpn_r50_512x1024_40k", "pointrend_r50_512x1024_40k", "dpt_vit_512x1024_80k", "ccnet_r50-d8_512x1024_40k")
HEAVY = (
    *("fcn_r50-d8_512x1024_40k", "pspnet_r50-d8_512x1024_40k", "deeplabv3_r50-d8_512x1024_40k"),
    *("deeplabv3+_r50-d8_512x1024_40k", "upernet_r50-d8_512x1024_40k", "psanet_r50-d8_512x1024_40k"),
    *("nonlocal_r50-d8_512x1024_40k", "fpn_r50_gn_dconv_512x1024_40k", "emanet_r50-d8_769x769_40k"),
    *("dmnet_r50-d8_769x769_40k", "apcnet_r50-d8_512x1024_40k", "fcn_hr48_512x1024_40k", "gcnet_r50-d8_769x769_40k"),
    *("dnl_r50-d8_512x1024_40k", "upernet_vit-b_512x1024_80k", "upernet_deit-s_512x1024_80k"),
    *("upernet_swin-t_512x1024_40k", "upernet_convnext-t_fp16_512x1024_40k"),
)
KINDS = [
    *(("sem_seg", f"{kind}_sem_seg_bdd100k") for kind in LIGHT),
    *(pytest.param("sem_seg", f"{kind}_sem_seg_bdd100k", marks=pytest.mark.slow) for kind in HEAVY),
    pytest.param("drivable", "danet_r50-d8_512x1024_40k_drivable_bdd100k", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("task", "name"), KINDS)
def test_a_model_learns_and_predicts(task: str, name: str):
    """With synchronised normalisation on one CPU, as published configs have it."""
    from mmseg.structures import SegDataSample

    size, torch_state = (64, 128), torch.random.get_rng_state()
    torch.manual_seed(0)
    config = load_config(config_files(task)[name])
    model: Any = build_model(config).train()
    model.data_preprocessor.size = size
    images = [torch.randint(0, 256, (3, *size)).float() for _ in range(2)]
    maps = [PixelData(data=torch.randint(0, model.num_classes, (1, *size))) for _ in images]
    truth = [SegDataSample(gt_sem_seg=data) for data in maps]
    losses = model(**model.data_preprocessor({"inputs": images, "data_samples": truth}, True), mode="loss")
    total, _ = model.parse_losses(losses)
    assert total.isfinite() and total > 0
    total.backward()
    # EMANet has a fixed layer
    learning = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert len(learning) > 10 and [key for key, value in learning.items() if value.grad is None] == []
    assert all(value.grad.isfinite().all() for value in learning.values())

    shape = {"img_path": "a.jpg", "img_shape": size, "ori_shape": (48, 100)}
    with torch.inference_mode():
        (found,) = predict(model.eval(), {"inputs": images[:1], "data_samples": [SegDataSample(metainfo=shape)]})
    data = found["pred_sem_seg"]["data"]
    assert data.dtype == torch.uint8 and data.shape == (1, 48, 100) and int(data.max()) < model.num_classes
    torch.random.set_rng_state(torch_state)


# ----------------------------------------------------------------------------------------------- scores and maps


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The config of a tiny model, and its weights."""
    folder = tmp_path_factory.mktemp("tiny")
    config = write_config(folder, "sem_seg")
    return config, write_checkpoint(config, folder / "weights.pth")


def load_all(config: Any, folder: Path) -> dict[str, Any]:
    """Return all images of a folder as one batch."""
    images = images_of_folder(folder)
    preparation = Preparation(config.test_dataloader.dataset.pipeline)
    return InferenceImages(images, [range(len(images.items))], preparation)[0].data


def scores_by_hand(model: Any, image: np.ndarray, scale: tuple[int, int], mirrored: bool) -> torch.Tensor:
    """Return the class probabilities of an image as the original computed them, without any of its pipeline."""
    height, width = image.shape[:2]
    ratio = min(max(scale) / max(height, width), min(scale) / min(height, width))
    size = int(width * ratio + 0.5), int(height * ratio + 0.5)
    pixels = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[..., ::-1]
    pixels = (pixels - np.array([123.675, 116.28, 103.53])) / np.array([58.395, 57.12, 57.375])
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32))[None]
    with torch.inference_mode():
        logits = model.decode_head(model.extract_feat(tensor.flip(3) if mirrored else tensor))
        for shape in (tensor.shape[2:], (height, width)):
            logits = functional.interpolate(logits, shape, mode="bilinear", align_corners=False)
        probabilities = logits.softmax(1)
    return (probabilities.flip(3) if mirrored else probabilities)[0]


def test_images_of_any_size_share_a_batch(tiny: tuple[Path, Path], tmp_path: Path):
    sizes = [(72, 128), (90, 120), (72, 128), (720, 1280)]
    files = [draw_noise(tmp_path / f"{index}.png", index, size) for index, size in enumerate(sizes)]
    config = load_config(tiny[0])
    model = prepare_model(config, tiny[1], torch.device("cpu"))
    with torch.inference_mode():
        found = predict(model, load_all(config, tmp_path))
    assert [sample["img_path"] for sample in found] == [str(file) for file in files]
    for file, size, sample in zip(files, sizes, found, strict=True):
        classes = sample["pred_sem_seg"]["data"][0]
        assert classes.shape == size and classes.unique().numel() > 1
        expected = scores_by_hand(model, cv2.imread(str(file)), (1280, 720), mirrored=False).argmax(0)
        assert (classes == expected).double().mean() > 0.9999


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(101, 67), (64, 48), (12, 9), (24, 32), (3, 300), (300, 1), (1, 1)])
@pytest.mark.parametrize(("kind", "least"), [(torch.float32, 0.9999), (torch.bfloat16, 0.99)])
def test_large_maps_are_decided_some_rows_at_a_time(
    monkeypatch: pytest.MonkeyPatch, kind: torch.dtype, least: float, size: tuple[int, int], align_corners: bool
):
    scores = torch.randn(2, 19, 24, 32, generator=torch.Generator().manual_seed(0)).to(kind)
    whole = semantic._classes(scores, size, align_corners)
    assert whole.unique().numel() > 5 or size == (1, 1)
    largest = 0
    interpolate = functional.interpolate

    def counted(*arguments: Any, **options: Any) -> torch.Tensor:
        nonlocal largest
        found = interpolate(*arguments, **options)
        largest = max(largest, found.numel())
        return found

    monkeypatch.setattr(semantic.functional, "interpolate", counted)
    monkeypatch.setattr(semantic, "_WHOLE", 0)
    monkeypatch.setattr(semantic, "_STRIP", 7 * 19 * size[1] * scores.element_size())
    strips = semantic._classes(scores, size, align_corners)
    assert strips.dtype == torch.uint8 and strips.shape == whole.shape == (2, 1, *size)
    assert (strips == whole).double().mean() >= least
    assert largest <= 7 * 19 * size[1]


def test_a_large_image_is_that_of_a_small_memory(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pixels = cv2.imread(str(draw_noise(tmp_path / "a.png", 100, (72, 128))))
    cv2.imwrite(str(tmp_path / "a.png"), cv2.resize(pixels, (1000, 563)))
    config = load_config(tiny[0])
    model = prepare_model(config, tiny[1], torch.device("cpu"))
    found = []
    for least in (semantic._WHOLE, 1 << 20):
        monkeypatch.setattr(semantic, "_WHOLE", least)
        monkeypatch.setattr(semantic, "_STRIP", 1 << 20)
        with torch.inference_mode():
            (sample,) = predict(model, load_all(config, tmp_path))
        found.append(sample["pred_sem_seg"]["data"])
    assert found[0].unique().numel() > 1 and (found[0] == found[1]).double().mean() > 0.9999


def test_six_scales_and_their_mirror_images_are_averaged(tiny: tuple[Path, Path], tmp_path: Path):
    file = draw_noise(tmp_path / "a.png", 3, (72, 128))
    config = load_config(tiny[0])
    for step in config.tta_pipeline[1].transforms[0]:
        step.scale = tuple(side // 5 for side in step.scale)  # a tenth of the time
    use_views(config)
    model = prepare_model(config, tiny[1], torch.device("cpu"))
    batch = load_all(config, tmp_path)
    assert len(batch["inputs"][0]) == 12
    with torch.inference_mode():
        (found,) = predict(model, batch)
    image = cv2.imread(str(file))
    scales = [(int(256 * ratio), int(144 * ratio)) for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)]
    views = [scores_by_hand(model, image, scale, mirrored) for scale in scales for mirrored in (False, True)]
    mean = torch.stack(views).mean(0)
    classes = found["pred_sem_seg"]["data"][0]
    assert (classes == mean.argmax(0)).double().mean() > 0.9999
    assert (classes != views[4].argmax(0)).any(), "one view alone says something else"


def test_models_without_views_say_so():
    config = load_config(config_files("det")["retinanet_r50_fpn_1x_det_bdd100k"])
    with pytest.raises(InputError, match=r"retinanet_r50_fpn_1x_det_bdd100k\.py: has no tta_pipeline"):
        use_views(config)


def test_windows_slide_over_the_image_and_padding_is_cut_off(tiny: tuple[Path, Path], tmp_path: Path):
    """The maps of both kinds of inference are those of mmseg's own post-processing."""
    draw_noise(tmp_path / "a.png", 5, (720, 1280))
    for options in (
        {"model.test_cfg": {"mode": "slide", "crop_size": (400, 400), "stride": (300, 300)}},
        {"model.data_preprocessor.test_cfg": {"size_divisor": 64}},
    ):
        config = load_config(tiny[0], options)
        model = prepare_model(config, tiny[1], torch.device("cpu"))
        batch = load_all(config, tmp_path)
        with torch.inference_mode():
            (found,) = predict(model, batch)
            (expected,) = model(**model.data_preprocessor(batch, False), mode="predict")
        np.testing.assert_array_equal(found["pred_sem_seg"]["data"], expected.pred_sem_seg.data)


# ------------------------------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize(
    "name",
    ["pointrend_r50_512x1024_40k", "upernet_swin-t_512x1024_40k", "fcn_hr48_512x1024_80k"],
)
def test_learning_rates_follow_the_published_formula(name: str):
    """Warm-up and polynomial decay multiply, as in mmcv 1.x."""
    from mmengine.registry import PARAM_SCHEDULERS

    config = load_config(config_files("sem_seg")[f"{name}_sem_seg_bdd100k"])
    rate = config.optim_wrapper.optimizer.lr
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    schedulers = [
        PARAM_SCHEDULERS.build(part, default_args={"optimizer": optimizer}) for part in config.param_scheduler
    ]
    decay = config.param_scheduler[-1]
    warm = config.param_scheduler[0] if len(schedulers) > 1 else None
    iterations = config.train_cfg.max_iters
    checked = 6000
    for iteration in range(checked):
        expected = (rate - decay.eta_min) * (1 - iteration / iterations) ** decay.power + decay.eta_min
        if warm is not None and iteration < warm.end:
            expected *= 1 - (1 - iteration / warm.end) * (1 - warm.start_factor)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=0.006, abs=1e-9), iteration
        for scheduler in schedulers:
            scheduler.step()
