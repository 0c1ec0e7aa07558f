"""The official metrics."""
