"""Fills the lanes: cars, trucks, buses, motorcycles, trains, and what crosses."""

from __future__ import annotations

import math

import numpy as np

from bdd100k_models.datasets.synth import figures, vehicles
from bdd100k_models.datasets.synth.camera import Pose
from bdd100k_models.datasets.synth.canvas import Colour
from bdd100k_models.datasets.synth.scene import PARKING, Part, Prop, Road, Shape, pick

_DRIVE, _CROSS = 8.0, 4.0  # metres a second, along the road and across it
_FAR = 85.0  # metres; beyond this nothing that is labelled is placed
_TRAFFIC = {"car": 0.60, "truck": 0.15, "bus": 0.13, "motorcycle": 0.12}
_BUS_COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((232, 186, 52), (40, 44, 50)),
    ((206, 58, 52), (244, 240, 232)),
    ((238, 238, 234), (36, 120, 80)),
    ((64, 132, 190), (240, 240, 240)),
)
_CABS: tuple[Colour, ...] = ((232, 232, 230), (184, 44, 42), (44, 88, 156), (226, 150, 42), (62, 106, 78))
_CARGO: tuple[Colour, ...] = ((226, 226, 222), (196, 198, 200), (158, 120, 86), (104, 130, 152), (214, 190, 140))
_TRAINS: tuple[tuple[Colour, Colour], ...] = (
    ((216, 220, 224), (190, 30, 44)),
    ((88, 164, 92), (238, 232, 190)),
    ((206, 208, 210), (38, 74, 156)),
    ((240, 230, 200), (178, 36, 40)),
)


def choose(rng: np.random.Generator, options: tuple[Colour, ...] | list[Colour]) -> Colour:
    """Return one of the colours, a little lighter or darker."""
    red, green, blue = options[int(rng.integers(len(options)))]
    factor = float(rng.uniform(0.9, 1.08))
    return min(red * factor, 255.0), min(green * factor, 255.0), min(blue * factor, 255.0)


def solo(
    category: str | None,
    shape: Shape,
    pose: Pose,
    *,
    shadow: bool = True,
    surface: str = "building",
    speed: float = 0.0,
) -> Prop:
    """Return a prop of one part; the ground that it covers follows from its size and heading."""
    return group((Part(category, shape, pose, surface=surface),), shadow=shadow, speed=speed)


def group(parts: tuple[Part, ...], *, shadow: bool = True, speed: float = 0.0) -> Prop:
    """Return a prop of several parts that cover the ground of the first."""
    shape, pose = parts[0].shape, parts[0].pose
    length, width = shape.size
    cos, sin = abs(math.cos(pose.heading)), abs(math.sin(pose.heading))
    x, z = (length * sin + width * cos) / 2, (length * cos + width * sin) / 2
    return Prop(
        parts, (pose.x - x, pose.x + x, pose.z - z, pose.z + z), (length, width) if shadow else (0.0, 0.0), speed
    )


def vehicle(rng: np.random.Generator, kind: str) -> Shape:
    """Return a random car, truck or bus."""
    if kind == "bus":
        colour, stripe = _BUS_COLOURS[int(rng.integers(len(_BUS_COLOURS)))]
        return vehicles.Bus(colour, stripe, (float(rng.uniform(9.5, 12.5)), 2.5))
    if kind == "truck":
        length = float(rng.uniform(6.8, 9.5))
        return vehicles.Truck(choose(rng, _CABS), choose(rng, _CARGO), length, bool(rng.random() < 0.3))
    shape = vehicles.CAR_SHAPES[int(rng.integers(len(vehicles.CAR_SHAPES)))]
    taxi = bool(rng.random() < 0.08)
    colour = (240.0, 190.0, 40.0) if taxi else choose(rng, list(vehicles.CAR_COLOURS))
    return vehicles.Car(shape, colour, taxi, bool(rng.random() < 0.3))


def clothes(rng: np.random.Generator, *, helmet: bool = False) -> figures.Clothes:
    """Return random clothes."""
    hair: list[Colour] = [(38, 30, 26), (92, 62, 38), (178, 140, 84), (150, 148, 146)]
    return figures.Clothes(
        choose(rng, list(figures.SKINS)),
        choose(rng, list(figures.SHIRTS)),
        choose(rng, list(figures.TROUSERS)),
        choose(rng, hair),
        choose(rng, list(figures.SHIRTS)) if helmet else None,
    )


def cyclist(rng: np.random.Generator, pose: Pose, *, motor: bool, rider: bool, speed: float = 0.0) -> Prop:
    """Return a bicycle or motorcycle, with somebody on it or parked."""
    colour = choose(rng, list(figures.SHIRTS))
    bike: Shape = figures.Motorcycle(colour) if motor else figures.Bicycle(colour)
    parts = [Part("motorcycle" if motor else "bicycle", bike, pose)]
    if rider:
        phase = float(rng.uniform(0, 2 * math.pi))
        helmet = motor or bool(rng.random() < 0.6)
        turns = 0.0 if motor else 2 * math.pi * 1.1  # radians a second
        body = figures.Person(
            figures.riding(phase, motor=motor),
            clothes(rng, helmet=helmet),
            gait=lambda t: figures.riding(phase - turns * t, motor=motor),
        )
        parts.append(Part("rider", body, pose))
    return group(tuple(parts), speed=speed)


def traffic(rng: np.random.Generator, road: Road) -> list[Prop]:
    """Return what drives or is parked on the road, and what crosses it."""
    props: list[Prop] = []
    for x, oncoming in road.lanes:
        props += _lane(rng, road, x, oncoming)
    if not road.highway:
        for x, oncoming in ((road.right - PARKING / 2, False), (road.left + PARKING / 2, True)):
            props += _parked(rng, road, x, oncoming)
    props += _crossing_traffic(rng, road)
    if road.rails is not None and rng.random() < 0.85:
        colour, stripe = _TRAINS[int(rng.integers(len(_TRAINS)))]
        train = vehicles.Train(colour, stripe, (float(rng.uniform(13, 19)), 2.6))
        heading = math.pi if rng.random() < 0.5 else 0.0
        pose = Pose(road.rails, float(rng.uniform(15, 42)), heading)
        props.append(solo("train", train, pose, speed=_DRIVE))
    return props


def _lane(rng: np.random.Generator, road: Road, x: float, oncoming: bool) -> list[Prop]:
    """Return the traffic of a lane, from the nearest on."""
    props: list[Prop] = []
    z = float(rng.uniform(9, 16)) if abs(x) < 1 else float(rng.uniform(3.5, 9))
    while z < _FAR:
        kind = pick(rng, _TRAFFIC)
        heading = float(rng.normal(0, 0.02)) + (math.pi if oncoming else 0.0)
        side = x + float(rng.normal(0, 0.12))
        shape = None if kind == "motorcycle" else vehicle(rng, kind)
        half = shape.size[0] / 2 if shape is not None else 1.5
        z += half
        if _free(road, z, half):
            pose = Pose(side, z, heading)
            props.append(
                solo(kind, shape, pose, speed=_DRIVE)
                if shape
                else cyclist(rng, pose, motor=True, rider=True, speed=_DRIVE)
            )
        z += half + 1.6 + float(rng.exponential(26.0))
    return props


def _parked(rng: np.random.Generator, road: Road, x: float, oncoming: bool) -> list[Prop]:
    """Return the parked vehicles of one side, in clusters."""
    props: list[Prop] = []
    z = float(rng.uniform(3.5, 14))
    while z < _FAR:
        shape = vehicle(rng, "car")
        half = shape.size[0] / 2
        z += half
        if _free(road, z, half) and rng.random() < 0.6:
            heading = float(rng.normal(0, 0.02)) + (math.pi if oncoming else 0.0)
            props.append(solo("car", shape, Pose(x + float(rng.normal(0, 0.06)), z, heading)))
        z += half + 0.9 + float(rng.exponential(4.0))
    return props


def _free(road: Road, z: float, half: float) -> bool:
    """Tell whether a stretch keeps out of the crossing street."""
    return road.crossing is None or z + half < road.crossing - 9.5 or z - half > road.crossing + 6.0


def _crossing_traffic(rng: np.random.Generator, road: Road) -> list[Prop]:
    if road.crossing is None:
        return []
    props = []
    for lane, heading in ((-1.7, math.pi / 2), (1.7, -math.pi / 2)):
        x = float(rng.uniform(-22, -8))
        while x < 20:
            kind = pick(rng, {"car": 0.52, "truck": 0.12, "bus": 0.10, "motorcycle": 0.13, "bicycle": 0.13})
            if rng.random() < 0.5:
                pose = Pose(x, road.crossing + lane, heading)
                if kind in ("motorcycle", "bicycle"):
                    props.append(cyclist(rng, pose, motor=kind == "motorcycle", rider=True, speed=_CROSS))
                else:
                    props.append(solo(kind, vehicle(rng, kind), pose, speed=_CROSS))
            x += float(rng.uniform(12, 20))
    if road.rails is None:
        return props
    return [prop for prop in props if not prop.bounds[0] < road.rails + 1.5 or not prop.bounds[1] > road.rails - 1.5]
