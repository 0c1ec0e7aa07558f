"""Draws lots for a picture: tags, camera, road, and what stands on it."""

from __future__ import annotations

import numpy as np

from bdd100k_models.datasets.synth.camera import Camera
from bdd100k_models.datasets.synth.light import choose_light
from bdd100k_models.datasets.synth.roadside import boundaries, roadside
from bdd100k_models.datasets.synth.scene import PARKING, TRACK, Prop, Road, Scene, pick
from bdd100k_models.datasets.synth.traffic import traffic

_WEATHER = {"clear": 0.36, "partly cloudy": 0.14, "overcast": 0.14, "rainy": 0.14, "snowy": 0.12, "foggy": 0.10}
_TIME = {"daytime": 0.58, "night": 0.26, "dawn/dusk": 0.16}
#: Share of pictures of an empty road, without a label.
_EMPTY = 0.025
_PLACE = {"city street": 0.58, "residential": 0.24, "highway": 0.18}


def sample_scene(rng: np.random.Generator, size: tuple[int, int]) -> Scene:
    """Return a random scene for a picture of ``size`` (width, height) pixels."""
    weather, timeofday, place = pick(rng, _WEATHER), pick(rng, _TIME), pick(rng, _PLACE)
    road = _sample_road(rng, place)
    width, height = size
    camera = Camera(
        width,
        height,
        focal=1.36 * height * rng.uniform(0.94, 1.06),
        horizon=height * rng.uniform(0.45, 0.52),
        elevation=rng.uniform(1.35, 1.75),
        yaw=rng.uniform(-0.05, 0.05),
        bend=rng.uniform(-0.0016, 0.0016) if place == "highway" else rng.uniform(-0.0007, 0.0007),
    )
    light = choose_light(rng, weather, timeofday)
    props: tuple[Prop, ...] = (*traffic(rng, road), *roadside(rng, road, place, weather))
    if rng.random() < _EMPTY:
        props = tuple(prop for prop in props if all(part.category is None for part in prop.parts))
    props += tuple(boundaries(rng, road, place))
    return Scene(weather, timeofday, place, camera, light, road, props)


def _sample_road(rng: np.random.Generator, place: str) -> Road:
    highway = place == "highway"
    lane = 3.6 if highway else 3.3
    most = 3 if place != "residential" else 1
    mine, theirs = int(rng.integers(2 if highway else 1, most + 1)), int(rng.integers(1, most + 1))
    own = int(rng.integers(0, mine))
    divide = -lane * (own + 0.5)
    rails: float | None = None
    left, right = divide - lane * theirs, divide + lane * mine
    tracked = rng.random() < {"city street": 0.62, "residential": 0.45, "highway": 0.45}[place]
    if highway:
        rails = left + TRACK / 2 - 7.5 if tracked else None
    else:
        left, right = left - PARKING, right + PARKING
        if tracked:
            rails, left = divide - TRACK / 2, left - TRACK
    crossing = float(rng.uniform(20, 44)) if not highway and rng.random() < 0.6 else None
    return Road(left, right, divide, lane, (mine, theirs), 2.0 if highway else 3.4, rails, crossing, highway)
