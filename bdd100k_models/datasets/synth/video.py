"""Videos: one drawn scene through which the camera drives while traffic and people move."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bdd100k_models.datasets.synth.annotate import annotate
from bdd100k_models.datasets.synth.camera import Pose
from bdd100k_models.datasets.synth.figures import Person
from bdd100k_models.datasets.synth.picture import Picture, frame_size, render
from bdd100k_models.datasets.synth.sampling import sample_scene
from bdd100k_models.datasets.synth.scene import Part, Prop, Scene
from bdd100k_models.formats.scalabel import Frame
from bdd100k_models.tasks import SPLITS, TASKS, VIDEO_RATE

_VIDEO_KEY = 0x71DE0  # keeps the random numbers of videos apart from those of pictures
_NEAREST = 2.0  # metres; what comes nearer is passed and no longer drawn
_STOP = 12.0  # metres before a crossing street at which the camera has stopped at the latest


@dataclass(frozen=True)
class _Motion:
    """How a scene goes on.

    Attributes:
        ego: Speed of the camera in metres a second.
        speeds: Of each prop, in the direction of its heading.
    """

    ego: float
    speeds: tuple[float, ...]


def draw_video(
    seed: int, split: str, index: int, frames: int, size: tuple[int, int] = (1280, 720), reach: float = math.inf
) -> Iterator[Picture]:
    """Draw the frames of video ``index`` of a split, one after the other.

    Args:
        seed: Not negative. The video depends on it, the split, the index and the size; a longer one begins alike unless
            a crossing street makes the camera slower.
        split: ``train``, ``val`` or ``test``.
        index: Not negative.
        frames: How many.
        size: Width and height in pixels.
        reach: In metres; objects that are farther away are not there.

    Yields:
        Pictures whose labels have the ids of their tracks, of the eight categories that are tracked. A frame without
        objects has ``labels`` None.
    """
    seeds = np.random.SeedSequence((seed, SPLITS.index(split), index, _VIDEO_KEY)).spawn(4)
    scene_rng, motion_rng, weather_rng = (np.random.Generator(np.random.PCG64(part)) for part in seeds[:3])
    scene = _with_tracks(sample_scene(scene_rng, size))
    motion = _sample_motion(motion_rng, scene, frames / VIDEO_RATE)
    name = video_name(seed, split, index)
    tracked = set(TASKS["mot"].categories)
    for number in range(frames):
        now = _after(scene, motion, number / VIDEO_RATE).within(reach)
        canvas, parts = render(now, np.random.Generator(np.random.PCG64(seeds[3])), weather_rng)
        ids = {n: str(part.track) for n, part in parts.items()}
        labels = [label for label in annotate(canvas, parts, ids) if label.category in tracked]
        for label in labels:
            label.attributes = {**(label.attributes or {}), "crowd": False}
            label.attributes.pop("trafficLightColor", None)
        frame = Frame(
            f"{name}-{number + 1:07d}.jpg",
            videoName=name,
            frameIndex=number,
            size=frame_size(size),
            labels=labels or None,
        )
        yield Picture(canvas.pixels, canvas.ids, parts, {label_id: n for n, label_id in ids.items()}, frame, now)


def video_name(seed: int, split: str, index: int) -> str:
    """Return the name of a video: two groups of eight hexadecimal digits, as in the real data set."""
    return f"{seed & 0xFFFFFFFF:08x}-{8 + SPLITS.index(split):x}{index:07x}"


def _with_tracks(scene: Scene) -> Scene:
    """Number all objects."""
    count = 0
    props = []
    for prop in scene.props:
        parts: list[Part] = []
        for part in prop.parts:
            count += part.category is not None
            parts.append(replace(part, track=count if part.category is not None else 0))
        props.append(replace(prop, parts=tuple(parts)))
    return replace(scene, props=tuple(props))


def _sample_motion(rng: np.random.Generator, scene: Scene, seconds: float) -> _Motion:
    """Draw lots for speeds; vehicles of one lane have the same, so that none drives into another."""
    ego = float(rng.uniform(3.0, 9.0))
    if scene.road.crossing is not None:
        ego = min(ego, max(scene.road.crossing - _STOP, 0.0) / seconds)
    lanes: dict[tuple[int, int], float] = {}
    speeds = []
    for prop in scene.props:
        pose, factor = prop.parts[0].pose, float(rng.uniform(0.75, 1.25))
        if not prop.speed:
            speeds.append(0.0)
            continue
        across = abs(math.sin(pose.heading)) > 0.7
        lane = (round(pose.z if across else pose.x), round(math.cos(pose.heading)) + 2 * round(math.sin(pose.heading)))
        same_way = not across and math.cos(pose.heading) > 0 and prop.parts[0].category != "pedestrian"
        speed = lanes.setdefault(lane, (ego if same_way else prop.speed) * factor)
        speeds.append(prop.speed * factor if prop.parts[0].category == "pedestrian" else speed)
    return _Motion(ego, tuple(speeds))


def _after(scene: Scene, motion: _Motion, seconds: float) -> Scene:
    """Return the scene as the camera sees it some time later."""
    distance = motion.ego * seconds
    moved = (_moved(prop, speed, seconds, distance) for prop, speed in zip(scene.props, motion.speeds, strict=True))
    road = scene.road
    if road.crossing is not None:
        road = replace(road, crossing=road.crossing - distance)
    return replace(scene, props=tuple(p for p in moved if not _is_passed(p)), road=road, travelled=distance)


def _moved(prop: Prop, speed: float, seconds: float, distance: float) -> Prop:
    heading = prop.parts[0].pose.heading
    dx, dz = speed * seconds * math.sin(heading), speed * seconds * math.cos(heading) - distance
    parts = []
    for part in prop.parts:
        pose = part.pose
        shape = part.shape.after(seconds) if isinstance(part.shape, Person) else part.shape
        parts.append(replace(part, shape=shape, pose=Pose(pose.x + dx, pose.z + dz, pose.heading, pose.y)))
    x1, x2, z1, z2 = prop.bounds
    return replace(prop, parts=tuple(parts), bounds=(x1 + dx, x2 + dx, z1 + dz, z2 + dz))


def _is_passed(prop: Prop) -> bool:
    """Tell whether the camera has come up to a prop; long buildings and fences are drawn until their end."""
    near, far = prop.bounds[2], prop.bounds[3]
    return near < _NEAREST if prop.is_labelled or far - near < 3 else far < _NEAREST
