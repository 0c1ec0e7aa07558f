"""Sky and ground: what everything else stands before or on."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from bdd100k_models.datasets.synth.camera import NEAR, Points
from bdd100k_models.datasets.synth.canvas import SHIFT, Canvas, Colour, fixed_point, stretch
from bdd100k_models.datasets.synth.painter import Painter
from bdd100k_models.datasets.synth.scene import Scene
from bdd100k_models.datasets.synth.surfaces import number_of

_FAR = 400.0  # metres; the road ends here
_MARKED = 110.0  # metres; no dashes beyond
_STEPS = np.concatenate((np.linspace(NEAR, 12, 8), np.geomspace(13, _FAR, 20)))


def road_colour(weather: str) -> Colour:
    """Return the road's own colour."""
    return {"snowy": (150, 154, 160), "rainy": (74, 78, 84)}.get(weather, (104, 104, 106))


def draw_sky(painter: Painter, scene: Scene, rng: np.random.Generator) -> None:
    """Draw the sky with sun, moon, stars, clouds and hills, as the tags ask."""
    canvas, camera = painter.canvas, painter.camera
    end = int(camera.horizon) + 2
    top, low = (np.array(colour[::-1]) for colour in scene.light.sky)
    share = np.clip(np.arange(end) / max(camera.horizon, 1), 0, 1)[:, None] ** 1.3
    canvas.pixels[:end] = stretch((top * (1 - share) + low * share).astype(np.uint8), canvas.width)
    canvas.ids[:end] = number_of("sky")
    night = scene.timeofday == "night"
    open_sky = scene.weather in ("clear", "partly cloudy")
    disc = np.array((canvas.width * (0.5 + 0.42 * scene.light.sun), camera.horizon * rng.uniform(0.18, 0.55)))
    if night and open_sky:
        for x, y, bright in rng.random((50, 3)):
            grey = 90 + 140 * bright
            canvas.disc(np.array((x * canvas.width, y * camera.horizon)), 0.5 + bright, (grey, grey, grey), detail=True)
        canvas.disc(disc, canvas.height * 0.022, (236, 234, 214), detail=True)
    elif open_sky:
        size = canvas.height * (0.045 if scene.timeofday == "dawn/dusk" else 0.03)
        canvas.disc(disc, size, (255, 244, 214), detail=True)
        canvas.shine(disc, size * 1.6, (120, 104, 76))
    if scene.weather in ("partly cloudy", "overcast", "snowy", "rainy"):
        _clouds(canvas, scene, rng)
    _hills(painter, rng)


def _clouds(canvas: Canvas, scene: Scene, rng: np.random.Generator) -> None:
    """Blend soft heaps of ellipses into the sky."""
    end = int(scene.camera.horizon)
    high, wide = end // 4 + 1, canvas.width // 4 + 1
    layer = np.zeros((high, wide), dtype=np.uint8)
    for _ in range(7 if scene.weather == "partly cloudy" else 14):
        x, y = rng.uniform(0, wide), rng.uniform(0.05, 0.8) * high
        for dx, dy, size in rng.uniform((-1, -0.3, 0.5), (1, 0.25, 1), (5, 3)):
            axes = (int(size * wide * 0.06), max(int(size * high * 0.07), 1))
            cv2.ellipse(layer, (int(x + dx * wide * 0.07), int(y + dy * high * 0.08)), axes, 0, 0, 360, 230, -1)
    soft = cv2.resize(cv2.GaussianBlur(layer, (0, 0), high / 45), (wide * 4, high * 4))[:end, : canvas.width]
    zenith, horizon = scene.light.sky
    bright = 1.1 if scene.weather == "partly cloudy" else 0.96
    colour = [
        min((0.4 * z + 0.6 * h) * bright + 10 * scene.light.ambient[0], 255.0)
        for z, h in zip(zenith, horizon, strict=True)
    ]
    if scene.weather == "partly cloudy":
        colour = [0.35 * c + 0.65 * 250 * a for c, a in zip(colour, scene.light.ambient, strict=True)]
    cloudy = np.flatnonzero(soft.any(axis=1))
    if not len(cloudy):
        return
    rows = slice(int(cloudy[0]), int(cloudy[-1]) + 1)
    weight = cv2.merge([soft[rows]] * 3)
    weights = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 1, 3)
    weighted = cv2.multiply(np.full_like(weights, np.array(colour[::-1]).astype(np.uint8)), weights, scale=1 / 255)
    sky = canvas.pixels[rows]
    cv2.add(cv2.LUT(weight, weighted), cv2.multiply(sky, 255 - weight, scale=1 / 255), dst=sky)


def _hills(painter: Painter, rng: np.random.Generator) -> None:
    canvas, camera = painter.canvas, painter.camera
    for depth, high, colour in ((420.0, 0.085, (96, 112, 124)), (260.0, 0.045, (92, 112, 92))):
        x = np.linspace(0, canvas.width, 40)
        phases, waves = rng.uniform(0, 6.3, 3), rng.uniform(1.5, 9, 3)
        heights = sum(
            np.sin(x / canvas.width * w + p) / (i + 1) for i, (w, p) in enumerate(zip(waves, phases, strict=True))
        )
        y = camera.horizon + 2 - canvas.height * high * (0.55 + 0.25 * heights)
        points = np.column_stack((np.concatenate((x, x[::-1])), np.concatenate((y, np.full(40, camera.horizon + 3)))))
        canvas.fill(points, painter.light.shade(colour, depth), detail=True)
        canvas.mark(points, number_of("vegetation"))


def draw_ground(painter: Painter, scene: Scene, rng: np.random.Generator) -> None:
    """Draw fields, pavements, the road, its markings, kerbs, rails and the crossing street."""
    road, snow = scene.road, scene.weather == "snowy"
    field: Colour = (
        (226, 230, 236)
        if snow
        else {"highway": (116, 140, 78), "residential": (106, 148, 76)}.get(scene.place, (132, 130, 124))
    )
    walk: Colour = (206, 208, 214) if snow else (92, 92, 94) if road.highway else (166, 162, 154)
    asphalt = road_colour(scene.weather)
    rows = _rows(painter, field)
    start = int(np.ceil(scene.camera.horizon))
    painter.canvas.pixels[start:] = rows
    painter.canvas.ids[start:] = number_of("sidewalk" if scene.place == "city street" else "terrain")
    _band(painter, road.left - road.walk, road.right + road.walk, walk, "road" if road.highway else "sidewalk")
    if road.crossing is not None:
        across = np.array(
            [(-70, road.crossing - 5), (-70, road.crossing + 5), (70, road.crossing + 5), (70, road.crossing - 5)]
        )
        _surface(painter, across, asphalt, "road")
    _band(painter, road.left, road.right, asphalt, "road")
    _grain(painter, rng)
    _markings(painter, scene)


def _rows(painter: Painter, colour: Colour) -> NDArray[np.uint8]:
    """Return the ground (rows below the horizon, width, 3) if it had one colour all over."""
    depths = painter.camera.row_depths()[int(np.ceil(painter.camera.horizon)) :]
    shaded = painter.light.shade_rows(colour, np.minimum(depths, 2000.0))[:, ::-1].astype(np.uint8)
    return stretch(shaded, painter.canvas.width)


def _band(painter: Painter, left: float, right: float, colour: Colour, surface: str) -> None:
    """Cover the ground between two lines along the road, each row in the light of its distance."""
    camera, canvas = painter.camera, painter.canvas
    edge = np.concatenate(([(left, 0.0, z) for z in _STEPS], [(right, 0.0, z) for z in _STEPS[::-1]]))
    points = camera.project(edge)
    start = int(np.ceil(camera.horizon))
    mask = np.zeros((canvas.height - start, canvas.width), dtype=np.uint8)
    cv2.fillPoly(mask, [fixed_point(points - (0, start))], 255, cv2.LINE_8, SHIFT)
    cv2.copyTo(_rows(painter, colour), mask, canvas.pixels[start:])
    canvas.mark(points, number_of(surface))


def _surface(painter: Painter, corners: Points, colour: Colour, surface: str | None = None) -> None:
    """Fill a patch of ground (N, 2: x, z) in one shade; a ``surface`` other than what is there is named."""
    points = _patches(painter, corners[None], colour)
    if surface is not None:
        painter.canvas.mark(points[0], number_of(surface))


def _patches(painter: Painter, corners: Points, colour: Colour) -> Points:
    """Fill patches of ground (K, N, 2: x, z), each in the shade of its distance; return their corners in pixels."""
    local = np.zeros((*corners.shape[:2], 3))
    local[..., 0] = corners[..., 0]
    np.maximum(corners[..., 1], NEAR, out=local[..., 2])
    points = painter.camera.project(local)
    depths = local[..., 2].mean(axis=1).tolist()
    painter.canvas.fill_each(points, [painter.light.shade(colour, depth) for depth in depths], detail=True)
    return points


_GRAIN: dict[tuple[int, int], NDArray[np.uint8]] = {}


def _grain(painter: Painter, rng: np.random.Generator) -> None:
    """Give the ground a fine grain, coarser towards the camera."""
    canvas, start = painter.canvas, int(np.ceil(painter.camera.horizon))
    size = (canvas.height, canvas.width)
    if size not in _GRAIN:
        fixed = np.random.default_rng(1)
        noise = fixed.integers(0, 9, (canvas.height // 3, canvas.width // 5), dtype=np.uint8)
        _GRAIN[size] = cv2.cvtColor(cv2.resize(noise, (canvas.width, canvas.height)), cv2.COLOR_GRAY2BGR)
    offset = int(rng.integers(0, start + 1))
    ground = canvas.pixels[start:]
    cv2.subtract(ground, _GRAIN[size][offset : offset + len(ground)], dst=ground)


def _stripe(painter: Painter, x: float, width: float, z1: float, z2: float, colour: Colour) -> None:
    left, right = x - width / 2, x + width / 2
    steps = np.array((z1, z2)) if z2 - z1 < 8 else _STEPS[(z1 <= _STEPS) & (z2 >= _STEPS)]
    outline = [(left, z) for z in steps] + [(right, z) for z in steps[::-1]]
    _surface(painter, np.array(outline), colour)


def _line(
    painter: Painter, x: float, colour: Colour, width: float = 0.14, gap: float = 0.0, travelled: float = 0.0
) -> None:
    """Draw a line along the road, whole or with gaps of so many metres."""
    if gap:
        every = np.arange(1.0 - travelled % (gap + 3.5), _MARKED, gap + 3.5)
        starts = every[every + 3.5 > NEAR]
        along = np.stack((np.maximum(starts, NEAR), starts + 3.5), axis=1)
    else:
        edges = np.array((NEAR, 6, 12, 20, 32, 50, 80, 140, _FAR))
        along = np.stack((edges[:-1], (edges[:-1] + edges[1:]) / 2, edges[1:]), axis=1)
    steps = along.shape[1]
    corners = np.empty((len(along), 2 * steps, 2))
    corners[:, :steps, 0], corners[:, steps:, 0] = x - width / 2, x + width / 2
    corners[:, :steps, 1], corners[:, steps:, 1] = along, along[:, ::-1]
    _patches(painter, corners, colour)


def _markings(painter: Painter, scene: Scene) -> None:
    road = scene.road
    white: Colour = (224, 224, 220)
    faded = scene.weather == "snowy"
    paint: Colour = (192, 194, 198) if faded else white
    yellow: Colour = (192, 180, 132) if faded else (226, 176, 52)
    for x in (road.divide - 0.14, road.divide + 0.14):
        _line(painter, x, yellow)
    centres = sorted(x for x, _ in road.lanes)
    for a, b in itertools.pairwise(centres):
        if abs((a + b) / 2 - road.divide) > 1.0 and abs(b - a - road.lane) < 0.1:
            _line(painter, (a + b) / 2, paint, gap=6.0, travelled=scene.travelled)
    for kerb in (road.left, road.right):
        _line(painter, kerb, paint if road.highway else (186, 184, 178), 0.16 if road.highway else 0.28)
    if road.rails is not None:
        for x in (road.rails - 0.75, road.rails + 0.75):
            _line(painter, x, (58, 58, 62), 0.12)
    if road.crossing is not None:
        _surface(
            painter,
            np.array(
                [
                    (road.left, road.crossing - 5),
                    (road.left, road.crossing + 5),
                    (road.right, road.crossing + 5),
                    (road.right, road.crossing - 5),
                ]
            ),
            road_colour(scene.weather),
        )
        for x in np.arange(road.left + 0.5, road.right - 0.3, 1.0).tolist():
            _stripe(painter, x, 0.5, road.crossing - 9.0, road.crossing - 6.2, paint)
        _surface(
            painter,
            np.array(
                [
                    (0 + road.divide, road.crossing - 10.4),
                    (road.divide, road.crossing - 9.9),
                    (road.right, road.crossing - 9.9),
                    (road.right, road.crossing - 10.4),
                ]
            ),
            paint,
        )


def draw_shadows(painter: Painter, scene: Scene) -> None:
    """Darken the ground below everything that has a shadow."""
    ground = road_colour(scene.weather)
    for prop, seen in zip(scene.props, scene.in_view, strict=True):
        if prop.shadow[0] and seen:
            pose = prop.parts[0].pose
            painter.shadow(pose, prop.shadow[0], prop.shadow[1], ground)
