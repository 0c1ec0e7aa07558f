"""Videos as the commands see them: frames in order, whole videos shared out, the official files."""

from __future__ import annotations

import json
import pickle
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

import bdd100k_models.registry  # noqa: F401
from bdd100k_models.datasets.images import ImageItem, ImageSet
from bdd100k_models.datasets.synth import generate_videos
from bdd100k_models.datasets.video_images import (
    frames_by_video,
    refuse_among_videos,
    videos_of_folder,
    videos_of_labels,
    videos_of_split,
)
from bdd100k_models.datasets.videos import read_videos
from bdd100k_models.engine.sharing import leave_out_torn, share_work
from bdd100k_models.errors import ConfigError, InputError, LabelError, MissingFileError
from bdd100k_models.formats.bitmask import read_bitmask, write_bitmask
from bdd100k_models.formats.results import get_format
from bdd100k_models.formats.rle import decode
from bdd100k_models.formats.scalabel import Frame, Label, load_frames
from bdd100k_models.inference.convert import to_result
from bdd100k_models.tasks import TASKS

# ------------------------------------------------------------------------------------------------------- the frames


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "root"
    generate_videos(folder, {"val": 2, "test": 1}, frames=3, seed=1, size=(128, 72), nproc=1)
    return folder


@pytest.mark.parametrize("task", ["mot", "mots"])
def test_a_split_is_its_videos_in_order(root: Path, task: str) -> None:
    images = videos_of_split(TASKS[task], root, "val")
    assert [item.position for item in images.items] == [0, 1, 2, 0, 1, 2]
    assert [item.name for item in images.items] == [f"{item.video}/{item.path.name}" for item in images.items]
    assert all(item.path.is_file() for item in images.items)
    assert images.label_file == root / TASKS[task].label_path("val")
    without_labels = videos_of_split(TASKS[task], root, "test")
    assert len(without_labels.items) == 3 and without_labels.label_file is None


def test_bitmasks_and_run_lengths_list_the_same_frames(root: Path) -> None:
    folder = root / TASKS["mots"].image_dir("val")
    lists = [videos_of_labels(root / path, folder).items for path in TASKS["mots"].label_paths("val")]
    assert lists[0] == lists[1]


def test_a_folder_of_pictures_is_a_video(root: Path) -> None:
    folder = root / TASKS["mot"].image_dir("val")
    videos = sorted(path.name for path in folder.iterdir())
    assert [item.video for item in videos_of_folder(folder).items] == [name for name in videos for _ in range(3)]
    single = videos_of_folder(folder / videos[0])
    assert [item.video for item in single.items] == [videos[0]] * 3


def test_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such folder"):
        videos_of_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="empty"):
        videos_of_folder(tmp_path)


def frame(index: int | None, ids: tuple[str, ...] = (), video: str | None = "v") -> Frame:
    return Frame(f"v-{index}.jpg", videoName=video, frameIndex=index, labels=[Label(number) for number in ids])


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([frame(0), frame(2)], "frames 1 to 1 are missing"),
        ([frame(1), frame(0)], "comes after 1; sort the frames"),
        ([frame(0), frame(0)], "comes after 0"),
        ([frame(0, ("7", "8", "7"))], "track 7 is there twice"),
        ([frame(None)], "no frameIndex"),
        ([frame(0, video=None)], "no videoName"),
    ],
)
def test_labels_of_videos_that_cannot_be_used(frames: list[Frame], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        frames_by_video(frames, "labels.json")


def test_videos_may_be_mixed_in_a_file_and_begin_anywhere() -> None:
    mixed = [frame(165), frame(3, video="w"), frame(166), frame(4, video="w")]
    assert {video: len(frames) for video, frames in frames_by_video(mixed, "x").items()} == {"v": 2, "w": 2}


# ------------------------------------------------------------------------------------------------------ the sharing


def image_set(lengths: list[int]) -> ImageSet:
    items = [ImageItem(f"{v}/{i}", Path(), str(v), i) for v, length in enumerate(lengths) for i in range(length)]
    return ImageSet(tuple(items), None, None, "")


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 5), st.data())
def test_a_video_is_never_divided_and_none_is_lost(lengths: list[int], ranks: int, data: st.DataObject) -> None:
    images = image_set(lengths)
    done = data.draw(st.sets(st.integers(0, sum(lengths) - 1)))
    shares = share_work(images, 1, done, ranks)
    frames = [[index for batch in share for index in batch] for share in shares]
    starts = np.cumsum([0, *lengths])
    expected = {v for v, n in enumerate(lengths) if not set(range(starts[v], starts[v] + n)) <= done}
    found = []
    for share in frames:
        videos = list(dict.fromkeys(images.items[index].video for index in share))
        found += [int(video) for video in videos]
        assert share == [i for v in videos for i in range(starts[int(v)], starts[int(v) + 1])]
        assert share == sorted(share)  # results may depend on the order of videos
    assert sorted(found) == sorted(expected)
    # no process has more than the least busy one, but for the last video it took
    sizes = [len(share) for share in frames]
    assert max(sizes) - min(sizes) <= max(lengths)


def test_a_video_of_several_attempts_is_run_again() -> None:
    images = image_set([2, 3, 2])
    assert leave_out_torn(images, {0: 0, 1: 0, 2: 1, 3: 1, 4: 0, 6: 1}) == {0, 1, 6}
    stills = ImageSet(tuple(ImageItem(str(i), Path()) for i in range(3)), None, None, "")
    assert leave_out_torn(stills, {0: 0, 2: 1}) == {0, 2}


def test_frames_of_videos_do_not_go_in_batches() -> None:
    with pytest.raises(InputError, match="--batch-size 2"):
        share_work(image_set([3]), 2, set(), 1)


@given(st.integers(0, 50), st.integers(1, 7), st.integers(1, 4), st.sets(st.integers(0, 49)))
def test_batches_of_images_do_not_depend_on_processes(count: int, size: int, ranks: int, done: set[int]) -> None:
    images = ImageSet(tuple(ImageItem(str(i), Path()) for i in range(count)), None, None, "")
    batches = list(chain.from_iterable(share_work(images, size, done, ranks)))
    assert set(batches) <= set(chain.from_iterable(share_work(images, size, set(), 1)))
    assert set(chain.from_iterable(batches)) >= set(range(count)) - done


# -------------------------------------------------------------------------------------------------------- the files


def tracks(boxes: Any, scores: Any, labels: Any, ids: Any, masks: Any = None) -> list[dict[str, Any]]:
    columns = {"scores": scores, "labels": labels, "instances_id": ids}
    instances = {name: torch.as_tensor(value) for name, value in columns.items()}
    instances["bboxes"] = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    if masks is not None:
        instances["masks"] = torch.as_tensor(masks)
    return [{"pred_track_instances": instances, "ori_shape": (6, 8)}]


def test_boxes_go_to_a_file_a_video(tmp_path: Path) -> None:
    boxes = get_format(TASKS["mot"])
    record = boxes.encode(tracks([[4, 4, 6, 6], [1, 2, 3, 5]], [0.5, 0.75], [2, 0], [9, 0]))
    names = ["v/v-0000166.jpg", "v/v-0000167.jpg", "w/w-0000001.jpg"]
    boxes.frame_indices = {names[0]: 165, names[1]: 166}
    assert boxes.write(zip(names, [record, boxes.empty((1, 1)), record], strict=True), tmp_path) == 4
    frames = load_frames(tmp_path / "box_track/v.json")
    assert [(f.name, f.videoName, f.frameIndex) for f in frames] == [
        ("v-0000166.jpg", "v", 165),
        ("v-0000167.jpg", "v", 166),
    ]
    assert [(label.id, label.category, label.score) for label in frames[0].labels] == [
        ("0", "pedestrian", 0.75),
        ("9", "car", 0.5),
    ]
    assert (frames[0].labels[0].box2d.x2, frames[0].labels[0].box2d.y2) == (2, 4)
    assert frames[1].labels == []
    assert load_frames(tmp_path / "box_track/w.json")[0].frameIndex == 0
    assert [array.shape for array in boxes.raw(record)] == [(1, 6), (0, 6), (1, 6)] + [(0, 6)] * 5


def test_frames_are_called_as_the_labels_call_them(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    frames = [{"name": f"a-{number:07}.jpg", "videoName": "a", "frameIndex": number - 10} for number in (10, 11)]
    (tmp_path / "labels" / "a.json").write_text(json.dumps(frames))
    items = videos_of_labels(tmp_path / "labels", tmp_path).items
    assert [(item.position, item.frame_index) for item in items] == [(0, 0), (1, 1)]
    nothing = np.zeros((2, 2), np.uint8)
    for name in ("a-0000166.png", "a-0000167.png"):
        write_bitmask(tmp_path / "masks" / "a" / name, nothing, nothing)
    items = videos_of_labels(tmp_path / "masks", tmp_path).items
    assert [(item.position, item.frame_index) for item in items] == [(0, 165), (1, 166)]
    for name in ("9.jpg", "10.jpg"):
        (tmp_path / "own" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / "a" / name).touch()
    assert [item.frame_index for item in videos_of_folder(tmp_path / "own").items] == [0, 1]
    write_bitmask(tmp_path / "masks" / "a" / "00000168.png", nothing, nothing)  # before the others by name
    for read in (videos_of_labels, partial(read_videos, classes=TASKS["mots"].categories)):
        with pytest.raises(LabelError, match=r"video a: frameIndex 165 of a-0000166\.jpg comes after 167"):
            read(tmp_path / "masks", tmp_path)
    (tmp_path / "masks" / "a" / "00000168.png").unlink()
    write_bitmask(tmp_path / "masks" / "a" / "frame.png", nothing, nothing)
    for read in (videos_of_labels, partial(read_videos, classes=TASKS["mots"].categories)):
        with pytest.raises(LabelError, match=r"frame\.png: the name does not tell which frame"):
            read(tmp_path / "masks", tmp_path)


@pytest.mark.parametrize(
    ("names", "indices", "gap"),
    [
        (["v-0000003.jpg", "v-0000004.jpg", "v-0000006.jpg"], [2, 3, 5], ("v-0000004.jpg", "v-0000006.jpg")),
        (["1.png", "2.png", "3.png", "9.png", "10.png", "13.png"], [0, 1, 2, 8, 9, 12], ("3.png", "9.png")),
        (["a0.jpg", "a5.jpg", "a10.jpg"], [0, 1, 2], None),  # each fifth frame
        (["a0.jpg", "a5.jpg", "a15.jpg", "a20.jpg"], [0, 1, 3, 4], ("a5.jpg", "a15.jpg")),
        (["a1000.jpg", "a1033.jpg", "a1066.jpg", "a1100.jpg"], [0, 1, 2, 3], None),  # thousandths of a second
        (["3.jpg", "11.jpg", "12.jpg", "40.jpg", "91.jpg"], [0, 1, 2, 3, 4], None),
        (["night-2.jpg", "night-3.jpg", "night-5.jpg", "noon-6.jpg"], [1, 2, 3, 4], None),
        (["a1.jpg", "a2.jpg", "last.jpg"], [0, 1, 2], None),
        (["1.jpg", "1.png", "3.jpg"], [0, 1, 2], None),
        (["7.jpg"], [0], None),
    ],
)
def test_a_missing_picture_leaves_the_numbers_of_the_others(
    tmp_path: Path, names: list[str], indices: list[int], gap: tuple[str, str] | None
) -> None:
    for name in names:
        (tmp_path / "v").mkdir(exist_ok=True)
        (tmp_path / "v" / name).touch()
    images = videos_of_folder(tmp_path)
    found = {item.path.name: item for item in images.items}
    assert sorted(item.frame_index for item in images.items) == indices
    if gap is None:
        assert images.remarks == ()
    else:
        (remark,) = images.remarks
        assert str(tmp_path / "v") in remark and f"first between {gap[0]} and {gap[1]}" in remark
        assert [found[name].frame_index for name in names] == indices
        assert [found[name].position for name in names] == [index - indices[0] for index in indices]


def test_a_video_is_called_as_its_folder_however_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "drive/.notes").mkdir(parents=True)
    (tmp_path / "drive/1.jpg").touch()
    monkeypatch.chdir(tmp_path / "drive/.notes")
    (tmp_path / "linked").symlink_to(tmp_path / "drive")
    for name, video in (("..", "drive"), ("../../drive", "drive"), (str(tmp_path / "linked"), "linked")):
        assert [item.name for item in videos_of_folder(Path(name)).items] == [f"{video}/1.jpg"]


def test_results_are_not_written_among_the_videos(tmp_path: Path) -> None:
    for name in ("many/a/1.jpg", "one/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    many, one = tmp_path / "many", tmp_path / "one"
    for folder, place in (
        (many, "many"),
        (many, "many/out"),
        (many, "many/new/out"),
        (many, "one/../many/out"),
        (one, "one/out"),
    ):
        with pytest.raises(InputError, match=r"a later run would take it for a video.*--format-dir"):
            refuse_among_videos(videos_of_folder(folder), folder, tmp_path / place, "--format-dir")
    for folder, place in ((many, "out"), (many, "many/a/out"), (many, "many/.out"), (one, "many/out")):
        refuse_among_videos(videos_of_folder(folder), folder, tmp_path / place, "--format-dir")


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    nothing = np.zeros((2, 2), np.uint8)
    write_bitmask(tmp_path / "masks" / "a" / "a-0000001.png", nothing, nothing)
    (tmp_path / "masks" / "b").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.json").write_text(json.dumps([{"name": "a-1.jpg", "videoName": "a", "frameIndex": 0}]))
    (tmp_path / "labels" / "b.json").write_text("[]")
    for read in (videos_of_labels, partial(read_videos, classes=TASKS["mots"].categories)):
        with pytest.raises(LabelError, match=r"masks/b: holds no frames"):
            read(tmp_path / "masks", tmp_path)
        with pytest.raises(LabelError, match=r"labels/b\.json: holds no frames"):
            read(tmp_path / "labels", tmp_path)


def test_results_of_other_videos_are_not_mixed_with_those_to_be_scored(tmp_path: Path) -> None:
    boxes, masks = get_format(TASKS["mot"]), get_format(TASKS["mots"])
    names = ["v/v-0000001.jpg", "w/w-0000001.jpg"]
    boxes.refuse_foreign(names, tmp_path, "json")
    record = masks.empty((2, 2))
    for name in names:
        masks.save_image(name, record, tmp_path)
    boxes.write([(name, boxes.empty((2, 2))) for name in names], tmp_path)
    for own, output in ((boxes, "json"), (masks, "bitmasks")):
        own.refuse_foreign(names, tmp_path, output)
        with pytest.raises(InputError, match=r"track: holds results of other videos \(w\).*--format-dir"):
            own.refuse_foreign(names[:1], tmp_path, output)


def test_masks_do_not_overlap_and_ids_count_from_one(tmp_path: Path) -> None:
    masks = np.zeros((3, 6, 8), bool)
    masks[0, :4] = True
    masks[1, 2:] = True
    masks[2, 3, 3] = True  # hidden by both others
    segments = get_format(TASKS["mots"])
    record = segments.encode(tracks(np.zeros((3, 4)), [0.9, 0.8, 0.1], [1, 7, 0], [300, 0, 4], masks))
    assert record.ids == [1, 301] and record.classes == [7, 1]
    segments.save_image("v/v-0000001.jpg", record, tmp_path)
    bitmask = read_bitmask(tmp_path / "seg_track/v/v-0000001.png")
    np.testing.assert_array_equal(bitmask.ids, np.where(masks[0], 301, 1))
    np.testing.assert_array_equal(bitmask.category, np.where(masks[0], 2, 8))
    assert segments.write([("v/v-0000001.jpg", record)], tmp_path) == 2
    (written,) = load_frames(tmp_path / "seg_track_json/v.json")
    assert [label.id for label in written.labels] == ["1", "301"]
    # pictures of results show the ids of the files
    result = to_result(record, TASKS["mots"], "v-0000001.jpg", (6, 8), "v", 0)
    assert result.ids.tolist() == [1, 301]
    assert [label.id for label in result.frame().labels] == ["1", "301"]
    np.testing.assert_array_equal(decode(written.labels[1].rle, "x"), masks[0])


def test_the_pickle_of_tracks_is_that_of_the_original(tmp_path: Path) -> None:
    masks = np.zeros((2, 6, 8), bool)
    masks[0, :3], masks[1, 3:] = True, True
    segments = get_format(TASKS["mots"])
    record = segments.encode(tracks([[1, 2, 3, 5], [0, 0, 8, 3]], [0.75, 0.5], [1, 7], [4, 0], masks))
    segments.write_pickle([("v/a.jpg", record), ("v/b.jpg", segments.empty((6, 8)))], tmp_path / "raw.pkl")
    first, second = pickle.loads((tmp_path / "raw.pkl").read_bytes())["track_result"]
    assert second == {} and sorted(first) == [1, 5]
    assert first[5]["bbox"].tolist() == [1, 2, 3, 5, 0.75] and first[5]["bbox"].dtype == np.float32
    assert [first[number]["label"] for number in (1, 5)] == [7, 1]
    for number, mask in ((5, masks[0]), (1, masks[1])):
        np.testing.assert_array_equal(coco_mask.decode(first[number]["segm"]), mask)


def test_an_empty_frame_has_an_empty_bitmask(tmp_path: Path) -> None:
    segments = get_format(TASKS["mots"], ["bitmasks"])
    record = segments.encode(tracks([], [], [], [], np.zeros((0, 6, 8), bool)))
    assert record == segments.empty((6, 8))
    segments.save_image("v/a.jpg", record, tmp_path)
    assert not read_bitmask(tmp_path / "seg_track/v/a.png").ids.any()
    assert segments.write([("v/a.jpg", record)], tmp_path) == 0
    assert not (tmp_path / "seg_track_json").exists()


def test_no_more_masks_than_the_official_tool_can_count() -> None:
    count = 130
    masks = np.zeros((count, 10, 13), bool)
    masks.reshape(count, -1)[np.arange(count), np.arange(count)] = True
    record = get_format(TASKS["mots"]).encode(
        tracks(np.zeros((count, 4)), np.linspace(0, 1, count), np.zeros(count, int), np.arange(count), masks)
    )
    assert record.ids == list(range(31, 131))


def test_models_that_find_too_little_are_named() -> None:
    detected = [{"pred_instances": {}, "ori_shape": (6, 8)}]
    for task in ("mot", "mots"):
        with pytest.raises(ConfigError, match=r"does not track what it finds.*--tracker"):
            get_format(TASKS[task]).encode(detected)
    with pytest.raises(ConfigError, match="without masks"):
        get_format(TASKS["mots"]).encode(tracks([[1, 2, 3, 5]], [0.75], [0], [0]))


def test_the_output_that_fits_the_labels(root: Path) -> None:
    segments = get_format(TASKS["mots"])
    assert [segments.output_for(root / path) for path in TASKS["mots"].label_paths("val")] == ["bitmasks", "json"]
