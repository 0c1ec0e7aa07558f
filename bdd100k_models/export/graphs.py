"""ONNX graphs of the two parts of a network, put together to one that takes any number of images."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import onnx
import torch
from onnx import TensorProto, compose, helper
from torch import Tensor, nn

from bdd100k_models.errors import InputError
from bdd100k_models.export.tracing import traceable

_HEAD = "head/"


def trace_onnx(
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
    any_batch: bool,
) -> onnx.ModelProto:
    """Make an ONNX graph of a module by following one example.

    The exporter is PyTorch's older one, over TorchScript traces. Its successor, over ``torch.export``, refuses what
    OpenMMLab's heads do with sizes and lists; and a trace also serves for TorchScript files.

    Args:
        module: The module.
        example: Its arguments.
        inputs: Names for them.
        outputs: Names for what it returns.
        opset: Version of the operators.
        any_batch: Whether the first axis of inputs and outputs can have any length.

    Raises:
        InputError: An operator cannot be part of a graph; the message names it.
    """
    axes = {name: {0: "batch"} for name in (*inputs, *outputs)} if any_batch else None
    file = io.BytesIO()
    try:
        with traceable(for_onnx=True), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(
                module,
                tuple(example),
                file,  # type: ignore[arg-type]  # the older exporter also writes into memory
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=opset,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[0][:200] if lines else type(error).__name__
        raise InputError(f"no graph can be made: {reason}") from error
    return onnx.load_model_from_string(file.getvalue())


def repeat_for_each_image(
    features: onnx.ModelProto, head: onnx.ModelProto, shapes: Sequence[Sequence[int]]
) -> onnx.ModelProto:
    """Put a head that takes one image behind features of a batch, in a loop over its images.

    Args:
        features: Its outputs (N, ...) are the head's inputs (1, ...), by name.
        head: Its outputs have no batch axis.
        shapes: The shapes of those.

    Returns:
        A graph whose outputs are the head's, with a batch axis before.
    """
    part = compose.add_prefix(head, _HEAD)
    body = _loop_body(part, [value.name for value in head.graph.input])
    graph = features.graph
    first = graph.input[0].name
    kinds = [value.type.tensor_type.elem_type for value in head.graph.output]
    names = [value.name for value in head.graph.output]
    constants = [
        helper.make_tensor("loop/first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("loop/go_on", TensorProto.BOOL, [], [True]),
    ]
    nodes = [
        helper.make_node("Shape", [first], ["loop/batch"], start=0, end=1),
        helper.make_node("Squeeze", ["loop/batch", "loop/first"], ["loop/count"]),
        helper.make_node("Loop", ["loop/count", "loop/go_on"], names, name="images", body=body),
    ]
    outputs = [
        helper.make_tensor_value_info(name, kind, ["batch", *shape])
        for name, kind, shape in zip(names, kinds, shapes, strict=True)
    ]
    whole = helper.make_graph(
        [*graph.node, *nodes],
        "model",
        list(graph.input),
        outputs,
        [*graph.initializer, *part.graph.initializer, *constants],
    )
    return helper.make_model(whole, opset_imports=list(features.opset_import), ir_version=features.ir_version)


def _loop_body(part: onnx.ModelProto, inputs: Sequence[str]) -> onnx.GraphProto:
    """Return what happens to one image: take its features, run the head. The weights stay outside."""
    index, go_on = "loop/index", "loop/condition"
    constants = helper.make_node("Constant", [], ["loop/axis"], value_ints=[0])
    nodes = [
        constants,
        helper.make_node("Unsqueeze", [index, "loop/axis"], ["loop/indices"]),
        *(helper.make_node("Gather", [name, "loop/indices"], [f"{_HEAD}{name}"], axis=0) for name in inputs),
        *part.graph.node,
        helper.make_node("Identity", [go_on], ["loop/again"]),
    ]
    arguments = [
        helper.make_tensor_value_info(index, TensorProto.INT64, []),
        helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
    ]
    results = [helper.make_tensor_value_info("loop/again", TensorProto.BOOL, []), *part.graph.output]
    return helper.make_graph(nodes, "image", arguments, results)


def finish(model: onnx.ModelProto, properties: dict[str, str], version: str) -> bytes:
    """Add the metadata, check the graph and return the file.

    Raises:
        InputError: The model is larger than a file can be.
    """
    helper.set_model_props(model, properties)
    model.producer_name, model.producer_version = "bdd100k-models", version
    try:
        data: bytes = model.SerializeToString()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"the model does not fit into one ONNX file of at most 2 GB ({error})") from None
    onnx.checker.check_model(data)
    return data
