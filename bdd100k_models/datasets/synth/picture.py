"""One picture and its frame of labels, from three numbers."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.annotate import annotate
from bdd100k_models.datasets.synth.canvas import Canvas
from bdd100k_models.datasets.synth.ground import draw_ground, draw_shadows, draw_sky
from bdd100k_models.datasets.synth.painter import Painter
from bdd100k_models.datasets.synth.sampling import sample_scene
from bdd100k_models.datasets.synth.scene import Part, Scene
from bdd100k_models.datasets.synth.surfaces import number_of, row_runs
from bdd100k_models.datasets.synth.weather import draw_weather
from bdd100k_models.formats.runs import Runs
from bdd100k_models.formats.scalabel import Frame, ImageSize
from bdd100k_models.tasks import IMAGE_SIZE, SPLITS

#: Object ``n`` of picture ``i`` has the id ``i * IDS_AN_IMAGE + n``.
IDS_AN_IMAGE = 1000


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Attributes:
        pixels: uint8 (height, width, 3), blue, green, red.
        ids: int16 (height, width): number of the object that each pixel shows, or below 0 that of a surface.
        parts: The objects by number.
        numbers: The number of each label, by its id.
        frame: Name, tags and labels.
        scene: What was drawn.
    """

    pixels: NDArray[np.uint8]
    ids: NDArray[np.int16]
    parts: dict[int, Part]
    numbers: dict[str, int]
    frame: Frame
    scene: Scene

    @functools.cached_property
    def runs(self) -> Runs:
        """The row of each pixel in tables of surfaces and objects; see :func:`surfaces.row_runs`."""
        return row_runs(self.ids)


def draw_picture(
    seed: int, split: str, index: int, size: tuple[int, int] = (1280, 720), reach: float = math.inf
) -> Picture:
    """Draw picture ``index`` of a split.

    Args:
        seed: Not negative. The picture depends on it, the split, the index and the size, and on nothing else.
        split: ``train``, ``val`` or ``test``.
        index: Not negative.
        size: Width and height in pixels.
        reach: In metres; objects that are farther away are not there.

    Returns:
        The picture with its labels. About one frame in forty shows an empty road and has ``labels`` None.
    """
    number = SPLITS.index(split)
    scene_seed, paint_seed = np.random.SeedSequence((seed, number, index)).spawn(2)
    scene = sample_scene(np.random.Generator(np.random.PCG64(scene_seed)), size).within(reach)
    canvas, parts = render(scene, np.random.Generator(np.random.PCG64(paint_seed)))
    ids = {number: str(index * IDS_AN_IMAGE + number) for number in parts}
    labels = annotate(canvas, parts, ids)
    attributes = {"weather": scene.weather, "timeofday": scene.timeofday, "scene": scene.place}
    name = picture_name(seed, split, index)
    frame = Frame(name, size=frame_size(size), attributes=attributes, labels=labels or None)
    numbers = {label_id: number for number, label_id in ids.items()}
    return Picture(canvas.pixels, canvas.ids, parts, numbers, frame, scene)


def frame_size(size: tuple[int, int]) -> ImageSize | None:
    """Return what a frame says of its size (width, height): nothing where it is the data set's, as in its labels."""
    return None if size[::-1] == IMAGE_SIZE else ImageSize(*size)


def picture_name(seed: int, split: str, index: int) -> str:
    """Return the file name of a picture: two groups of eight hexadecimal digits, as in the real data set."""
    return f"{seed & 0xFFFFFFFF:08x}-{SPLITS.index(split):x}{index:07x}.jpg"


def render(
    scene: Scene, rng: np.random.Generator, weather_rng: np.random.Generator | None = None
) -> tuple[Canvas, dict[int, Part]]:
    """Draw a scene.

    Args:
        scene: What is there.
        rng: For what needs no label: clouds, stars, drops.
        weather_rng: For drops and flakes alone, which in a video fall while the clouds stay; ``rng`` by default.

    Returns:
        The canvas, and the labelled objects by their number in its map.
    """
    canvas = Canvas(scene.camera.width, scene.camera.height)
    painter = Painter(canvas, scene.camera, scene.light)
    far = replace(painter, plain=True)
    draw_sky(painter, scene, rng)
    draw_ground(painter, scene, rng)
    draw_shadows(painter, scene)
    parts: dict[int, Part] = {}
    for index in scene.drawing_order():
        prop, seen = scene.props[index], scene.in_view[index]
        hand = far if scene.is_far(prop) else painter
        for part in prop.parts:
            if part.category is not None:
                parts[len(parts) + 1] = part
                canvas.begin(len(parts))
            else:
                canvas.begin(number_of(part.surface))
            if seen:
                part.shape.draw(hand, part.pose)
                canvas.finish()
    canvas.spread_glow(0.8 if scene.timeofday != "daytime" else 0.45)
    draw_weather(canvas, scene, weather_rng or rng)
    return canvas, parts
