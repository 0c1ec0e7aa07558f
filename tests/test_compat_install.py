"""When the operators over torchvision take the place of ``mmcv._ext``, and when they do not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import mmcv
import pytest
import torch

from bdd100k_models import compat
from bdd100k_models.compat import mmcv_ext
from bdd100k_models.errors import UnsupportedOpError, ZooError

compat.activate()

from mmcv import ops  # noqa: E402


@pytest.fixture
def bare_mmcv(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """mmcv as if nothing had been installed; put back afterwards."""
    monkeypatch.setitem(sys.modules, "mmcv._ext", sys.modules["mmcv._ext"])  # so that leaving restores it
    monkeypatch.delitem(sys.modules, "mmcv._ext")
    monkeypatch.setattr(mmcv, "_ext", None, raising=False)
    yield monkeypatch


def test_operators_are_installed_once_and_found(bare_mmcv: pytest.MonkeyPatch) -> None:
    mmcv_ext.install()
    first = sys.modules["mmcv._ext"]
    mmcv_ext.install()
    assert sys.modules["mmcv._ext"] is first is mmcv._ext
    spec = importlib.util.find_spec("mmcv._ext")
    assert spec is not None and spec.name == "mmcv._ext"


def test_a_compiled_module_is_preferred(bare_mmcv: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "_ext.py").write_text("compiled = True\n")
    bare_mmcv.setattr(mmcv, "__path__", [str(tmp_path), *mmcv.__path__])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mmcv_ext.install()
    assert sys.modules["mmcv._ext"].compiled is True


def test_a_compiled_module_that_does_not_import_is_replaced_with_a_warning(
    bare_mmcv: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "_ext.py").write_text("raise ImportError('undefined symbol: _ZN3c10')\n")
    bare_mmcv.setattr(mmcv, "__path__", [str(tmp_path), *mmcv.__path__])
    with pytest.warns(RuntimeWarning, match="undefined symbol.*pip install --no-build-isolation"):
        mmcv_ext.install()
    assert callable(sys.modules["mmcv._ext"].nms)


def test_a_module_that_a_compiled_one_misses_is_not_taken_for_its_absence(
    bare_mmcv: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "_ext.py").write_text("import no_such_library\n")
    bare_mmcv.setattr(mmcv, "__path__", [str(tmp_path), *mmcv.__path__])
    with pytest.warns(RuntimeWarning, match="no_such_library"):
        mmcv_ext.install()


def test_unknown_names_are_operators_and_private_ones_are_not(bare_mmcv: pytest.MonkeyPatch) -> None:
    mmcv_ext.install()
    module = sys.modules["mmcv._ext"]
    refusal = module.no_such_operator
    assert refusal.__name__ == "no_such_operator"
    with pytest.raises(UnsupportedOpError, match=rf"'no_such_operator'.*onedl-mmcv=={mmcv.__version__}"):
        refusal(1, key=2)
    for name in ("__path__", "__all__", "_private"):
        assert not hasattr(module, name)


def test_a_torchvision_without_kernels_is_named(bare_mmcv: pytest.MonkeyPatch) -> None:
    bare_mmcv.setattr(torch.ops, "torchvision", object())
    with pytest.raises(UnsupportedOpError, match="no kernels for this torch; install a torchvision"):
        mmcv_ext.install()
    assert "mmcv._ext" not in sys.modules


def test_a_torchvision_that_does_not_import_is_named(bare_mmcv: pytest.MonkeyPatch) -> None:
    bare_mmcv.setitem(sys.modules, "torchvision", None)
    with pytest.raises(UnsupportedOpError, match="torchvision does not import"):
        mmcv_ext.install()


def test_mmcv_tells_how_it_was_compiled() -> None:
    assert "torchvision" in ops.get_compiler_version()
    assert "torchvision" in ops.get_compiling_cuda_version()


CALLS: dict[str, Callable[[], object]] = {
    "softnms": lambda: ops.soft_nms(torch.rand(2, 4), torch.rand(2)),
    "nms_rotated": lambda: ops.nms_rotated(torch.rand(2, 5), torch.rand(2), 0.5),
    "roi_pool_forward": lambda: ops.roi_pool(torch.rand(1, 1, 4, 4), torch.tensor([[0, 0.0, 0, 2, 2]]), 2),
    "softmax_focal_loss_forward": lambda: ops.softmax_focal_loss(torch.rand(2, 3), torch.zeros(2).long()),
    "carafe_forward": lambda: ops.carafe(torch.rand(1, 4, 2, 2), torch.rand(1, 9, 4, 4), 3, 1, 2),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_any_other_operator_names_itself_and_the_remedy_when_called(name: str) -> None:
    with pytest.raises(UnsupportedOpError) as caught:
        CALLS[name]()
    assert isinstance(caught.value, ZooError) and isinstance(caught.value, NotImplementedError)
    message = str(caught.value)
    assert repr(name) in message and "pip install --no-build-isolation" in message and "\n" not in message


EVERY_LIBRARY = """
from bdd100k_models import compat
compat.activate()
import importlib
import mmcv.ops, mmdet, mmseg, mmpretrain, mmpose
for library in ("mmdet", "mmseg", "mmpretrain", "mmpose"):
    importlib.import_module(library + ".utils").register_all_modules(init_default_scope=False)
from mmdet.registry import MODELS
assert "DyHead" in MODELS and "CocoWholeBodyDataset" in importlib.import_module("mmpose.registry").DATASETS
"""


def test_every_library_registers_its_modules() -> None:
    """In a process of its own, since importing is what is tested."""
    done = subprocess.run([sys.executable, "-c", EVERY_LIBRARY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
