"""Links inside the pages: every anchor has its heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import ROOT

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("doc/*.md"))]


def anchors(page: Path) -> list[str]:
    """Return the anchors that GitHub makes of a page's headings; the second of equal ones ends in -1, and so on."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?) *$", prose, flags=re.MULTILINE)
    plain = ["".join(c for c in text.lower().replace(" ", "-") if c.isalnum() or c in "-_") for text in headings]
    return [f"{text}-{n}" if (n := plain[:i].count(text)) else text for i, text in enumerate(plain)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_headings_resolve(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text()):
        aim = page.parent / target if target else page
        found = anchors(aim)
        assert found.count(anchor) == 1, f"{target}#{anchor}"


def test_the_contents_of_detection_lead_to_each_method() -> None:
    text = (ROOT / "det/README.md").read_text()
    linked = re.findall(r"^- \[(.+?)\]\(#", text, flags=re.MULTILINE)
    headings = re.findall(r"^### (.+)$", text.split("## Usage")[0], flags=re.MULTILINE)
    assert len(headings) > 10
    assert linked[: len(headings)] == headings
    assert headings[-1] == "Models of the Vis4D zoo"
