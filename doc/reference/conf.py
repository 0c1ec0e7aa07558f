"""How the reference of the Python package is built; `make docs` does it."""

from bdd100k_models import __version__

project = "BDD100K Models"
author = "The authors of BDD100K Models"
copyright = "2026, the authors of BDD100K Models. Apache-2.0"
release = __version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# what a package passes on is described where it is written
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
autodoc_preserve_defaults = True
# public attributes are in the docstrings of their classes
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# names that only type checkers import cannot be told from others of the same name
suppress_warnings = ["ref.python"]
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
