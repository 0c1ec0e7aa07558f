"""Fills the sides of a road: people, lights and signs, poles, trees and houses."""

from __future__ import annotations

import math

import numpy as np

from bdd100k_models.datasets.synth import figures, furniture
from bdd100k_models.datasets.synth.camera import Pose
from bdd100k_models.datasets.synth.canvas import Colour
from bdd100k_models.datasets.synth.scene import PARKING, Part, Prop, Road, pick
from bdd100k_models.datasets.synth.traffic import choose, clothes, cyclist, group, solo

_HOUSES: tuple[Colour, ...] = (
    *((186, 150, 122), (206, 196, 178), (158, 98, 82), (142, 150, 160), (214, 178, 128), (120, 110, 112)),
    *((172, 182, 172), (196, 128, 104), (108, 122, 140)),
)
_LEAVES: tuple[Colour, ...] = ((84, 136, 62), (102, 152, 70), (66, 116, 62), (136, 150, 66), (176, 132, 54))
_STONE: tuple[Colour, ...] = ((150, 140, 128), (176, 168, 156), (132, 96, 84))
_TIMBER: tuple[Colour, ...] = ((232, 230, 222), (150, 112, 74), (96, 112, 92))
_SIGNS = {"limit": 0.26, "stop": 0.16, "warning": 0.20, "yield": 0.12, "no entry": 0.12, "parking": 0.14}
_WALK = 1.3  # metres a second
_STEPS_RATE = 2 * math.pi * 0.95  # radians a second; a double step
_PEOPLE_FAR = 48.0  # metres
_BEYOND = 130.0  # metres; the end of the rows of houses


def roadside(rng: np.random.Generator, road: Road, place: str, weather: str) -> list[Prop]:
    """Return everything beside the lanes, and who walks across them."""
    props = _people(rng, road) + _bikes(rng, road) + _signs(rng, road) + _poles(rng, road) + _trees(rng, road, weather)
    if not road.highway:
        props += _lights(rng, road)
    return props + (_fields(rng, road) if place == "highway" else _houses(rng, road, place))


def _walker(rng: np.random.Generator, pose: Pose) -> Prop:
    height = float(rng.uniform(1.5, 1.9)) if rng.random() < 0.88 else float(rng.uniform(1.05, 1.35))
    phase = float(rng.uniform(0, 2 * math.pi))
    body = figures.Person(
        figures.walking(phase, height), clothes(rng), gait=lambda t: figures.walking(phase + _STEPS_RATE * t, height)
    )
    return solo("pedestrian", body, pose, speed=_WALK)


def _people(rng: np.random.Generator, road: Road) -> list[Prop]:
    props = []
    for _ in range(int(rng.poisson(0.6 if road.highway else 5.0))):
        side = 1 if rng.random() < 0.6 else -1
        kerb = road.right if side > 0 else road.left
        x = kerb + side * float(rng.uniform(0.5, road.walk - 0.5))
        z = float(rng.uniform(6.5, _PEOPLE_FAR))
        heading = float(rng.choice((0.0, math.pi))) + float(rng.normal(0, 0.5))
        props.append(_walker(rng, Pose(x, z, heading, 0.12 if not road.highway else 0.0)))
    if road.crossing is not None:
        for _ in range(int(rng.poisson(1.8))):
            x = float(rng.uniform(road.left, road.right))
            heading = float(rng.choice((-math.pi / 2, math.pi / 2))) + float(rng.normal(0, 0.15))
            props.append(_walker(rng, Pose(x, road.crossing - 7.6 + float(rng.uniform(-1, 1)), heading)))
    return props


def _bikes(rng: np.random.Generator, road: Road) -> list[Prop]:
    if road.highway:
        return []
    props = []
    for _ in range(int(rng.poisson(2.0))):
        right = rng.random() < 0.65
        x = road.right - PARKING - 0.35 if right else road.left + PARKING + 0.35
        pose = Pose(x, float(rng.uniform(6.5, 36)), float(rng.normal(0, 0.12)) + (0 if right else math.pi))
        props.append(cyclist(rng, pose, motor=False, rider=True, speed=5.0))
    for _ in range(int(rng.poisson(1.2))):
        side = 1 if rng.random() < 0.6 else -1
        x = (road.right if side > 0 else road.left) + side * 0.6
        pose = Pose(x, float(rng.uniform(7, 30)), float(rng.uniform(0, 2 * math.pi)), 0.12)
        props.append(cyclist(rng, pose, motor=bool(rng.random() < 0.4), rider=False))
    return props


def _signs(rng: np.random.Generator, road: Road) -> list[Prop]:
    props = []
    z = float(rng.uniform(9, 22))
    while z < 60:
        side = 1 if rng.random() < 0.7 else -1
        x = (road.right if side > 0 else road.left) + side * 0.45
        kind, height = pick(rng, _SIGNS), float(rng.uniform(2.2, 2.9))
        pole = Part(None, furniture.Pole(height + 0.4, thickness=0.08), Pose(x, z), surface="pole")
        parts = [pole]
        marks = tuple((float(a), float(b)) for a, b in rng.random((1, 2)))
        sign = furniture.TrafficSign(kind, float(rng.uniform(0.38, 0.52)), marks)
        parts.append(Part("traffic sign", sign, Pose(x, z, 0.0, height)))
        props.append(group(tuple(parts), shadow=False))
        z += float(rng.uniform(10, 26))
    if rng.random() < (0.75 if road.highway else 0.12):
        props.append(_gantry(rng, road, float(rng.uniform(26, 55))))
    return props


def _gantry(rng: np.random.Generator, road: Road, z: float) -> Prop:
    x, top = road.right + 1.6, 6.1
    reach = road.divide - x
    parts = [Part(None, furniture.Pole(top, reach, thickness=0.3), Pose(x, z), surface="pole")]
    for share in (0.35, 0.8):
        marks = tuple((float(a), float(b)) for a, b in rng.random((2, 2)))
        sign = furniture.TrafficSign("guide", float(rng.uniform(0.7, 0.95)), marks)
        parts.append(Part("traffic sign", sign, Pose(x + reach * share, z - 0.2, 0.0, top - 0.1)))
    return Prop(tuple(parts), (x + reach, x + 0.2, z - 0.2, z + 0.2))


def _lights(rng: np.random.Generator, road: Road) -> list[Prop]:
    if road.crossing is None and rng.random() < 0.55:
        return []
    z = road.crossing - 5.4 if road.crossing is not None else float(rng.uniform(18, 45))
    state = pick(rng, {"R": 0.42, "G": 0.42, "Y": 0.16})
    props = []
    for kerb, side in ((road.right, 1.0), (road.left, -1.0)):
        x, height = kerb + side * 0.6, 3.3
        parts = [Part(None, furniture.Pole(height, thickness=0.12), Pose(x, z), surface="pole")]
        parts.append(Part("traffic light", furniture.TrafficLight(state), Pose(x, z - 0.1, 0.0, height - 0.4), state))
        props.append(group(tuple(parts), shadow=False))
    if rng.random() < 0.7:
        x, top, far = road.right + 0.9, 5.6, z + 0.5
        reach = road.divide - x + 0.5
        parts = [Part(None, furniture.Pole(top, reach, thickness=0.2), Pose(x, far), surface="pole")]
        for share in (0.98, 0.55):
            pose = Pose(x + reach * share, far - 0.15, 0.0, top + 0.05)
            parts.append(Part("traffic light", furniture.TrafficLight(state), pose, state))
        props.append(Prop(tuple(parts), (x + reach - 0.3, x + 0.2, far - 0.2, far + 0.2)))
    return props


def _poles(rng: np.random.Generator, road: Road) -> list[Prop]:
    spacing, start = float(rng.uniform(18, 28)), float(rng.uniform(8, 24))
    props = []
    for z in np.arange(start, 110, spacing):
        for kerb, side in ((road.right, 1.0), (road.left, -1.0)):
            pole = furniture.Pole(7.0, -side * 1.8, lamp=True, colour=(92, 96, 102))
            props.append(solo(None, pole, Pose(kerb + side * 0.9, float(z)), shadow=False, surface="street light"))
    return props


def _tree(rng: np.random.Generator, x: float, z: float, weather: str) -> Prop:
    height = float(rng.uniform(5.0, 8.5))
    blobs = ((0.0, 0.15, 0.75), (-0.55, -0.1, 0.6), (0.55, -0.12, 0.62), (0.1, -0.3, 0.6))
    jitter = rng.normal(0, 0.06, (len(blobs), 3))
    moved = tuple(
        (a + float(i), b + float(j), c + float(k)) for (a, b, c), (i, j, k) in zip(blobs, jitter, strict=True)
    )
    conifer, snowy = bool(rng.random() < 0.22), weather == "snowy"
    crown = height * (0.24 if conifer else 0.27)
    tree = furniture.Tree(height, crown, choose(rng, list(_LEAVES[:3] if conifer else _LEAVES)), moved, conifer, snowy)
    return solo(None, tree, Pose(x, z), shadow=False, surface="vegetation")


def _trees(rng: np.random.Generator, road: Road, weather: str) -> list[Prop]:
    props = []
    for kerb, side in ((road.right, 1.0), (road.left, -1.0)):
        z = float(rng.uniform(8, 20))
        offset = road.walk + 3.0 if road.highway else road.walk - 0.6
        while z < 100:
            if _clear(road, z, 2.0):
                shift = float(rng.uniform(0, 9)) if road.highway else 0.0
                props.append(_tree(rng, kerb + side * (offset + shift), z, weather))
            z += float(rng.exponential(6 if road.highway else 14)) + 4.0
    return props


def _clear(road: Road, z: float, half: float) -> bool:
    return road.crossing is None or abs(z - road.crossing) > 8.5 + half


def _houses(rng: np.random.Generator, road: Road, place: str) -> list[Prop]:
    props = []
    city = place == "city street"
    back = road.walk + (0.2 if city else 5.0)
    for kerb, side in ((road.right, 1.0), (road.left, -1.0)):
        z = float(rng.uniform(-6, 2))
        while z < _BEYOND:
            length = float(rng.uniform(9, 20)) if city else float(rng.uniform(8, 12))
            gap = 0.4 if city else float(rng.uniform(3, 9))
            middle, depth = z + length / 2, 14.0 if city else 8.0
            if road.crossing is not None and z < road.crossing + 9 and z + length > road.crossing - 9:
                z = max(road.crossing + 9.0, z + 1.0)
                continue
            if middle + length / 2 > 4:
                height = float(rng.uniform(9, 28)) if city else float(rng.uniform(3.4, 6.2))
                shop = choose(rng, list(figures.SHIRTS)) if city and rng.random() < 0.7 else None
                lit = tuple(float(value) for value in rng.random(29))
                roof = 0.0 if city else float(rng.uniform(1.6, 2.6))
                wall = choose(rng, list(_HOUSES))
                house = furniture.House(height, wall, (length, depth), lit, shop=shop, roof=roof)
                x = kerb + side * (back + depth / 2)
                props.append(solo(None, house, Pose(x, middle), shadow=False))
            z += length + gap
    return props


def boundaries(rng: np.random.Generator, road: Road, place: str) -> list[Prop]:
    """Return fences and walls between the pavement and what lies behind it."""
    props: list[Prop] = []
    if place == "city street":
        return props
    for kerb, side in ((road.right, 1.0), (road.left, -1.0)):
        x = kerb + side * (road.walk + 0.5)
        z = float(rng.uniform(6, 14))
        while z < 90:
            length = float(rng.uniform(7, 15))
            if rng.random() < 0.6 and _clear(road, z + length / 2, length / 2):
                props.append(_boundary(rng, place, Pose(x, z + length / 2), length))
            z += length + float(rng.uniform(0.5, 4))
    return props


def _boundary(rng: np.random.Generator, place: str, pose: Pose, length: float) -> Prop:
    walled = rng.random() < (0.6 if place == "highway" else 0.45)
    tall = float(rng.uniform(1.8, 3.0)) if place == "highway" else float(rng.uniform(0.9, 1.5))
    colour = choose(rng, list(_STONE if walled else _TIMBER))
    shape = furniture.Wall(tall, colour, (length, 0.1), bottom=0.0 if walled else 0.12, post=0.0 if walled else 0.45)
    return solo(None, shape, pose, shadow=False, surface="wall" if walled else "fence")


def _fields(rng: np.random.Generator, road: Road) -> list[Prop]:
    props = []
    for x in (road.right + road.walk, road.left - road.walk):
        for z in (25.0, 70.0, 120.0):
            rail = furniture.Wall(0.78, (176, 180, 184), (46.0 if z < 120 else 54.0, 0.1), bottom=0.46)
            props.append(solo(None, rail, Pose(x, z), shadow=False, surface="guard rail"))
    return props
