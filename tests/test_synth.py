"""The drawn data set: the same for the same numbers, and labelled with exactly what can be seen."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdd100k_models.cli import main, run_command
from bdd100k_models.commands import data
from bdd100k_models.datasets.synth import generate
from bdd100k_models.datasets.synth.annotate import MIN_SIDE, MIN_VISIBLE, OCCLUDED_BELOW
from bdd100k_models.datasets.synth.camera import Camera, Pose
from bdd100k_models.datasets.synth.labels import (
    Segments,
    _segments,
    drivable_runs,
    instance_segments,
    panoptic_segments,
    semantic_runs,
)
from bdd100k_models.datasets.synth.people import pose_labels
from bdd100k_models.datasets.synth.picture import Picture, draw_picture
from bdd100k_models.datasets.synth.sampling import sample_scene
from bdd100k_models.datasets.synth.surfaces import SURFACES, row_runs
from bdd100k_models.datasets.synth.vehicles import Car
from bdd100k_models.errors import InputError, OutputError
from bdd100k_models.formats.bitmask import Bitmask, read_bitmask, read_mask, unpack
from bdd100k_models.formats.png import decode_png
from bdd100k_models.formats.rle import decode
from bdd100k_models.formats.scalabel import Label, load_frames
from bdd100k_models.tasks import JOINTS, TAGS, TASKS

CATEGORIES = TASKS["det"].categories
SMALL = (320, 180)


def digests(root: Path) -> dict[str, str]:
    """Hash every file below a folder."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [draw_picture(5, "val", index) for index in range(40)]


@pytest.fixture(scope="module")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synth") / "root"
    generate(root, {"train": 2, "val": 12, "test": 2}, seed=3, size=SMALL, nproc=1)
    return root


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    data.register(parser.add_subparsers())
    return run_command(parser, ["data", "synth", *arguments])


def number_of(label: Label) -> int:
    return int(label.id) % 1000


def test_same_numbers_same_bytes_whatever_the_counts_and_processes(small_root: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", {"train": 2, "val": 12, "test": 2}, seed=3, size=SMALL, nproc=2)
    assert digests(tmp_path / "again") == digests(small_root)

    generate(tmp_path / "fewer", {"val": 5}, seed=3, size=SMALL, nproc=1)
    fewer, all_files = digests(tmp_path / "fewer"), digests(small_root)
    images = {name: digest for name, digest in fewer.items() if name.endswith(".jpg")}
    assert len(images) == 10  # each in both image sets
    assert images.items() <= all_files.items()
    label_files = [name for name in fewer if name.endswith(".json")]
    assert len(label_files) == 6
    for name in label_files:
        few = json.loads((tmp_path / "fewer" / name).read_bytes())
        assert few == json.loads((small_root / name).read_bytes())[:5]


def test_start_continues_a_split(small_root: Path, tmp_path: Path) -> None:
    generate(tmp_path / "rest", {"val": 4}, seed=3, size=SMALL, nproc=1, start=8)
    images = {name: digest for name, digest in digests(tmp_path / "rest").items() if name.endswith(".jpg")}
    assert len(images) == 8
    assert images.items() <= digests(small_root).items()


def test_seed_split_and_index_each_change_the_picture() -> None:
    base = draw_picture(0, "val", 0, SMALL)
    for seed, split, index in ((1, "val", 0), (0, "train", 0), (0, "val", 1)):
        other = draw_picture(seed, split, index, SMALL)
        assert other.frame.name != base.frame.name
        assert not np.array_equal(other.pixels, base.pixels)


def test_boxes_are_the_extent_of_what_is_seen(pictures: list[Picture]) -> None:
    checked = 0
    for picture in pictures:
        for label in picture.frame.labels or []:
            rows, columns = np.nonzero(picture.ids == number_of(label))
            box = label.box2d
            assert box is not None
            assert (box.x1, box.y1, box.x2, box.y2) == (columns.min(), rows.min(), columns.max(), rows.max())
            assert min(box.x2 - box.x1, box.y2 - box.y1) + 1 >= MIN_SIDE
            assert 0 <= box.x1 <= box.x2 <= 1279
            assert 0 <= box.y1 <= box.y2 <= 719
            assert picture.parts[number_of(label)].category == label.category
            attributes = label.attributes or {}
            inside = box.x1 > 0 and box.y1 > 0 and box.x2 < 1279 and box.y2 < 719
            assert not (inside and attributes["truncated"] and not attributes["occluded"])
            checked += 1
    assert checked > 300


def test_what_has_no_label_is_small_or_hidden(pictures: list[Picture]) -> None:
    """Each object is drawn alone to learn how much of it is hidden; nothing large and open goes without a label."""
    from bdd100k_models.datasets.synth.canvas import Canvas
    from bdd100k_models.datasets.synth.painter import Painter

    for index in (0, 3, 8, 13):
        picture = pictures[index]
        scene = picture.scene
        far = {id(part) for prop in scene.props if scene.is_far(prop) for part in prop.parts}
        labels = {number_of(label): label for label in picture.frame.labels or []}
        for number, part in picture.parts.items():
            canvas = Canvas(1280, 720)
            canvas.begin(1)
            part.shape.draw(Painter(canvas, scene.camera, scene.light, plain=id(part) in far), part.pose)
            alone = int(np.count_nonzero(canvas.ids))
            seen = picture.ids == number
            rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
            shown = int(np.count_nonzero(seen))
            if number in labels:
                attributes = labels[number].attributes
                assert attributes is not None
                assert attributes["occluded"] == (shown < OCCLUDED_BELOW * alone)
            elif shown >= MIN_VISIBLE * alone and shown:
                assert min(np.ptp(rows), np.ptp(columns)) + 1 < MIN_SIDE


@pytest.mark.parametrize("seed", [4, 6])
def test_colours_and_numbers_are_drawn_in_step(seed: int) -> None:
    """Hide one object; the picture may change only where its numbers, its shadow or its light were."""
    from dataclasses import replace

    from bdd100k_models.datasets.synth.picture import render

    scene = sample_scene(np.random.default_rng(seed), (1280, 720))
    scene = replace(scene, weather="clear", light=replace(scene.light, lamps=False, density=0.0))
    # lights that brake shine beyond their car
    parked = [p for p in scene.props if isinstance(p.parts[0].shape, Car) and not p.parts[0].shape.braking]
    cars = [prop for prop in parked if 8 < prop.bounds[2] < 30][:3] + [p for p in parked if scene.is_far(p)][:3]
    assert len(cars) >= 3
    bare = [replace(prop, shadow=(0.0, 0.0)) for prop in scene.props]
    for car in cars:
        chosen = scene.props.index(car)
        canvas, parts = render(replace(scene, props=bare), np.random.default_rng(0))
        numbers = [n for n, part in parts.items() if part is car.parts[0]]
        without, _ = render(replace(scene, props=bare[:chosen] + bare[chosen + 1 :]), np.random.default_rng(0))
        changed = (canvas.pixels.astype(int) - without.pixels).__abs__().max(axis=2) > 60
        shown = np.isin(canvas.ids, numbers).astype(np.uint8)
        near = cv2.dilate(shown, np.ones((5, 5), np.uint8)) > 0
        assert not (changed & ~near).any()


def test_what_is_far_is_plain_but_covers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Details that nobody can tell from afar are left out; labels hardly move, and sets of 30 m are not touched."""
    from bdd100k_models.datasets.synth import scene

    plain = [draw_picture(5, "val", index) for index in range(12)]
    near = [draw_picture(5, "val", index, reach=30.0) for index in range(6)]
    # in a large picture one sees farther
    for size, farther in (((1280, 720), 30), ((3840, 2160), 70)):
        scenes = [sample_scene(np.random.default_rng(seed), size) for seed in range(4)]
        places = [prop.bounds[2] for one in scenes for prop in one.props if one.is_far(prop)]
        assert farther < min(places) < farther + 10
    monkeypatch.setattr(scene, "_PLAIN_BEYOND", float("inf"))
    detailed = [draw_picture(5, "val", index) for index in range(12)]
    assert sum(bool((a.pixels != b.pixels).any()) for a, b in zip(plain, detailed, strict=True)) >= 6
    compared = 0
    for a, b in zip(plain, detailed, strict=True):
        assert (a.ids != b.ids).mean() < 2e-3
        theirs = {label.id: label.box2d for label in b.frame.labels or []}
        for label in a.frame.labels or []:
            box, other = label.box2d, theirs.get(label.id)
            if box is None or other is None:
                continue
            sides = [abs(getattr(box, side) - getattr(other, side)) for side in ("x1", "y1", "x2", "y2")]
            assert max(sides) <= 4, (a.frame.name, label)
            compared += 1
    assert compared > 100
    for index, picture in enumerate(near):
        assert (draw_picture(5, "val", index, reach=30.0).pixels == picture.pixels).all()


@settings(max_examples=60, deadline=None)
@given(
    place=st.tuples(*[st.floats(-30, 30)] * 2, st.floats(-20, 90), st.floats(-4, 4)),
    road=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.002, 0.002)),
    seed=st.integers(0, 1000),
)
def test_a_thing_is_seen_where_its_points_in_the_world_are(
    place: tuple[float, ...], road: tuple[float, float], seed: int
) -> None:
    camera = Camera(1280, 720, 900.0, 320.0, 1.4, *road)
    pose = Pose(place[0], place[2], place[3], place[1])
    for shape in ((5, 3), (2, 4, 3), (1, 3)):
        local = np.random.default_rng(seed).uniform(-12, 12, shape)
        for _ in range(2):  # the second time from what is remembered of the pose
            assert np.allclose(camera.see(pose, local), camera.project(pose.place(local)), rtol=1e-12, atol=1e-8)


def test_what_is_between_the_spokes_is_the_wheel() -> None:
    """As in the real labels, where a bicycle is outlined; an outline of the rims would be hard to learn from."""
    from bdd100k_models.datasets.synth.canvas import Canvas
    from bdd100k_models.datasets.synth.figures import Bicycle
    from bdd100k_models.datasets.synth.painter import Painter

    scene = sample_scene(np.random.default_rng(4), (640, 360))
    camera = Camera(640, 360, focal=500.0, horizon=150.0, elevation=1.4, yaw=0.0, bend=0.0)
    canvas = Canvas(640, 360)
    canvas.begin(1)
    pose = Pose(0.0, 6.0, heading=np.pi / 2)
    Bicycle((200.0, 30.0, 30.0)).draw(Painter(canvas, camera, scene.light), pose)
    for at in (-0.53, 0.53):
        hub = camera.project(pose.place(np.array([at, 0.34, 0.0])))
        x, y = np.rint(hub).astype(int)
        assert (canvas.ids[y - 15 : y + 16, x - 15 : x + 16] == 1).all()
    assert np.count_nonzero(canvas.ids) > 0.35 * 0.9 * 1.8 * (500 / 6) ** 2


def test_every_category_tag_and_an_empty_road_occur(pictures: list[Picture]) -> None:
    counts = Counter(label.category for picture in pictures for label in picture.frame.labels or [])
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 8
    for tag, least in (("weather", 5), ("timeofday", 3), ("scene", 3)):
        values = {(picture.frame.attributes or {})[tag] for picture in pictures}
        assert values <= set(TAGS[tag])
        assert len(values) >= least
    frames = [draw_picture(5, "train", index, (128, 72)).frame for index in range(120)]
    assert any(frame.labels is None for frame in frames)


def test_lights_tell_their_colour(pictures: list[Picture]) -> None:
    for picture in pictures:
        for label in picture.frame.labels or []:
            state = (label.attributes or {})["trafficLightColor"]
            assert state in {"R", "Y", "G"} if label.category == "traffic light" else state == "NA"


def test_files_are_where_and_what_the_data_set_has(small_root: Path) -> None:
    names = {split: sorted(p.name for p in (small_root / "images/100k" / split).iterdir()) for split in ("val", "test")}
    assert [len(value) for value in names.values()] == [12, 2]
    assert cv2.imread(str(small_root / "images/100k/val" / names["val"][0])).shape == (180, 320, 3)
    frames = load_frames(small_root / "labels/det_20/det_val.json")
    assert [frame.name for frame in frames] == names["val"]
    assert not (small_root / "labels/det_20/det_test.json").exists()
    ids = [label.id for frame in frames for label in frame.labels or []]
    assert all(isinstance(value, str) for value in ids)
    assert len(ids) == len(set(ids)) > 0


def test_the_official_tool_reads_the_labels_and_scores_them_as_perfect(small_root: Path) -> None:
    pytest.importorskip("bdd100k", reason="the official tool is not installed")
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        from bdd100k.common.utils import load_bdd100k_config
        from scalabel.eval.detect import evaluate_det
        from scalabel.label.io import load

        truth = load(str(small_root / "labels/det_20/det_val.json"), nprocs=1)
        predictions: Any = load(str(small_root / "labels/det_20/det_val.json"), nprocs=1).frames
        for frame in predictions:
            for label in frame.labels or []:
                label.score = 1.0
        result = evaluate_det(truth.frames, predictions, load_bdd100k_config("det").scalabel, nproc=1)
    assert result.summary()["AP"] == pytest.approx(100.0)


@pytest.mark.parametrize("task", ["ins_seg", "sem_seg", "drivable", "pan_seg"])
def test_masks_say_the_same_in_every_form(small_root: Path, task: str) -> None:
    masks, rles = (small_root / path for path in TASKS[task].label_paths("val")[:2])
    frames = load_frames(rles)
    assert [frame.name for frame in frames] == sorted(path.name for path in (small_root / "images/10k/val").iterdir())
    ids, seen = TASKS[task].category_ids, Counter()
    for frame in frames:
        png = masks / frame.name.replace(".jpg", ".png")
        if task in ("sem_seg", "drivable"):
            pixels = segments = read_mask(png)
            nothing = 255
        else:
            bitmask = read_bitmask(png)
            pixels, segments, nothing = bitmask.category, bitmask.ids, 0
        covered = np.zeros(pixels.shape, bool)
        for label in frame.labels or []:
            mask = decode(label.rle, frame.name)
            assert (pixels[mask] == ids[label.category]).all()
            assert (segments[mask] == int(label.id)).all() and mask.sum() == (segments == int(label.id)).sum()
            assert not (covered & mask).any()
            covered |= mask
            seen[label.category] += 1
        assert (pixels[~covered] == nothing).all()
    assert len(seen) >= {"ins_seg": 5, "sem_seg": 14, "drivable": 3, "pan_seg": 16}[task]


def bitmask_of(segments: Segments) -> Bitmask:
    """Return what a file of the segments says."""
    pixels = decode_png(segments.png())
    assert pixels is not None
    return unpack(pixels.view("<u4")[..., 0])


def test_instances_are_the_boxes_of_detection(pictures: list[Picture]) -> None:
    for picture in pictures[:10]:
        bitmask = bitmask_of(instance_segments(picture))
        wanted = [label for label in picture.frame.labels or [] if label.category in TASKS["ins_seg"].categories]
        assert set(np.unique(bitmask.ids)) - {0} == {number_of(label) for label in wanted}
        for label in wanted:
            rows, columns = np.nonzero(bitmask.ids == number_of(label))
            box = label.box2d
            assert (box.x1, box.y1, box.x2, box.y2) == (columns.min(), rows.min(), columns.max(), rows.max())


def test_every_class_occurs_and_every_pixel_has_one(pictures: list[Picture]) -> None:
    found = Counter()
    for picture in pictures:
        assert (picture.ids != 0).all()
        mask = semantic_runs(picture).paint()
        found.update(np.unique(mask).tolist())
        # the panoptic map knows more kinds of things and surfaces, and nothing else
        panoptic = bitmask_of(panoptic_segments(picture))
        names = np.array(["", *TASKS["pan_seg"].categories])[panoptic.category]
        for index, name in enumerate(TASKS["sem_seg"].categories):
            if name != "pole":
                assert (mask[names == name] == index).all()
    assert set(range(19)) <= found.keys()


def test_one_drives_on_the_road_alone_and_in_the_middle_of_ones_own_lane(pictures: list[Picture]) -> None:
    seen = Counter()
    for picture in pictures:
        mask = drivable_runs(picture).paint()
        assert (semantic_runs(picture).paint()[mask < 2] == TASKS["sem_seg"].category_ids["road"]).all()
        camera = picture.scene.camera
        x, y = np.rint(camera.project(np.array([[0.0, 0.0, 4.0]]))[0]).astype(int)
        if 0 <= x < 1280 and y < 720 and picture.ids[y, x] < 0:
            assert mask[y, x] == 0
        seen.update(np.unique(mask).tolist())
    assert seen[0] == seen[2] == len(pictures) and seen[1] > 5


def test_joints_lie_on_their_person(pictures: list[Picture]) -> None:
    people = joints = 0
    for picture in pictures:
        boxes = {label.id: label for label in picture.frame.labels or []}
        for label in pose_labels(picture):
            assert boxes[label.id].category in ("pedestrian", "rider")
            assert [node.category for node in label.graph.nodes] == list(JOINTS)
            ids = {node.id for node in label.graph.nodes}
            assert len(ids) == 18 and all(edge.source in ids and edge.target in ids for edge in label.graph.edges)
            people += 1
            for node in label.graph.nodes:
                x, y = node.location
                if node.visibility == "V":
                    near = picture.ids[max(int(y) - 1, 0) : int(y) + 2, max(int(x) - 1, 0) : int(x) + 2]
                    assert (near == number_of(label)).any()
                    joints += 1
                assert (node.visibility == "O") != (0 <= x < 1280 and 0 <= y < 720)
    assert people > 40 and joints > 12 * people


@pytest.mark.parametrize("size", [(64, 64), (200, 700), (1921, 1081)])
def test_other_sizes(size: tuple[int, int]) -> None:
    picture = draw_picture(1, "train", 2, size)
    assert picture.pixels.shape == (size[1], size[0], 3)
    assert picture.ids.shape == size[::-1]
    for label in picture.frame.labels or []:
        assert label.box2d is not None
        assert label.box2d.x2 < size[0]
        assert label.box2d.y2 < size[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"splits": {"dev": 1}}, "no split 'dev'"),
        ({"splits": {}}, "no images"),
        ({"splits": {"val": -1}}, "must be 0 to"),
        ({"seed": -1}, "must not be negative"),
        ({"start": -1}, "must not be negative"),
        ({"nproc": 0}, "nproc must be at least 1"),
        ({"size": (1, 720)}, "64 to 4096"),
        ({"size": (1280, 10**6)}, "64 to 4096"),
    ],
)
def test_wrong_arguments(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        generate(tmp_path / "root", **{"splits": {"val": 1}, **options})
    assert not (tmp_path / "root").exists()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        generate(tmp_path, {"val": 1}, size=SMALL, nproc=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    summary = generate(tmp_path, {"val": 1}, size=SMALL, nproc=1, force=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert summary.images == {"val": 1}


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file")
    with pytest.raises(OutputError, match="root"):
        generate(tmp_path / "root", {"val": 1}, size=SMALL, nproc=1)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = [str(tmp_path / "root"), "--val", "2", "--size", "320x180", "--nproc", "1"]
    assert command(*call) == 0
    assert capsys.readouterr().out.startswith("2 images (2 val), ")
    assert command(*call) == 2
    assert "--force" in capsys.readouterr().err
    assert command(*call, "--force") == 0
    assert command(str(tmp_path / "b"), "--val", "1", "--size", "big") == 2
    assert "1280x720" in capsys.readouterr().err
    assert command(str(tmp_path / "b")) == 2
    assert "--val" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command("--help")
    assert stop.value.code == 0
    assert "bdd100k-models data synth synthetic --val 20" in capsys.readouterr().out


def test_an_error_of_a_process_arrives(small_root: Path, tmp_path: Path) -> None:
    """A folder stands where a picture belongs; the process that meets it is not the one that reports it."""
    name = next((small_root / "images/100k/val").iterdir()).name
    (tmp_path / "images/100k/val" / name / "in the way").mkdir(parents=True)
    with pytest.raises(OutputError, match=name):
        generate(tmp_path, {"val": 12}, seed=3, size=SMALL, nproc=2, force=True)
    assert not list((tmp_path / "labels").rglob("*.json"))


def test_a_root_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        generate(tmp_path, {"val": 1}, size=SMALL, nproc=1)


@pytest.mark.parametrize("count", [0, 3, 240, 700])
def test_any_number_of_objects_is_looked_up_right(count: int) -> None:
    rng = np.random.default_rng(count)
    numbers = rng.integers(-len(SURFACES), count + 1, (40, 60)).astype(np.int16)
    size = len(SURFACES) + 1 + count
    category = rng.integers(0, 4, size).astype(np.uint8)
    ids = rng.permutation(size).astype(np.int64) + 1
    attributes = rng.integers(0, 16, size).astype(np.uint8)

    class Shown:
        runs = row_runs(numbers)

    segments = _segments(Shown(), category, ids, attributes)  # type: ignore[arg-type]
    plain = numbers + len(SURFACES)
    there = category[plain] > 0
    found = bitmask_of(segments)
    assert np.array_equal(found.category, category[plain])
    assert np.array_equal(found.ids, np.where(there, ids[plain], 0))
    assert np.array_equal(found.attributes, np.where(there, attributes[plain], 0))
    labels = segments.labels({number: str(number) for number in range(1, 4)})
    assert [int(label.id) for label in labels] == sorted(set(found.ids[there].tolist()))
    for label in labels[:20]:
        assert label.rle is not None
        assert np.array_equal(decode(label.rle, "here"), found.ids == int(label.id))


@pytest.mark.parametrize(
    "words", [["--val", "3", "--tasks", "mot"], ["--val", "3", "--val-videos", "1", "--tasks", "det"]]
)
def test_what_no_named_task_has_is_told_before_drawing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(["data", "synth", str(tmp_path / "s"), *words]) == 2
    assert "among --tasks" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_data_sets_see_the_whole_of_larger_scenes(tmp_path: Path) -> None:
    import bdd100k_models.registry  # noqa: F401  (mmdet finds its operators only after this)
    from bdd100k_models.datasets.detection import BDD100KDetDataset

    generate(tmp_path, {"val": 6}, tasks=["det", "ins_seg", "pose"], size=(1920, 1080), nproc=1)
    path = tmp_path / TASKS["det"].label_path("val")
    frames = load_frames(path)
    assert all(frame.size is not None and frame.size.width == 1920 for frame in frames)
    dataset = BDD100KDetDataset(ann_file=str(path), data_prefix={"img": "x"}, pipeline=[], test_mode=True)
    labelled = [label.box2d for frame in frames for label in frame.labels or () if label.box2d is not None]
    found = [instance["bbox"] for i in range(len(dataset)) for instance in dataset.get_data_info(i)["instances"]]
    assert len(found) == len(labelled)
    assert max(box[2] for box in found) > 1300
    generate(tmp_path / "usual", {"val": 1}, tasks=["det"], nproc=1)
    assert load_frames(tmp_path / "usual" / TASKS["det"].label_path("val"))[0].size is None
