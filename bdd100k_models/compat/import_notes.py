"""mmdet 3.5.1 (onedl fork) remarks on two optional packages while it is imported, one of them on standard output.

Neither package (OneDL's data sets, faster-coco-eval) plays a part here, and a remark on standard output would spoil
what a script reads from a command. The mend is no longer needed once ``import mmdet.datasets`` prints nothing.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator

_REMARKS = ("Could not import OneDL",)
_WARNINGS = "faster_coco_eval is not installed"


@contextlib.contextmanager
def without_import_remarks() -> Iterator[None]:
    """Drop the two remarks; whatever else is printed meanwhile goes to standard error."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_WARNINGS)
            yield
    finally:
        for line in printed.getvalue().splitlines():
            if not line.startswith(_REMARKS):
                print(line, file=sys.stderr)
