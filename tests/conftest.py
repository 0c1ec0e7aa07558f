"""What several tests share: where the sample data lies, a tiny model, pictures made on the spot."""

from __future__ import annotations

import os

# several workers share the cores
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# other work on the same cores must not decide what passes
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

#: Tests that need the sample data of ../shared are skipped where it is not, unless this says that it must be there.
SAMPLES_REQUIRED = os.environ.get("BDD100K_MODELS_REQUIRE_SAMPLES", "") not in ("", "0")


def needs_samples(path: Path) -> pytest.MarkDecorator:
    """Return a mark that skips tests where sample data are missing; if they must be there, such tests run and fail."""
    missing = not path.exists() and not SAMPLES_REQUIRED
    return pytest.mark.skipif(missing, reason="needs the sample data in ../shared, which is not here")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample data beside the repository."""
    if not (SHARED / "samples").is_dir():
        tell = pytest.fail if SAMPLES_REQUIRED else pytest.skip
        tell("needs the sample data in ../shared, which is not here")
    return SHARED


@functools.cache
def handed_in() -> frozenset[str]:
    """Return the names of models that contributions brought, before and after their rows are written."""
    entries = [json.loads(path.read_text()) for path in ROOT.glob("contributions/*/entry.json")]
    names = {model["name"] for entry in entries for model in entry["models"]}
    facts = SHARED / "facts/zoo.json"
    if facts.is_file():
        known = {row["name"] for table in json.loads(facts.read_text()) for row in table["rows"]}
        rows = [json.loads(path.read_text()) for path in (ROOT / "zoo").glob("*.json")]
        ours = [method for methods in rows for method in methods if method.get("source", "bdd100k") == "bdd100k"]
        names |= {model["name"] for method in ours for model in method["models"]} - known
    return frozenset(names)


@pytest.fixture(scope="session")
def samples(shared: Path) -> Path:
    """The sample images and labels, a BDD100K data root."""
    return shared / "samples" / "bdd100k"


def draw_noise(path: Path, seed: int, size: tuple[int, int] = (720, 1280)) -> Path:
    """Write a smooth random picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (size[0] // 40 + 1, size[1] // 40 + 1, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC))
    return path
