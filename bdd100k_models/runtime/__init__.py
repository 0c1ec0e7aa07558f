"""Exported models without PyTorch: only NumPy, Pillow and onnxruntime are needed.

An example::

    from bdd100k_models.runtime import load

    model = load("faster_rcnn_r50_fpn_1x_det_bdd100k.onnx")
    for result in model.predict(["one.jpg", "two.jpg"]):
        print(result.name, len(result), result.names, result.boxes)

Results are of the types in :mod:`bdd100k_models.inference.results`, as ``bdd100k_models.load_model(...).predict`` gives
them, except that trackers give the objects of each frame; see :meth:`Runner.predict` for how near they come.
"""

from bdd100k_models.runtime.description import Description, read_description
from bdd100k_models.runtime.runner import Frame, Runner, load

__all__ = ["Description", "Frame", "Runner", "load", "read_description"]
