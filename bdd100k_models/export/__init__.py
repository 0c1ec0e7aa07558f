"""Models as graphs that run without OpenMMLab: ONNX and TorchScript, with what goes before and after the network."""
