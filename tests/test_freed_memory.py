"""Memory that training on a CPU frees is kept for its next step."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Fills 100 MiB in five pieces and frees them, again and again; prints the pages that the system then cleared.
STEPS = """
import resource, sys
from bdd100k_models.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def step():
    pieces = [bytearray(b"1") * (20 << 20) for _ in range(5)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(how: str, **environment: str) -> tuple[str, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", STEPS, how], env=clean | environment, capture_output=True, text=True, check=True
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is one of glibc's")
def test_pages_are_cleared_once() -> None:
    kept, few = run("keep")
    if kept == "False":
        pytest.skip("the C library is not glibc")
    _, many = run("leave")
    assert few * 4 < many


def test_what_the_environment_says_stays() -> None:
    assert run("keep", MALLOC_ARENA_MAX="2")[0] == "False"
