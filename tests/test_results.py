import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bdd100k_models.errors import ConfigError, InputError, OutputError
from bdd100k_models.formats.files import atomic_writer, make_folder
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.boxes import DetectionFormat
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.tasks import TASKS

DET = DetectionFormat(TASKS["det"])
SIZE = (720, 1280)


def sample(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[dict[str, dict[str, torch.Tensor]]]:
    tensors = {"bboxes": boxes.reshape(-1, 4), "scores": scores, "labels": labels}
    return [{"pred_instances": {key: torch.as_tensor(value) for key, value in tensors.items()}}]


@given(data=st.data(), count=st.integers(0, 30))
def test_encoding_keeps_every_box(data: st.DataObject, count: int) -> None:
    boxes = data.draw(hnp.arrays(np.float32, (count, 4), elements=st.floats(-10, 2000, width=32)))
    scores = data.draw(hnp.arrays(np.float32, count, elements=st.floats(0, 1, width=32)))
    labels = data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 9)))
    record = DET.encode(sample(boxes, scores, labels))
    assert record.classes == sorted(labels.tolist())
    expected = sorted(
        (label, *(box - np.array([0, 0, 1, 1])), score)
        for label, box, score in zip(labels, boxes.astype(float), scores.astype(float), strict=True)
    )
    got = sorted(
        (label, *box, score) for label, box, score in zip(record.classes, record.boxes, record.scores, strict=True)
    )
    assert np.allclose(np.array(expected, float), np.array(got, float), rtol=0, atol=0)


def test_half_precision_is_written(tmp_path: Path) -> None:
    record = DET.encode(sample(np.ones((2, 4), np.float16), np.ones(2, np.float16), np.zeros(2, np.int64)))
    assert record.scores == [1.0, 1.0]


def test_the_file_is_the_official_form(tmp_path: Path) -> None:
    record = DET.encode(
        sample(
            np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32), np.array([0.5, 0.75], np.float32), np.array([9, 0])
        )
    )
    assert DET.write([("a.jpg", record), ("b.jpg", DET.empty(SIZE)), ("c.jpg", record)], tmp_path) == 4
    path = DET.result_path(tmp_path)
    content = json.loads(path.read_text())
    assert content["frames"][0] == {
        "name": "a.jpg",
        "labels": [
            {"id": "1", "score": 0.75, "category": "pedestrian", "box2d": {"x1": 5.0, "y1": 6.0, "x2": 6.0, "y2": 7.0}},
            {
                "id": "2",
                "score": 0.5,
                "category": "traffic sign",
                "box2d": {"x1": 1.0, "y1": 2.0, "x2": 29.0, "y2": 39.0},
            },
        ],
    }
    assert content["frames"][1] == {"name": "b.jpg", "labels": []}
    assert [label["id"] for label in content["frames"][2]["labels"]] == ["3", "4"]
    official = pytest.importorskip("scalabel.label.io").load(str(path), nprocs=1).frames
    assert [len(frame.labels) for frame in official] == [2, 0, 2]
    assert len(load_frames(path)) == 3


def test_no_images_is_a_valid_file(tmp_path: Path) -> None:
    assert DET.write([], tmp_path) == 0
    assert load_frames(DET.result_path(tmp_path)) == []


def test_pickled_results_have_the_old_form(tmp_path: Path) -> None:
    record = DET.encode(sample(np.array([[1, 2, 30, 40]], np.float32), np.array([0.5], np.float32), np.array([9])))
    DET.write_pickle([("a.jpg", record), ("b.jpg", DET.empty(SIZE))], tmp_path / "out.pkl")
    results = pickle.loads((tmp_path / "out.pkl").read_bytes())
    assert [len(image) for image in results] == [10, 10]
    assert results[0][9].tolist() == [[1, 2, 30, 40, 0.5]]
    assert results[1][0].shape == (0, 5)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "det.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_writer(path) as file:
        file.write(b"new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        make_folder(tmp_path / "file" / "out")


def test_outputs_and_settings_that_do_not_exist() -> None:
    with pytest.raises(InputError, match="no output 'masks'; its outputs are json"):
        get_format(TASKS["det"], ["masks"])
    with pytest.raises(ConfigError, match="does not fit det"):
        get_format(TASKS["det"], settings={"tag": "weather"})
