"""A static site of the zoo: tables to search, sort and filter, plots, and a page a model."""

from bdd100k_models.zoo.site.build import write_site

__all__ = ["write_site"]
