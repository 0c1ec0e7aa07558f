"""Interruptions that wait."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.inference.interruptions import uninterrupted
from bdd100k_models.inference.run import PredictOptions, run_predict
from bdd100k_models.inference.sources import find_sources
from bdd100k_models.visualization.backlog import Backlog
from predict_support import Stub, write_video


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_waits_for_the_end(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        for step in range(3):
            os.kill(os.getpid(), number)
            done.append(step)
    assert done == [0, 1, 2]
    assert capsys.readouterr().err == "finishing the files; this takes a moment\n"
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_error_goes_before_an_interruption() -> None:
    with pytest.raises(ValueError, match="of the block"), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("of the block")


def test_nothing_happens_in_other_threads() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_files_are_finished_before_an_interruption_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Backlog.__exit__

    def interrupted(self: Backlog, *problem: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        finish(self, *problem)

    monkeypatch.setattr(Backlog, "__exit__", interrupted)
    film = write_video(tmp_path / "a.mp4", 5)
    report = run_predict([Stub()], find_sources([str(film)], tmp_path), PredictOptions(tmp_path / "out"))
    assert report.interrupted and report.pictures == 5  # so that what was left out can still be told
    assert len(load_frames(tmp_path / "out/stub.json")) == 5
    assert (tmp_path / "out/videos/a.mp4").is_file()
