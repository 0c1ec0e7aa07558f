"""Exported files say what the models that they were made of say."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from PIL import Image

from bdd100k_models import load_model
from bdd100k_models.cli import main
from bdd100k_models.commands.export import parse_size
from bdd100k_models.datasets.synth.picture import draw_picture
from bdd100k_models.errors import InputError
from bdd100k_models.export.build import SUFFIXES, ExportOptions, write_model
from bdd100k_models.export.check import Agreement, check_export, compare, compare_boxes, load_exported, merge
from bdd100k_models.inference.model import Model
from bdd100k_models.inference.results import ClassMap, Instances, Panoptic, People
from bdd100k_models.runtime import Runner, load
from bdd100k_models.runtime.pictures import read_picture, resize
from bdd100k_models.tasks import TASKS
from conftest import draw_noise
from det_model import MODEL as DETECTOR
from det_model import make_checkpoint
from export_support import MAKERS, SIZE, size_of


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Make the small model of a task, once."""
    folder = tmp_path_factory.mktemp("models")
    return functools.cache(lambda task: MAKERS[task](folder))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, make: Callable[[str], Model]) -> Callable[..., Runner]:
    """Export the small model of a task, once a format."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def export(task: str, form: Any = "onnx", **options: Any) -> Runner:
        path = folder / f"{task} {options}{SUFFIXES[form]}"
        write_model(make(task), path, ExportOptions(form=form, size=size_of(task), **options))
        return load_exported(path)

    return export


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return [draw_noise(folder / f"{seed}.png", seed, (180, 320)) for seed in (1, 2, 3)]


@pytest.mark.parametrize("task", MAKERS)
def test_onnx_agrees_for_a_batch(
    task: str, make: Callable[[str], Model], exported: Callable[..., Runner], pictures: list[Path]
) -> None:
    agreement = check_export(make(task), exported(task), pictures)
    assert agreement.passed, agreement
    if task in ("det", "ins_seg", "pose", "mot"):
        assert agreement.objects > 5


@pytest.mark.parametrize("opset", [16, 19, 20])
def test_other_opsets_agree(
    opset: int, make: Callable[[str], Model], exported: Callable[..., Runner], pictures: list[Path]
) -> None:
    agreement = check_export(make("det"), exported("det", opset=opset), pictures[:1])
    assert agreement.passed and agreement.objects > 5, agreement


@pytest.mark.parametrize(
    "name", ["fpn_mini_drivable_synthetic", "fpn_mini_sem_seg_synthetic", "panoptic_fpn_mini_pan_seg_synthetic"]
)
def test_padding_for_tests_is_that_of_the_graph(tmp_path: Path, name: str) -> None:
    model = load_model(name, device="cpu")
    write_model(model, tmp_path / "a.onnx", ExportOptions())
    scene = draw_picture(0, "val", 1, reach=20).pixels[:, :, ::-1]
    agreement = check_export(model, load_exported(tmp_path / "a.onnx"), [scene])
    assert agreement.passed, agreement


def test_boxes_of_masks_before_suppression_are_in_pixels_of_the_picture(tmp_path: Path, pictures: list[Path]) -> None:
    model = load_model("mask_rcnn_mini_ins_seg_synthetic", device="cpu")  # looks at half of the size
    write_model(model, tmp_path / "a.onnx", ExportOptions(post=False))
    runner = load_exported(tmp_path / "a.onnx")
    pixels = resize(read_picture(pictures[0]), (720, 1280))
    found = runner.run(pixels[None])
    corners = found["boxes"][0]
    assert corners[:, 2].max() > 700 and corners[:, 3].max() > 400


@pytest.mark.parametrize("size", [(1, 6), (6, 1), (1, 1), (2, 3)])
def test_deformable_convolution_on_maps_of_few_pixels(size: tuple[int, int]) -> None:
    from torchvision.ops import deform_conv2d

    from bdd100k_models.export.operators import deform_convolve

    generator = torch.Generator().manual_seed(0)
    pixels, weight = torch.randn(2, 4, *size, generator=generator), torch.randn(3, 4, 3, 3, generator=generator)
    offset = 2 * torch.randn(2, 18, *size, generator=generator)
    expected = deform_conv2d(pixels, offset, weight, padding=1)
    given = (pixels, offset, None, weight, None, (1, 1), (1, 1), (1, 1), 1, 1)
    torch.testing.assert_close(deform_convolve(*given), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("task", MAKERS)
def test_torchscript_agrees(
    task: str, make: Callable[[str], Model], exported: Callable[..., Runner], pictures: list[Path]
) -> None:
    agreement = check_export(make(task), exported(task, "torchscript"), pictures)
    assert agreement.passed, agreement


@pytest.mark.parametrize(("form", "name"), [("onnx", "model.bin"), ("torchscript", "model.onnx")])
def test_the_format_is_that_of_the_file_whatever_its_name(
    form: str, name: str, make: Callable[[str], Model], pictures: list[Path], tmp_path: Path
) -> None:
    write_model(make("drivable"), tmp_path / name, ExportOptions(form=form, size=SIZE))  # type: ignore[arg-type]
    assert check_export(make("drivable"), load_exported(tmp_path / name), pictures[:1]).passed


def test_the_check_takes_two_pictures_at_a_time(
    make: Callable[[str], Model], exported: Callable[..., Runner], pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    run = Runner.run

    def counted(self: Runner, images: npt.NDArray[Any]) -> Any:
        batches.append(len(images))
        return run(self, images)

    monkeypatch.setattr(Runner, "run", counted)
    assert check_export(make("drivable"), exported("drivable"), pictures).passed
    assert batches == [2, 1]


def test_the_check_can_fail(
    make: Callable[[str], Model], exported: Callable[..., Runner], pictures: list[Path]
) -> None:
    runner = exported("det")

    class Shifted:
        def get_inputs(self) -> Any:
            return runner.session.get_inputs()

        def run(self, names: Any, inputs: Any) -> Any:
            boxes, *others = runner.session.run(names, inputs)
            return [boxes + 0.2, *others]

    agreement = check_export(make("det"), Runner(Shifted(), runner.description), pictures)
    assert not agreement.passed
    assert agreement.worst["boxes"] > 0.1


def test_lost_objects_fail() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 500, (40, 2))
    boxes, scores, classes = np.hstack([corners, corners + 30]), rng.uniform(0.3, 1, 40), np.zeros(40, np.int64)
    same, pairs = compare_boxes((boxes, scores, classes), (boxes[::-1], scores[::-1], classes))
    assert same.passed and len(pairs) == 40
    lost, _ = compare_boxes((boxes, scores, classes), (boxes[:30], scores[:30], classes[:30]))
    assert not lost.passed
    order = np.argsort(-scores)
    found = boxes[order], scores[order], classes
    for count in (0, 1, 30):
        few = tuple(part[:count] for part in found)
        assert not compare_boxes(found, few)[0].passed and not compare_boxes(few, found)[0].passed
    none = tuple(part[:0] for part in found)
    nothing = compare_boxes(none, none)[0]
    assert nothing.empty and not nothing.passed and "agreement says nothing" in str(nothing)
    assert merge([compare_boxes(found, found)[0], nothing]).passed
    # where the number is limited, the last may be another of the same score
    swapped = np.vstack([found[0][:-1], [[0, 0, 9, 9]]]), found[1], classes
    assert compare_boxes(found, swapped)[0].passed
    assert Agreement({"boxes": 0.0}, 0, 0).passed
    assert not Agreement({"boxes": float("nan")}, 1, 0).passed
    assert not merge([Agreement({"boxes": 0.05}, 1, 0), Agreement({"boxes": float("nan")}, 1, 0)]).passed
    gone = np.where(np.arange(40)[:, None] < 4, np.nan, found[0])
    assert not compare_boxes(found, (gone, *found[1:]))[0].passed


@pytest.mark.parametrize("kind", [Instances, Panoptic])
def test_pixels_of_another_object_fail(kind: type[Instances | Panoptic]) -> None:
    """Also where its class is the same."""
    columns = np.repeat(np.arange(1, 5, dtype=np.int32), 20)
    places = np.arange(4)
    more: dict[str, Any] = {"first_thing": 0, "ids": places}
    if kind is Instances:
        more = {
            "boxes": np.stack([places * 20.0, places, places * 20 + 20, places + 60], axis=1),
            "scores": 1 - places / 9,
        }

    def result(segments: npt.NDArray[np.int32], classes: npt.NDArray[np.int64]) -> Any:
        parts = {"segments": np.tile(segments, (60, 1)), "classes": classes, "categories": ("car", "bus")}
        return kind(name="", size=(60, 80), **parts, **more)

    same = result(columns, np.zeros(4, np.int64))
    assert compare(same, same).passed
    moved, merged = columns.copy(), columns.copy()
    moved[20:25], merged[20:40] = 1, 1
    for segments, worst in ((moved, 5 / 80), (merged, 40 / 80), (columns * 0, 1)):
        agreement = compare(same, result(segments, np.zeros(4, np.int64)))
        assert agreement.worst["pixels"] == pytest.approx(worst) and not agreement.passed
    assert compare(same, result(columns, np.array([0, 1, 0, 0]))).worst["pixels"] == pytest.approx(20 / 80)
    if kind is Panoptic:  # whose numbers have no order
        assert compare(same, result(5 - columns, np.zeros(4, np.int64))).passed


def test_lost_and_moved_joints_fail() -> None:
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 500, (4, 18, 3))

    def people(places: npt.NDArray[np.float64], score: float = 1.0) -> People:
        names, ones = tuple(map(str, range(18))), np.ones(len(places))
        return People(name="", size=(720, 1280), joint_names=names, joints=places, scores=ones * score, areas=ones)

    def moved(count: int, by: float) -> People:
        places = joints.copy()
        places.reshape(-1, 3)[:count, 0] += by
        return people(places)

    same = compare(people(joints), people(joints))
    assert same.passed and (same.objects, same.unmatched) == (72, 0)
    assert compare(people(joints), moved(1, 50)).passed  # another peak of the same height
    assert not compare(people(joints), moved(2, 50)).passed
    assert not compare(people(joints), moved(1, 0.5)).passed
    assert not compare(people(joints), people(joints, 0.9)).passed
    assert not compare(people(joints), people(joints[:3])).passed
    assert not compare(people(joints), people(joints[:0])).passed
    assert compare(people(joints[:0]), people(joints[:0])).empty


def test_nothing_found_is_empty(exported: Callable[..., Runner]) -> None:
    for task in ("det", "ins_seg"):
        (result,) = exported(task).predict(np.zeros((*SIZE, 3), np.uint8), threshold=1.1)
        assert len(result) == 0 and result.boxes.shape == (0, 4)
    assert (result.segments == 0).all() and result.segments.shape == SIZE


def test_boxes_below_the_threshold_of_the_model_are_no_objects(
    make: Callable[[str], Model], tmp_path: Path, pictures: list[Path]
) -> None:
    """A graph's outputs have a fixed size; with nothing sure enough, no row of them may count."""
    import copy

    model = copy.deepcopy(make("ins_seg").network)
    model.roi_head.test_cfg.score_thr = 2.0
    changed = copy.copy(make("ins_seg"))
    changed.network = model
    path = tmp_path / "none.onnx"
    write_model(changed, path, ExportOptions(size=SIZE))
    outputs = load(path).run(np.zeros((2, *SIZE, 3), np.uint8))
    assert (outputs["classes"] == -1).all() and (outputs["scores"] == 0).all()
    assert all(len(result) == 0 for result in load(path).predict(pictures, threshold=0))


@pytest.mark.parametrize("size", [(72, 128), (144, 256), (90, 60), (1, 1), (3, 900)])
def test_pictures_of_any_size(exported: Callable[..., Runner], size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    (found,) = exported("det").predict(picture, threshold=0)
    assert found.size == size
    assert (found.boxes >= 0).all() and (found.boxes <= np.tile(size[::-1], 2) + 1e-6).all()
    (turned,) = exported("det").predict(picture[:, :, ::-1].copy()[:, :, ::-1], threshold=0)  # as of OpenCV's frames
    np.testing.assert_array_equal(turned.boxes, found.boxes)
    (classes,) = exported("drivable").predict(picture)
    assert classes.classes.shape == size and classes.classes.max() < len(TASKS["drivable"].categories)


def test_a_fixed_batch_is_filled_up(exported: Callable[..., Runner], pictures: list[Path]) -> None:
    fixed = exported("drivable", batch=2).predict(pictures)
    free = exported("drivable").predict(pictures)
    assert len(fixed) == 3
    assert all(np.mean(one.classes != other.classes) < 1e-3 for one, other in zip(fixed, free, strict=True))


def test_metadata_are_for_every_reader(exported: Callable[..., Runner], make: Callable[[str], Model]) -> None:
    runner = exported("det")
    properties = runner.session.get_modelmeta().custom_metadata_map
    task = TASKS["det"]
    assert json.loads(properties["classes"]) == list(task.categories)
    assert json.loads(properties["colours"]) == [list(colour) for colour in task.palette]
    preprocessor = make("det").network.data_preprocessor
    assert json.loads(properties["mean"]) == pytest.approx(preprocessor.mean.flatten().tolist())
    assert json.loads(properties["std"]) == pytest.approx(preprocessor.std.flatten().tolist())
    assert (properties["name"], properties["task"], properties["opset"]) == (DETECTOR, "det", "17")
    assert runner.description.padded_size == (96, 128)


def test_the_network_alone(make: Callable[[str], Model], tmp_path: Path) -> None:
    import torch

    model = make("drivable")
    path = tmp_path / "bare.onnx"
    write_model(model, path, ExportOptions(size=SIZE, pre=False, post=False, opset=18))
    runner = load(path)
    images = np.random.default_rng(0).standard_normal((2, 3, *SIZE)).astype(np.float32)
    with torch.inference_mode():
        metas = [{"ori_shape": SIZE, "img_shape": SIZE, "pad_shape": SIZE}] * 2
        expected = model.network.encode_decode(torch.from_numpy(images), metas).numpy()
    np.testing.assert_allclose(runner.run(images)["logits"], expected, atol=1e-3, rtol=1e-3)
    assert onnx.load(path).opset_import[0].version == 18
    with pytest.raises(InputError, match="export anew"):
        runner.predict(np.zeros((*SIZE, 3), np.uint8))


def test_pose_models_need_boxes(exported: Callable[..., Runner]) -> None:
    runner, picture = exported("pose"), np.zeros((200, 300, 3), np.uint8)
    with pytest.raises(InputError, match="boxes"):
        runner.predict(picture)
    with pytest.raises(InputError, match="x1, y1, x2, y2"):
        runner.predict(picture, boxes=[np.zeros((1, 3))])
    with pytest.warns(UserWarning, match=r"000001\.jpg: person box \(400, 10, 500, 90\) lies outside the image"):
        nobody, outside = runner.predict([picture] * 2, boxes=[np.zeros((0, 4)), [[400, 10, 500, 90]]], threshold=0)
    assert len(nobody) == len(outside) == 0
    box = [[20, 10, 200, 190, 0.4]]  # its score counts, and not the lower one of the pose
    assert [len(runner.predict(picture, boxes=[box], threshold=least)[0]) for least in (0.3, 0.5)] == [1, 0]


@pytest.mark.parametrize("kind", ["msra", "dark", "udp"])
def test_joints_are_those_of_the_codecs(kind: str) -> None:
    import torch

    from bdd100k_models.export.heatmaps import find_joints
    from bdd100k_models.models.pose_codecs import PublishedMSRAHeatmap, PublishedUDPHeatmap

    options: dict[str, Any] = {"input_size": (96, 128), "heatmap_size": (24, 32), "sigma": 2}
    codec = (
        PublishedUDPHeatmap(**options) if kind == "udp" else PublishedMSRAHeatmap(**options, unbiased=kind == "dark")
    )
    rng = np.random.default_rng(0)
    places = rng.uniform((-1, -1), (25, 33), (4, 18, 2))
    y, x = np.mgrid[:32, :24]
    distances = (x - places[..., 0, None, None]) ** 2 + (y - places[..., 1, None, None]) ** 2
    maps = (np.exp(-distances / 8) + rng.normal(0, 0.01, distances.shape)).astype(np.float32)
    maps[0, 0] = -1
    points, scores = codec.batch_decode(torch.from_numpy(maps))
    found = find_joints(torch.from_numpy(maps), codec).numpy()
    np.testing.assert_allclose(found[..., :2], np.concatenate(points), atol=0.01)
    np.testing.assert_allclose(found[..., 2], np.concatenate(scores), atol=1e-6)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, out = make_checkpoint(tmp_path / "weights.pth"), tmp_path / "model.onnx"
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (72, 128, 3), dtype=np.uint8)).save(picture)
    arguments = ["export", DETECTOR, "--checkpoint", str(weights), "--out", str(out), "--size", "64x96", "--json"]
    assert main([*arguments, "--check", str(picture)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["check"]["passed"] is True
    assert said["description"]["image_size"] == [64, 96]
    assert load(out).predict(str(picture))[0].name == "picture.png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_model"], "no such model"),
        ([DETECTOR, "--size", "7x"], "height x width"),
        ([DETECTOR, "--size", "0x5"], "height x width"),
        ([DETECTOR, "--batch", "0"], "--batch"),
        ([DETECTOR, "--opset", "3"], "--opset"),
        ([DETECTOR, "--opset", "17", "--format", "torchscript"], "--opset"),
        ([DETECTOR, "--no-post", "--check", "a.jpg"], "--check"),
        ([DETECTOR, "--checkpoint", "missing.pth"], "missing.pth"),
        (["resnet18_5x_224x224_weather_tag_bdd100k", "--size", "8x8", "--checkpoint", "x.pth"], "leave out --size"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_unwritable_output(tmp_path: Path, make: Callable[[str], Model]) -> None:
    from bdd100k_models.errors import OutputError

    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_model(make("drivable"), tmp_path / "file" / "model.onnx", ExportOptions(size=SIZE))


def test_sizes() -> None:
    assert parse_size("720x1280") == (720, 1280)
    assert parse_size("640") == (640, 640)
    assert parse_size(None) is None


def test_maps_of_one_class_say_nothing() -> None:
    def classes(*values: int) -> ClassMap:
        return ClassMap(
            name="a", size=(2, 2), categories=("a", "b"), classes=np.resize(np.array(values, np.uint8), (2, 2))
        )

    flat = compare(classes(1), classes(1))
    assert flat.empty and not flat.passed
    assert compare(classes(0, 1), classes(0, 1)).passed
    other = compare(classes(0), classes(1))
    assert not other.passed and not other.empty and "pixels 1" in str(other)
