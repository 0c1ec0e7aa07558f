"""From a loaded model to a file: ONNX or TorchScript."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bdd100k_models import __version__
from bdd100k_models.errors import InputError
from bdd100k_models.evaluation.config import POSE_SIGMAS
from bdd100k_models.export.networks import Network, Tensors, network_of
from bdd100k_models.export.prepare import Geometry, Normalisation, Prepare, normalisation_of, plan_geometry
from bdd100k_models.export.tracing import traceable
from bdd100k_models.formats.files import write_bytes
from bdd100k_models.inference.model import Model
from bdd100k_models.runtime.description import KEY, Description
from bdd100k_models.tasks import IMAGE_SIZE, TAGS, Task

Format = Literal["onnx", "torchscript"]
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torchscript": ".torchscript"}

#: The name of a graph's input.
INPUT = "images"

#: First opset with all that is needed: sampling from grids, regions aligned to half pixels.
FIRST_OPSET = 16
#: Last one that the exporter knows.
LAST_OPSET = 20
DEFAULT_OPSET = 17


@dataclass(frozen=True)
class ExportOptions:
    """How to export; the attributes are the flags of the same name.

    Attributes:
        form: ``onnx`` or ``torchscript``.
        size: Height and width of the pictures that the graph is for; those of the data set by default.
        pre: Whether the graph prepares pictures.
        post: Whether it decides.
        opset: Version of ONNX's operators.
        batch: How many images at a time; None for any number.

    Raises:
        InputError: There is no such opset.
    """

    form: Format = "onnx"
    size: tuple[int, int] = IMAGE_SIZE
    pre: bool = True
    post: bool = True
    opset: int = DEFAULT_OPSET
    batch: int | None = None

    def __post_init__(self) -> None:
        if not FIRST_OPSET <= self.opset <= LAST_OPSET:
            raise InputError(f"--opset must be from {FIRST_OPSET} to {LAST_OPSET}, not {self.opset}")


def check_installed(form: Format, *, run: bool = False) -> None:
    """Refuse a format that needs packages which are not here.

    Args:
        form: The format.
        run: Whether the file will also be run.

    Raises:
        InputError: One is not installed.
    """
    if form != "onnx":
        return
    for name in ("onnx", "onnxruntime") if run else ("onnx",):
        if importlib.util.find_spec(name) is None:
            raise InputError(f"{name} is not installed, which ONNX files need; pip install '.[export]'")


class _Front(nn.Module):
    """Pictures to features."""

    def __init__(self, prepare: Prepare | None, network: Network) -> None:
        super().__init__()
        self.prepare, self.network = prepare, network

    def forward(self, images: Tensor) -> Tensors:
        return self.network.features(images if self.prepare is None else self.prepare(images))


class _Back(nn.Module):
    """Features to results."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *features: Tensor) -> Tensors:
        return self.network.head(*features)


class _Whole(nn.Module):
    """Pictures to results."""

    def __init__(self, front: _Front, back: _Back) -> None:
        super().__init__()
        self.front, self.back = front, back

    def forward(self, images: Tensor) -> Tensors:
        return self.back(*self.front(images))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Parts:
    """A model, taken apart for export."""

    network: Network
    front: _Front
    back: _Back
    example: Tensor
    description: Description


def export_model(model: Model, options: ExportOptions) -> tuple[bytes, Description]:
    """Make a file of a model.

    Args:
        model: The model, on the CPU in full precision.
        options: How.

    Returns:
        The file, and what it says of itself.

    Raises:
        InputError: No graph can be made of the model, or an option does not fit; the message says why.
        ConfigError: Its test pipeline cannot be part of a graph.
    """
    check_installed(options.form)
    parts = _take_apart(model, options)
    data = _onnx_file(parts, options) if options.form == "onnx" else _torchscript_file(parts, options)
    return data, parts.description


def write_model(model: Model, path: Path, options: ExportOptions) -> Description:
    """Write a model's file; it appears whole or not at all. See :func:`export_model`.

    Raises:
        OutputError: It cannot be written.
    """
    data, description = export_model(model, options)
    write_bytes(path, data)
    return description


def _take_apart(model: Model, options: ExportOptions) -> _Parts:
    height, width = options.size
    if height < 1 or width < 1:
        raise InputError(f"--size must be at least 1x1, not {height}x{width}")
    preprocessor = model.network.data_preprocessor
    normalisation = normalisation_of(preprocessor)
    pipeline = model.config.test_dataloader.dataset.pipeline
    geometry = plan_geometry(pipeline, options.size, normalisation.divisor, options.pre)
    network = network_of(model.network, model.task, geometry, options.post).eval()
    prepare = Prepare(geometry, normalisation) if options.pre else None
    front, back = _Front(prepare, network).eval(), _Back(network).eval()
    description = _describe(model, network, geometry, normalisation, options)
    return _Parts(network, front, back, _example(model.task, geometry, options), description)


def _example(task: Task, geometry: Geometry, options: ExportOptions) -> Tensor:
    """Return a picture, or two where any number can be taken, so that no axis of one is mistaken for a constant."""
    batch = options.batch or 2
    generator = torch.Generator().manual_seed(0)
    if not options.pre:
        return torch.randn(batch, 3, *geometry.padded, generator=generator)
    pixels = torch.randint(0, 256, (batch, *geometry.image, 3), generator=generator)
    return pixels.float() if task.name == "pose" else pixels.to(torch.uint8)


def _describe(
    model: Model, network: Network, geometry: Geometry, normalisation: Normalisation, options: ExportOptions
) -> Description:
    extra: dict[str, Any] = network.options()
    categories, colours = model.task.categories, model.task.palette
    if model.task.name == "tagging":
        tag = str(model.config.test_evaluator.format.tag)
        categories, colours, extra = TAGS[tag], (), extra | {"tag": tag}
    if model.task.name == "pose":
        extra |= _pose_options(model)
    return Description(
        name=model.name,
        task=model.task.name,
        categories=categories,
        colours=colours,
        image_size=options.size,
        input_size=geometry.network,
        padded_size=geometry.padded,
        mean=normalisation.mean,
        std=normalisation.std,
        channel_order="bgr" if normalisation.bgr else "rgb",
        pre=options.pre,
        post=options.post,
        outputs=network.outputs,
        batch=options.batch,
        opset=options.opset if options.form == "onnx" else None,
        options=extra,
    )


def _pose_options(model: Model) -> dict[str, Any]:
    """Return how pose models take people out of pictures, and what is said of them afterwards."""
    steps = {str(step["type"]): step for step in model.config.test_dataloader.dataset.pipeline}
    return {
        "padding": float(steps["PersonBoxCenterScale"]["padding"]),
        "udp": bool(steps["TopdownAffine"].get("use_udp", False)),
        "visible": float(model.config.test_evaluator.format.vis_thr),
        "similarity": float(model.config.test_evaluator.format.oks_thr),
        "sigmas": list(POSE_SIGMAS),
    }


def _run_parts(parts: _Parts) -> tuple[Tensors, Tensors]:
    """Return the features of the example, and the outputs of its first image or of all."""
    with traceable(), torch.no_grad():
        features = parts.front(parts.example)
        taken = tuple(feature[:1] for feature in features) if parts.network.one_by_one else features
        outputs = parts.back(*taken)
    return features, tuple(outputs)


def _onnx_file(parts: _Parts, options: ExportOptions) -> bytes:
    from bdd100k_models.export.graphs import finish, repeat_for_each_image, trace_onnx

    features, outputs = _run_parts(parts)
    names = list(parts.network.outputs)
    any_batch = options.batch is None
    if parts.network.one_by_one:
        inner = [f"feature{index}" for index in range(len(features))]
        front = trace_onnx(parts.front, [parts.example], [INPUT], inner, options.opset, any_batch)
        taken = [feature[:1] for feature in features]
        back = trace_onnx(parts.back, taken, inner, names, options.opset, any_batch=False)
        graph = repeat_for_each_image(front, back, [list(output.shape) for output in outputs])
    else:
        whole = _Whole(parts.front, parts.back).eval()
        graph = trace_onnx(whole, [parts.example], [INPUT], names, options.opset, any_batch)
    return finish(graph, parts.description.properties(), __version__)


def _torchscript_file(parts: _Parts, options: ExportOptions) -> bytes:
    from bdd100k_models.export.scripts import repeat_for_each_image, take_batch, trace_script

    features, _ = _run_parts(parts)
    if parts.network.one_by_one:
        front = trace_script(parts.front, parts.example)
        back = trace_script(parts.back, *(feature[:1] for feature in features))
        script = repeat_for_each_image(front, back, len(parts.network.outputs))
    else:
        script = take_batch(trace_script(_Whole(parts.front, parts.back).eval(), parts.example))
    file = io.BytesIO()
    torch.jit.save(script, file, _extra_files={KEY: parts.description.to_json()})
    return file.getvalue()
