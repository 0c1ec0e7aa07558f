"""``bdd100k-models vis``: labels and predictions as pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdd100k_models.cli import main
from bdd100k_models.datasets.synth import generate, generate_videos
from bdd100k_models.errors import InputError, LabelError, MissingFileError
from bdd100k_models.formats.bitmask import read_bitmask, write_bitmask
from bdd100k_models.formats.rle import encode
from bdd100k_models.formats.scalabel import load_frames
from bdd100k_models.inference.labels import boxes_of, find_labels, read_labels
from bdd100k_models.inference.results import ClassMap, Detections, Instances, MaskTracks, Panoptic, People, Tags, Tracks
from bdd100k_models.tasks import JOINTS, PALETTE, TASKS
from bdd100k_models.visualization.colour_maps import colour_map
from bdd100k_models.visualization.drawing import Canvas, colour_of, draw_boxes, scale_of, text_mask
from bdd100k_models.visualization.jobs import DrawOptions, make_jobs
from bdd100k_models.visualization.layout import beside, contact_sheets
from bdd100k_models.visualization.results import draw_result, draw_results
from conftest import ROOT, draw_noise
from official_tool import quiet

SIZE = (180, 320)
SLOW_4K = pytest.param((2160, 3840), marks=pytest.mark.slow)
IMAGE_TASKS = ("det", "ins_seg", "sem_seg", "drivable", "pan_seg", "tagging", "pose")
VIDEO_TASKS = ("mot", "mots")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    generate(folder, {"val": 2}, seed=5, tasks=IMAGE_TASKS, size=SIZE[::-1], nproc=1)
    generate_videos(folder, {"val": 1}, seed=5, tasks=VIDEO_TASKS, frames=3, size=SIZE[::-1], nproc=1, force=True)
    return folder


def labels_of(root: Path, task: str, form: int = 0) -> Path:
    return root / TASKS[task].label_paths("val")[form]


def read_all(path: Path, task: str, size: tuple[int, int] | None = SIZE) -> list[Any]:
    return [result for image in find_labels(path, TASKS[task]) for result in read_labels(image, TASKS[task], size)]


def run(*arguments: object) -> int:
    return main(["vis", *map(str, arguments)])


# ------------------------------------------------------------------------------------------------------------- labels


KINDS = {
    "det": Detections,
    "ins_seg": Instances,
    "sem_seg": ClassMap,
    "drivable": ClassMap,
    "pan_seg": Panoptic,
    "tagging": Tags,
    "pose": People,
    "mot": Tracks,
    "mots": MaskTracks,
}


@pytest.mark.parametrize("task", KINDS)
def test_labels_of_every_task_are_read(root: Path, task: str) -> None:
    results = read_all(labels_of(root, task), task)
    assert len(results) >= 2
    assert all(type(result) is KINDS[task] and result.labelled and result.size == SIZE for result in results)
    if TASKS[task].videos:
        assert [result.position for result in results] == [0, 1, 2] and len({result.video for result in results}) == 1


def test_boxes_are_those_of_the_file(root: Path) -> None:
    frames = load_frames(labels_of(root, "det"))
    for frame, result in zip(frames, read_all(labels_of(root, "det"), "det"), strict=True):
        boxes = [(box.x1, box.y1, box.x2 + 1, box.y2 + 1) for label in frame.labels if (box := label.box2d)]
        np.testing.assert_allclose(result.boxes, np.reshape(boxes, (-1, 4)))
        assert len(result) > 0


@pytest.mark.parametrize("task", ["ins_seg", "sem_seg", "drivable", "pan_seg", "mots"])
def test_all_forms_of_masks_say_the_same(root: Path, task: str) -> None:
    forms = [path for path in (root / name for name in TASKS[task].label_paths("val")) if path.exists()]
    assert len(forms) >= 2
    first, *others = [read_all(path, task) for path in forms]
    for form, results in zip(forms[1:], others, strict=True):
        for one, other in zip(first, results, strict=True):
            assert one.name == other.name
            if isinstance(one, ClassMap):
                nothing = 2 if task == "drivable" else 255
                np.testing.assert_array_equal(
                    np.where(one.classes == 255, nothing, one.classes),
                    np.where(other.classes == 255, nothing, other.classes),
                    err_msg=str(form),
                )
            else:
                theirs = {mask.tobytes(): name for mask, name in zip(other.masks, other.names, strict=True)}
                assert {mask.tobytes(): name for mask, name in zip(one.masks, one.names, strict=True)} == theirs
                if isinstance(one, MaskTracks):
                    ids = [dict(zip((m.tobytes() for m in side.masks), side.ids, strict=True)) for side in (one, other)]
                    assert ids[0] == ids[1]


def test_bitmasks_are_read_as_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 5, (6, 7)), np.ones((5, 5))).astype(np.int32) * 300
    category = np.where(ids > 0, ids // 300, 0).astype(np.uint8)
    write_bitmask(tmp_path / "v/a.png", category, ids)
    (result,) = read_all(tmp_path, "mots", None)
    assert result.ids.tolist() == [300, 600, 900, 1200] and result.video == "v"
    for mask, number in zip(result.masks, (300, 600, 900, 1200), strict=True):
        np.testing.assert_array_equal(mask, ids == number)
    assert result.names == ["pedestrian", "rider", "car", "truck"]


def test_predicted_bitmasks_have_the_scores_beside_them(tmp_path: Path) -> None:
    ids = np.kron([[1, 2, 3, 0]], np.ones((8, 8))).astype(np.int32)
    write_bitmask(tmp_path / "bitmasks/a.png", np.where(ids > 0, 3, 0).astype(np.uint8), ids)
    scores = [{"id": str(number), "index": number, "score": number / 4} for number in (3, 1)]
    (tmp_path / "score.json").write_text(json.dumps([{"name": "a.jpg", "labels": scores}]))
    (result,) = read_all(tmp_path / "bitmasks", "ins_seg", None)
    assert result.scores.tolist() == [0.25, 0.0, 0.75] and not result.labelled
    painted = colour_map(result, 0.5)
    assert painted[ids == 3].any() and not painted[ids < 3].any()
    assert colour_map(result)[ids == 1].any()
    (tmp_path / "score.json").unlink()
    (result,) = read_all(tmp_path / "bitmasks", "ins_seg", None)
    assert result.scores.tolist() == [1.0] * 3 and result.labelled


def test_only_what_belongs_together_is_drawn_together(tmp_path: Path) -> None:
    """Names of images may have a folder, which makes no video of them: each is a piece of work of its own."""
    frames = [{"name": f"val/{number}.jpg", "labels": []} for number in range(3)]
    (tmp_path / "l.json").write_text(json.dumps(frames))
    for task, movies, count in (("det", False, 3), ("det", True, 1), ("mot", False, 1)):
        options = DrawOptions(TASKS[task], tmp_path, tmp_path / "o", movies=movies)
        assert len(make_jobs(find_labels(tmp_path / "l.json", TASKS[task]), None, options)) == count


@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_boxes_around_masks(seed: int, count: int) -> None:
    segments = np.random.default_rng(seed).integers(0, count + 1, (9, 11)).astype(np.int32)
    segments[:, :3] = 0
    for number, box in enumerate(boxes_of(segments, count), 1):
        rows, columns = np.nonzero(segments == number)
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else (0, 0, 0, 0)
        assert tuple(box) == expected


def test_predictions_keep_their_scores(tmp_path: Path) -> None:
    box = {"x1": 1, "y1": 2, "x2": 3, "y2": 4}
    labels = [
        {"id": "x", "category": "car", "score": 0.4, "box2d": box},
        {"id": "y", "category": "other vehicle", "score": 0.9, "box2d": box},
        {"id": "z", "category": "person", "score": 0.9},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"name": "a.jpg", "labels": labels}]))
    (result,) = read_all(path, "det")
    assert not result.labelled and result.scores.tolist() == [0.4, 0.9]
    assert result.names == ["car", "other vehicle"]
    assert colour_of("scooter") not in PALETTE.values() and colour_of("scooter") != colour_of("tram")
    assert colour_of("other vehicle") == PALETTE["car"] and colour_of("person") == PALETTE["person"]


def test_joints_of_labels(tmp_path: Path) -> None:
    nodes = [{"id": "0", "category": "head", "location": [4, 5], "visibility": "V"}]
    nodes += [{"id": "1", "category": "neck", "location": [4, 9], "visibility": "A"}]
    graph = {"nodes": nodes, "edges": [], "type": "Pose2D"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"name": "a.jpg", "labels": [{"id": "1", "category": "pedestrian", "graph": graph}]}]))
    (result,) = read_all(path, "pose")
    assert result.joints[0, JOINTS.index("head")].tolist() == [4, 5, 1]
    assert result.joints[0, JOINTS.index("neck"), 2] == 0


@pytest.mark.parametrize(
    ("task", "content", "kind", "message"),
    [
        ("det", None, MissingFileError, "no such labels"),
        ("det", "", LabelError, "the file is empty"),
        ("det", "[]", LabelError, "holds no frames"),
        ("det", '[{"labels": 3}]', LabelError, "not the Scalabel format"),
        ("sem_seg", '[{"name": "a.jpg", "labels": []}]', InputError, "nothing says how large"),
    ],
)
def test_labels_that_cannot_be_read(
    tmp_path: Path, task: str, content: str | None, kind: type[Exception], message: str
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(kind, match=message):
        read_all(path, task, None)


def test_folders_and_masks_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no \.json or \.png"):
        find_labels(tmp_path, TASKS["ins_seg"])
    with pytest.raises(MissingFileError, match="labels of det are JSON"):
        find_labels(tmp_path, TASKS["det"])
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5), 77, np.uint8))
    with pytest.raises(LabelError, match="has the value 77"):
        read_all(tmp_path, "sem_seg", None)
    with pytest.raises(LabelError, match="RGBA"):
        read_all(tmp_path, "ins_seg", None)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 5), np.uint8))
    with pytest.raises(LabelError, match="4x5 pixels"):
        read_all(tmp_path, "sem_seg", (5, 4))
    write_bitmask(tmp_path / "a.png", np.full((4, 5), 9, np.uint8), np.ones((4, 5), np.int32))
    with pytest.raises(LabelError, match="category 9 is none of ins_seg"):
        read_all(tmp_path, "ins_seg", None)


# ------------------------------------------------------------------------------------------------------------ drawing


def test_captions_hide_no_other() -> None:
    canvas = Canvas(np.zeros((400, 600, 3), np.uint8))
    boxes = np.array([[x, 100, x + 20, 120] for x in (100, 110, 120, 130, 140, 300)], np.float64)
    draw_boxes(canvas, boxes, ["car 0.50"] * 6, [(0, 0, 142)] * 6)
    assert 2 <= len(canvas.taken) <= 6
    covered = np.zeros((400, 600), int)
    for left, top, right, bottom in canvas.taken:
        assert left >= 0 and top >= 0 and right <= 600 and bottom <= 400
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (40, 30), SLOW_4K])
def test_anything_can_be_drawn_on_any_size(size: tuple[int, int]) -> None:
    common: dict[str, Any] = {"name": "a", "size": size}
    segments = np.arange(size[0] * size[1], dtype=np.int32).reshape(size) % 4
    huge = np.array([[-1e30, -5, 1e30, 1e6], [0, 0, 1, 1], [np.nan, np.inf, -np.inf, 4]])
    objects: dict[str, Any] = {
        "categories": TASKS["ins_seg"].categories,
        "boxes": huge,
        "scores": np.array([0.5, 0.9, 0.7]),
        "classes": np.array([0, 1, 2]),
    }
    results = [
        ClassMap(**common, categories=TASKS["sem_seg"].categories, classes=segments.astype(np.uint8)),
        Instances(**common, **objects, segments=segments),
        MaskTracks(**common, **objects, segments=segments, ids=np.array([4, 5, 6])),
        Tags(**common, tag="weather", values=("a", "b"), scores=np.array([0.2, 0.8])),
        People(
            **common,
            joint_names=JOINTS,
            joints=np.full((1, 18, 3), 1e20),
            scores=np.ones(1),
            areas=np.array([4.0]),
        ),
    ]
    pixels = np.full((*size, 3), 100, np.uint8)
    draw_results(results, pixels)
    assert (pixels != 100).any()


def test_letters_grow_with_the_image() -> None:
    heights = [
        text_mask("car", scale_of(np.zeros((*size, 3), np.uint8))).shape[0] for size in ((720, 1280), (2160, 3840))
    ]
    assert heights[0] >= 14 and 2.8 < heights[1] / heights[0] < 3.2
    assert text_mask("car", scale_of(np.zeros((90, 160, 3), np.uint8))).shape[0] >= 9


def test_labels_have_no_scores_and_predictions_do(root: Path) -> None:
    from dataclasses import replace

    (result, *_) = read_all(labels_of(root, "det"), "det")
    unsure = replace(result, labelled=False, scores=result.scores * 0.2)
    pixels = np.zeros((*SIZE, 3), np.uint8)
    draw_results([unsure], pixels, threshold=0.5)
    assert not pixels.any()
    draw_results([replace(result, scores=result.scores * 0.2)], pixels, threshold=0.5)
    assert pixels.any()


def test_the_threshold_of_what_was_chosen_is_for_joints_alone() -> None:
    """The score of a pose is a product: 0.25 where its box and its joints are sure by half."""
    joints = np.zeros((1, len(JOINTS), 3))
    joints[0, :, :2] = np.linspace((20, 20), (70, 90), len(JOINTS))
    joints[0, :, 2] = 0.5
    joints[0, -1] = 85, 112, 0.1
    people = People(
        name="a.jpg",
        size=(120, 100),
        joint_names=JOINTS,
        joints=joints,
        scores=np.full(1, 0.25),
        areas=np.full(1, 3500.0),
    )

    def drawn(threshold: float, *, chosen: bool) -> np.ndarray:
        pixels = np.zeros((120, 100, 3), np.uint8)
        draw_results([people], pixels, threshold, chosen=chosen)
        return pixels

    assert not drawn(0.3, chosen=False).any()
    assert drawn(0.3, chosen=True).any() and not drawn(0.3, chosen=True)[100:].any()
    assert drawn(0.05, chosen=True)[100:].any()


def test_instances_have_edges_and_official_colours() -> None:
    segments = np.zeros((60, 80), np.int32)
    segments[10:50, 10:40], segments[10:50, 40:70] = 1, 2
    things = TASKS["pan_seg"]
    car = things.categories.index("car")
    result = Panoptic(
        name="a",
        size=(60, 80),
        categories=things.categories,
        first_thing=30,
        segments=segments,
        classes=np.array([car, car]),
        ids=np.array([1, 2]),
    )
    pixels = np.full((60, 80, 3), 100, np.uint8)
    draw_results([result], pixels)
    np.testing.assert_allclose(pixels[45, 20], (100 + np.array(PALETTE["car"][::-1])) / 2, atol=1)
    assert (pixels[45, 39] > 170).all(), "an edge lies between two cars"
    assert (pixels[5, 5] == 100).all()


# -------------------------------------------------------------------------------------------------------- colour maps


@pytest.mark.parametrize("task", ["sem_seg", "drivable"])
def test_colour_maps_are_the_official_ones(root: Path, tmp_path: Path, task: str) -> None:
    masks = labels_of(root, task)
    assert run(task, "-l", masks, "--color-map", "-o", tmp_path / "ours", "--nproc", 1) == 0
    with quiet():
        from bdd100k.label.to_color import mask_to_color

        for path in masks.glob("*.png"):
            mask_to_color(str(path), str(tmp_path / path.name), task)
            theirs = cv2.imread(str(tmp_path / path.name))
            np.testing.assert_array_equal(cv2.imread(str(tmp_path / "ours" / path.name)), theirs)


def test_colour_maps_of_objects_tell_them_apart(root: Path, tmp_path: Path) -> None:
    assert run("mots", "-l", labels_of(root, "mots"), "--color-map", "-o", tmp_path, "--nproc", 1) == 0
    seen: dict[int, set[tuple[int, ...]]] = {}
    for path in labels_of(root, "mots").rglob("*.png"):
        ids = read_bitmask(path).ids
        colours = cv2.imread(str(tmp_path / path.relative_to(labels_of(root, "mots"))))
        assert not colours[ids == 0].any()
        for number in np.unique(ids[ids > 0]).tolist():
            seen.setdefault(number, set()).update(map(tuple, np.unique(colours[ids == number], axis=0).tolist()))
    assert all(len(colours) == 1 for colours in seen.values())
    assert len(set.union(*seen.values())) == len(seen) > 1
    (segments, _) = read_all(labels_of(root, "pan_seg"), "pan_seg")
    painted = colour_map(segments)
    for mask, name, thing in zip(segments.masks, segments.names, segments.things.tolist(), strict=True):
        if not thing:
            assert (painted[mask] == PALETTE[name][::-1]).all()
    with pytest.raises(InputError, match="no masks"):
        colour_map(read_all(labels_of(root, "det"), "det")[0])


def test_overlays_are_the_originals(tmp_path: Path) -> None:
    image = draw_noise(tmp_path / "i/a.png", seed=1, size=SIZE)
    colours = np.zeros((*SIZE, 3), np.uint8)
    colours[50:100] = (20, 200, 100)
    (tmp_path / "c").mkdir()
    cv2.imwrite(str(tmp_path / "c/a.png"), colours)
    assert run("sem_seg", "-i", tmp_path / "i", "-c", tmp_path / "c", "-o", tmp_path / "o", "--nproc", 1) == 0
    plain, drawn = cv2.imread(str(image)).astype(float), cv2.imread(str(tmp_path / "o/a.png"))
    np.testing.assert_array_equal(drawn[:50], plain[:50])
    np.testing.assert_allclose(drawn[50:100], (plain + colours)[50:100] / 2, atol=1)


# ------------------------------------------------------------------------------------------------------------ command


@pytest.mark.parametrize("task", KINDS)
def test_every_task_is_drawn(root: Path, tmp_path: Path, task: str) -> None:
    assert run(task, "--data-root", root, "-o", tmp_path, "--nproc", 1, "--format", "png") == 0
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == (3 if TASKS[task].videos else 2)
    images = root / TASKS[task].image_dir("val")
    changed = [
        (cv2.imread(str(file)) != cv2.imread(str((images / file.relative_to(tmp_path)).with_suffix(".jpg")))).mean()
        for file in files
    ]
    assert max(changed) > 0.0005 and all(cv2.imread(str(file)).shape == (*SIZE, 3) for file in files)


def test_side_by_side_sheets_and_films(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--data-root", root, "--beside-labels", "--movies", "--sheet", "--columns", 2]
    assert run("mot", *flags, "-o", tmp_path, "--nproc", 1) == 0
    (sheet,) = tmp_path.glob("sheet-*.jpg")
    assert f"sheet: {sheet}" in capsys.readouterr().out
    (film,) = tmp_path.glob("*.mp4")
    with av.open(str(film)) as file:
        frames = list(file.decode(video=0))
    assert len(frames) == 3 and frames[0].width > 2 * SIZE[1]
    pictures = [path for path in tmp_path.rglob("*.jpg") if path != sheet]
    assert len(pictures) == 3
    assert 2390 < cv2.imread(str(sheet)).shape[1] <= 2400


def test_pictures_put_together() -> None:
    left, right = np.full((100, 160, 3), 10, np.uint8), np.full((100, 160, 3), 200, np.uint8)
    both = beside(left, right, ("one", "two"))
    assert (both[-1, 0] == 10).all() and (both[-1, -1] == 200).all() and both.shape[1] > 320
    assert list(contact_sheets([], 3, 2, 600)) == []


def test_sheets_hold_every_picture(tmp_path: Path) -> None:
    files = []
    for number in range(5):
        files.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(files[-1]), np.full((90, 160, 3), 40 * number + 60, np.uint8))
    files[3].unlink()
    sheets = list(contact_sheets(files, 2, 2, 600))
    assert len(sheets) == 2
    for number, sheet in ((0, sheets[0]), (1, sheets[0]), (2, sheets[0]), (4, sheets[1])):
        assert (sheet == 40 * number + 60).all(axis=2).sum() > 20_000


@pytest.mark.slow
def test_processes_draw_the_same(root: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    (many / "i").mkdir(parents=True)
    (image, *_) = sorted((root / "images/100k/val").glob("*.jpg"))
    frame = json.loads(labels_of(root, "det").read_text())
    frame = (frame if isinstance(frame, list) else frame["frames"])[0]
    for number in range(120):
        shutil.copy(image, many / f"i/{number}.jpg")
    (many / "l.json").write_text(json.dumps([frame | {"name": f"{number}.jpg"} for number in range(120)]))
    for processes in (1, 2):
        flags = ["-i", many / "i", "-l", many / "l.json", "-o", tmp_path / str(processes), "--nproc", processes]
        command = [sys.executable, "-m", "bdd100k_models.cli", "vis", "det", *map(str, flags)]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
    for path in (tmp_path / "1").glob("*.jpg"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()
    assert len(list((tmp_path / "2").glob("*.jpg"))) == 120


def test_missing_and_broken_images_are_told(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = tmp_path / "i"
    shutil.copytree(root / "images/100k/val", images)
    first, second = sorted(images.iterdir())
    first.unlink()
    flags = ["det", "-i", images, "-l", labels_of(root, "det"), "-o", tmp_path / "o", "--nproc", 1]
    assert run(*flags) == 1
    assert "no image of this name" in capsys.readouterr().err
    assert [path.stem for path in (tmp_path / "o").iterdir()] == [second.stem]
    second.write_text("text")
    assert run(*flags) == 2
    assert "not an image" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["{images}/a.jpg", "../images/a.jpg", "/a.jpg"])
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    images = tmp_path / "images"
    before = draw_noise(images / "a.jpg", seed=1, size=(90, 160)).read_bytes()
    (tmp_path / "l.json").write_text(json.dumps([{"name": name.format(images=images), "labels": []}]))
    assert run("det", "-i", images, "-l", tmp_path / "l.json", "-o", tmp_path / "deep/o", "--nproc", 1) == 0
    assert (images / "a.jpg").read_bytes() == before
    (drawn,) = (path for path in tmp_path.rglob("*.jpg") if path.parent != images)
    assert drawn.is_relative_to(tmp_path / "deep/o")


def test_masks_of_two_sizes_cannot_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, size in (("a", (9, 16)), ("b", (18, 32))):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "x.png"), np.zeros(size, np.uint8))
    sides = ["-l", tmp_path / "a", "--beside", tmp_path / "b"]
    assert run("sem_seg", *sides, "--color-map", "-o", tmp_path / "o", "--nproc", 1) == 2
    assert "16x9 pixels on the left, 32x18 on the right" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sem", "-o", "o"], "did you mean sem_seg"),
        (["det", "-l", "none.json", "-i", ".", "-o", "o"], "no such labels"),
        (["det", "-i", "none", "-l", "l.json", "-o", "o"], "no such folder of images"),
        (["det", "--data-root", ".", "-o", "o"], "has no labels of det val"),
        (["sem_seg", "-i", ".", "-c", "none", "-o", "o"], "no such folder of colour maps"),
        (["sem_seg", "-i", ".", "-c", ".", "-o", "o"], "no colour map"),
        (["sem_seg", "-i", ".", "-c", ".", "--color-map", "-o", "o"], "leave out -l and --color-map"),
        (["det", "-o", "o", "-n", "0"], "--num-samples must be"),
        (["det", "-o", "o", "--nproc", "0"], "--nproc must be"),
        (["det", "-o", "o", "--beside", "x", "--beside-labels"], "give one of them"),
        (["det", "--color-map", "-l", "l.json", "-i", ".", "-o", "o"], "no masks to paint"),
        (["tagging", "--color-map", "-l", "l.json", "-o", "o"], "no masks to paint"),
        (["sem_seg", "-i", ".", "-c", ".", "-o", "o", "--threshold", "0.5"], "--threshold is for drawings of labels"),
        (["sem_seg", "-i", ".", "-c", ".", "-o", "o", "--beside-labels"], "--beside-labels is for drawings"),
        (["sem_seg", "-l", ".", "--color-map", "-o", "o", "--format", "jpg"], "colour maps are PNG"),
        (["det", "-l", "l.json", "-i", ".", "-o", "o", "--columns", "3"], "add --sheet"),
        (["det", "-l", "l.json", "-i", ".", "-o", "."], "would replace the originals"),
        (["sem_seg", "-i", "none", "-c", ".", "-o", "."], "would replace the originals"),
        (["sem_seg", "-l", ".", "--color-map", "-o", "."], "would replace the originals"),
    ],
)
def test_what_the_command_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_noise(tmp_path / "a.jpg", seed=1, size=(8, 8))
    (tmp_path / "l.json").write_text('[{"name": "a.jpg", "labels": []}]')
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line


def test_the_task_folders_have_it() -> None:
    for task in ("sem_seg", "drivable", "ins_seg"):
        done = subprocess.run(
            [sys.executable, "vis.py", "--help"], cwd=ROOT / task, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and "python vis.py -i" in done.stdout


def test_frames_of_a_video_are_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pictures of a video go into a folder of its name, which may be that of the images."""
    image = draw_noise(tmp_path / "videos/v/a.jpg", seed=1, size=(90, 160))
    before = image.read_bytes()
    frames = [{"name": "a.jpg", "videoName": "v", "frameIndex": 0, "labels": []}]
    (tmp_path / "v.json").write_text(json.dumps(frames))
    arguments = ["mot", "-l", tmp_path / "v.json", "-i", image.parent, "--nproc", 1]
    assert run(*arguments, "-o", tmp_path / "videos") == 2
    assert "would replace the originals" in capsys.readouterr().err
    assert image.read_bytes() == before
    assert run(*arguments, "-o", tmp_path / "drawn") == 0


def test_an_image_of_unknown_size_costs_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((9, 16), bool)
    mask[2:5, 3:9] = True
    rle = {"counts": encode(mask).counts, "size": [9, 16]}
    label = {"id": "1", "category": "car", "rle": rle}
    frames = [{"name": "a.jpg", "labels": []}, {"name": "b.jpg", "labels": [label]}]
    (tmp_path / "l.json").write_text(json.dumps(frames))
    assert run("ins_seg", "-l", tmp_path / "l.json", "--color-map", "-o", tmp_path / "o", "--nproc", 1) == 1
    assert "nothing says how large the image is" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["b.png"]


def test_panels_stay_inside_of_small_pictures() -> None:
    pixels = np.full((180, 320, 3), 90, np.uint8)
    classes = np.arange(180 * 320, dtype=np.uint8).reshape(180, 320) % 19
    common = {"name": "a.jpg", "size": (180, 320)}
    maps = ClassMap(**common, labelled=False, categories=TASKS["sem_seg"].categories, classes=classes)
    tags = [
        Tags(**common, tag=tag, values=("one", "two", "three"), scores=np.array([0.5, 0.3, 0.2]))
        for tag in ("weather", "scene", "timeofday")
    ]
    canvas = Canvas(pixels)
    for result in (maps, *tags):
        draw_result(result, canvas, 0.0)
    assert len(canvas.taken) >= 5  # the legend has several columns
    for place, (left, top, right, bottom) in enumerate(canvas.taken):
        assert left >= 0 and top >= 0 and bottom <= 180
        for other in canvas.taken[:place]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_labels_of_tracks_without_boxes_are_left_out(tmp_path: Path) -> None:
    frames = [{"name": "a.jpg", "videoName": "v", "frameIndex": 0, "labels": [{"id": "3", "category": "car"}]}]
    (tmp_path / "v.json").write_text(json.dumps(frames))
    (result,) = read_all(tmp_path / "v.json", "mot", (90, 160))
    assert len(result.boxes) == len(result.ids) == len(result.scores) == 0
