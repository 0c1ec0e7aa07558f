"""How the time of day and the weather colour what is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bdd100k_models.datasets.synth.camera import Points
from bdd100k_models.datasets.synth.canvas import Colour

_HEADLIGHT_REACH = 22.0  # metres


@dataclass(frozen=True)
class Light:
    """Light and air of one picture.

    Attributes:
        ambient: Share of each colour (red, green, blue) that is seen without lamps.
        fog: Colour of the air far away, 0 to 255.
        density: Fog a metre.
        lamps: Whether vehicles and street lights shine.
        beam: Strength of the own head lights, which brighten what is near.
        sun: Side of the sun, -1 (left) to 1 (right).
        shadow: Darkness of shadows on the ground, 0 to 1.
        sky: Colours of the sky at the zenith and at the horizon.
    """

    ambient: Colour
    fog: Colour
    density: float
    lamps: bool
    beam: float
    sun: float
    shadow: float
    sky: tuple[Colour, Colour]

    def shade(self, colour: Colour, depth: float, factor: float = 1.0) -> Colour:
        """Return how a surface looks.

        Args:
            colour: Its own colour, 0 to 255.
            depth: Distance in metres.
            factor: How well its side is lit.
        """
        return self.shade_each(colour, depth, (factor,))[0]

    def shade_each(self, colour: Colour, depth: float, factors: Iterable[float]) -> list[Colour]:
        """Return how sides of one thing look, each lit so well; see :meth:`shade`."""
        extra = self.beam * math.exp(-depth / _HEADLIGHT_REACH)
        clear = math.exp(-self.density * depth)
        hidden = 1 - clear
        (red, green, blue), (r, g, b), (fog_r, fog_g, fog_b) = colour, self.ambient, self.fog
        r, g, b = r + extra, g + extra, b + extra
        fog_r, fog_g, fog_b = fog_r * hidden, fog_g * hidden, fog_b * hidden
        return [
            (
                min(red * factor * r, 255.0) * clear + fog_r,
                min(green * factor * g, 255.0) * clear + fog_g,
                min(blue * factor * b, 255.0) * clear + fog_b,
            )
            for factor in factors
        ]

    def shade_rows(self, colour: Colour, depths: Points) -> Points:
        """Return the colours (N, 3) of a surface at each of ``depths`` (N,) metres."""
        reach = self.beam * np.exp(-depths / _HEADLIGHT_REACH)
        lit = np.asarray(colour) * (np.asarray(self.ambient) + reach[:, None])
        clear = np.exp(-self.density * depths)[:, None]
        mixed: Points = np.minimum(lit, 255) * clear + np.asarray(self.fog) * (1 - clear)
        return mixed

    def lamp(self, colour: Colour, depth: float) -> Colour:
        """Return how something that shines by itself looks."""
        clear = math.exp(-self.density * depth * 0.4)
        red, green, blue = (c * clear + f * (1 - clear) for c, f in zip(colour, self.fog, strict=True))
        return red, green, blue


_SKIES: dict[str, tuple[Colour, Colour]] = {
    "clear": ((62, 128, 208), (190, 218, 240)),
    "partly cloudy": ((84, 142, 206), (204, 220, 234)),
    "overcast": ((150, 160, 172), (206, 210, 214)),
    "rainy": ((104, 114, 128), (168, 176, 184)),
    "snowy": ((176, 184, 194), (222, 226, 230)),
    "foggy": ((190, 196, 200), (212, 216, 218)),
    "undefined": ((110, 150, 200), (200, 214, 228)),
}
_DENSITY = {"foggy": 0.024, "snowy": 0.010, "rainy": 0.008, "overcast": 0.004}


def choose_light(rng: np.random.Generator, weather: str, timeofday: str) -> Light:
    """Return the light for tags ``weather`` and ``timeofday``, a little different each time."""
    zenith, horizon = _SKIES[weather]
    density = _DENSITY.get(weather, 0.0022) * rng.uniform(0.8, 1.3)
    sunny = weather in ("clear", "partly cloudy", "undefined")
    sun = float(rng.uniform(-1, 1))
    level = float(rng.uniform(0.92, 1.06)) * (1.0 if sunny else 0.86)
    if timeofday == "night":
        low: Colour = (40, 42, 58) if weather in ("foggy", "snowy") else (22, 26, 44)
        high: Colour = (10, 13, 27)
        tint = float(rng.uniform(0.85, 1.2))
        return Light((0.27 * tint, 0.28 * tint, 0.38 * tint), low, density, True, 0.8, sun, 0.25, (high, low))
    if timeofday == "dawn/dusk":
        glow: Colour = (246, 176, 122) if sunny else (206, 176, 160)
        top: Colour = (78, 92, 150) if sunny else (112, 116, 140)
        haze: Colour = (214, 170, 146) if sunny else (182, 168, 164)
        return Light((0.78 * level, 0.66 * level, 0.64 * level), haze, density, True, 0.15, sun, 0.35, (top, glow))
    ambient = (1.0 * level, 0.99 * level, 0.97 * level)
    lamps = weather in ("rainy", "foggy")
    return Light(ambient, horizon, density, lamps, 0.0, sun, 0.5 if sunny else 0.25, (zenith, horizon))
