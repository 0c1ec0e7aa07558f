"""The small mends: each works, and each is still needed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bdd100k_models import compat
from bdd100k_models.compat import imgaug, motmetrics, xtcocotools
from bdd100k_models.errors import ImageError, UnsupportedOpError


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


# ------------------------------------------------------------------------------------------------------- xtcocotools


def test_xtcocotools_is_pycocotools() -> None:
    compat.activate()
    for alias, name in xtcocotools.ALIASES.items():
        module = importlib.import_module(alias)
        assert module is importlib.import_module(name)
        assert module.__spec__ is not None and module.__spec__.name == name
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    assert (COCO.__module__, COCOeval.__module__) == ("pycocotools.coco", "pycocotools.cocoeval")


def test_xtcocotools_alias_is_registered_once_and_imports_nothing() -> None:
    code = """
import sys
from bdd100k_models.compat import xtcocotools
before = len(sys.meta_path)
xtcocotools.install(), xtcocotools.install()
assert len(sys.meta_path) == before + 1
assert not {"pycocotools", "matplotlib", "torch"} & set(sys.modules)
import xtcocotools.mask as mask
assert mask.encode is sys.modules["pycocotools.mask"].encode
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_mmpose_still_imports_xtcocotools() -> None:
    """If this fails, mmpose no longer needs the alias: remove it."""
    done = run("from bdd100k_models.compat import mmcv_ext; mmcv_ext.install(); import mmpose.datasets")
    assert done.returncode != 0 and "xtcocotools" in done.stderr


# ------------------------------------------------------------------------------------------------------------ imgaug


@pytest.mark.skipif(
    importlib.util.find_spec("imgaug") is not None
    and "placeholder" not in (inspect.getdoc(importlib.import_module("imgaug")) or ""),
    reason="imgaug itself is installed",
)
def test_imgaug_placeholder_fails_only_when_called() -> None:
    imgaug.install()
    import imgaug.augmenters as augmenters
    from imgaug.augmentables.lines import LineString

    for something in (augmenters.Sometimes, LineString):
        with pytest.raises(UnsupportedOpError, match=r"imgaug.*pip install imaug"):
            something(p=1)
    assert not hasattr(augmenters, "__all__")


def test_an_installed_imgaug_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in imgaug.MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "imgaug" else None)
    imgaug.install()
    assert not set(imgaug.MODULES) & set(sys.modules)


def test_mmdet_still_imports_imgaug() -> None:
    """If this fails, mmdet no longer needs the placeholder: remove it."""
    done = run(
        "import sys; sys.modules['imgaug'] = None\n"
        "from bdd100k_models.compat import mmcv_ext; mmcv_ext.install(); import mmdet.datasets"
    )
    assert done.returncode != 0 and "imgaug" in done.stderr


# -------------------------------------------------------------------------------------------------------- motmetrics


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, 2], np.float64, np.float64),
        ([[1, 2]], np.float32, np.float32),
        ([True], np.int64, np.float64),
        ([], np.float64, np.float64),
        ([1j], np.complex128, np.complex128),
        (np.float32([1.5]), np.float64, np.float64),
    ],
)
def test_asfarray_is_numpy_1s(values: object, dtype: type, expected: type) -> None:
    result = motmetrics.asfarray(values, dtype=dtype)
    assert result.dtype == expected
    assert np.array_equal(result, np.array(values))


def test_motmetrics_computes_distances_only_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the first call works, motmetrics or NumPy no longer needs the mend: remove it."""
    distances = pytest.importorskip("motmetrics.distances")
    monkeypatch.setattr(np, "asfarray", None, raising=False)  # so that leaving takes the mend away again
    monkeypatch.delattr(np, "asfarray")
    a, b = np.array([[0, 0, 4, 2], [9, 9, 1, 1]]), np.array([[2, 0, 4, 2]])
    with pytest.raises(AttributeError, match="asfarray"):
        distances.iou_matrix(a, b)
    motmetrics.install()
    motmetrics.install()
    assert distances.iou_matrix(a, b).tolist() == [[1 - 4 / 12], [1.0]]


# ------------------------------------------------------------------------------------------------ accuracy of heat maps


def test_mmpose_still_cannot_turn_bfloat16_into_numbers() -> None:
    from mmpose.utils.tensor_utils import to_numpy

    with pytest.raises(TypeError, match="BFloat16"):
        to_numpy(torch.zeros(2, dtype=torch.bfloat16))


def test_the_head_of_heat_maps_takes_bfloat16() -> None:
    from bdd100k_models.compat import pose_accuracy

    pose_accuracy.install()
    from mmpose.models.heads.heatmap_heads import heatmap_head

    maps = torch.randn(2, 3)
    for given in (maps, maps.bfloat16()):
        array = heatmap_head.to_numpy(given)
        assert array.dtype == np.float32
        assert np.array_equal(array, given.float().numpy())


def test_mmcv_still_does_not_name_an_empty_image(tmp_path: Path) -> None:
    from mmcv.transforms import LoadImageFromFile

    empty = tmp_path / "empty.jpg"
    empty.touch()
    loader = LoadImageFromFile()
    with pytest.raises(Exception) as found:
        LoadImageFromFile.transform.__wrapped__(loader, {"img_path": str(empty)})
    assert "empty.jpg" not in str(found.value), "mmcv names the image now; compat/image_faults.py may go"


def test_images_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    from mmcv.transforms import LoadImageFromFile

    from bdd100k_models.compat import image_faults

    mended = LoadImageFromFile.transform
    image_faults.install()
    assert LoadImageFromFile.transform is mended  # once is enough
    for name, content in (("empty.jpg", b""), ("text.jpg", b"text"), ("none.jpg", None)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=name):
            LoadImageFromFile()({"img_path": str(tmp_path / name)})
    with pytest.raises(KeyError):
        LoadImageFromFile()({})
