"""What to say about a category name that an evaluation does not know."""

from __future__ import annotations

import difflib

from bdd100k_models.evaluation.config import EvalConfig


def unknown_category(name: str | None, config: EvalConfig) -> str:
    """Return the end of a message: the problem, and the names nearest to ``name``."""
    if name is None:
        return f"category is missing; every label needs one of {', '.join(config.categories)}"
    near = difflib.get_close_matches(name, [*config.categories, *config.name_mapping], n=1)
    hint = f"did you mean {near[0]}?" if near else f"the categories are {', '.join(config.categories)}"
    return f"unknown category {name!r}; {hint}"
