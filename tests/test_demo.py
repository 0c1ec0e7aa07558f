"""The demonstration, on a few scenes."""

import json
from pathlib import Path

from conftest import ROOT
from det_model import MODEL, run


def test_the_demo_ends_with_a_page_that_shows_what_was_found(tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "out", "--count", "8", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    score, page_line = done.stdout.strip().splitlines()[-2:]
    assert score.startswith("AP ")
    assert float(score.split("AP50 ")[1].split()[0]) > 30, score
    page = Path(page_line.removeprefix("page: "))
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 8
    assert "http://" not in text
    assert "https://" not in text
    frames = json.loads((tmp_path / "out/det/det.json").read_text())["frames"]
    assert len(frames) == 8


def test_the_shipped_weights_are_small() -> None:
    assert (ROOT / f"det/weights/{MODEL}.pth").stat().st_size < 8 * 2**20
