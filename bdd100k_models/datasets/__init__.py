"""Datasets that read BDD100K as it is downloaded."""
