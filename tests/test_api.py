"""Models that are called from Python, and the typed results they give."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

import bdd100k_models
from bdd100k_models import (
    ClassMap,
    Detections,
    MaskTracks,
    Model,
    Panoptic,
    People,
    Tags,
    Tracks,
    load_model,
    video_frames,
)
from bdd100k_models.errors import CheckpointError, ImageError, InputError, MissingFileError
from bdd100k_models.formats import rle
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.results.boxes import DetectionRecord, box_labels
from bdd100k_models.formats.results.instances import InstanceRecord
from bdd100k_models.formats.results.panoptic import MODEL_CATEGORIES, PanopticRecord
from bdd100k_models.formats.results.pose import Person, PoseRecord
from bdd100k_models.formats.results.semantic import SemanticRecord
from bdd100k_models.formats.results.tags import TagRecord
from bdd100k_models.formats.results.tracks import MaskTrackRecord, TrackRecord
from bdd100k_models.inference.convert import check_classes, class_indices, select, to_result
from bdd100k_models.tasks import JOINTS, TAGS, TASKS
from conftest import ROOT, draw_noise
from det_model import MODEL
from predict_support import (
    Stub,
    fast_detector_file,
    tiny_pose,
    tiny_segmentor,
    tiny_tagger,
    tiny_tracker,
    write_video,
)

SIZE = (36, 64)
unit = st.floats(0, 1, width=32)


# ------------------------------------------------------------------------------------------------------------ results


@st.composite
def detections(draw: st.DrawFn) -> DetectionRecord:
    count = draw(st.integers(0, 6))
    corner = st.floats(-50, 2000, width=32)
    boxes = [tuple(draw(corner) for _ in range(4)) for _ in range(count)]
    scores = [draw(unit) for _ in range(count)]
    return DetectionRecord(boxes=boxes, scores=scores, classes=[draw(st.integers(0, 9)) for _ in range(count)])


@given(record=detections())
def test_a_frame_of_boxes_is_what_the_format_writes(record: DetectionRecord) -> None:
    task = TASKS["det"]
    result = to_result(record, task, "a.jpg", (720, 1280))
    assert isinstance(result, Detections)
    frame = result.frame()
    for ours, theirs in zip(frame.labels or [], box_labels(record, task.categories, 1), strict=True):
        assert (ours.id, ours.category, ours.score) == (theirs.id, theirs.category, theirs.score)
        np.testing.assert_allclose(
            [ours.box2d.x1, ours.box2d.y1, ours.box2d.x2, ours.box2d.y2],
            [theirs.box2d.x1, theirs.box2d.y1, theirs.box2d.x2, theirs.box2d.y2],
            atol=1e-9,
        )
    assert (frame.size.width, frame.size.height) == (1280, 720)


@given(record=detections(), threshold=unit, wanted=st.none() | st.frozensets(st.integers(0, 9)))
def test_what_is_selected_is_sure_and_wanted(
    record: DetectionRecord, threshold: float, wanted: frozenset[int] | None
) -> None:
    kept = select(record, TASKS["det"], threshold, wanted)
    rows = list(zip(record.boxes, record.scores, record.classes, strict=True))
    expected = [row for row in rows if row[1] >= threshold and (wanted is None or row[2] in wanted)]
    assert list(zip(kept.boxes, kept.scores, kept.classes, strict=True)) == expected


def blocks(seed: int, count: int) -> np.ndarray:
    """Return a map of ids 0 to ``count`` in blocks."""
    coarse = np.random.default_rng(seed).integers(0, count + 1, (SIZE[0] // 4, SIZE[1] // 4))
    return np.kron(coarse, np.ones((4, 4), int)).astype(np.int32)


def decoded(label: Any) -> np.ndarray:
    return coco.decode({"counts": label.rle.counts.encode(), "size": list(label.rle.size)}) > 0


@pytest.mark.parametrize("task", ["ins_seg", "mots"])
def test_masks_of_objects(task: str) -> None:
    ids = blocks(1, 4)
    coded = rle.encode_labels(ids)
    common: dict[str, Any] = {
        "boxes": [(0, 0, 9, 9)] * 5,
        "scores": [0.9, 0.8, 0.7, 0.6, 0.5],
        "classes": [0, 2, 2, 7, 1],
        "size": SIZE,
        "masks": [coded[place].counts if place in coded else "" for place in range(1, 6)],
    }
    if task == "mots":
        common = {key: value[:4] if isinstance(value, list) else value for key, value in common.items()}
        record: Any = MaskTrackRecord(**common, ids=[7, 3, 9, 1])
    else:
        record = InstanceRecord(**common)
    result = to_result(record, TASKS[task], "a.jpg", SIZE, "v", 4)
    np.testing.assert_array_equal(result.segments, ids)
    np.testing.assert_array_equal(result.masks, [ids == place for place in range(1, len(result) + 1)])
    labels = result.frame().labels
    for place, label in enumerate(labels[:4], 1):
        np.testing.assert_array_equal(decoded(label), ids == place)
    if task == "mots":
        assert isinstance(result, MaskTracks) and [label.id for label in labels] == ["7", "3", "9", "1"]
        assert (result.frame().videoName, result.frame().frameIndex) == ("v", 4)
        kept = select(record, TASKS[task], 0.65, frozenset([2]))
        assert kept.ids == [3, 9] and kept.masks == record.masks[1:3]
    else:
        assert labels[4].rle is None and not result.masks[4].any()


def test_maps_of_classes_and_segments() -> None:
    classes = blocks(2, 18)
    coded = rle.encode_labels(classes.astype(np.uint8))
    record = SemanticRecord(size=SIZE, classes=list(coded), masks=list(coded.values()))
    result = to_result(record, TASKS["sem_seg"], "a.jpg", SIZE)
    assert isinstance(result, ClassMap)
    np.testing.assert_array_equal(result.classes, classes)
    np.testing.assert_array_equal(result.mask("sidewalk"), classes == 1)
    for label in result.frame().labels:
        np.testing.assert_array_equal(decoded(label), result.mask(label.category))
    roads = to_result(select(record, TASKS["sem_seg"], 0.9, frozenset([0])), TASKS["sem_seg"], "a.jpg", SIZE)
    np.testing.assert_array_equal(roads.classes, np.where(classes == 0, 0, 255))

    numbers = [0, 2000, 11, 39]  # two people, two kinds of stuff
    segments = blocks(3, 4)
    coded = rle.encode_labels(segments)
    panoptic = PanopticRecord(size=SIZE, numbers=numbers, masks=[coded[place] for place in range(1, 5)])
    found = to_result(panoptic, TASKS["pan_seg"], "a.jpg", SIZE)
    assert isinstance(found, Panoptic)
    assert found.names == ["person", "person", MODEL_CATEGORIES[11], MODEL_CATEGORIES[39]]
    assert found.things.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(found.segments, segments)
    assert [label.id for label in found.frame().labels] == ["0", "2000", "11", "39"]
    people = TASKS["pan_seg"].categories.index("person")
    assert select(panoptic, TASKS["pan_seg"], 0, frozenset([people])).numbers == [0, 2000]


def test_tags_people_and_tracks() -> None:
    tags = to_result(TagRecord("weather", [0.1] * 6 + [0.4]), TASKS["tagging"], "a.jpg", SIZE)
    assert isinstance(tags, Tags) and tags.value == TAGS["weather"][6]
    assert tags.frame().attributes == {"weather": "foggy"} and tags.frame().labels == []
    assert to_result(TagRecord("weather", []), TASKS["tagging"], "a.jpg", SIZE).frame().attributes == {}

    joints = [(float(x), 2.0 * x, 0.5) for x in range(len(JOINTS))]
    record = PoseRecord([Person(0.8, 100.0, joints), Person(0.2, 50.0, joints)])
    people = to_result(record, TASKS["pose"], "a.jpg", SIZE)
    assert isinstance(people, People) and people.joints.shape == (2, 18, 3) and len(people) == 2
    (label, _) = people.frame().labels
    assert [tuple(node.location) for node in label.graph.nodes] == [joint[:2] for joint in joints]
    assert select(record, TASKS["pose"], 0.5, None) is record  # their boxes were sure enough
    assert to_result(PoseRecord([]), TASKS["pose"], "a.jpg", SIZE).joints.shape == (0, 18, 3)

    track = to_result(TrackRecord([(1, 2, 3, 4)], [0.5], [2], [11]), TASKS["mot"], "a.jpg", SIZE, "v", 0)
    assert isinstance(track, Tracks) and track.boxes.tolist() == [[1, 2, 4, 5]]
    assert [label.id for label in track.frame().labels] == ["11"]


@pytest.mark.parametrize("task", [name for name in TASKS if name != "tagging"])
def test_nothing_found_is_empty(task: str) -> None:
    result = to_result(get_format(TASKS[task]).empty(SIZE), TASKS[task], "a.jpg", SIZE)
    assert (result.frame().labels or []) == []
    if isinstance(result, Detections):
        assert result.boxes.shape == (0, 4) and result.names == []


def test_results_need_only_numpy() -> None:
    code = (
        "import sys; import bdd100k_models.inference.results; "
        "print([name for name in ('torch', 'cv2', 'mmengine', 'msgspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_offers_its_interface_late() -> None:
    assert set(bdd100k_models.__all__) <= set(dir(bdd100k_models))
    with pytest.raises(AttributeError):
        bdd100k_models.nothing  # noqa: B018


# ------------------------------------------------------------------------------------------------------------- models


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bdd100k_models.datasets.synth import generate

    root = tmp_path_factory.mktemp("scene")
    generate(root, {"val": 2}, seed=5, tasks=("det",), size=(640, 360), nproc=1)
    few, many = sorted((root / "images/100k/val").glob("*.jpg"))
    few.unlink()
    return many


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(fast_detector_file(tmp_path_factory.mktemp("detector")), device="cpu")


def test_five_lines(scene: Path) -> None:
    from bdd100k_models import load_model

    model = load_model("atss_mini_det_synthetic")
    for result in model.predict([scene]):
        print(result.name, result.names, result.boxes.round(), result.scores.round(2))
    assert len(result) > 0 and result.name == scene.name and "car" in result.names


def test_predictions_are_those_of_the_test_command(detector: Model, scene: Path, tmp_path: Path) -> None:
    from bdd100k_models.datasets.images import images_of_folder
    from bdd100k_models.engine.test import TestOptions, run_test
    from bdd100k_models.engine.weights import find_weights
    from bdd100k_models.formats.scalabel import load_frames

    weights = find_weights(None, detector.config)
    run_test(
        detector.task,
        detector.config,
        images_of_folder(scene.parent),
        TestOptions(tmp_path, weights, torch.device("cpu"), workers=0),
    )
    (theirs,) = load_frames(tmp_path / "det.json")
    (result,) = detector.predict(scene, threshold=0)
    ours = result.frame()
    assert len(ours.labels) == len(theirs.labels) > 10
    for mine, other in zip(ours.labels, theirs.labels, strict=True):
        assert mine.category == other.category and abs(mine.score - other.score) < 1e-6
        assert abs(mine.box2d.x1 - other.box2d.x1) + abs(mine.box2d.y2 - other.box2d.y2) < 1e-3


def test_any_form_of_an_image_will_do(detector: Model, scene: Path) -> None:
    pixels = cv2.imread(str(scene))[:, :, ::-1]
    by_path, by_text, by_array, by_pillow = detector.predict([scene, str(scene), pixels, Image.fromarray(pixels)])
    for other in (by_text, by_array, by_pillow):
        np.testing.assert_array_equal(by_path.boxes, other.boxes)
        np.testing.assert_array_equal(by_path.scores, other.scores)
    assert (by_path.name, by_array.name) == (scene.name, "000002.jpg")
    assert by_array.size == (360, 640)
    swapped = detector.predict(pixels[:, :, ::-1])[0]
    assert len(swapped) != len(by_path) or not np.array_equal(swapped.scores, by_path.scores)
    assert detector.predict([]) == []


def test_pictures_are_turned_upright(detector: Model, tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((20, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    image.save(tmp_path / "a.jpg", exif=exif)
    sizes = [result.size for result in detector.predict([tmp_path / "a.jpg", Image.open(tmp_path / "a.jpg")])]
    assert sizes == [(40, 20), (40, 20)]


def test_images_of_other_sizes_share_a_batch(detector: Model, scene: Path) -> None:
    pixels = cv2.imread(str(scene))[:, :, ::-1]
    images = [pixels, pixels[:1, :1], pixels[:3, :], np.ascontiguousarray(pixels[:, :40])]
    results = detector.predict(images, batch_size=4)
    assert [result.size for result in results] == [(360, 640), (1, 1), (3, 640), (360, 40)]


@pytest.mark.parametrize(
    ("task", "name", "found"),
    [
        ("det", "person", {"pedestrian"}),
        ("sem_seg", "pedestrian", {"person"}),
        ("det", "motor", {"motorcycle"}),
        ("pan_seg", "car", {"car"}),
        ("pan_seg", "trailer", {"trailer"}),
        ("det", "trailer", None),
        ("drivable", "person", None),
    ],
)
def test_names_of_categories_mean_the_same_in_every_task(task: str, name: str, found: set[str] | None) -> None:
    places = class_indices([name], TASKS[task])
    assert (None if places is None else {TASKS[task].categories[place] for place in places}) == found


def test_threshold_and_classes(detector: Model, scene: Path) -> None:
    everything = detector.predict(scene, threshold=0)[0]
    sure = detector.predict(scene, threshold=0.5)[0]
    assert len(sure) == (everything.scores >= 0.5).sum()
    cars = detector.predict(scene, threshold=0, classes=["car"])[0]
    assert set(cars.names) == {"car"} and len(cars) == everything.names.count("car")
    with pytest.raises(InputError, match=r"no category 'cat'.*traffic sign"):
        detector.predict(scene, classes=["cat"])


def test_threads_can_share_a_model(detector: Model, scene: Path) -> None:
    pixels = cv2.imread(str(scene))[:, :, ::-1]
    images = [np.ascontiguousarray(np.roll(pixels, 40 * shift, axis=1)) for shift in range(4)]
    expected = [detector.predict(image)[0] for image in images]
    found: list[Any] = [None] * 4

    def work(place: int) -> None:
        for _ in range(2):
            found[place] = detector.predict(images[place])[0]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)


def test_reduced_precision_finds_nearly_the_same(detector: Model, scene: Path, tmp_path: Path) -> None:
    full = detector.predict(scene, threshold=0.4)[0]
    half = load_model(fast_detector_file(tmp_path), device="cpu", half=True).predict(scene)[0]
    assert len(full) > 0
    for box, name in zip(full.boxes, full.names, strict=True):
        near = np.abs(half.boxes - box).max(axis=1) < 8
        assert any(near & (np.array(half.names) == name))


def test_a_detector_can_be_made_to_follow(scene: Path, tmp_path: Path) -> None:
    model = load_model(fast_detector_file(tmp_path), device="cpu", tracker="bytetrack")
    tracker: Any = model.network.tracker
    tracker.init_track_thr, tracker.obj_score_thrs = 0.3, {"high": 0.3, "low": 0.1}
    pixels = cv2.imread(str(scene))[:, :, ::-1]
    frames = [np.ascontiguousarray(np.roll(pixels, 3 * step, axis=1)) for step in range(4)]
    results = model.predict(frames, threshold=0)
    assert all(isinstance(result, Tracks) for result in results)
    assert [result.position for result in results] == [0, 1, 2, 3]
    assert len(results[0]) > 0 and set(results[0].ids) & set(results[3].ids)
    again = model.predict(frames, threshold=0)
    assert [result.ids.tolist() for result in again] == [result.ids.tolist() for result in results]


def test_videos_can_be_followed_at_once(tmp_path: Path) -> None:
    model = tiny_tracker(tmp_path)
    rng = np.random.default_rng(0)
    videos = [[rng.integers(0, 256, (96, 160, 3), np.uint8) for _ in range(3)] for _ in range(2)]
    alone = [model.predict(video, threshold=0) for video in videos]
    assert sum(len(result) for result in alone[0]) > 0
    streams = [model.stream(video, threshold=0) for video in videos]
    together = [[next(stream) for stream in streams] for _ in range(3)]
    for step, pair in enumerate(together):
        for video, result in enumerate(pair):
            np.testing.assert_array_equal(result.ids, alone[video][step].ids)
            np.testing.assert_array_equal(result.boxes, alone[video][step].boxes)


def test_frames_of_a_video_are_images(tmp_path: Path, detector: Model) -> None:
    path = write_video(tmp_path / "a.mp4", 5, size=(72, 128))
    results = list(detector.stream(video_frames(path, every=2)))
    assert [(result.name, result.position) for result in results] == [
        ("a-0000001.jpg", 0),
        ("a-0000003.jpg", 1),
        ("a-0000005.jpg", 2),
    ]
    tracked = tiny_tracker(tmp_path).predict(list(video_frames(path)), threshold=0)
    assert [(result.video, result.position) for result in tracked] == [("a", place) for place in range(5)]
    with pytest.raises(InputError, match="every must be"):
        next(video_frames(path, every=0))


def test_classes_of_pixels(tmp_path: Path) -> None:
    model = tiny_segmentor(tmp_path, "drivable")
    path = draw_noise(tmp_path / "a.jpg", seed=1, size=(72, 128))
    (result,) = model.predict(path)
    assert isinstance(result, ClassMap) and result.classes.shape == (72, 128)
    assert set(np.unique(result.classes)) <= {0, 1, 2}
    (direct,) = model.predict(path, classes=["direct"])
    np.testing.assert_array_equal(direct.classes == 0, result.classes == 0)
    assert set(np.unique(direct.classes)) <= {0, 255}


def test_tags_of_images(tmp_path: Path) -> None:
    model = tiny_tagger(tmp_path)
    (result,) = model.predict(draw_noise(tmp_path / "a.jpg", seed=1, size=(72, 128)))
    assert isinstance(result, Tags) and result.tag == "weather"
    assert abs(result.scores.sum() - 1) < 1e-5 and result.value in TAGS["weather"]
    with pytest.raises(InputError, match="no category was named"):
        check_classes([], [TASKS["det"]])
    with pytest.raises(InputError, match="tags whole images"):
        model.predict([], classes=["car"])


@pytest.mark.parametrize("looks", ["5x_224x224", "4x"])
def test_tags_do_not_depend_on_what_else_is_in_the_batch(tmp_path: Path, looks: str) -> None:
    """Also where small pictures are not enlarged, and so differ in size from others."""
    model = tiny_tagger(tmp_path, looks)
    sizes = ((300, 400), (720, 1280), (300, 400), (640, 640))
    pictures = [draw_noise(tmp_path / f"{place}.jpg", seed=place, size=size) for place, size in enumerate(sizes)]
    together = model.predict(pictures, batch_size=4)
    for picture, result in zip(pictures, together, strict=True):
        (alone,) = model.predict(picture)
        np.testing.assert_allclose(result.scores, alone.scores, atol=1e-6)


def test_people_need_boxes(tmp_path: Path, detector: Model) -> None:
    model = tiny_pose(tmp_path, detector)
    image = cv2.imread(str(draw_noise(tmp_path / "a.jpg", seed=1, size=(360, 640))))
    boxes = [[20, 30, 90, 200], [300, 40, 380, 300]]
    two, none, scored = model.predict([image] * 3, boxes=[boxes, [], np.array([[20, 30, 90, 200, 0.5]])], threshold=0)
    assert isinstance(two, People) and (len(two), len(none), len(scored)) == (2, 0, 1)
    np.testing.assert_allclose(scored.scores[0] * 2, max(two.scores * (two.joints[:, 0, 0] < 200)), rtol=1e-5)
    assert [len(people) for people in model.stream([image] * 2, boxes=[boxes, []])] == [2, 0]
    scores = np.array([[*boxes[0], 0.5], [*boxes[1], 0.2]])
    assert [len(model.predict(image, boxes=[scores], threshold=least)[0]) for least in (0, 0.3, 0.6)] == [2, 1, 0]
    with pytest.raises(InputError, match=r"000001\.jpg: no boxes were given for it"):
        list(model.stream([image] * 2, boxes=iter([boxes])))
    with pytest.raises(InputError, match="boxes of 1 images were given for 2"):
        model.predict([image] * 2, boxes=[boxes])
    with pytest.raises(InputError, match=r"\(n, 4\) or \(n, 5\)"):
        model.predict(image, boxes=[[[1, 2, 3]]])
    with pytest.raises(InputError, match="boxes are for pose models"):
        detector.predict(image, boxes=[boxes])


def test_boxes_that_cannot_be_used_are_told(tmp_path: Path, detector: Model) -> None:
    model = tiny_pose(tmp_path, detector)
    image = draw_noise(tmp_path / "a.jpg", seed=1, size=(90, 160))
    with pytest.warns(UserWarning, match=r"a\.jpg: person box \(500, 5, 600, 80\) lies outside the image, left out"):
        (result,) = model.predict(image, boxes=[[[500, 5, 600, 80], [20, 5, 60, 80]]], threshold=0)
    assert len(result) == 1


def test_people_are_found_by_the_detector(tmp_path: Path, detector: Model, scene: Path) -> None:
    model = tiny_pose(tmp_path, detector)
    assert model.detector is detector
    model.predict(scene)
    # of the pedestrian that is sure, not of the other
    (person,) = tiny_pose(tmp_path, Stub(category="pedestrian")).predict(scene, threshold=0.85)
    assert isinstance(person, People) and len(person) == 1 and person.areas[0] > 640 * 360
    assert person.scores[0] < 0.85  # the box was sure enough; the pose's score is the product with that of its joints
    unsure = tiny_pose(tmp_path, Stub(category="car"))  # its pedestrian has a score of 0.1
    assert [len(unsure.predict(scene, threshold=least)[0]) for least in (0.2, 0.05)] == [0, 1]
    with pytest.raises(InputError, match="only pose models have a detector"):
        detector.detector  # noqa: B018
    wrong = tiny_pose(tmp_path, model)
    with pytest.raises(InputError, match="people are found by models of det"):
        wrong.predict(scene)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("atss_mini_det_syntetic", InputError, "did you mean atss_mini_det_synthetic"),
        ("nothing like it at all", InputError, "zoo list"),
        ("folder/missing.py", MissingFileError, "no such config"),
    ],
)
def test_unknown_models(name: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_model(name)


def test_weights_of_another_model(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="another model"):
        load_model(MODEL, tmp_path / "a.pth")
    with pytest.raises(MissingFileError, match="no such checkpoint"):
        load_model(MODEL, tmp_path / "b.pth")
    with pytest.raises(InputError, match="there is no device"):
        load_model(MODEL, device="abacus")


def test_trackers_follow_objects_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="models of det and ins_seg"):
        tiny_segmentor(tmp_path, "drivable", tracker="ocsort")


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), 7, None],
)
def test_what_is_no_image(detector: Model, image: Any) -> None:
    with pytest.raises(ImageError, match="is no image"):
        detector.predict([image])


def test_files_that_are_no_images(detector: Model, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    for name, message in (("text.jpg", "not an image"), ("missing.jpg", "no such file")):
        with pytest.raises(ImageError, match=f"{name}: {message}"):
            detector.predict(tmp_path / name)
    with pytest.raises(ImageError, match="nothing to look at"):
        detector.predict(np.zeros((0, 4, 3), np.uint8))
