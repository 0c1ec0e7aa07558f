"""A page about one result: scores, curves, confusion, slices and the worst images."""

from bdd100k_models.evaluation.report.build import write_report
from bdd100k_models.evaluation.report.pictures import Sources

__all__ = ["Sources", "write_report"]
