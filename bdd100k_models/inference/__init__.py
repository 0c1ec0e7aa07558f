"""Inference on anything: typed results, models that are called, sources of pictures."""
