"""Models as graphs that run without OpenMMLab: ONNX and TorchScript, with what goes before and after the network."""

import bdd100k_models.registry  # noqa: F401  (its mends come before the libraries, whatever is imported first)
